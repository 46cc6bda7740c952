"""Writes the summaries of a study into MLflow as its trials end; see `summaries`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag

from search_spaces.objectives import Goals
from tune_runner import schema
from tune_runner.tracking.summaries import (
    EndedTrial,
    Params,
    cell_metrics,
    ended_trial,
    front_trials,
    goals_of,
    study_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    Search = Callable[[str], list[Run]]
    """Returns the study's runs of a kind."""

_FROM_TRIAL = (
    schema.CELL,
    schema.VARIANT,
    schema.SPACE,
    schema.DATASET,
    schema.PROTOCOL,
    schema.STUDY,
    schema.STUDY_ID,
    schema.PARENT,
    "mlflow.user",
    "mlflow.source.name",
)
"""Tags that a cell's run has from its trials."""


class SummaryWriter:
    """Summaries of one study, computed from what MLflow holds of its trials."""

    def __init__(self, client: "MlflowClient", experiment: str, search: "Search") -> None:
        self._client, self._experiment, self._search = client, experiment, search
        self._ended: dict[int, EndedTrial] | None = None
        self._cells: dict[str, str] | None = None
        """Runs of the cells, by their point."""
        self._changed: set[Params] = set()
        self._marks: dict[str, str] = {}
        """Last written mark of the front, by run."""
        self._tags: Mapping[str, str] | None = None

    def forget_study(self) -> None:
        """Read the tags of the study's run anew: another driver may have added seeds."""
        self._tags = None

    def note_start(self, number: int) -> None:
        """Count a trial no more that is run again under its number."""
        if self._ended is not None:
            self._ended.pop(number, None)

    def note_end(self, run: "Run", state: str, metrics: Mapping[str, float], millis: int) -> None:
        """Count a trial that has ended.

        Args:
            run: the trial's, as it was before its end was written.
            state: its final state.
            metrics: that came with its end, by MLflow's names.
            millis: when it ended, in milliseconds since the epoch.
        """
        trial = ended_trial(run)
        values = {**trial.metrics, **metrics}
        trial = replace(trial, state=state, metrics=values, end=millis)
        self._trials()[int(run.data.tags[schema.TRIAL_NUMBER])] = trial
        self._changed.add(trial.params)

    def flush(self, parent: str) -> None:
        """Write the summaries of what has ended since the last call into run `parent` and cells.

        They have the time of the last end, so that the same summary is never there twice.
        """
        if not self._changed:
            return
        tags = self._tags = self._tags or self._client.get_run(parent).data.tags
        objective = tags.get(schema.OBJECTIVE, "valid/recall@20")
        trials, goals = list(self._trials().values()), goals_of(tags)
        if len(tags.get(schema.SEEDS, "").split(",")) > 1:
            for params in self._changed:
                members = [t for t in trials if t.params == params and not t.is_confirmation]
                self._write_cell(params, members, objective, goals)
        maximize = tags.get(schema.DIRECTION) != "minimize"
        metrics, best = study_metrics(
            trials,
            objective,
            maximize=maximize,
            goals=goals,
            is_sampled=tags.get(schema.SAMPLER, "grid") != "grid",
        )
        if goals is not None:
            self._mark_front(trials, goals)
        metrics[schema.NUM_SEEDS] = float(len(tags.get(schema.SEEDS, "1").split(",")))
        rows = _rows(metrics, max((trial.end for trial in trials), default=0), len(trials))
        best_tags = [RunTag(schema.BEST_TRIAL, best)] if best else []
        self._client.log_batch(parent, metrics=rows, tags=best_tags)
        self._changed.clear()

    def _trials(self) -> dict[int, EndedTrial]:
        """Return the trials that have ended, by number; read once from MLflow."""
        if self._ended is None:
            runs = self._search("trial")
            ended = {int(run.data.tags[schema.TRIAL_NUMBER]): ended_trial(run) for run in runs}
            self._ended = {n: trial for n, trial in ended.items() if trial.state != "running"}
        return self._ended

    def _mark_front(self, trials: list[EndedTrial], goals: Goals) -> None:
        """Write whether each complete trial of the search is on the front, where that changed."""
        front = {trial.run_id for trial in front_trials(trials, goals)}
        for trial in trials:
            if trial.state == "complete" and not trial.is_confirmation:
                mark = str(trial.run_id in front).lower()
                if self._marks.get(trial.run_id, trial.tags.get(schema.FRONT)) != mark:
                    self._client.set_tag(trial.run_id, schema.FRONT, mark)
                    self._marks[trial.run_id] = mark

    def _write_cell(
        self, params: Params, trials: list[EndedTrial], objective: str, goals: Goals | None
    ) -> None:
        """Write a cell's run, made if need be; a cell without any result has none."""
        metrics = cell_metrics(trials, objective, goals)
        millis = max((trial.end for trial in trials), default=0)
        seeds = int(metrics[schema.NUM_SEEDS])
        cells = self._known_cells()
        point = _point(params)
        if point not in cells:
            if not seeds:
                return
            cells[point] = self._create_cell(trials[0], millis)
        run = cells[point]
        values = [Param(path, text) for path, text in sorted(params)]
        self._client.log_batch(run, metrics=_rows(metrics, millis, seeds), params=values)
        self._client.set_terminated(run, end_time=millis)

    def _known_cells(self) -> dict[str, str]:
        """Return the cells' runs by point; read once. Of two (see `MlflowWriter._close`) one goes.

        A point is a tag, which a run has from its creation on; whoever made it may have died
        before writing its parameters.
        """
        if self._cells is None:
            self._cells = {}
            for run in sorted(self._search("cell"), key=lambda r: -len(r.data.metrics)):
                point = run.data.tags.get(schema.POINT, "")
                if point in self._cells:
                    self._client.delete_run(run.info.run_id)
                else:
                    self._cells[point] = run.info.run_id
        return self._cells

    def _create_cell(self, trial: EndedTrial, millis: int) -> str:
        tags = {key: trial.tags[key] for key in _FROM_TRIAL if key in trial.tags}
        tags |= {schema.KIND: "cell", schema.POINT: _point(trial.params)}
        name = f"{tags.get(schema.CELL, 'cell')} · mean"
        run = self._client.create_run(self._experiment, millis, run_name=name, tags=tags)
        return run.info.run_id


def _point(params: Params) -> str:
    """Return a cell's searched values as text that no other cell has."""
    return json.dumps(dict(sorted(params)))


def _rows(metrics: Mapping[str, float], millis: int, step: int) -> list[Metric]:
    return [Metric(schema.mlflow_name(key), value, millis, step) for key, value in metrics.items()]
