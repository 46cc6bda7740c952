"""Progress of a running study: a line for each trial that ended, and a live view on a terminal."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from search_spaces import Objective
from tune_runner.events import (
    FinalState,
    Leader,
    StudyCallback,
    TrialRecord,
    TrialReport,
    TrialResult,
)
from tune_runner.monitoring.durations import (
    estimate_seconds_left,
    format_duration,
    time_left_phrase,
)
from tune_runner.monitoring.live_view import RunningTrial, StudyView, view_lines
from tune_runner.monitoring.screen import Screen


@dataclass(slots=True)
class _Running:
    """State of a trial that runs."""

    record: TrialRecord
    started: float
    epoch: int
    value: float | None = None
    best: float | None = None

    def row(self, now: float) -> RunningTrial:
        """Return the trial's row in the view."""
        training = self.record.config.get("training") or {}
        limit = training.get("max_epochs")
        seconds = now - self.started
        return RunningTrial(self.record.name, seconds, self.epoch, limit, self.value, self.best)


class Progress(StudyCallback):
    """Callback that shows the study's trials."""

    def __init__(
        self,
        objective: Objective,
        screen: Screen,
        *,
        concurrent: int,
        durations: Sequence[float] = (),
        answer: Callable[[], str] | None = None,
    ) -> None:
        """Prepare the view; `start` shows it.

        Args:
            objective: the metric that is shown, and its direction.
            screen: where it is shown.
            concurrent: trials that run at a time, for the estimate of the time left.
            durations: seconds of the trials that earlier drivers ended, for the same.
            answer: returns what is shown as the best so far, "" for nothing; None: the best value
                of the objective, with its trial.
        """
        self._objective, self._screen, self._concurrent = objective, screen, concurrent
        self._find_answer = answer
        self._answer = ""
        self._ended: Counter[str] = Counter()
        self._running: dict[int, _Running] = {}
        self._durations = list(durations)
        self._best: Leader | None = None
        self._started = time.monotonic()
        self._total = self._loading = 0
        self._stop_note = ""
        self._is_over = False

    def start(self, total: int, ended: Mapping[FinalState, int], best: Leader | None) -> None:
        """Start the view; `ended` and `best` are what earlier drivers have reached."""
        self._total, self._best = total, best
        self._ended.update(ended)
        self._update_answer()
        self._started = time.monotonic()
        self._screen.show(self._draw)

    def plan(self, total: int) -> None:
        """Set a new total of trials: a confirmation adds some."""
        self._total = total

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Show a trial among the running ones; one that is retried keeps its time."""
        known = self._running.get(trial.number)
        if known is None:
            self._running[trial.number] = _Running(trial, time.monotonic(), trial.last_epoch)

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Show the epoch and the values of a trial."""
        row = self._running.get(trial.number)
        if row is None:
            return
        row.epoch, value = report.epoch, report.objective
        if value is not None:
            row.value = value
            if row.best is None or self._objective.is_better(value, row.best):
                row.best = value

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Count a trial and write its line."""
        now = time.monotonic()
        row = self._running.pop(trial.number, None)
        self._durations.append(0.0 if row is None else now - row.started)
        self._ended[end.state] += 1
        self._best = end.leader or self._best
        self._update_answer()
        phrase = {
            "complete": f"complete  {self._objective.name} {end.value or 0:.4f}",
            "pruned": f"pruned at epoch {end.epoch}",
            "failed": f"failed at epoch {end.epoch}: {end.error}",
        }[end.state]
        self._screen.write_result(f"[{self._position()}] {trial.name}  {phrase}", end.state)

    def note(self, text: str) -> None:
        """Write a line above the view."""
        self._screen.write(text)

    def tick(self, loading: int = 0) -> None:
        """Take over how many workers are still loading their libraries."""
        self._loading = loading

    def on_stop_request(self, cause: str) -> None:
        """Acknowledge Ctrl-C or a signal at once, with what happens next; any thread may call.

        Args:
            cause: what asked for the stop, for example "Ctrl-C".
        """
        running = len(self._running)
        kept = {0: "none runs", 1: "the one that runs keeps its last checkpoint"}
        phrase = kept.get(running, f"the {running} that run keep their last checkpoints")
        self._stop_note = "the workers are being stopped"
        self._screen.write(
            f"stop      {cause}: no trial is started any more; {phrase}. Then the record is sent "
            "and the report is made; Ctrl-C again ends at once. --resume continues the study."
        )

    def stop(self) -> None:
        """End the view and write one line."""
        self._is_over = True
        self._screen.wait("end", "sending the record to MLflow")
        self._screen.write(self.line())

    def line(self) -> str:
        """Return the study's state in one line."""
        answer = self._best_phrase()
        best = f"; {'best ' if self._find_answer is None else ''}{answer}" if answer else ""
        elapsed = format_duration(time.monotonic() - self._started)
        left = None if self._is_over else self._seconds_left()
        rest = "" if left is None else f", {time_left_phrase(left)}"
        return f"[{self._position()}] {self._counts()}{best}; {elapsed}{rest}"

    def _draw(self, console: Console, width: int, height: int) -> list[Text]:
        now = time.monotonic()
        notes = [("stop", self._stop_note)] if self._stop_note else []
        if self._loading and not self._stop_note:
            notes.append(("start", f"{workers_phrase(self._loading)} loading torch"))
        view = StudyView(
            objective=self._objective.name,
            finished=self._ended.total(),
            total=self._total,
            counts=self._counts(),
            elapsed_seconds=now - self._started,
            time_left=self._time_left(),
            best=self._best_phrase() or "none yet",
            running=[row.row(now) for row in list(self._running.values())],
            notes=notes,
        )
        return view_lines(view, console, width, height)

    def _counts(self) -> str:
        ended, count = self._ended, len(self._running)
        return (
            f"{ended['complete']} complete, "
            f"{count} {'interrupted' if self._is_over and count else 'running'}, "
            f"{ended['pruned']} pruned, {ended['failed']} failed"
        )

    def _best_phrase(self) -> str:
        """Return the best so far; "" if there is none."""
        if self._find_answer is not None:
            return self._answer
        if self._best is None:
            return ""
        count = self._best.num_seeds
        seeds = f"mean of {count} seeds, " if count > 1 else ""
        return f"{self._objective.name} {self._best.value:.4f} ({seeds}{self._best.name})"

    def _update_answer(self) -> None:
        if self._find_answer is not None:
            self._answer = self._find_answer()

    def _position(self) -> str:
        return f"{self._ended.total()}/{self._total}"

    def _time_left(self) -> str:
        if self._ended.total() >= self._total:
            return "nothing left"
        left = self._seconds_left()
        return "time left unknown" if left is None else time_left_phrase(left)

    def _seconds_left(self) -> float | None:
        now = time.monotonic()
        return estimate_seconds_left(
            self._durations,
            remaining=self._total - self._ended.total(),
            concurrent=self._concurrent,
            running=[now - row.started for row in list(self._running.values())],
        )


def workers_phrase(count: int) -> str:
    """Return the subject and verb of a sentence about workers."""
    return "1 worker is" if count == 1 else f"{count} workers are"
