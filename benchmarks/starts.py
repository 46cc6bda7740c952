"""Starts studies in new folders beside busy processes, and counts those that do not start.

    python benchmarks/starts.py --starts 20 --busy 4

A study has started once its first trial is complete; then it is interrupted. With `--state FILE`
the counts continue those of an earlier call; no study is started after `--minutes`.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "tune_runner", "--space", "smoke", "--max-epochs", "2"]
BUSY = [sys.executable, "-c", "while True: pass"]


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--starts", type=int, default=20)
    result.add_argument("--busy", type=int, default=4, help="processes that do nothing but compute")
    result.add_argument("--minutes", type=float, default=60.0)
    result.add_argument("--state", type=Path, help="file of counts to continue")
    return result


def start() -> float | None:
    """Start a study in a new folder; return the seconds to its first result, None if none came."""
    folder = Path(tempfile.mkdtemp(prefix="starts-"))
    started = time.monotonic()
    seconds, output = None, ""
    study = subprocess.Popen(
        COMMAND,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with study:
        for line in study.stdout:
            output += line
            if line.startswith("[1/4]"):
                seconds = time.monotonic() - started
                study.send_signal(signal.SIGINT)
    if seconds is None or "Traceback" in output:
        print(output, flush=True)
    shutil.rmtree(folder)
    return None if "Traceback" in output else seconds


def main() -> int:
    """Start as often as requested, and print the counts."""
    args = parser().parse_args()
    state = None if args.state is None else args.state.resolve()
    saved = json.loads(state.read_text()) if state and state.exists() else {"tried": 0, "times": []}
    deadline = time.monotonic() + 60 * args.minutes
    busy = [subprocess.Popen(BUSY) for _ in range(args.busy)]
    try:
        while saved["tried"] < args.starts and time.monotonic() < deadline:
            seconds = start()
            saved["tried"] += 1
            saved["times"] += [] if seconds is None else [seconds]
            print(f"{len(saved['times'])} of {saved['tried']} started; {seconds}", flush=True)
            if state is not None:
                state.write_text(json.dumps(saved))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    times = sorted(saved["times"])
    if times:
        print(f"seconds to the first result: {times[0]:.0f} to {times[-1]:.0f}")
    return int(len(times) < saved["tried"])


if __name__ == "__main__":
    sys.exit(main())
