"""Watches what a study spends while it runs, records it, and stops the study at its budget."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from tune_runner.events import StudyCallback, TrialRecord, TrialReport, TrialResult
from tune_runner.resources.allocation import TrialResources
from tune_runner.resources.nodes import ClusterNode
from tune_runner.resources.spending import Ledger, Spent, spent_from_json
from tune_runner.schema import COST_JOULES
from tune_runner.study.budgets import Budgets
from tune_runner.study.folder import SPENT
from tune_runner.study.session import StudySession
from tune_runner.tracking.tracker import Tracker
from tune_runner.trials.controller import StudyController

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often time is added: each time all nodes are gone through."""

RECORD_SECONDS = 10.0
"""How often the amounts are recorded: what a driver that is killed has spent since is not known."""

NOTE_SECONDS = 60.0
"""Seconds between two records in MLflow."""


class SpendingWatch(StudyCallback):
    """Callback that keeps the ledger of one run of the command."""

    def __init__(
        self,
        budgets: Budgets,
        ledger: Ledger,
        record: Callable[[Spent, bool], None],
        usual: TrialResources,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to count.

        Args:
            budgets: of the study.
            ledger: of what was spent before.
            record: writes the amounts down, the last ones with true; may raise OSError.
            usual: what a trial of the study gets.
            clock: seconds of a clock that never goes back.
        """
        self._budgets, self._ledger, self._record = budgets, ledger, record
        self._usual, self._clock = usual, clock
        self._last = self._recorded = clock()

    @property
    def spent(self) -> Spent:
        """Amounts until the last tick."""
        return self._ledger.spent

    def tick(self, controller: StudyController, nodes: Sequence[ClusterNode]) -> None:
        """Add the time since the last call, if that was a second ago; stop at the budget's end."""
        now = self._clock()
        if now - self._last < TICK_SECONDS:
            return
        groups = controller.running
        self._ledger.add(now - self._last, nodes, groups, self._usual)
        self._last = now
        reason = self._budgets.overspent(self.spent)
        if reason is not None:
            controller.stop(reason)
        if now - self._recorded >= RECORD_SECONDS:
            self._recorded = now
            try:
                self._record(self.spent, False)
            except OSError as error:
                controller.stop(f"{error.strerror or error}; free some space")

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Take over the energy that the trial measured."""
        joules = report.epochs.get(report.epoch, {}).get(COST_JOULES, math.nan)
        self._ledger.report(trial.number, joules, known=report.epoch <= trial.last_epoch)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Settle a trial's energy."""
        self._ledger.end(trial.number)

    def close(self) -> None:
        """Record the amounts at the end of this run of the command."""
        with suppress(OSError):  # a full disk, which has been said; the record before stands
            self._record(self.spent, True)


def watch_spending(session: StudySession, tracker: Tracker, usual: TrialResources) -> SpendingWatch:
    """Return the watch of one run of the command, which records in `study.json` and MLflow.

    Args:
        session: the study; what it has spent before is in its folder.
        tracker: of its record in MLflow.
        usual: what a trial gets.

    Raises:
        UserError: `study.json` is damaged.
    """
    folder, next_note = session.folder, 0.0

    def record(spent: Spent, final: bool) -> None:
        nonlocal next_note
        if folder.is_gone():
            return
        folder.write_spent(spent.to_json())
        if final or time.monotonic() >= next_note:
            next_note = time.monotonic() + NOTE_SECONDS
            tracker.note_spent(spent.metrics())

    before = spent_from_json(folder.read().get(SPENT))
    budgets = session.config.budgets
    return SpendingWatch(budgets, Ledger(budgets.prices, before), record, usual)
