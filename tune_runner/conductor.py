"""Leads a study: takes proposals from the ledger, tells the observers, settles every end.

The engine that runs the trials (Ray) knows them by keys of its own; this class knows neither Ray
nor MLflow. It is the one place where the state of a trial is decided.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from diffrec.errors import UserError
from diffrec.families import AnyConfig
from tune_runner.housekeeping import trial_folder
from tune_runner.ledger import Ledger, Proposal
from tune_runner.placement import ONE_CPU, Placement
from tune_runner.records import COST_CPUS, COST_GPUS, trial_name
from tune_runner.reports import Observer, Outcome, TrialEnd, TrialRecord, TrialReport
from tune_runner.retries import cause_of_text, next_share
from tune_runner.settings import NO_LIMIT, Allowance

logger = logging.getLogger(__name__)

_Method = TypeVar("_Method", bound=Callable[..., Any])

Resolve = Callable[[Mapping[str, Any], int], AnyConfig]
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

    placement: Placement = ONE_CPU
    """What the trial is given."""


@dataclass(slots=True)
class _Flight:
    """A trial in the hands of the engine."""

    record: TrialRecord
    epoch: int
    share: Placement
    started: bool = False
    pruned: bool = False
    accidents: int = 0
    error: str | None = None
    last: TrialReport | None = None


def _halting(otherwise: Any) -> Callable[[_Method], _Method]:
    """Let a disk that is full halt the study in good order, instead of failing trial after trial.

    The engine would take the exception for one of the trial's.
    """

    def wrap(method: _Method) -> _Method:
        @wraps(method)
        def guarded(self: "Conductor", *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except OSError as error:
                where = f" ({error.filename})" if error.filename else ""
                self.halt(f"{error.strerror or error}{where}")
                return otherwise

        return guarded  # type: ignore[return-value]

    return wrap


class Conductor:
    """One study's trials, from proposal to end."""

    def __init__(
        self,
        ledger: Ledger,
        resolve: Resolve,
        *,
        objective: str,
        checkpoints: Path,
        recorder: Observer | None = None,
        observers: Sequence[Observer] = (),
        share: Placement = ONE_CPU,
        most: Placement | None = None,
        allowance: Allowance = NO_LIMIT,
    ) -> None:
        """Begin.

        Args:
            ledger: the study.
            resolve: (searched values, seed) to the whole configuration.
            objective: name of the metric that is searched by.
            checkpoints: folder of the trials' checkpoints.
            recorder: told of every event before the ledger is: an end that the ledger knows and
                the record does not could never be told again, the other way round it can.
            observers: told afterwards.
            share: what a trial is given.
            most: the largest share that one node can give; None: `share`.
            allowance: what this run of the command may do.
        """
        self.ledger = ledger
        self.halted: str | None = None
        self._resolve, self._objective, self._checkpoints = resolve, objective, checkpoints
        self._recorder = () if recorder is None else (recorder,)
        self._observers = observers
        self._share, self._most = share, most or share
        self._left = allowance.trials
        self._hours = allowance.hours
        self._deadline = None if self._hours is None else time.monotonic() + 3600 * self._hours
        self._flights: dict[str, _Flight] = {}
        self._again: list[_Flight] = []

    @property
    def active(self) -> list[str]:
        """The engine's keys of the trials in flight."""
        return list(self._flights)

    @property
    def why_stopped(self) -> str | None:
        """Why no more trials were given out although the study goes on; None where nothing did."""
        if self.halted is None and self._left == 0:
            return "the budget of trials is spent"
        return self.halted

    @property
    def is_done(self) -> bool:
        """Whether no trial is in flight, none is to be tried again, and none was to be had."""
        return not self._flights and (not self._again or self.halted is not None)

    @_halting(None)
    def next_trial(self, key: str) -> Assignment | None:
        """Give the engine a trial to run under `key`; None to wait, or where `is_done`."""
        self.check_time()
        if self.halted is not None or self._makes_room():
            return None
        if self._again:
            return self._assign(key, self._again.pop(0))
        while self._left != 0 and (proposal := self.ledger.propose()) is not None:
            try:
                config = self._resolve(proposal.params, proposal.seed)
            except UserError as error:  # a sampled point whose values do not fit together
                self._refuse(proposal, str(error))
                continue
            self._left = None if self._left is None else self._left - 1
            record = _record(proposal, config.to_dict(), config.variant)
            return self._assign(key, _Flight(record, proposal.last_epoch, self._share))
        return None

    @_halting(None)
    def started(self, key: str) -> None:
        """Say that the trial was given a worker."""
        self._flights[key].started = True
        self._tell("trial_started", self._flights[key].record)

    @_halting(False)
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
        """Keep the reason of a failure that `end` will settle."""
        if key in self._flights:
            self._flights[key].error = error

    @_halting(None)
    def end(self, key: str, *, failed: bool) -> None:
        """Settle a trial that the engine is done with.

        A trial that was merely interrupted stays open in the study, to go on another time; one that
        had an accident is put back, to go on from its checkpoint.
        """
        flight = self._flights.pop(key, None)
        if flight is None:
            return
        outcome = _outcome(flight, failed=failed)
        if outcome is not None and outcome.failure is not None and self._tries_again(flight):
            return
        end = _settle(flight, outcome)
        if end is None or (end.state == "failed" and self.halted is not None):
            return
        held = {COST_CPUS: flight.share.cpus, COST_GPUS: flight.share.gpus}
        end = replace(end, metrics={**end.metrics, **held})
        number = flight.record.number
        for observer in self._recorder:
            observer.trial_ended(flight.record, end)
        if end.state == "complete" and end.value is not None:
            self.ledger.complete(number, end.value)
        elif end.state == "pruned":
            self.ledger.prune(number)
        else:
            self.ledger.fail(number, end.error or "")
        for observer in self._observers:
            observer.trial_ended(flight.record, end)

    def halt(self, reason: str) -> None:
        """Give out no more trials; those in flight stay open in the study."""
        self.halted = self.halted or reason

    def check_time(self) -> None:
        """Halt the study when its time is spent."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.halt(f"the budget of {self._hours:g} hours is spent")

    def _assign(self, key: str, flight: _Flight) -> Assignment:
        self._flights[key] = flight
        record = flight.record
        folder = trial_folder(self._checkpoints, record.number)
        return Assignment(
            record.number, record.name, record.config, self._objective, str(folder), flight.share
        )

    def _makes_room(self) -> bool:
        """Whether a trial waits for a larger share: others would take its place again and again."""
        return any(f.share != self._share and not f.started for f in self._flights.values())

    def _tries_again(self, flight: _Flight) -> bool:
        """Put a trial back that may get through another time; say whether it was."""
        outcome = flight.last.outcome if flight.last is not None else None
        assert outcome is not None
        reason = outcome.failure or ""
        if outcome.cause == "disk_full":
            self.halt(f"{reason}; free some space")
            return True
        flight.accidents += outcome.cause == "accident"
        share = next_share(
            outcome.cause,
            accidents=flight.accidents,
            share=flight.share,
            first=self._share,
            most=self._most,
        )
        if share is None:
            return False
        logger.warning("Trial %s goes on again after: %s", flight.record.name, reason)
        again = _Flight(flight.record, flight.epoch, share, accidents=flight.accidents)
        self._again.append(again)
        return True

    def _refuse(self, proposal: Proposal, error: str) -> None:
        record = _record(proposal, {}, "")
        end = TrialEnd("failed", 0, error=error)
        self._tell("trial_started", record)
        self._tell("trial_ended", record, end)
        self.ledger.fail(proposal.number, error)

    def _tell(self, event: str, *args: Any) -> None:
        for observer in (*self._recorder, *self._observers):
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
        role=proposal.role,
    )


def _outcome(flight: _Flight, *, failed: bool) -> Outcome | None:
    """Return how the run ended, from its last report or from the engine's error.

    None where it was interrupted or pruned.
    """
    if flight.pruned:
        return None
    if failed:
        error = flight.error or "the worker was lost"
        epochs = {} if flight.last is None else flight.last.epochs
        outcome = Outcome(failure=error, cause=cause_of_text(error))
        flight.last = TrialReport(flight.epoch, None, epochs, outcome)
    return None if flight.last is None else flight.last.outcome


def _settle(flight: _Flight, outcome: Outcome | None) -> TrialEnd | None:
    """Decide how a trial ended; None where it was interrupted."""
    if flight.pruned:
        return TrialEnd("pruned", flight.epoch)
    if outcome is None:
        return None
    error = outcome.failure
    if error is None and (outcome.value is None or not math.isfinite(outcome.value)):
        error = f"the objective is not a number ({outcome.value}) after epoch {flight.epoch}"
    if error is not None:
        return TrialEnd("failed", flight.epoch, metrics=outcome.metrics, error=error)
    return TrialEnd(
        "complete", flight.epoch, outcome.value, outcome.metrics, artifacts=outcome.artifacts
    )
