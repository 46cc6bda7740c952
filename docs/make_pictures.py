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
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "docs" / "figures" / "overview.png"
COMMAND = "python -m tune_runner --space clustering_ablation"
WIDTH, HEIGHT = 1500, 860
"""Size of the picture in CSS pixels; it is stored at twice that, with 128 colours."""

_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #e8eaed; font-family: "DejaVu Sans", sans-serif; }}
.window {{ position: absolute; border-radius: 10px; overflow: hidden; background: #fff;
  box-shadow: 0 6px 22px rgba(0, 0, 0, .28); }}
.bar {{ height: 26px; background: #3a3f47; color: #cfd3d9; font-size: 12px; line-height: 26px;
  text-align: center; }}
.terminal {{ left: 24px; top: 24px; width: 712px; height: 812px; background: #14171c; }}
.report {{ left: 760px; top: 24px; width: 716px; height: 812px; }}
pre {{ margin: 12px 14px; color: #d7dae0; font: 12px/1.34 "DejaVu Sans Mono", monospace; }}
b {{ color: #8fd18f; font-weight: normal; }}
iframe {{ border: 0; width: 1023px; height: 1123px; transform: scale(.7); transform-origin: 0 0; }}
</style>
<div class="window terminal"><div class="bar">terminal</div><pre>{terminal}</pre></div>
<div class="window report"><div class="bar">{name}/report/index.html</div>
<iframe src="{report}"></iframe></div>"""


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
        report = (study.resolve() / "report" / "index.html").as_uri()
        terminal = _terminal(text)
        page.write_text(_PAGE.format(terminal=terminal, report=report, name=study.name))
        _shoot(chromium, page, folder / "shot.png")
        shot = Image.open(folder / "shot.png").convert("RGB")
        shot.quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KiB\n")
    return 0


def _run(folder: Path) -> tuple[str, Path]:
    """Run the main job in `folder`; return what it printed and the study's folder."""
    done = subprocess.run(
        [sys.executable, *COMMAND.split()[1:], "--name", "clusters"],
        cwd=folder,
        env=None,
        capture_output=True,
        text=True,
        check=True,
    )
    sys.stdout.write(done.stdout)
    return done.stdout, folder / "runs" / "clusters"


def _terminal(text: str, rows: int = 47, columns: int = 92) -> str:
    """Return the beginning and the end of a command's output as HTML, `rows` lines in all."""
    lines = [line[:columns] for line in text.replace("\r", "").splitlines()]
    trials = [i for i, line in enumerate(lines) if line.startswith("[")]
    first, last = (trials[0], trials[-1]) if trials else (len(lines) // 2, len(lines) // 2)
    end = lines[last:]
    begin = lines[: max(first + 4, 0)]
    shown = [*begin, "...", *end][:rows]
    body = "\n".join(html.escape(line) for line in shown)
    return f"<b>$ {COMMAND}</b>\n{body}"


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
