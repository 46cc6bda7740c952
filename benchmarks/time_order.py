"""Accuracy of `check` in finding the order of valid and test, on real and simulated datasets.

    python benchmarks/time_order.py --data-dir ../shared/datasets --simulated 100

Only the items are used, no timestamps. Results are in docs/own_data.md.

Simulated histories drift or do not: users walk along a ring of items in steps, with noise in train
and valid only (as the DiffRec release has it); without drift the same items come in random order.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.data.released import read_released
from diffrec.preparation.affinity import item_affinity
from diffrec.preparation.time_order import OrderEvidence, order_by_items

Lists = tuple[Interactions, Interactions, Interactions]
EXCHANGED_AS_RELEASED = ("ml-1m_clean", "ml-1m_noisy")


def evidence(lists: Lists) -> OrderEvidence:
    """Return what the items say of the lists."""
    affinity, cut = item_affinity(lists)
    return order_by_items(affinity, *cut)


def simulate(seed: int, *, drift: bool) -> Lists:
    """Return lists in order of time: 7:1:2 of 300 to 900 users' walks over 150 to 400 items."""
    rng = np.random.default_rng(seed)
    num_users, num_items = int(rng.integers(300, 900)), int(rng.integers(150, 400))
    noise = float(rng.choice([0.0, 0.3]))
    rows: list[list[np.ndarray]] = [[], [], []]
    for user in range(num_users):
        length = int(rng.integers(15, 60))
        items = rng.integers(num_items) + np.cumsum(rng.integers(1, 3, length))
        items = np.unique(items % num_items, return_index=True)
        items = items[0][np.argsort(items[1])]
        if not drift:
            items = rng.permutation(items)
        length = len(items)
        parts = np.split(items, [int(length * 0.7), int(length * 0.8)])
        for number, part in enumerate(parts):
            if number < 2:
                strange = rng.random(len(part)) < noise
                fresh = rng.permutation(np.setdiff1d(np.arange(num_items), items))
                part = np.where(strange, np.resize(fresh, len(part)), part)
                items = np.concatenate([items, part])
            part = np.unique(part, return_index=True)
            part = part[0][np.argsort(part[1])]
            rows[number].append(np.stack([np.full(len(part), user), part], axis=1))
    train, valid, test = (
        Interactions.from_pairs(np.concatenate(part), num_users, num_items) for part in rows
    )
    return train, valid, test


def main() -> None:
    """Write a line of JSON per dataset and order, and the counts over the simulated ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--simulated", type=int, default=100)
    parser.add_argument("--only", nargs="*", help="names of datasets; all of them if left out")
    args = parser.parse_args()
    names = args.only
    if names is None:
        names = sorted(p.parent.name for p in args.data_dir.glob("*/train_list.npy"))
    for name in names:
        released = read_released(args.data_dir / name)
        started = time.perf_counter()
        pair = (released.valid, released.test)
        for exchange in (False, True):
            valid, test = pair[::-1] if exchange else pair
            order = evidence((released.train, valid, test))
            is_exchanged = exchange != (name in EXCHANGED_AS_RELEASED)
            line = {
                "dataset": name,
                "truth": "exchanged" if is_exchanged else "in order",
                "verdict": order.verdict,
                "error_rate": f"{order.error_rate:.2g}",
                "score": round(order.score or 0.0, 3),
                "in_order": round(order.score_in_order or 0.0, 3),
                "exchanged": round(order.score_exchanged or 0.0, 3),
                "standard_error": round(order.standard_error or 0.0, 3),
                "users": order.users,
                "seconds": round(time.perf_counter() - started, 1),
            }
            print(json.dumps(line), flush=True)
    counts: Counter[str] = Counter()
    for seed in range(args.simulated):
        drift, exchange = seed % 2 == 0, seed % 4 < 2
        train, valid, test = simulate(seed, drift=drift)
        lists = (train, test, valid) if exchange else (train, valid, test)
        truth = ("exchanged" if exchange else "in order") if drift else "no order"
        counts[f"{truth}: {evidence(lists).verdict}"] += 1
    print(json.dumps(dict(sorted(counts.items()))))


if __name__ == "__main__":
    main()
