"""What training gives, to the bit: losses, weights and metrics of every family.

`PYTHONPATH=.:tests python tests/behaviour.py` rewrites `tests/data/behaviour.json`. Do so only
when a change of results is wanted, and say which in the commit.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.runs import build_run, score_test

FILE = Path(__file__).parent / "data" / "behaviour.json"
VARIANTS = (
    "DiffRec",
    "T-DiffRec",
    "L-DiffRec",
    "LT-DiffRec",
    "DiffRec+learned_steps",
    "DiffRec+learned_recency",
    "MultVAE",
    "EASE",
)
BARE = {
    "DiffRec+learned_recency": {
        "guard": False,
        "recency_curve": "free",
        "future_holdout_unit": "users",
    }
}
"""The weighting by itself, as first measured: presets guard it (docs/science/temporal.md)."""

ON_REAL_DATA = ("DiffRec", "L-DiffRec")


def machine():
    """Return what the last bits of a float depend on."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in cpu.splitlines() if "model name" in line]
    return {
        "cpu": names[0] if names else "",
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def measure(dataset, variants, epochs, seeds=(1, 2)):
    """Return {variant: {seed or "fused": record}} of short runs on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {variant: _variant(dataset, variant, epochs, seeds) for variant in variants}
    finally:
        torch.set_num_threads(threads)


def _variant(dataset, variant, epochs, seeds):
    single, split = {}, dataset.tuning_split()
    for seed in seeds:
        run = _run(dataset, split, variant, epochs, seed)
        losses, valid = [], {}
        while not run.finished:
            report = run.next_epoch()
            losses.append(float(report.loss))
            valid = report.metrics or valid
        single[str(seed)] = _record(run, dataset, losses, valid)
    runs = [_run(dataset, split, variant, epochs, seed) for seed in seeds]
    fused = FusedRuns(runs[:1])
    if not all(fused.takes(run) for run in runs[1:]):
        return single
    for run in runs[1:]:
        fused.join(run)
    losses, valid = {id(run): [] for run in runs}, {}
    while fused.runs:
        for epoch in fused.next_epoch():
            losses[id(epoch.run)].append(float(epoch.report.loss))
            valid[id(epoch.run)] = epoch.report.metrics or valid.get(id(epoch.run), {})
    for seed, run in zip(seeds, runs, strict=True):
        record = _record(run, dataset, losses[id(run)], valid[id(run)])
        single[f"fused {seed}"] = record
    return single


def _run(dataset, split, variant, epochs, seed):
    values = preset(variant, dataset.name).config.to_dict()
    values["seed"] = seed
    if variant in BARE:
        values["temporal"] |= BARE[variant]
    if "training" in values:
        values["training"] |= {"max_epochs": epochs, "eval_every": epochs, "patience": epochs}
    config = type(preset(variant, dataset.name).config).from_dict(values)
    return build_run(config, split)


def _record(run, dataset, losses, valid):
    digest = hashlib.sha256()
    model = getattr(run, "model", None)
    if model is not None and hasattr(model, "state_dict"):
        for name, tensor in sorted(model.state_dict().items()):
            if isinstance(tensor, torch.Tensor):
                digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return {
        "losses": losses,
        "weights": digest.hexdigest(),
        "valid": valid,
        "test": score_test(run, dataset.test),
    }


def embedded():
    """Return five epochs of every family on the embedded data."""
    return measure(load_dataset("embedded"), VARIANTS, 5)


def ml_1m_clean(folder):
    """Return two epochs of DiffRec and L-DiffRec on ML-1M."""
    return measure(load_dataset("ml-1m_clean", folder), ON_REAL_DATA, 2)


if __name__ == "__main__":
    from real_data import require_real_data

    FILE.write_text(
        json.dumps(
            {
                "machine": machine(),
                "embedded": embedded(),
                "ml-1m_clean": ml_1m_clean(require_real_data().parent),
            },
            indent=1,
        )
        + "\n"
    )
