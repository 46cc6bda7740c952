"""`python -m tune_runner`."""

import sys
from pathlib import Path

# `python -m` puts the working directory first: a user's own analysis.py, for example, would replace
# ours there. As the last entry it still serves the imports of a space file.
first, packages = Path(sys.path[0] or ".").resolve(), Path(__file__).resolve().parents[1]
if first == Path.cwd() != packages:
    sys.path.append(sys.path.pop(0))

from tune_runner.cli.main import main  # noqa: E402 - after the path is in order

if __name__ == "__main__":
    sys.exit(main())
