"""Know before you pay: a short measurement of what a study's trials take, and what follows from it.

The heaviest configuration of each variant is trained for two epochs in a process of its own; the
second is timed. How many epochs a trial runs nobody knows before, so time is a range.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from diffrec.data import load_dataset
from diffrec.errors import UserError
from diffrec.families import AnyConfig, parse_config
from search_spaces import SearchSpace
from tune_runner.estimates import trial_bytes
from tune_runner.placement import Placement, hold_to_share, local_cluster, place
from tune_runner.progress import clock
from tune_runner.settings import Plan, StudyConfig

if TYPE_CHECKING:
    from diffrec.data import Dataset

CPU_CORE_WATTS = 10.0
"""Assumed draw of one busy CPU core with its share of memory and board (see analysis.cost)."""

Result = TypeVar("Result")

_POINTS = 300
"""Corners of a sampled space that are looked at for the heaviest."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one configuration took."""

    variant: str
    epoch_seconds: float
    validation_seconds: float
    peak_bytes: int
    """Memory above what the process held before it built the model."""

    gpu_bytes: int = 0
    """Memory of the GPU it ran on; 0 on a CPU."""


def heaviest(
    config: StudyConfig, space: SearchSpace, plan: Plan, dataset: "Dataset"
) -> list[AnyConfig]:
    """Return the configuration with the largest memory estimate of each variant in the study."""
    if plan.sampler == "grid":
        points = [params for params, _ in space.grid_points(plan.seeds[:1])]
    else:
        rng = Random(0)
        points = [space.assemble(lambda _, d: rng.choice(d.corners())) for _ in range(_POINTS)]
    train = dataset.train
    found: dict[str, tuple[float, AnyConfig]] = {}
    for params in points:
        resolved = space.resolve(params, config.dataset, overrides=plan.overrides)
        size = trial_bytes(resolved, train.num_users, train.num_items)
        known = found.get(resolved.variant)
        if known is None or size > known[0]:
            found[resolved.variant] = (size, resolved)
    return [resolved for _, resolved in found.values()]


def check_memory(configs: Iterable[AnyConfig], dataset: "Dataset") -> None:
    """Refuse what cannot fit into this machine's memory.

    Raises:
        UserError: the estimate of a single trial exceeds it.
    """
    there = psutil.virtual_memory().total
    for config in configs:
        need = trial_bytes(config, dataset.train.num_users, dataset.train.num_items)
        if need > there:
            raise UserError(
                f"A trial of {config.variant} on {dataset.name} needs about {need / 2**30:.1f} "
                f"GiB, but this machine has {there / 2**30:.1f} GiB; use a smaller model or batch, "
                "or leave this variant out."
            )


def estimate(config: StudyConfig, space: SearchSpace, plan: Plan) -> str:
    """Measure and return what the study will take, as lines to print.

    Raises:
        UserError: a trial does not fit.
    """
    from tune_runner.fusing import settle

    data_dir = None if config.data_dir is None else Path(config.data_dir)
    dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
    cluster = local_cluster()
    placement = place(config.wish, cluster, trials=plan.trials)
    configs = heaviest(config, space, plan, dataset)
    check_memory(configs, dataset)
    measured = [in_own_process(measure, c, dataset, placement) for c in configs]
    lines = _lines(measured, configs, plan, placement)
    return "\n".join([*lines, *filter(None, [settle(config, space, plan, dataset)[1]])])


def measure(config: AnyConfig, dataset: "Dataset", placement: Placement) -> Measurement:
    """Train two epochs and validate; time the second, and note the peak of memory."""
    import torch

    from diffrec.training.run import build_run

    device = hold_to_share(placement)
    values = config.to_dict()
    if "training" in values:
        values["training"] |= {"max_epochs": 2, "eval_every": 2, "patience": 2}
    before = _peak_rss()
    run = build_run(parse_config(values), dataset.tuning_split(), device=device)
    total, trained = 0.0, 0.0
    while not run.finished:
        started = time.perf_counter()
        report = run.next_epoch()
        total, trained = time.perf_counter() - started, report.seconds
    if device == "cuda":
        whole = torch.cuda.get_device_properties(0).total_memory
        peak = torch.cuda.max_memory_reserved()  # a recorded step keeps what it works in
    else:
        whole, peak = 0, _peak_rss() - before
    return Measurement(config.variant, trained, max(0.0, total - trained), peak, whole)


def gpu_bytes() -> int | None:
    """Return the memory of the GPU that this process sees; None where torch sees none."""
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(0).total_memory


def on_a_gpu(work: Callable[[], Result], *, share: float) -> Result:
    """Do it on a GPU of the cluster that this driver has joined, with no more of it than a trial's.

    More might be in another's use for hours.
    """
    import ray

    return ray.get(ray.remote(num_gpus=share, num_cpus=0, max_calls=1)(work).remote())


def measure_on_gpu(configs: Sequence[AnyConfig], dataset: "Dataset") -> tuple[float, float] | None:
    """Return (peak bytes of the heaviest, bytes of the GPU); None where torch sees no GPU."""
    import ray

    data = ray.put(dataset)

    def task(values: dict[str, Any], there: "Dataset") -> Measurement:
        return measure(parse_config(values), there, Placement(1, 1))

    remote = ray.remote(num_gpus=1, max_calls=1)(task)
    found = [ray.get(remote.remote(config.to_dict(), data)) for config in configs]
    if not all(m.gpu_bytes for m in found):
        return None
    return float(max(m.peak_bytes for m in found)), float(min(m.gpu_bytes for m in found))


def in_own_process(work: Callable[..., Result], *given: Any) -> Result:
    """Measure where no earlier model has raised the peak already."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *given).result()


def on_a_node(work: Callable[..., Result], *given: Any, cpus: float) -> Result:
    """Measure on a node of the cluster that this driver has joined."""
    import ray

    return ray.get(ray.remote(num_cpus=cpus, max_calls=1)(work).remote(*given))


def _lines(
    measured: Sequence[Measurement],
    configs: Sequence[AnyConfig],
    plan: Plan,
    placement: Placement,
) -> list[str]:
    peak = max(m.peak_bytes for m in measured)
    at_once = placement.max_concurrent * peak
    there = psutil.virtual_memory().total
    lines = [
        f"probe     {m.variant}: {m.epoch_seconds:.2f} s an epoch, {m.validation_seconds:.2f} s a "
        f"validation, {m.peak_bytes / 2**20:,.0f} MiB"
        for m in measured
    ]
    lines.append(
        f"memory    {placement.max_concurrent} at a time: about {at_once / 2**30:.1f} of "
        f"{there / 2**30:.1f} GiB, data and libraries aside"
    )
    if at_once > there:
        fit = max(1, int(there // peak))
        raise UserError(
            f"{placement.max_concurrent} trials at a time need about {at_once / 2**30:.1f} GiB, "
            f"but this machine has {there / 2**30:.1f}; use --max-concurrent {fit}."
        )
    spans = [_trial_seconds(m, c) for m, c in zip(measured, configs, strict=True)]
    trials = plan.trials / placement.max_concurrent
    low, high = (trials * sum(s[i] for s in spans) / len(spans) / 3600 for i in (0, 1))
    cores = placement.max_concurrent * placement.cpus
    lines.append(
        f"time      {clock(3600 * low)} to {clock(3600 * high)}: every trial runs at least its "
        "patience and at most its epochs"
    )
    energy = [hours * cores * CPU_CORE_WATTS / 1000 for hours in (low, high)]
    lines.append(
        f"energy    {energy[0]:.3f} to {energy[1]:.3f} kWh, at an assumed {CPU_CORE_WATTS:g} W a "
        "busy core"
    )
    return lines


def _trial_seconds(measured: Measurement, config: AnyConfig) -> tuple[float, float]:
    """Return the least and the most that a trial takes."""
    training = getattr(config, "training", None)
    if training is None:
        seconds = measured.epoch_seconds + measured.validation_seconds
        return seconds, seconds
    each = measured.epoch_seconds + measured.validation_seconds / training.eval_every
    least = min(training.patience + training.eval_every, training.max_epochs)
    return each * least, each * training.max_epochs


def _peak_rss() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
