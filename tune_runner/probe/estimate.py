"""Estimates a study's time, memory and energy from a short measurement."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from diffrec.config.base import ModelConfig
from diffrec.data import load_dataset
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.execution.remote_call import call_in_subprocess
from tune_runner.monitoring.answers import EstimateAnswer, MeasurementAnswer
from tune_runner.monitoring.durations import format_duration
from tune_runner.probe.fusion import resolve_fusion
from tune_runner.probe.measure import Measurement, check_memory, heaviest_configs, measure
from tune_runner.resources.allocation import TrialResources, allocate, local_cluster
from tune_runner.resources.power import CPU_CORE_WATTS
from tune_runner.study.config import StudyConfig, StudyPlan


def estimate(config: StudyConfig, space: SearchSpace, plan: StudyPlan) -> EstimateAnswer:
    """Measure; return the study's estimated time, memory and energy.

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
    _check_total(measured, resources)
    fusion = resolve_fusion(config, space, plan, dataset)[1]
    return _answer(measured, configs, plan, resources, fusion)


def _check_total(measured: Sequence[Measurement], resources: TrialResources) -> None:
    """Refuse trials that do not fit into this machine's memory together."""
    peak, total = max(m.peak_bytes for m in measured), psutil.virtual_memory().total
    needed = resources.max_concurrent * peak
    if needed > total:
        fit = max(1, int(total // peak))
        raise UserError(
            f"{resources.max_concurrent} trials at a time need about {needed / 2**30:.1f} GiB, "
            f"but this machine has {total / 2**30:.1f}; use --max-concurrent {fit}."
        )


def _answer(
    measured: Sequence[Measurement],
    configs: Sequence[ModelConfig],
    plan: StudyPlan,
    resources: TrialResources,
    fusion: str | None,
) -> EstimateAnswer:
    spans = [_trial_seconds(m, c) for m, c in zip(measured, configs, strict=True)]
    rounds = plan.trials / resources.max_concurrent
    low, high = (rounds * sum(s[i] for s in spans) / len(spans) for i in (0, 1))
    watts = resources.max_concurrent * resources.cpus * CPU_CORE_WATTS
    return EstimateAnswer(
        measurements=[
            MeasurementAnswer(
                variant=m.variant,
                epoch_seconds=m.epoch_seconds,
                validation_seconds=m.validation_seconds,
                peak_bytes=m.peak_bytes,
            )
            for m in measured
        ],
        max_concurrent=resources.max_concurrent,
        memory_bytes=resources.max_concurrent * max(m.peak_bytes for m in measured),
        total_memory_bytes=psutil.virtual_memory().total,
        seconds=(low, high),
        kilowatt_hours=(watts * low / 3.6e6, watts * high / 3.6e6),
        fusion=fusion or None,
    )


def estimate_text(answer: EstimateAnswer) -> str:
    """Return the estimate for people."""
    lines = [
        f"probe     {m.variant}: {m.epoch_seconds:.2f} s an epoch, {m.validation_seconds:.2f} s a "
        f"validation, {m.peak_bytes / 2**20:,.0f} MiB"
        for m in answer.measurements
    ]
    low, high = map(format_duration, answer.seconds)
    lines += [
        f"memory    {answer.max_concurrent} at a time: about {answer.memory_bytes / 2**30:.1f} of "
        f"{answer.total_memory_bytes / 2**30:.1f} GiB, data and libraries aside",
        f"time      {low} to {high}: every trial runs at least its patience and at most its epochs",
        f"energy    {answer.kilowatt_hours[0]:.3f} to {answer.kilowatt_hours[1]:.3f} kWh, at an "
        f"assumed {CPU_CORE_WATTS:g} W a busy core",
    ]
    return "\n".join([*lines, *filter(None, [answer.fusion])])


def _trial_seconds(measured: Measurement, config: ModelConfig) -> tuple[float, float]:
    """Return the least and the most seconds that a trial takes."""
    training = getattr(config, "training", None)
    if training is None:
        seconds = measured.epoch_seconds + measured.validation_seconds
        return seconds, seconds
    each = measured.epoch_seconds + measured.validation_seconds / training.eval_every
    least = min(training.patience + training.eval_every, training.max_epochs)
    return each * least, each * training.max_epochs
