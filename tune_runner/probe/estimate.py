"""Estimates a study's time, memory and energy from a short measurement."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from diffrec.config.base import ModelConfig
from diffrec.data import load_dataset
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.execution.remote_call import call_in_subprocess
from tune_runner.monitoring.durations import format_duration
from tune_runner.probe.fusion import resolve_fusion
from tune_runner.probe.measure import Measurement, check_memory, heaviest_configs, measure
from tune_runner.resources.allocation import TrialResources, allocate, local_cluster
from tune_runner.study.config import StudyConfig, StudyPlan

CPU_CORE_WATTS = 10.0
"""Assumed draw of one busy CPU core with its share of memory and board
(analysis.diagnostics.cost)."""


def estimate(config: StudyConfig, space: SearchSpace, plan: StudyPlan) -> str:
    """Measure; return the study's estimated time, memory and energy as lines to print.

    Raises:
        UserError: a trial does not fit.
    """
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
    cluster = local_cluster()
    resources = allocate(config.request, cluster, trials=plan.trials)
    configs = heaviest_configs(config, space, plan, dataset)
    check_memory(configs, dataset)
    measured = [call_in_subprocess(measure, c, dataset, resources) for c in configs]
    lines = _lines(measured, configs, plan, resources)
    return "\n".join([*lines, *filter(None, [resolve_fusion(config, space, plan, dataset)[1]])])


def _lines(
    measured: Sequence[Measurement],
    configs: Sequence[ModelConfig],
    plan: StudyPlan,
    resources: TrialResources,
) -> list[str]:
    peak = max(m.peak_bytes for m in measured)
    at_once = resources.max_concurrent * peak
    total_bytes = psutil.virtual_memory().total
    lines = [
        f"probe     {m.variant}: {m.epoch_seconds:.2f} s an epoch, {m.validation_seconds:.2f} s a "
        f"validation, {m.peak_bytes / 2**20:,.0f} MiB"
        for m in measured
    ]
    lines.append(
        f"memory    {resources.max_concurrent} at a time: about {at_once / 2**30:.1f} of "
        f"{total_bytes / 2**30:.1f} GiB, data and libraries aside"
    )
    if at_once > total_bytes:
        fit = max(1, int(total_bytes // peak))
        raise UserError(
            f"{resources.max_concurrent} trials at a time need about {at_once / 2**30:.1f} GiB, "
            f"but this machine has {total_bytes / 2**30:.1f}; use --max-concurrent {fit}."
        )
    spans = [_trial_seconds(m, c) for m, c in zip(measured, configs, strict=True)]
    trials = plan.trials / resources.max_concurrent
    low, high = (trials * sum(s[i] for s in spans) / len(spans) / 3600 for i in (0, 1))
    cores = resources.max_concurrent * resources.cpus
    lines.append(
        f"time      {format_duration(3600 * low)} to {format_duration(3600 * high)}: every trial "
        "runs at least its patience and at most its epochs"
    )
    energy = [hours * cores * CPU_CORE_WATTS / 1000 for hours in (low, high)]
    lines.append(
        f"energy    {energy[0]:.3f} to {energy[1]:.3f} kWh, at an assumed {CPU_CORE_WATTS:g} W a "
        "busy core"
    )
    return lines


def _trial_seconds(measured: Measurement, config: ModelConfig) -> tuple[float, float]:
    """Return the least and the most seconds that a trial takes."""
    training = getattr(config, "training", None)
    if training is None:
        seconds = measured.epoch_seconds + measured.validation_seconds
        return seconds, seconds
    each = measured.epoch_seconds + measured.validation_seconds / training.eval_every
    least = min(training.patience + training.eval_every, training.max_epochs)
    return each * least, each * training.max_epochs
