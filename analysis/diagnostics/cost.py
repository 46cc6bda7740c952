"""Cost of a study: seconds as recorded, shares of the node, energy and CO2e by a stated model.

energy [kWh] = hours x watts / 1000, emissions [kg CO2e] = energy x intensity. A trial is charged
the cores and GPU shares that it held, for as long as it ran; what no trial held is the node's idle
part and is charged to none. The shares of the trials and the idle part sum to the node's total. A
pause between two runs of a study belongs to neither. Power is the model's unless the trials
recorded what the machine measured (`cost/joules`). Intensity and GPU power are the reproduction
report's: 1,000 h at 280 W are 173.6 kg by the same formula, as it says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis.report_table import ReportTable
from analysis.study.labels import NONE
from analysis.study.model import Study, Trial, values_of
from tune_runner.resources.power import (
    CPU_CORE_WATTS,
    GPU_WATTS,
    IDLE_CORE_WATTS,
    IDLE_GPU_WATTS,
    JOULES_PER_KWH,
    kilowatt_hours,
)
from tune_runner.schema import (
    COST_CORE_SECONDS,
    COST_CPUS,
    COST_GPU_SECONDS,
    COST_GPUS,
    COST_JOULES,
    COST_SECONDS,
    PRICE,
    SPENT_COST,
    SPENT_KWH,
    SPENT_NODE_SECONDS,
    SPENT_ROOM_SECONDS,
    SPENT_USED_SECONDS,
)

KG_PER_KWH = 0.62
"""Carbon intensity of the report's grid, kg CO2e per kWh."""


_HEAD = ("what", "hours", "core hours", "GPU-share hours", "kWh", "kg CO2e")


def kg_co2e(kwh: float) -> float:
    """Return the emissions of an energy."""
    return kwh * KG_PER_KWH


@dataclass(frozen=True, slots=True)
class TrialCost:
    """Part of the machine that one trial held."""

    number: int
    state: str
    seconds: float
    core_hours: float
    """Hours times the cores held."""

    gpu_hours: float
    """Hours times the share of GPUs held."""

    joules: float
    """Measured energy; NaN where the machine did not show it."""

    @property
    def kwh(self) -> float:
        """Energy: measured, else by the model."""
        if not math.isnan(self.joules):
            return self.joules / JOULES_PER_KWH
        cores = kilowatt_hours(self.core_hours, CPU_CORE_WATTS)
        return cores + kilowatt_hours(self.gpu_hours, GPU_WATTS)


@dataclass(frozen=True, slots=True)
class StudyCost:
    """Costs of a study's trials, and of the node they ran on."""

    trials: tuple[TrialCost, ...]
    node_core_hours: float
    """Cores of the node times the hours from the first trial's start to the last one's end; NaN if
    either is not recorded, or if more was held than was recorded."""

    node_gpu_hours: float = 0.0
    """GPUs of the node times the same hours."""

    spent: Mapping[str, float] = field(default_factory=dict)
    """Amounts that the drivers counted over all runs of the command (`tune_runner.schema`)."""

    price: str = ""
    """Prices that money was counted with, as `--price` gave them."""

    @property
    def seconds(self) -> float:
        """Seconds of all trials; those that ran side by side are each counted."""
        return sum(share.seconds for share in self.trials)

    @property
    def core_hours(self) -> float:
        """Core hours that trials held."""
        return sum(share.core_hours for share in self.trials)

    @property
    def gpu_hours(self) -> float:
        """GPU-share hours that trials held."""
        return sum(share.gpu_hours for share in self.trials)

    @property
    def idle_core_hours(self) -> float:
        """Core hours of the node that no trial held."""
        return self.node_core_hours - self.core_hours

    @property
    def idle_gpu_hours(self) -> float:
        """GPU hours of the node that no trial held."""
        return self.node_gpu_hours - self.gpu_hours

    @property
    def kwh(self) -> float:
        """Energy of the trials, without the idle part."""
        return sum(share.kwh for share in self.trials)

    @property
    def idle_kwh(self) -> float:
        """Energy of the idle part by the model."""
        cores = kilowatt_hours(self.idle_core_hours, IDLE_CORE_WATTS)
        return cores + kilowatt_hours(self.idle_gpu_hours, IDLE_GPU_WATTS)

    @property
    def is_measured(self) -> bool:
        """True if every trial's energy was measured."""
        return bool(self.trials) and not any(math.isnan(share.joules) for share in self.trials)

    def sentence(self) -> str:
        """Return the cost in words, the model included."""
        measured = sum(not math.isnan(share.joules) for share in self.trials)
        power = (
            "as the machine measured it"
            if self.is_measured
            else f"at an assumed {CPU_CORE_WATTS:g} W per busy core and {GPU_WATTS:g} W per GPU"
        )
        if 0 < measured < len(self.trials):
            power = f"as the machine measured it of {measured} trials, of the others {power}"
        elif not measured:
            power += " (power was not measured)"
        gpus = f" and {self.gpu_hours:.2f} GPU-share hours" if self.gpu_hours else ""
        return (
            f"Trials took {self.seconds / 3600:.2f} hours in all, {self.core_hours:.2f} core hours"
            f"{gpus}; {power}, that is {self.kwh:.4f} kWh or {kg_co2e(self.kwh):.4f} kg CO2e "
            f"({KG_PER_KWH:g} kg/kWh). {self._idle_sentence()}{self._spent_sentence()}"
        )

    def _spent_sentence(self) -> str:
        """Return what the drivers counted: all nodes, for as long as the study ran."""
        seconds = self.spent.get(SPENT_NODE_SECONDS, 0.0)
        if not seconds:
            return ""
        room, used = self.spent.get(SPENT_ROOM_SECONDS, 0.0), self.spent.get(SPENT_USED_SECONDS, 0)
        held = f"; trials held {used / room:.0%} of those that had room for one" if room else ""
        cost = self.spent.get(SPENT_COST)
        money = "" if cost is None else f" They cost {cost:.4g}, at a price of {self.price}."
        return (
            f" Over all runs of the command its nodes were up for {seconds / 3600:.4g} node-hours"
            f"{held}; they took {self.spent.get(SPENT_KWH, 0.0):.4f} kWh, counted alike.{money}"
        )

    def _idle_sentence(self) -> str:
        if math.isnan(self.node_core_hours):
            return "What the node had beside them is not known, so its idle part is not counted."
        offered, idle = f"{self.node_core_hours:.2f} core hours", f"{self.idle_core_hours:.2f}"
        watts = f"{IDLE_CORE_WATTS:g} W per core"
        if self.node_gpu_hours:
            offered += f" and {self.node_gpu_hours:.2f} GPU hours"
            idle += f" and {self.idle_gpu_hours:.2f}"
            watts += f" and {IDLE_GPU_WATTS:g} W per GPU"
        return (
            f"The node offered {offered} from the first trial's start to the last one's end; "
            f"{idle} of them no trial held: "
            f"{self.idle_kwh:.4f} kWh more at {watts}."
        )


def trial_seconds(trial: Trial) -> float:
    """Return a trial's seconds: as recorded, else its run's duration; NaN if it has not ended."""
    recorded = trial.metrics.get(COST_SECONDS, math.nan)
    return trial.end - trial.start if math.isnan(recorded) else recorded


def study_cost(study: Study) -> StudyCost:
    """Return the cost of all trials that have ended, in whatever state."""
    trials = [t for t in all_trials(study) if not math.isnan(trial_seconds(t))]
    shares = tuple(map(_share, trials))
    starts, ends = [t.start for t in trials], [t.end for t in trials]
    is_timed = trials and not any(map(math.isnan, (*starts, *ends)))
    seconds = _driven(study, min(starts), max(ends)) if is_timed else math.nan
    cores, gpus = _resources(study)
    cost = StudyCost(shares, seconds / 3600 * cores, seconds / 3600 * gpus)
    is_plausible = cost.core_hours <= cost.node_core_hours and cost.gpu_hours <= cost.node_gpu_hours
    cost = cost if is_plausible else StudyCost(shares, math.nan)
    return replace(cost, spent=study.spent, price=study.tags.get(PRICE, ""))


def all_trials(study: Study) -> list[Trial]:
    """Return every trial that was ever run: of the search, superseded ones, and confirmations."""
    return sorted(
        (*study.trials, *study.superseded, *study.confirmation_trials), key=lambda t: t.number
    )


def _share(trial: Trial) -> TrialCost:
    """Return what a trial held as it recorded it; one core and no GPU by default."""
    recorded, seconds = trial.metrics, trial_seconds(trial)
    cores = recorded.get(COST_CORE_SECONDS, seconds * recorded.get(COST_CPUS, 1.0))
    gpus = recorded.get(COST_GPU_SECONDS, seconds * recorded.get(COST_GPUS, 0.0))
    joules = recorded.get(COST_JOULES, math.nan)
    return TrialCost(trial.number, trial.state, seconds, cores / 3600, gpus / 3600, joules)


def _driven(study: Study, start: float, end: float) -> float:
    """Return the seconds between two times in which a driver was running.

    If that was not recorded, or a driver was killed, pauses count as well.
    """
    if not study.sessions or any(math.isnan(last) for _, last in study.sessions):
        return end - start
    overlaps = ((max(first, start), min(last, end)) for first, last in study.sessions)
    return sum(max(0.0, last - first) for first, last in overlaps)


def _resources(study: Study) -> tuple[float, float]:
    """Return the cores and GPUs of the cluster; NaN if they changed or were not recorded."""
    sizes = {
        (float(cluster.get("cpus") or math.nan), float(cluster.get("gpus") or 0.0))
        for cluster in (environment.get("cluster", {}) for environment in study.environments)
    }
    return sizes.pop() if len(sizes) == 1 else (math.nan, math.nan)


def cost_table(cost: StudyCost) -> ReportTable:
    """Return the cost by state, and the node's idle part."""
    rows = []
    for state in dict.fromkeys(share.state for share in cost.trials):
        part = StudyCost(tuple(s for s in cost.trials if s.state == state), math.nan)
        rows.append(_row(f"{state} ({len(part.trials)})", part, part.kwh))
    rows.append(_row(f"trials together ({len(cost.trials)})", cost, cost.kwh))
    if not math.isnan(cost.node_core_hours):
        idle, node = cost.idle_core_hours, cost.node_core_hours
        rows.append(_hours("idle", idle, cost.idle_gpu_hours, cost.idle_kwh))
        rows.append(_hours("node", node, cost.node_gpu_hours, cost.kwh + cost.idle_kwh))
    if cost.spent.get(SPENT_NODE_SECONDS):
        rows.append(_nodes("nodes, all runs", cost.spent))
    money = cost.spent.get(SPENT_COST)
    if money is None:
        return ReportTable("cost", "Cost", _HEAD, tuple(rows), cost.sentence())
    priced = [*((*row, NONE) for row in rows[:-1]), (*rows[-1], f"{money:.4g}")]
    return ReportTable("cost", "Cost", (*_HEAD, "price"), tuple(priced), cost.sentence())


def trial_cost_table(study: Study, cost: StudyCost) -> ReportTable:
    """Return the cost of each trial that has ended; the rows sum to the study's trials."""
    trials = {trial.number: trial for trial in all_trials(study)}
    rows = []
    for share in cost.trials:
        trial = trials[share.number]
        hours = (share.seconds / 3600, share.core_hours, share.gpu_hours)
        numbers = [f"{value:.9g}" for value in (*hours, share.kwh, kg_co2e(share.kwh))]
        cell_text = (
            values_of(study, tuple(trial.params.items())) if study.is_sampled else trial.label
        )
        source = "model" if math.isnan(share.joules) else "measured"
        rows.append((str(share.number), cell_text, str(trial.seed), share.state, *numbers, source))
    head = ("trial", "cell", "seed", "state", *_HEAD[1:], "energy")
    return ReportTable("cost_by_trial", "Cost of each trial", head, tuple(rows))


def _row(name: str, cost: StudyCost, kwh: float) -> tuple[str, ...]:
    hours = (cost.seconds / 3600, cost.core_hours, cost.gpu_hours)
    return (name, *(f"{value:.3f}" for value in hours), *_energy(kwh))


def _nodes(name: str, spent: Mapping[str, float]) -> tuple[str, ...]:
    """Return the row of the node-hours that the drivers counted."""
    hours = f"{spent[SPENT_NODE_SECONDS] / 3600:.3f}"
    return (name, hours, NONE, NONE, *_energy(spent.get(SPENT_KWH, 0.0)))


def _hours(name: str, core_hours: float, gpu_hours: float, kwh: float) -> tuple[str, ...]:
    return (name, NONE, f"{core_hours:.3f}", f"{gpu_hours:.3f}", *_energy(kwh))


def _energy(kwh: float, digits: int = 4) -> tuple[str, str]:
    return f"{kwh:.{digits}f}", f"{kg_co2e(kwh):.{digits}f}"
