"""Peak memory of a training run at amazon-book_noisy's shape: trained, validated, ranked, saved.

    python benchmarks/memory.py                # two steps, 400 users validated: minutes
    python benchmarks/memory.py --full         # a whole epoch, every user: hours on two cores
    python benchmarks/memory.py --device cuda  # and the GPU's peak

Interactions are generated at the dataset's size. Every figure is the largest resident size of the
process up to that point (VmHWM), the interpreter and torch among it.
"""

import argparse
import gc
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import AMAZON_BOOK_NOISY, machine, report, split_of_size

from diffrec.config import RecommenderConfig
from diffrec.config.presets import preset
from diffrec.data.interactions import TuningSplit
from diffrec.evaluation.ranking import rankings
from diffrec.training.best_state import PageReleasingFile, read_state
from diffrec.training.run import TrainingRun
from diffrec.training.runs import score_test


def main() -> None:
    """Run, print a row per stage, and the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=int, nargs=3, default=AMAZON_BOOK_NOISY)
    parser.add_argument("--hidden", type=int, nargs="+", default=[1000])
    parser.add_argument("--batches", type=int, default=2, help="steps of an epoch")
    parser.add_argument("--validated", type=int, default=400, help="users validated and ranked")
    parser.add_argument("--full", action="store_true", help="all users")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=6.0, help="GB that may be resident")
    args = parser.parse_args()
    print(machine(args.device))
    rows = [("stage", "seconds", "peak resident, GB")]
    clock = _Clock(rows)
    split = split_of_size(*args.shape)
    clock.note("data")
    config = preset("DiffRec", "amazon-book_noisy").config.replace_values(
        {"denoiser.hidden_dims": args.hidden, "training.max_epochs": 4, "training.eval_every": 1}
    )
    if not args.full:
        split = _part(split, args.batches * config.training.batch_size, args.validated)
    run = _trained_and_resumed(config, split, args.device, clock)
    score_test(run, split.valid)
    clock.note("best state restored, test scored")
    users = np.flatnonzero(split.valid.lengths > 0)
    for _ in rankings(run.model, history=split.train, seen=[split.train], users=users, k=20):
        pass
    clock.note("ranked again")
    report(rows)
    if args.device == "cuda":
        print(f"GPU peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")
    peak = _peak()
    print(f"{peak:.2f} GB, {'within' if peak <= args.limit else 'ABOVE'} {args.limit:g} GB")
    raise SystemExit(peak > args.limit)


def _trained_and_resumed(
    config: RecommenderConfig, split: TuningSplit, device: str, clock: "_Clock"
) -> TrainingRun:
    """Train two epochs, save after each, resume in another run; return that run."""
    run = TrainingRun(config, split, device=device)
    clock.note("model built")
    report_ = run.next_epoch()
    clock.note(f"epoch of {report_.seconds:.0f} s training, validated")
    with tempfile.TemporaryDirectory() as folder:
        _save(run, clock, Path(folder), "newest epoch is the best")
    # What a trial does while its patience runs: the best weights are older than the model's.
    run.best_metrics["valid/recall@20"] = run._history[0][1] + 1.0
    run._history[0] = (1, run.best_metrics["valid/recall@20"])
    report_ = run.next_epoch()
    assert run.best_epoch == 1
    clock.note(f"another epoch, {report_.seconds:.0f} s")
    with tempfile.TemporaryDirectory() as folder:
        saved = _save(run, clock, Path(folder), "best is older")
        del run
        gc.collect()
        resumed = TrainingRun(config, split, device=device)
        resumed.load_state_dict(read_state(saved))
        clock.note("resumed in another run")
    resumed.next_epoch()
    clock.note("trained again")
    return resumed


def _save(run: TrainingRun, clock: "_Clock", folder: Path, which: str) -> Path:
    path = folder / "state.pt"
    with path.open("wb") as file:
        torch.save(run.state_dict(), PageReleasingFile(file))
    clock.note(f"checkpoint of {path.stat().st_size / 1e9:.1f} GB, {which}")
    return path


class _Clock:
    """Adds a row per stage."""

    def __init__(self, rows: list[tuple[str, ...]]) -> None:
        self._rows, self._last = rows, time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self._rows.append((stage, f"{now - self._last:.1f}", f"{_peak():.2f}"))
        self._last = now


def _part(split: TuningSplit, trained: int, validated: int) -> TuningSplit:
    """Keep the histories of `trained` users and the held-out items of `validated` of them."""
    train = split.train.select_users(np.arange(trained))
    valid = split.valid.select_users(np.arange(trained))
    pairs = valid.to_pairs()
    pairs = pairs[pairs[:, 0] < validated]
    valid = type(valid).from_pairs(pairs, trained, valid.num_items)
    return TuningSplit(train, valid, split.item_embeddings)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
