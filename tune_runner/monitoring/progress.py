"""Progress of a running study: a live view on a terminal, one line for each trial elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from search_spaces import Objective
from tune_runner.events import FinalState, StudyCallback, TrialRecord, TrialReport, TrialResult
from tune_runner.monitoring.durations import estimate_seconds_left, format_duration

_REFRESH_SECONDS = 0.5
_SHOWN = 12


class Progress(StudyCallback):
    """Callback that shows the study's trials."""

    def __init__(
        self, objective: Objective, *, concurrent: int, file: TextIO | None = None
    ) -> None:
        """Prepare the view; `start` shows it.

        Args:
            objective: the metric that is shown, and its direction.
            concurrent: trials that run at a time, for the estimate of the time left.
            file: the output; None: stdout.
        """
        self._objective, self._concurrent = objective, concurrent
        self._console = Console(file=file, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._ended: Counter[str] = Counter()
        self._running: dict[int, tuple[TrialRecord, TrialReport | None]] = {}
        self._start_times: dict[int, float] = {}
        self._durations: list[float] = []
        self._best: tuple[float, str] | None = None
        self._started = self._shown = time.monotonic()
        self._total = 0

    def start(
        self, total: int, ended: Mapping[FinalState, int], best: tuple[float, str] | None
    ) -> None:
        """Start the view; `ended` and `best` are what earlier drivers have reached."""
        self._total, self._best = total, best
        self._ended.update(ended)
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def plan(self, total: int) -> None:
        """Set a new total of trials: a confirmation adds some."""
        self._total = total

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Show a trial among the running ones."""
        self._running[trial.number] = (trial, None)
        self._start_times.setdefault(trial.number, time.monotonic())
        self.tick()

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Show the epoch and the values of a trial."""
        self._running[trial.number] = (trial, report)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Count a trial; on a pipe, print its line."""
        self._running.pop(trial.number, None)
        now = time.monotonic()
        self._durations.append(now - self._start_times.pop(trial.number, now))
        self._ended[end.state] += 1
        value, is_better = end.value, self._objective.is_better
        if value is not None and (self._best is None or is_better(value, self._best[0])):
            self._best = (value, trial.name)
        phrase = {
            "complete": f"complete  {self._objective.name} {end.value or 0:.4f}",
            "pruned": f"pruned at epoch {end.epoch}",
            "failed": f"failed at epoch {end.epoch}: {end.error}",
        }[end.state]
        if self._live is None or end.state == "failed":
            line = f"[{self._position()}] {trial.name}  {phrase}"
            self._console.print(line, markup=False)
        self.tick()

    def note(self, text: str) -> None:
        """Print a line above the view."""
        self._console.print(text, markup=False)

    def tick(self) -> None:
        """Redraw the live view, at most twice a second."""
        now = time.monotonic()
        if self._live is not None and now - self._shown >= _REFRESH_SECONDS:
            self._shown = now
            self._live.update(self._table(), refresh=True)

    def stop(self) -> None:
        """End the view and print one line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._console.print(self.line(), markup=False)

    def line(self) -> str:
        """Return the study's state in one line."""
        ended = self._ended
        parts = [
            f"{ended['complete']} complete",
            f"{len(self._running)} running",
            f"{ended['pruned']} pruned",
            f"{ended['failed']} failed",
        ]
        best = ""
        if self._best is not None:
            best = f"; best {self._objective.name} {self._best[0]:.4f} ({self._best[1]})"
        elapsed = format_duration(time.monotonic() - self._started)
        seconds_left = self._seconds_left()
        left_phrase = f", about {format_duration(seconds_left)} left" if seconds_left else ""
        return f"[{self._position()}] {', '.join(parts)}{best}; {elapsed}{left_phrase}"

    def _position(self) -> str:
        return f"{sum(self._ended.values())}/{self._total}"

    def _seconds_left(self) -> float | None:
        now = time.monotonic()
        return estimate_seconds_left(
            self._durations,
            remaining=self._total - sum(self._ended.values()),
            concurrent=self._concurrent,
            running=[now - start for start in self._start_times.values()],
        )

    def _table(self) -> Table:
        table = Table(title=self.line(), title_justify="left", box=None, pad_edge=False)
        for column in ("trial", "epoch", self._objective.name, "loss"):
            table.add_column(column, justify="left" if column == "trial" else "right")
        for trial, report in list(self._running.values())[:_SHOWN]:
            if report is None:
                table.add_row(trial.name, "", "", "")
                continue
            loss = report.epochs.get(report.epoch, {}).get("train/loss")
            table.add_row(trial.name, str(report.epoch), _cell(report.objective), _cell(loss))
        return table


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
