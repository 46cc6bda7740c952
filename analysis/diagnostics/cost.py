"""What a study cost: seconds as recorded, shares of the node, energy and CO2e by a stated model.

energy [kWh] = hours x watts / 1000, emissions [kg CO2e] = energy x intensity. A trial is charged
the cores and GPU shares that it held, for as long as it ran; what no trial held is the node's idle
part and is charged to none. The shares of the trials and the idle part sum to the node's total. A
pause between two runs of a study belongs to neither. Power is the model's unless the trials
recorded what the machine measured (`cost/joules`). Intensity and GPU power are the reproduction
report's, so that its own estimate (1,000 h, 173.6 kg) comes out of the same formula.
"""

import math
from dataclasses import dataclass

from analysis.report_table import ReportTable
from analysis.study.model import Study, Trial, values_of
from tune_runner.schema import (
    COST_CORE_SECONDS,
    COST_CPUS,
    COST_GPU_SECONDS,
    COST_GPUS,
    COST_JOULES,
    COST_SECONDS,
)

REPORT_WATTS = 280.0
"""Power of the report's GPU under load; ours of a whole GPU, where none was measured."""

REPORT_HOURS = 1_000.0

CPU_CORE_WATTS = 10.0
"""Assumed draw of one busy CPU core with its share of memory and board."""

IDLE_CORE_WATTS = 3.0
"""Assumed draw of one idle core with its share of memory and board."""

IDLE_GPU_WATTS = 50.0
"""Assumed draw of a GPU that nothing runs on."""

KG_PER_KWH = 0.62
"""Carbon intensity of the report's grid, kg CO2e per kWh."""


_HEAD = ("what", "hours", "core hours", "GPU-share hours", "kWh", "kg CO2e")


def kilowatt_hours(hours: float, watts: float) -> float:
    """Return the energy of a power over some hours."""
    return hours * watts / 1000


def kg_co2e(kwh: float) -> float:
    """Return the emissions of an energy."""
    return kwh * KG_PER_KWH


@dataclass(frozen=True, slots=True)
class TrialCost:
    """What one trial held of the machine."""

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
            return self.joules / 3.6e6
        cores = kilowatt_hours(self.core_hours, CPU_CORE_WATTS)
        return cores + kilowatt_hours(self.gpu_hours, REPORT_WATTS)


@dataclass(frozen=True, slots=True)
class StudyCost:
    """The shares of a study's trials, and the node they ran on."""

    shares: tuple[TrialCost, ...]
    node_core_hours: float
    """Cores that there were times the time from the first trial's start to the last one's end; NaN
    where either is not recorded, or where more was held than was recorded."""

    node_gpu_hours: float = 0.0
    """The same of its GPUs."""

    @property
    def seconds(self) -> float:
        """Seconds of all trials, those that ran side by side counted each."""
        return sum(share.seconds for share in self.shares)

    @property
    def core_hours(self) -> float:
        """Core hours that trials held."""
        return sum(share.core_hours for share in self.shares)

    @property
    def gpu_hours(self) -> float:
        """GPU-share hours that trials held."""
        return sum(share.gpu_hours for share in self.shares)

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
        return sum(share.kwh for share in self.shares)

    @property
    def idle_kwh(self) -> float:
        """Energy of the idle part by the model."""
        cores = kilowatt_hours(self.idle_core_hours, IDLE_CORE_WATTS)
        return cores + kilowatt_hours(self.idle_gpu_hours, IDLE_GPU_WATTS)

    @property
    def is_measured(self) -> bool:
        """Whether every trial's energy was measured."""
        return bool(self.shares) and not any(math.isnan(share.joules) for share in self.shares)

    def sentence(self) -> str:
        """Return the cost in words, the model included."""
        measured = sum(not math.isnan(share.joules) for share in self.shares)
        power = (
            "as the machine measured it"
            if self.is_measured
            else f"at an assumed {CPU_CORE_WATTS:g} W per busy core and {REPORT_WATTS:g} W per GPU"
        )
        if 0 < measured < len(self.shares):
            power = f"as the machine measured it of {measured} trials, of the others {power}"
        elif not measured:
            power += " (power was not measured)"
        gpus = f" and {self.gpu_hours:.2f} GPU-share hours" if self.gpu_hours else ""
        return (
            f"Trials took {self.seconds / 3600:.2f} hours in all, {self.core_hours:.2f} core hours"
            f"{gpus}; {power}, that is {self.kwh:.4f} kWh or {kg_co2e(self.kwh):.4f} kg CO2e "
            f"({KG_PER_KWH:g} kg/kWh). {self._idle_sentence()}"
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
    """Return a trial's seconds: as recorded, else its run's duration; NaN if it is not over."""
    recorded = trial.metrics.get(COST_SECONDS, math.nan)
    return trial.end - trial.start if math.isnan(recorded) else recorded


def study_cost(study: Study) -> StudyCost:
    """Return the cost of all trials that have ended, whatever became of them."""
    trials = [t for t in all_trials(study) if not math.isnan(trial_seconds(t))]
    shares = tuple(map(_share, trials))
    starts, ends = [t.start for t in trials], [t.end for t in trials]
    known = trials and not any(map(math.isnan, (*starts, *ends)))
    span = _driven(study, min(starts), max(ends)) if known else math.nan
    cores, gpus = _resources(study)
    cost = StudyCost(shares, span / 3600 * cores, span / 3600 * gpus)
    whole = cost.core_hours <= cost.node_core_hours and cost.gpu_hours <= cost.node_gpu_hours
    return cost if whole else StudyCost(shares, math.nan)


def all_trials(study: Study) -> list[Trial]:
    """Return every trial that was ever run: of the search, superseded ones, and confirmations."""
    return sorted((*study.trials, *study.superseded, *study.confirming), key=lambda t: t.number)


def _share(trial: Trial) -> TrialCost:
    """Return what a trial held, as told; by an older version only how much, and at its end."""
    told, seconds = trial.metrics, trial_seconds(trial)
    cores = told.get(COST_CORE_SECONDS, seconds * told.get(COST_CPUS, 1.0))
    gpus = told.get(COST_GPU_SECONDS, seconds * told.get(COST_GPUS, 0.0))
    joules = told.get(COST_JOULES, math.nan)
    return TrialCost(trial.number, trial.state, seconds, cores / 3600, gpus / 3600, joules)


def _driven(study: Study, start: float, end: float) -> float:
    """Return the seconds between two times in which a driver was at work.

    Where that was not recorded, or a driver was killed, a pause counts as well.
    """
    if not study.sessions or any(math.isnan(last) for _, last in study.sessions):
        return end - start
    parts = ((max(first, start), min(last, end)) for first, last in study.sessions)
    return sum(max(0.0, last - first) for first, last in parts)


def _resources(study: Study) -> tuple[float, float]:
    """Return the cores and GPUs that there were; NaN where they changed, or nobody recorded them.

    Studies of older versions recorded the cores of the driver's machine only.
    """
    found = {
        (float(held.get("cpus") or math.nan), float(held.get("gpus") or 0.0))
        for held in (each.get("cluster", each) for each in study.environments)
    }
    return found.pop() if len(found) == 1 else (math.nan, math.nan)


def cost_sheet(study: Study) -> ReportTable:
    """Return the cost by state, the node's idle part, and the report's estimate as a check."""
    cost = study_cost(study)
    rows = []
    for state in dict.fromkeys(share.state for share in cost.shares):
        part = StudyCost(tuple(s for s in cost.shares if s.state == state), math.nan)
        rows.append(_row(f"{state} ({len(part.shares)})", part, part.kwh))
    rows.append(_row(f"trials together ({len(cost.shares)})", cost, cost.kwh))
    if not math.isnan(cost.node_core_hours):
        idle, node = cost.idle_core_hours, cost.node_core_hours
        rows.append(_hours("idle", idle, cost.idle_gpu_hours, cost.idle_kwh))
        rows.append(_hours("node", node, cost.node_gpu_hours, cost.kwh + cost.idle_kwh))
    check = kilowatt_hours(REPORT_HOURS, REPORT_WATTS)
    rows.append(
        ("check: report", f"{REPORT_HOURS:g}", "–", f"{REPORT_HOURS:g}", *_energy(check, 1))
    )
    note = (
        f"{cost.sentence()} The check is the reproduction report's own estimate: "
        f"{REPORT_HOURS:,.0f} h at {REPORT_WATTS:g} W and {KG_PER_KWH:g} kg/kWh, 173.6 kg."
    )
    return ReportTable("cost", "Cost", _HEAD, tuple(rows), note)


def trial_cost_sheet(study: Study) -> ReportTable:
    """Return the cost of each trial that has ended; the rows sum to the study's trials."""
    trials = {trial.number: trial for trial in all_trials(study)}
    rows = []
    for share in study_cost(study).shares:
        trial = trials[share.number]
        held = (share.seconds / 3600, share.core_hours, share.gpu_hours)
        numbers = [f"{value:.9g}" for value in (*held, share.kwh, kg_co2e(share.kwh))]
        what = values_of(study, tuple(trial.params.items())) if study.is_sampled else trial.label
        source = "model" if math.isnan(share.joules) else "measured"
        rows.append((str(share.number), what, str(trial.seed), share.state, *numbers, source))
    head = ("trial", "cell", "seed", "state", *_HEAD[1:], "energy")
    return ReportTable("cost_by_trial", "Cost of each trial", head, tuple(rows))


def _row(name: str, cost: StudyCost, kwh: float) -> tuple[str, ...]:
    hours = (cost.seconds / 3600, cost.core_hours, cost.gpu_hours)
    return (name, *(f"{value:.3f}" for value in hours), *_energy(kwh))


def _hours(name: str, core_hours: float, gpu_hours: float, kwh: float) -> tuple[str, ...]:
    return (name, "–", f"{core_hours:.3f}", f"{gpu_hours:.3f}", *_energy(kwh))


def _energy(kwh: float, digits: int = 4) -> tuple[str, str]:
    return f"{kwh:.{digits}f}", f"{kg_co2e(kwh):.{digits}f}"
