"""Time and memory of `prepare` on a generated file of ratings.

    python benchmarks/prepare.py --rows 26700000            # 25 M without the repeated pairs
    python benchmarks/prepare.py --style dat --rows 1250000 --users 6040 --items 3700 --keep FILE

The second writes a file of the size of MovieLens 1M and prepares nothing.

Results are in benchmarks/README.md.

Tastes are planted (users return to a few neighbourhoods of items and drift), so that the file also
serves as a stand-in for MovieLens' own in `prepare`, `check`, `train`, `recommend`.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

_BLOCK_USERS = 20_000


def write_ratings(path: Path, num_rows: int, num_users: int, num_items: int, *, style: str) -> None:
    """Write `num_rows` ratings less those of repeated pairs, in constant memory."""
    rng = np.random.default_rng(0)
    per_user = max(1, num_rows // num_users)
    popularity = 1 / (np.arange(num_items) + 20.0)
    cumulative = np.cumsum(popularity / popularity.sum())
    scenes = rng.permutation(num_items) % 60  # popularity says nothing of the scene
    by_scene = [np.flatnonzero(scenes == s) for s in range(60)]
    header = "" if style == "dat" else "userId,movieId,rating,timestamp\n"
    separator = "::" if style == "dat" else ","
    with path.open("w", encoding="utf-8") as file:
        file.write(header)
        for start in range(0, num_users, _BLOCK_USERS):
            count = min(_BLOCK_USERS, num_users - start)
            rank = np.tile(np.arange(per_user), count)
            users = np.repeat(np.arange(start, start + count), per_user)
            taste = rng.integers(0, 60, (count, 5))[users - start, rank * 5 // per_user]
            items = np.searchsorted(cumulative, rng.random(len(users)))
            loyal = rng.random(len(users)) < 0.6
            for scene, members in enumerate(by_scene):
                chosen = np.flatnonzero(loyal & (taste == scene))
                skewed = (rng.random(len(chosen)) ** 2 * len(members)).astype(int)
                items[chosen] = members[skewed]
            ratings = np.clip(np.round(rng.normal(3.4 + loyal, 1.0, len(users))), 1, 5).astype(int)
            times = 900_000_000 + users * 7 + rank * 3600
            order = rng.permutation(len(users))
            frame = pl.DataFrame({"u": users + 1, "i": items + 1, "r": ratings, "t": times})[
                order
            ].unique(["u", "i"], keep="first", maintain_order=True)
            if style == "dat":
                lines = frame.select(pl.concat_str(pl.all(), separator=separator))
                file.write("\n".join(lines.to_series().to_list()) + "\n")
            else:
                file.write(frame.write_csv(include_header=False))


def main() -> None:
    """Generate, prepare in a process of its own, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=26_700_000)
    parser.add_argument("--users", type=int, help="one for 160 rows if left out")
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--style", choices=("csv", "dat"), default="csv")
    parser.add_argument("--keep", type=Path, help="write the ratings here and stop")
    args = parser.parse_args()
    sizes = (args.rows, args.users or max(1, args.rows // 160), args.items)
    if args.keep is not None:
        write_ratings(args.keep, *sizes, style=args.style)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"ratings.{args.style}")
        write_ratings(source, *sizes, style=args.style)
        started = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "diffrec",
            "prepare",
            str(source),
            "--out",
            f"{folder}/out",
        ]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        row = {
            "file_mib": round(source.stat().st_size / 2**20),
            "seconds": round(seconds, 1),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_gib": round(used.ru_maxrss / 2**20, 2),
            "machine": platform.processor() or platform.machine(),
            "polars": pl.__version__,
        }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
