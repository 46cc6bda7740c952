"""`python -m tune_runner`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # `python -m` puts the working directory first: a user's own torch.py there would stand in for
    # the library. Last, it serves whatever a space file imports. No module of ours may come before.
    packages = Path(__file__).resolve().parents[1]
    if Path(sys.path[0]).resolve() == Path.cwd() != packages:
        sys.path += [str(packages), sys.path.pop(0)]

from tune_runner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
