"""Adapters between Ray Tune and the study: a searcher, a callback and a scheduler.

The searcher is Tune's `search_alg`. It is stateless: all state is in the Optuna study, so Tune's
searcher checkpoints are empty.
"""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from tune_runner.events import GroupReport
from tune_runner.execution.elastic import ElasticCluster
from tune_runner.execution.stop_signals import StopSignals
from tune_runner.trials.controller import StudyController
from tune_runner.trials.groups import ASSIGNMENT, REPORT

_LOST_NODE = re.compile(r"[^\n]*(its node has died|the actor's node was)[^\n]*")
_EXCEPTION = re.compile(r"([A-Za-z_]\w*\.)*[A-Z]\w*(Error|Exception|Exit|Interrupt)\b")


class StudySearcher(Searcher):
    """Searcher that passes the controller's trials to Tune, and their results back."""

    def __init__(self, controller: StudyController, elastic: ElasticCluster | None = None) -> None:
        """Pass on trials of `controller`, as many at a time as it says, or as `elastic` does."""
        super().__init__()
        self._controller, self._elastic = controller, elastic

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's settings: the study has its own metric and direction."""
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Accept the limit, which is kept here: Tune's forgets trials that it did not start."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next group, which is one trial to Tune; None to wait, or FINISHED."""
        if self._controller.num_active >= self._limit():
            return None
        assignment = self._controller.next_group(trial_id)
        if assignment is not None:
            return {ASSIGNMENT: assignment}
        # A running trial may still have to be retried.
        return Searcher.FINISHED if self._controller.is_done else None  # type: ignore[return-value]

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Do nothing: the scheduler, which Tune calls first, has passed the report on."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Close the group; Tune passes the last report here instead of to the scheduler."""
        report = (result or {}).get(REPORT)
        if isinstance(report, GroupReport) and not error and self._controller.is_active(trial_id):
            self._controller.on_report(trial_id, report)
        self._controller.on_end(trial_id, failed=error)

    def _limit(self) -> int:
        if self._elastic is None:
            return self._controller.max_concurrent
        limit = self._elastic.max_given_out()
        self._controller.max_concurrent = self._elastic.slots
        return limit

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Write an empty file: all state is in the Optuna study."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: a study resumes from its Optuna study, never from Tune's checkpoint."""
        raise NotImplementedError("A study resumes by --resume, not by Tuner.restore.")


class StudyGuard(Callback):
    """Callback for what Tune reports to no searcher: starts, and trials that ended unreported.

    If the reset of a reused worker fails, Tune ends the trial without telling the searcher, which
    would count it as running for ever.
    """

    def __init__(
        self, controller: StudyController, tick: Callable[[], None], stops: StopSignals
    ) -> None:
        self._controller, self._tick, self._stops = controller, tick, stops
        self._stopping = False
        self._open: dict[str, Trial] = {}
        """Trials of Tune's that have not ended; a study of thousands is not looked through at each
        step."""
        self._seen = 0

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Report the start to the controller."""
        if self._controller.is_active(trial.trial_id):
            self._controller.on_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Close trials that ended unreported, refresh the view, and stop a stopped study's run.

        Tune has no call that stops a run gracefully, only a signal.
        """
        self._tick()
        self._controller.check_deadline()
        is_stopped = self._controller.stop_reason is not None or self._stops.is_requested
        if is_stopped and not self._stopping:
            self._stopping = True
            os.kill(os.getpid(), signal.SIGUSR1)
        self._open |= {trial.trial_id: trial for trial in trials[self._seen :]}
        self._seen = len(trials)
        for key in [key for key, trial in self._open.items() if trial.is_finished()]:
            trial = self._open.pop(key)
            if self._controller.is_active(key):
                self._controller.set_error(key, last_error(trial))
                self._controller.on_end(key, failed=True)

    def __getstate__(self) -> dict[str, Any]:
        return {}


def last_error(trial: Trial) -> str:
    """Return the line of a trial's last error that names the exception."""
    path = trial.error_file
    text = Path(path).read_text() if path and Path(path).exists() else ""
    if (lost := _LOST_NODE.search(text)) is not None:  # Ray says so below the exception's name
        return lost.group().strip()
    exceptions = [line.strip() for line in text.splitlines() if _EXCEPTION.match(line.strip())]
    return exceptions[-1] if exceptions else "the worker was lost"


class PruningScheduler(FIFOScheduler):
    """FIFO scheduler that stops a trial when the study's pruner decides so."""

    @property
    def supports_buffered_results(self) -> bool:
        """False: a buffered report would reach the pruner too late."""
        return False

    def __init__(self, controller: StudyController) -> None:
        super().__init__()
        self._controller = controller

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass the reports on; stop a worker whose trials have all ended or been pruned.

        A pruned member of a group leaves it when its worker finds its checkpoint deleted (see
        `worker.trainable`).
        """
        report = result.get(REPORT)
        if not isinstance(report, GroupReport):
            return TrialScheduler.CONTINUE
        is_over = self._controller.on_report(trial.trial_id, report)
        return TrialScheduler.STOP if is_over else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Keep the reason: Tune reports a failure to the searcher without it."""
        self._controller.set_error(trial.trial_id, last_error(trial))

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def debug_string(self) -> str:
        """Return Tune's one-line description."""
        return "The study's pruner decides."
