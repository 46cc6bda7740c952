"""`python -m tune_runner`."""

import sys

from tune_runner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
