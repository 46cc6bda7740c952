"""Leads a study: takes proposals from the ledger, tells the observers, settles every end.

The engine that runs the trials (Ray) knows them by keys of its own; this class knows neither Ray
nor MLflow. It is the one place where the state of a trial is decided.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffrec.config import RecommenderConfig
from diffrec.errors import UserError
from tune_runner.housekeeping import trial_folder
from tune_runner.ledger import Ledger, Proposal
from tune_runner.records import trial_name
from tune_runner.reports import Observer, TrialEnd, TrialRecord, TrialReport

logger = logging.getLogger(__name__)

Resolve = Callable[[Mapping[str, Any], int], RecommenderConfig]
"""(searched values, seed) to the whole configuration."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker needs to run a trial, besides the data."""

    number: int
    name: str
    config: Mapping[str, Any]
    objective: str
    checkpoint: str
    """Folder of the trial's own checkpoints."""


@dataclass(slots=True)
class _Flight:
    """A trial in the hands of the engine."""

    record: TrialRecord
    epoch: int
    pruned: bool = False
    error: str | None = None
    last: TrialReport | None = None


class Conductor:
    """One study's trials, from proposal to end."""

    def __init__(
        self,
        ledger: Ledger,
        resolve: Resolve,
        *,
        objective: str,
        checkpoints: Path,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.ledger = ledger
        self._resolve, self._objective = resolve, objective
        self._checkpoints, self._observers = checkpoints, observers
        self._flights: dict[str, _Flight] = {}

    @property
    def active(self) -> list[str]:
        """The engine's keys of the trials in flight."""
        return list(self._flights)

    def next_trial(self, key: str) -> Assignment | None:
        """Give the engine a trial to run under `key`; None when the study's budget is spent."""
        while (proposal := self.ledger.propose()) is not None:
            try:
                config = self._resolve(proposal.params, proposal.seed)
            except UserError as error:  # a sampled point whose values do not fit together
                self._refuse(proposal, str(error))
                continue
            record = _record(proposal, config.to_dict(), config.variant)
            self._flights[key] = _Flight(record, proposal.last_epoch)
            folder = trial_folder(self._checkpoints, record.number)
            return Assignment(
                record.number, record.name, record.config, self._objective, str(folder)
            )
        return None

    def started(self, key: str) -> None:
        """Say that the trial was given a worker."""
        self._tell("trial_started", self._flights[key].record)

    def report(self, key: str, report: TrialReport) -> bool:
        """Take a report; return whether the trial is to be stopped as hopeless."""
        flight = self._flights[key]
        if flight.pruned:
            return True
        flight.last, flight.epoch = report, max(flight.epoch, report.epoch)
        self._tell("trial_reported", flight.record, report)
        if report.objective is None or math.isnan(report.objective):
            return False
        number = flight.record.number
        hopeless = self.ledger.report(number, report.epoch, report.objective)
        # A run that has ended by itself has been paid for: it stands, whatever the pruner says.
        flight.pruned = hopeless and report.outcome is None
        return flight.pruned

    def note_error(self, key: str, error: str) -> None:
        """Keep the reason of a failure that `end` will settle, unless a retry succeeds."""
        if key in self._flights:
            self._flights[key].error = error

    def end(self, key: str, *, failed: bool) -> None:
        """Settle a trial that the engine is done with.

        A trial that was merely interrupted stays open in the study, to go on another time.
        """
        flight = self._flights.pop(key, None)
        if flight is None:
            return
        end = _settle(flight, failed=failed)
        if end is None:
            return
        number = flight.record.number
        if end.state == "complete" and end.value is not None:
            self.ledger.complete(number, end.value)
        elif end.state == "pruned":
            self.ledger.prune(number)
        else:
            self.ledger.fail(number, end.error or "")
        self._tell("trial_ended", flight.record, end)

    def _refuse(self, proposal: Proposal, error: str) -> None:
        record = _record(proposal, {}, "")
        self.ledger.fail(proposal.number, error)
        self._tell("trial_started", record)
        self._tell("trial_ended", record, TrialEnd("failed", 0, error=error))

    def _tell(self, event: str, *args: Any) -> None:
        for observer in self._observers:
            getattr(observer, event)(*args)


def _record(proposal: Proposal, config: Mapping[str, Any], variant: str) -> TrialRecord:
    return TrialRecord(
        number=proposal.number,
        name=trial_name(proposal.number, proposal.params, proposal.seed),
        params={**proposal.params, "seed": proposal.seed},
        config=config,
        variant=variant,
        last_epoch=proposal.last_epoch,
        retry_of=proposal.retry_of,
    )


def _settle(flight: _Flight, *, failed: bool) -> TrialEnd | None:
    """Decide how a trial ended; None where it was interrupted."""
    if flight.pruned:
        return TrialEnd("pruned", flight.epoch)
    if failed:
        return TrialEnd("failed", flight.epoch, error=flight.error or "the worker was lost")
    outcome = flight.last.outcome if flight.last is not None else None
    if outcome is None:
        return None
    error = outcome.failure
    if error is None and (outcome.value is None or not math.isfinite(outcome.value)):
        error = f"the objective is not a number ({outcome.value}) after epoch {flight.epoch}"
    if error is not None:
        return TrialEnd("failed", flight.epoch, metrics=outcome.metrics, error=error)
    return TrialEnd("complete", flight.epoch, outcome.value, outcome.metrics)
