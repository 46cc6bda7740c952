"""Measures time and memory of a study's heaviest configurations.

The heaviest configuration of each variant is trained for two epochs in a process of its own; the
second is timed. The number of epochs of a trial is not known before it runs, so estimates of a
study's time are ranges.
"""

import resource
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import psutil

from diffrec.config.base import ModelConfig
from diffrec.config.families import parse_config, training_of
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.execution.remote_call import call_on_gpu, put
from tune_runner.resources.allocation import TrialResources
from tune_runner.resources.limits import apply_resource_limits
from tune_runner.study.config import StudyConfig, StudyPlan

if TYPE_CHECKING:
    from diffrec.data import Dataset, TuningSplit


_BATCHES = 12
"""Batches of users that are measured, where there are more."""

_POINTS = 300
"""Random corners of a sampled space among which the heaviest is searched."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Time and memory of one configuration."""

    variant: str
    epoch_seconds: float
    validation_seconds: float
    peak_bytes: int
    """Peak memory above that of the process before it built the model, in bytes."""

    gpu_bytes: int = 0
    """Memory of the GPU that it ran on, in bytes; 0 on a CPU."""


def heaviest_configs(
    config: StudyConfig, space: SearchSpace, plan: StudyPlan, dataset: "Dataset"
) -> list[ModelConfig]:
    """Return the configuration with the largest memory estimate of each variant in the study."""
    if plan.sampler == "grid":
        points = [params for params, _ in space.grid_points(plan.seeds[:1])]
    else:
        rng = Random(0)
        points = [space.build_point(lambda _, d: rng.choice(d.corners())) for _ in range(_POINTS)]
    train = dataset.train
    heaviest: dict[str, tuple[float, ModelConfig]] = {}
    for params in points:
        resolved = space.resolve(params, plan.target, overrides=plan.overrides)
        size = resolved.estimate_bytes(train.num_users, train.num_items)
        largest = heaviest.get(resolved.variant)
        if largest is None or size > largest[0]:
            heaviest[resolved.variant] = (size, resolved)
    return [resolved for _, resolved in heaviest.values()]


def check_memory(configs: Iterable[ModelConfig], dataset: "Dataset") -> None:
    """Refuse configurations that cannot fit into this machine's memory.

    Raises:
        UserError: the estimate of a single trial exceeds it.
    """
    total_bytes = psutil.virtual_memory().total
    for config in configs:
        needed_bytes = config.estimate_bytes(dataset.train.num_users, dataset.train.num_items)
        if needed_bytes > total_bytes:
            raise UserError(
                f"A trial of {config.variant} on {dataset.name} needs about "
                f"{needed_bytes / 2**30:.1f} GiB, but this machine has {total_bytes / 2**30:.1f} "
                "GiB; use a smaller model or batch, or leave this variant out."
            )


def measure(config: ModelConfig, dataset: "Dataset", resources: TrialResources) -> Measurement:
    """Train two epochs and validate; time the second, and read the peak of memory.

    On a CPU, at most `_BATCHES` batches of users are trained and validated, and the times are
    scaled to all: both are proportional to the users (benchmarks/growth.py). On a GPU the memory of
    all users' histories counts as well, so all of them are there.
    """
    import torch

    from diffrec.training.runs import build_run

    device = apply_resource_limits(resources)
    values, split, scale = config.to_dict(), dataset.tuning_split(), 1.0
    if device == "cpu" and (training := training_of(config)) is not None:
        users = _BATCHES * training.batch_size
        scale = max(1.0, split.train.num_users / users)
        split = first_users(split, users)
    if "training" in values:
        values["training"] |= {"max_epochs": 2, "eval_every": 2, "patience": 2}
    start_bytes = _peak_rss()
    run = build_run(parse_config(values, trusted=True), split, device=device)
    total_seconds, train_seconds = 0.0, 0.0
    while not run.finished:
        started = time.perf_counter()
        report = run.next_epoch()
        total_seconds, train_seconds = time.perf_counter() - started, report.seconds
    if device == "cuda":
        total_bytes = torch.cuda.get_device_properties(0).total_memory
        peak_bytes = torch.cuda.max_memory_reserved()  # a captured CUDA graph keeps its buffers
    else:
        total_bytes, peak_bytes = 0, _peak_rss() - start_bytes
    return Measurement(
        config.variant,
        scale * train_seconds,
        scale * max(0.0, total_seconds - train_seconds),
        peak_bytes,
        total_bytes,
    )


def first_users(split: "TuningSplit", count: int) -> "TuningSplit":
    """Return the data of at most `count` users; all items stay, so shapes are the same."""
    from diffrec.data import Interactions, TuningSplit

    def cut(interactions: Interactions) -> Interactions:
        users = min(count, interactions.num_users)
        indptr = interactions.indptr[: users + 1]
        return Interactions(
            users, interactions.num_items, indptr, interactions.indices[: indptr[-1]]
        )

    return TuningSplit(cut(split.train), cut(split.valid), split.item_embeddings)


def gpu_bytes() -> int | None:
    """Return the memory of the GPU that this process sees, in bytes; None: torch sees none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(0).total_memory


def measure_on_gpu(
    configs: Sequence[ModelConfig], dataset: "Dataset"
) -> tuple[float, float] | None:
    """Return (peak bytes of the heaviest, bytes of the GPU); None if torch sees no GPU."""
    data, one_gpu = put(dataset), TrialResources(1, 1)
    measured = [call_on_gpu(measure, config, data, one_gpu, share=1) for config in configs]
    if not all(m.gpu_bytes for m in measured):
        return None
    return float(max(m.peak_bytes for m in measured)), float(min(m.gpu_bytes for m in measured))


def _peak_rss() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
