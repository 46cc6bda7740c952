"""What a study cost: seconds as recorded, energy and CO2e by a stated model.

energy [kWh] = hours x watts / 1000, emissions [kg CO2e] = energy x intensity. Power is not
measured: each trial is charged the power of the part of the machine it had. The defaults are the
reproduction report's, so that its own estimate (1,000 h, 173.6 kg) comes out of the same formula.
"""

import math
from dataclasses import dataclass

from analysis.study import Study

REPORT_WATTS = 280.0
"""Power of the report's GPU under load."""

CPU_CORE_WATTS = 10.0
"""Assumed draw of one busy CPU core with its share of memory and board."""

KG_PER_KWH = 0.62
"""Carbon intensity of the report's grid, kg CO2e per kWh."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of trials, and the estimate that follows from a power."""

    seconds: float
    watts: float
    kg_per_kwh: float = KG_PER_KWH

    @property
    def hours(self) -> float:
        """Trial hours, trials that ran side by side counted each."""
        return self.seconds / 3600

    @property
    def kwh(self) -> float:
        """Energy."""
        return self.hours * self.watts / 1000

    @property
    def kg_co2e(self) -> float:
        """Emissions."""
        return self.kwh * self.kg_per_kwh

    def sentence(self) -> str:
        """Return the cost in words, the model included."""
        return (
            f"Trials took {self.hours:.2f} hours in all; at an assumed {self.watts:g} W each that "
            f"is {self.kwh:.3f} kWh or {self.kg_co2e:.3f} kg CO2e ({self.kg_per_kwh:g} kg/kWh). "
            "Power was not measured; idle time is not counted."
        )


def trial_seconds(metrics: dict[str, float], start: float, end: float) -> float:
    """Return a trial's seconds: as recorded, else its run's duration; NaN if it is not over."""
    recorded = metrics.get("cost/seconds", math.nan)
    return end - start if math.isnan(recorded) else recorded


def study_cost(study: Study, watts: float = CPU_CORE_WATTS) -> Cost:
    """Return the cost of all trials that have ended, whatever became of them."""
    seconds = [trial_seconds(dict(t.metrics), t.start, t.end) for t in study.trials]
    return Cost(sum(s for s in seconds if not math.isnan(s)), watts)
