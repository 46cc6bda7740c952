"""Amounts that a study has spent: node-seconds, money and energy, over all runs of the command.

All nodes of the cluster are counted for as long as a driver runs the study, whoever else uses them;
nodes that join or leave count from and to the look-up that shows it. Energy of a trial is what its
machine measured, as far as it has reported it, and else that of its cores and GPUs by
`resources.power`; so is the idle part of the nodes, always.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from diffrec.errors import UserError
from tune_runner.resources.allocation import TrialResources, slots_on
from tune_runner.resources.nodes import ClusterNode
from tune_runner.resources.power import (
    CPU_CORE_WATTS,
    GPU_WATTS,
    IDLE_CORE_WATTS,
    IDLE_GPU_WATTS,
    JOULES_PER_KWH,
)
from tune_runner.resources.prices import Prices
from tune_runner.schema import (
    SPENT_COST,
    SPENT_KWH,
    SPENT_MEASURED_KWH,
    SPENT_NODE_SECONDS,
    SPENT_ROOM_SECONDS,
    SPENT_USED_SECONDS,
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Amounts of one study."""

    node_seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of all nodes together, by type of node."""

    room_seconds: float = 0.0
    """Node-seconds of the nodes that have room for a trial: without a head that has no cores."""

    used_seconds: float = 0.0
    """Node-seconds that trials held; a node that could hold two and held one counts half."""

    kwh: float = 0.0
    """Energy, the idle part included."""

    measured_kwh: float = 0.0
    """Part of it that the machines measured; the rest is assumed."""

    cost: float | None = None
    """In the currency of the prices; None: no price was given."""

    sessions: int = 0
    """Runs of the command."""

    @property
    def total_seconds(self) -> float:
        """Node-seconds of all types."""
        return sum(self.node_seconds.values())

    def metrics(self) -> dict[str, float]:
        """Return the amounts as MLflow keeps them of a study."""
        amounts = {
            SPENT_NODE_SECONDS: self.total_seconds,
            SPENT_ROOM_SECONDS: self.room_seconds,
            SPENT_USED_SECONDS: self.used_seconds,
            SPENT_KWH: self.kwh,
            SPENT_MEASURED_KWH: self.measured_kwh,
        }
        return amounts if self.cost is None else {**amounts, SPENT_COST: self.cost}

    def to_json(self) -> dict[str, Any]:
        """Return the amounts as `study.json` keeps them."""
        return asdict(self)


def spent_from_json(value: object) -> Spent:
    """Return the amounts that `study.json` keeps; nothing for None.

    Raises:
        UserError: it holds something else.
    """
    if value is None:
        return Spent()
    parts = dict(value) if isinstance(value, Mapping) else {}
    seconds = parts.get("node_seconds")
    numbers = [parts.get(name) for name in ("room_seconds", "used_seconds", "kwh", "measured_kwh")]
    numbers += [0.0 if parts.get("cost", "") is None else parts.get("cost"), parts.get("sessions")]
    numbers += list(seconds.values()) if isinstance(seconds, Mapping) else [None]
    if not all(type(n) in (int, float) and 0 <= float(n) < math.inf for n in numbers):  # type: ignore[arg-type]
        raise UserError(
            "`spent` in study.json must be what a study wrote, but is not; restore the file from a "
            "copy."
        )
    return Spent(**parts)


@dataclass(slots=True)
class _TrialEnergy:
    """Joules of a running trial since its last report, assumed; and its last measured total."""

    assumed: float = 0.0
    measured: float = math.nan


class Ledger:
    """Adds up what is spent; knows no clock and no Ray."""

    def __init__(self, prices: Prices | None, before: Spent) -> None:
        """Continue what earlier runs of the command have spent.

        Node-seconds of runs without prices are charged at the present ones.
        """
        self._prices = prices
        self._spent = replace(before, sessions=before.sessions + 1)
        self._trials: dict[int, _TrialEnergy] = {}
        if prices is not None and before.cost is None:
            old = [(ClusterNode(t, (t,)), s) for t, s in before.node_seconds.items()]
            cost = sum(self._hourly(node) * seconds / 3600 for node, seconds in old)
            self._spent = replace(self._spent, cost=cost)

    @property
    def spent(self) -> Spent:
        """Amounts until now; what running trials may still measure is assumed."""
        assumed = sum(trial.assumed for trial in self._trials.values())
        return replace(self._spent, kwh=self._spent.kwh + assumed / JOULES_PER_KWH)

    def add(
        self,
        seconds: float,
        nodes: Sequence[ClusterNode],
        groups: Sequence[tuple[Sequence[int], TrialResources]],
        usual: TrialResources,
    ) -> None:
        """Add a stretch of time.

        Args:
            seconds: how long it was.
            nodes: alive in it.
            groups: trials that ran, by worker, with what each worker holds.
            usual: what a trial of the study gets, by which the room of a node is counted.
        """
        spent = self._spent
        by_type = dict(spent.node_seconds)
        for node in nodes:
            by_type[node.type] = by_type.get(node.type, 0.0) + seconds
        slots = [slots_on(node.resources, usual) for node in nodes if not node.leaves]
        rooms, total = sum(n > 0 for n in slots), sum(slots)
        held = sum(max(1.0, resources.cpus / usual.cpus) for _, resources in groups)
        used = rooms * min(1.0, held / total) if total else 0.0
        cost = spent.cost
        if self._prices is not None:
            cost = (cost or 0.0) + sum(map(self._hourly, nodes)) * seconds / 3600
        self._spent = replace(
            spent,
            node_seconds=by_type,
            room_seconds=spent.room_seconds + rooms * seconds,
            used_seconds=spent.used_seconds + used * seconds,
            kwh=spent.kwh + _idle_watts(nodes, groups) * seconds / JOULES_PER_KWH,
            cost=cost,
        )
        for numbers, resources in groups:
            watts = resources.cpus * CPU_CORE_WATTS + resources.gpus * GPU_WATTS
            for number in numbers:
                trial = self._trials.setdefault(number, _TrialEnergy())
                trial.assumed += watts * seconds / len(numbers)

    def report(self, number: int, joules: float, *, known: bool) -> None:
        """Take over a report of a trial: what it measured replaces what was assumed since the last.

        Args:
            number: of the trial.
            joules: its measured energy so far; NaN if it is not measured.
            known: the report repeats one of an earlier run of the command.
        """
        trial = self._trials.setdefault(number, _TrialEnergy())
        if not math.isnan(joules):
            before = trial.measured if not math.isnan(trial.measured) else 0.0
            if not known and joules >= before:  # less: it continues from a checkpoint
                kwh = (joules - before) / JOULES_PER_KWH
                spent = self._spent
                self._spent = replace(
                    spent, kwh=spent.kwh + kwh, measured_kwh=spent.measured_kwh + kwh
                )
                trial.assumed = 0.0
            trial.measured = joules
        self._settle(trial)

    def end(self, number: int) -> None:
        """Forget a trial that has ended."""
        self._settle(self._trials.pop(number, _TrialEnergy()))

    def _settle(self, trial: _TrialEnergy) -> None:
        kwh = self._spent.kwh + trial.assumed / JOULES_PER_KWH
        self._spent, trial.assumed = replace(self._spent, kwh=kwh), 0.0

    def _hourly(self, node: ClusterNode) -> float:
        assert self._prices is not None
        price = self._prices.of(node)
        return self._prices.dearest if price is None else price


def _idle_watts(
    nodes: Sequence[ClusterNode], groups: Sequence[tuple[Sequence[int], TrialResources]]
) -> float:
    """Return the assumed draw of the cores and GPUs that no trial holds."""
    cores = sum(node.resources.get("CPU", 0.0) for node in nodes)
    gpus = sum(node.resources.get("GPU", 0.0) for node in nodes)
    cores -= sum(resources.cpus for _, resources in groups)
    gpus -= sum(resources.gpus for _, resources in groups)
    return max(0.0, cores) * IDLE_CORE_WATTS + max(0.0, gpus) * IDLE_GPU_WATTS
