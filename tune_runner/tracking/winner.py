"""The winner of a recorded study, and what its confirmation says about it, read from MLflow.

The winner's cell and its rival are those of the report (`analysis.comparisons.confirmation`): the
best mean of the objective in the search, and the control. Only fresh seeds are compared.
"""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from diffrec.errors import UserError
from diffrec.evaluation.paired import LEVEL, Estimate, estimates, verdict
from search_spaces import Objective
from search_spaces.objectives import Goals
from tune_runner import schema
from tune_runner.tracking.summaries import goals_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

Params = frozenset[tuple[str, str]]
"""Searched values as MLflow keeps them, without the seed: (path, text)."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Judgement:
    """Answer to "is it better than what it would replace?", with its reason, one sentence."""

    is_better: bool
    reason: str


@dataclass(frozen=True)
class RecordedStudy:
    """A study as MLflow holds it: its run, and those of its trials that count."""

    client: "MlflowClient"
    run: "Run"
    trials: tuple["Run", ...]
    """Trials in order of their numbers, without those that were run again under another one."""

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.run.data.tags[schema.STUDY]

    @cached_property
    def objective(self) -> Objective:
        """Metric that the study selects by."""
        tags = self.run.data.tags
        maximize = tags.get(schema.DIRECTION, "maximize") != "minimize"
        return Objective(tags[schema.OBJECTIVE], "maximize" if maximize else "minimize")

    @cached_property
    def goals(self) -> Goals | None:
        """Several objectives, or the constraint; None: the objective alone decides."""
        return goals_of(self.run.data.tags)

    @property
    def score_key(self) -> str:
        """Name in MLflow of a trial's best value of the objective."""
        return schema.mlflow_name(f"best/{self.objective.name}")

    def best_trials(self) -> list["Run"]:
        """Return the complete trials, the best by validation first, confirmations among them."""
        key = self.score_key
        scored = [run for run in self.trials if is_complete(run) and key in run.data.metrics]
        if self.goals is not None:  # of the point that the constraint leaves as the winner
            scored = [run for run in scored if run.data.tags.get(schema.FRONT) == "true"]
            return sorted(scored, key=number_of)
        return sorted(scored, key=lambda run: self.objective.sort_key(run.data.metrics[key]))

    def cells(self, *, fresh: bool) -> dict[Params, list["Run"]]:
        """Return the complete trials of the search, or those on fresh seeds, by cell."""
        cells: dict[Params, list[Run]] = {}
        for run in self.trials:
            if is_complete(run) and (schema.ROLE in run.data.tags) == fresh:
                cells.setdefault(params_of(run), []).append(run)
        return cells

    def ranked(self) -> list[Params]:
        """Return the cells of the search, the best mean of the objective first.

        Those that a constraint leaves out come last.
        """
        means, limited = {}, {}
        constraint = None if self.goals is None else self.goals.constraint
        for params, runs in self.cells(fresh=False).items():
            values = by_seed(runs, self.score_key)
            if values:
                means[params] = mean(values.values())
                if constraint is not None:
                    key = schema.mlflow_name(f"best/{constraint.metric.name}")
                    limited[params] = mean(by_seed(runs, key).values())
        outside: set[Params] = set()
        if constraint is not None and limited:
            best = constraint.best(list(limited.values()))
            outside = {p for p, value in limited.items() if constraint.violation(value, best) > 0}
        return sorted(means, key=lambda p: (p in outside, self.objective.sort_key(means[p])))

    def control(self) -> Params | None:
        """Return the space's control; None if it has none."""
        control = artifact(self.client, self.run, schema.SPACE_FILE).get("control")
        if control is None:
            return None
        return frozenset((path, text_of(value)) for path, value in control.items())


def read_recorded(client: "MlflowClient", study: "Run") -> RecordedStudy:
    """Return a study and its trials."""
    condition = f"tags.`{schema.PARENT}` = '{study.info.run_id}' and tags.{schema.KIND} = 'trial'"
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [study.info.experiment_id], condition, max_results=_PAGE, page_token=token
        )
        runs += page
        token = page.token
        if not token:
            break
    retried = {run.data.tags.get(schema.RETRY_OF) for run in runs}
    trials = [run for run in runs if run.data.tags[schema.TRIAL_NUMBER] not in retried]
    return RecordedStudy(client, study, tuple(sorted(trials, key=number_of)))


def number_of(run: "Run") -> int:
    """Return the number of a trial's run."""
    return int(run.data.tags[schema.TRIAL_NUMBER])


def params_of(run: "Run") -> Params:
    """Return the searched values of a trial."""
    return frozenset((path, v) for path, v in run.data.params.items() if path != schema.SEED)


def is_complete(run: "Run") -> bool:
    """Return whether a trial has a result."""
    return run.data.tags.get(schema.STATE) == "complete"


def by_seed(runs: Sequence["Run"], metric: str) -> dict[str, float]:
    """Return a metric of complete trials by seed; of a seed that ran twice the last one's."""
    values = {run.data.params.get(schema.SEED, ""): run.data.metrics.get(metric) for run in runs}
    return {s: v for s, v in values.items() if v is not None and not math.isnan(v)}


def text_of(value: Any) -> str:
    """Return a parameter's value as MLflow keeps it."""
    return value if isinstance(value, str) else json.dumps(value)


def artifact(client: "MlflowClient", run: "Run", name: str) -> dict[str, Any]:
    """Return a JSON artifact of a run; empty if it is missing."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = client.download_artifacts(run.info.run_id, name, folder)
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (MlflowException, OSError, ValueError):
            return {}
    return content if isinstance(content, dict) else {}


def label_of(run: "Run") -> str:
    """Return the values of a trial's cell, for people."""
    return run.data.tags.get(schema.CELL) or schema.cell_label(dict(sorted(params_of(run))))


def judge_winner(
    study: RecordedStudy, trial: "Run", champion: "tuple[str, RecordedStudy, Run] | None"
) -> Judgement:
    """Return whether fresh seeds show that a trial's cell is better than what it would replace.

    Args:
        study: the trial's.
        trial: the one to be registered.
        champion: version of the current champion, its study and its trial; None: the control, or
            else the best of the others, is the rival.
    """
    ranked, fresh = study.ranked(), study.cells(fresh=True)
    ours = params_of(trial)
    if ranked and ranked[0] != ours:
        best = study.cells(fresh=False)[ranked[0]][0]
        return Judgement(
            False,
            f"The kept checkpoint is of {label_of(trial)}, the best single trial, but the best "
            f"mean over seeds, which a confirmation is about, is that of {label_of(best)}.",
        )
    if ours not in fresh:
        return Judgement(
            False,
            "It was not run on fresh seeds, so nothing shows that it is better than "
            f"{'the control' if champion is None else f'the champion, version {champion[0]}'}; "
            "resume the study with --confirm 5 and register again.",
        )
    values = by_seed(fresh[ours], _METRIC)
    if champion is None:
        candidates = [study.control(), *ranked[1:]]
        rivals = [cell for cell in candidates if cell in fresh and cell != ours]
        if not rivals:
            return Judgement(False, "Its rival has no result on fresh seeds, so nothing compares.")
        is_control = rivals[0] == study.control()
        rival = f"{'the control ' if is_control else ''}{label_of(fresh[rivals[0]][0])}"
        return _compare(values, by_seed(fresh[rivals[0]], _METRIC), rival)
    return _against_champion(study, trial, champion, values)


_METRIC = schema.mlflow_name(schema.COMPARED_METRIC)


def _against_champion(
    study: RecordedStudy,
    trial: "Run",
    champion: "tuple[str, RecordedStudy, Run]",
    values: Mapping[str, float],
) -> Judgement:
    """Compare with the champion on the fresh seeds that either study ran it on."""
    version, its_study, its_trial = champion
    name = f"the champion, version {version}"
    for tag in ("dataset", "dataset_sha256", schema.PROTOCOL):
        ours, theirs = (s.run.data.tags.get(tag) for s in (study, its_study))
        if ours != theirs:
            return Judgement(
                False,
                f"It was trained on other data than {name} ({tag} {ours} and {theirs}), so nothing "
                "compares them.",
            )
    config = _config(study.client, its_trial)
    if config and config == _config(study.client, trial):
        return Judgement(False, f"It has the very configuration of {name}.")
    theirs = by_seed(its_study.cells(fresh=True).get(params_of(its_trial), []), _METRIC)
    for runs in study.cells(fresh=True).values():
        if config and config == _config(study.client, runs[0]):
            theirs |= by_seed(runs, _METRIC)
    return _compare(values, theirs, name)


def _config(client: "MlflowClient", run: "Run") -> dict[str, Any]:
    """Return the whole configuration of a trial without its seed; empty if it is not recorded."""
    config = artifact(client, run, schema.CONFIG_FILE)
    return {key: value for key, value in config.items() if key != schema.SEED}


def _compare(ours: Mapping[str, float], theirs: Mapping[str, float], rival: str) -> Judgement:
    """Judge the paired differences on the seeds that both ran."""
    seeds = sorted(ours.keys() & theirs.keys())
    (estimate,) = estimates([[ours[seed] - theirs[seed] for seed in seeds]])
    found = verdict(estimate, estimate.p)
    if found == "unknown":
        return Judgement(
            False,
            f"It and {rival} have {len(seeds)} fresh seeds in common, with fewer than three "
            "different differences, so nothing is shown; confirm both on more of the same seeds.",
        )
    words = {
        "better": f"better than {rival}",
        "worse": f"worse than {rival}",
        "within noise": f"not shown to be better than {rival}, from which it differs within noise",
        "the same": f"not better than {rival}, which gave the same values",
    }
    return Judgement(found == "better", f"On fresh seeds it is {words[found]}: {_size(estimate)}.")


def _size(estimate: Estimate) -> str:
    interval = ""
    if estimate.is_known:
        interval = f"{LEVEL:.0%} interval {estimate.low:+.4f} to {estimate.high:+.4f}, "
    return f"{schema.COMPARED_METRIC} {estimate.mean:+.4f} ({interval}{estimate.n} seeds)"


def winning_trials(study: RecordedStudy) -> list["Run"]:
    """Return the best complete trial; several if their values are equal.

    Raises:
        UserError: none is complete, or several objectives leave no single winner.
    """
    if study.goals is not None and len(study.goals.objectives) > 1:
        raise UserError(
            f"Study {study.name!r} has several objectives, so a front of points is its answer and "
            "none of them its winner; choose one by a study with a constraint."
        )
    ranked, key = study.best_trials(), study.score_key
    if not ranked:
        raise UserError(
            f"Study {study.name!r} has no finished trial with a result, so there is nothing to "
            "register; resume it first."
        )
    if study.goals is not None:
        return ranked
    best = ranked[0].data.metrics[key]
    return [run for run in ranked if run.data.metrics[key] == best]
