"""Makes docs/figures/overview.png: a study in the terminal, and the report that it wrote.

`python docs/make_pictures.py` runs the README's main job (a few minutes) in a folder of its own, or
takes a study that is there: `--study runs/NAME --output FILE`, where FILE holds what the command
printed into a pipe. It needs Chromium (`apt-get install chromium`) and Pillow, which matplotlib
brings along.
"""

import argparse
import html
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "docs" / "figures" / "overview.png"
COMMAND = "python -m tune_runner --space clustering_ablation --name first"
WIDTH, HEIGHT = 1500, 860
"""Size of the picture in CSS pixels; it is stored at 1.6 times that, with 256 colours."""

_COLUMNS, _TABLE_LINES, _ANSWER_LINES = 92, 9, 12
_FIGURE = "by_number"

_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #e8eaed; font-family: "DejaVu Sans", sans-serif; }}
.window {{ position: absolute; border-radius: 10px; overflow: hidden; background: #fff;
  box-shadow: 0 6px 22px rgba(0, 0, 0, .28); }}
.bar {{ height: 26px; background: #3a3f47; color: #cfd3d9; font-size: 12px; line-height: 26px;
  text-align: center; }}
.terminal {{ left: 24px; top: 24px; width: 712px; height: 812px; background: #14171c; }}
.report {{ left: 760px; top: 24px; width: 716px; height: 440px; }}
.figure {{ left: 760px; top: 488px; width: 716px; height: 348px; }}
.figure img {{ display: block; margin: 6px auto; height: 306px; }}
pre {{ margin: 12px 14px; color: #d7dae0; font: 12px/1.34 "DejaVu Sans Mono", monospace; }}
b {{ color: #8fd18f; font-weight: normal; }}
iframe {{ border: 0; width: 1023px; height: 600px; transform: scale(.7); transform-origin: 0 0; }}
</style>
<div class="window terminal"><div class="bar">terminal</div><pre>{terminal}</pre></div>
<div class="window report"><div class="bar">{name}/report/index.html</div>
<iframe src="{report}/index.html"></iframe></div>
<div class="window figure"><div class="bar">{name}/report/figures/{figure}.svg</div>
<img src="{report}/figures/{figure}.svg"></div>"""


def main() -> int:
    """Make the picture and return the exit code."""
    parser = argparse.ArgumentParser(description="Make the README's picture from a real study.")
    parser.add_argument("--study", type=Path, help="folder of a study that has ended")
    parser.add_argument("--output", type=Path, help="what its command printed")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or (args.study is None) != (args.output is None):
        parser.error("Chromium is needed; --study and --output go together.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study, text = args.study, None
        if study is None:
            text, study = _run(folder)
        else:
            text = args.output.read_text(encoding="utf-8")
        page = folder / "page.html"
        study = study.resolve()
        parts = {
            "terminal": _terminal(text, study.parent.parent),
            "report": (study / "report").as_uri(),
            "name": study.name,
            "figure": _FIGURE,
        }
        page.write_text(_PAGE.format(**parts), encoding="utf-8")
        _shoot(chromium, page, folder / "shot.png")
        shot = Image.open(folder / "shot.png").convert("RGB")
        shot.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KiB\n")
    return 0


def _run(folder: Path) -> tuple[str, Path]:
    """Run the main job in `folder`; return what it printed and the study's folder."""
    done = subprocess.run(
        [sys.executable, *COMMAND.split()[1:]],
        cwd=folder,
        env=None,
        capture_output=True,
        text=True,
        check=True,
    )
    sys.stdout.write(done.stdout)
    return done.stdout, folder / "runs" / "first"


def _terminal(text: str, folder: Path) -> str:
    """Return the telling parts of a command's output as HTML: start, trials, table, answers."""
    lines = text.replace("\r", "").replace(str(folder), "/home/you").splitlines()
    trials = [i for i, line in enumerate(lines) if line.startswith("[")]
    head = next(i for i, line in enumerate(lines) if line.startswith("cell "))
    answers = next(i for i, line in enumerate(lines) if line.startswith("- "))
    parts = [
        *lines[: trials[0] + 4],
        "...",
        *lines[trials[-1] : head + _TABLE_LINES],
        "...",
        *lines[answers : answers + _ANSWER_LINES],
    ]
    body = "\n".join(html.escape(line) for part in parts for line in _wrapped(part))
    return f"<b>$ {COMMAND}</b>\n{body}"


def _wrapped(line: str) -> list[str]:
    """Return a line as a terminal of `_COLUMNS` shows it: words stay whole, labels stand alone."""
    return textwrap.wrap(line, _COLUMNS, subsequent_indent=" " * 10) or [""]


def _shoot(chromium: str, page: Path, target: Path) -> None:
    subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--force-device-scale-factor=1.6",
            "--virtual-time-budget=4000",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={target}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )


if __name__ == "__main__":
    sys.exit(main())
