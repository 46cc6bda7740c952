"""Read a study from MLflow: the only module of `analysis` that does. MLflow is imported late."""

import difflib
import itertools
import json
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.study.labels import flat
from analysis.study.model import SEED, Study, Trial
from analysis.study.weight_trajectory import from_record
from diffrec.config.presets import ALL_VARIANTS
from diffrec.errors import UserError
from tune_runner import schema
from tune_runner.tracking_uri import check_readable, database_path, update_artifact_locations

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_PAGE = 1000


def connect(uri: str) -> "MlflowClient":
    """Return a client of the tracking server or database.

    Raises:
        UserError: a local database does not exist (MLflow would make an empty one).
    """
    check_readable(uri, "run a study first, or give --tracking-uri")
    database = database_path(uri)
    if database is not None:
        update_artifact_locations(database)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def read_study(client: "MlflowClient", name: str, identity: str = "") -> Study:
    """Return the study `name`; of several the one with that identity, else the newest.

    Raises:
        UserError: there is no study of that name, or MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        experiment = client.get_experiment_by_name(schema.EXPERIMENT)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"MLflow does not answer ({reason}); check --tracking-uri.") from None
    parent = None
    names: list[str] = []
    if experiment is not None:
        parents = list(_runs(client, experiment.experiment_id, f"tags.{schema.KIND} = 'study'"))
        names = sorted({run.data.tags.get(schema.STUDY, "") for run in parents})
        parent = _one_of(name, parents, identity)
    if experiment is None or parent is None:
        raise UserError(_unknown(name, names))
    children = _runs(
        client,
        experiment.experiment_id,
        f"tags.`{schema.PARENT}` = '{parent.info.run_id}' and tags.{schema.KIND} = 'trial'",
    )
    commits = parent.data.tags.get(schema.COMMIT, "")
    trials = sorted((_trial(run, commits) for run in children), key=lambda trial: trial.number)
    retried = {trial.retry_of for trial in trials}
    current = [trial for trial in trials if trial.number not in retried]
    run_id = parent.info.run_id
    return Study(
        name=name,
        tags=dict(parent.data.tags),
        space=_artifact(client, run_id, schema.SPACE_FILE),
        trials=tuple(trial for trial in current if not trial.role),
        run_id=run_id,
        experiment_id=experiment.experiment_id,
        superseded=tuple(trial for trial in trials if trial.number in retried),
        environments=tuple(_environments(client, run_id)),
        confirmation_trials=tuple(trial for trial in current if trial.role),
        start=_seconds(parent.info.start_time),
        end=_seconds(parent.info.end_time),
        spent={k: v for k, v in parent.data.metrics.items() if k.startswith(schema.SPENT)},
        sessions=_sessions(parent.data.tags.get(schema.SESSIONS, "[]")),
    )


def _one_of(name: str, parents: Sequence["Run"], identity: str) -> "Run | None":
    """Return the study's run; if several have the name, say on standard error which it is."""
    named = [run for run in parents if run.data.tags.get(schema.STUDY) == name]
    matching = [run for run in named if run.data.tags.get(schema.STUDY_ID, "") == identity]
    newest = max(matching or named, key=lambda run: run.info.start_time, default=None)
    if len(named) > 1 and not (identity and matching) and newest is not None:
        start = datetime.fromtimestamp(newest.info.start_time / 1000, UTC)
        sys.stderr.write(
            f"note: MLflow has {len(named)} studies named {name}; shown is the one that began on "
            f"{start:%Y-%m-%d %H:%M} UTC\n"
        )
    return newest


def _unknown(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if close:
        return f"No study named {name!r} in MLflow; the nearest names are {', '.join(close)}."
    if names:
        return f"No study named {name!r} in MLflow; it knows {', '.join(names[:10])}."
    return f"No study named {name!r} in MLflow, and no other; run one with tune_runner first."


def with_curves(client: "MlflowClient", study: Study, metrics: Sequence[str]) -> Study:
    """Return the study with the values of `metrics` in every epoch."""
    trials = []
    for trial in study.trials:
        curves = {}
        for metric in metrics:
            if metric in trial.metrics:
                history = client.get_metric_history(trial.run_id, schema.mlflow_name(metric))
                curves[metric] = {m.step: m.value for m in sorted(history, key=lambda m: m.step)}
        trials.append(replace(trial, curves=curves))
    return replace(study, trials=tuple(trials))


def with_weights(client: "MlflowClient", study: Study) -> Study:
    """Return the study with the learned weights of the complete trials that have any."""
    in_space = _may_learn(json.dumps(study.space))
    trials = []
    for trial in study.trials:
        if trial.state == "complete" and (
            in_space or _may_learn(trial.variant) or _is_outside(trial.variant)
        ):
            record = _artifact(client, trial.run_id, schema.WEIGHTS_FILE)
            trial = replace(trial, weights=from_record(record))
        trials.append(trial)
    return replace(study, trials=tuple(trials))


def _may_learn(text: str) -> bool:
    """Return whether a variant's name, or what a space searches, may mean learned weights."""
    return "learned" in text or "LTW" in text


def _is_outside(variant: str) -> bool:
    """Return whether a recommender from outside trained a trial: it may learn weights, too."""
    return bool(variant) and variant.partition("+")[0] not in ALL_VARIANTS


def with_users(client: "MlflowClient", study: Study) -> Study:
    """Return the study with the single users' results that its complete trials recorded.

    Nothing is read without a control, since nothing would be compared.
    """
    if study.control is None:
        return study
    trials = []
    for trial in study.trials:
        if trial.state == "complete":
            record = _artifact(client, trial.run_id, schema.USERS_FILE)
            pairs = zip(record.get("users", ()), record.get("values", ()), strict=True)
            trial = replace(trial, users=dict(pairs))
        trials.append(trial)
    return replace(study, trials=tuple(trials))


def with_configs(client: "MlflowClient", study: Study) -> Study:
    """Return the study with the resolved configuration of each cell's first trial."""
    firsts = {cell.trials[0].number for cell in study.cells}
    trials = []
    for trial in study.trials:
        if trial.number in firsts:
            config = _artifact(client, trial.run_id, schema.CONFIG_FILE)
            trial = replace(trial, config=flat(config))
        trials.append(trial)
    return replace(study, trials=tuple(trials))


def _runs(client: "MlflowClient", experiment: str, condition: str) -> Iterator["Run"]:
    token = None
    while True:
        page = client.search_runs([experiment], condition, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _trial(run: "Run", commits: str) -> Trial:
    """Return the trial of a run; `commits` are the study's, used if it recorded none."""
    tags = run.data.tags
    params = {path: parse(text) for path, text in run.data.params.items()}
    seed = params.pop(SEED, None)
    pruned_at, retry_of = tags.get(schema.PRUNED_AT), tags.get(schema.RETRY_OF)
    return Trial(
        number=int(tags.get(schema.TRIAL_NUMBER, "0")),
        state=_state(run),
        params=params,
        seed=seed if isinstance(seed, int) else None,
        variant=tags.get(schema.VARIANT, ""),
        metrics={schema.from_mlflow_name(key): v for key, v in run.data.metrics.items()},
        pruned_at=None if pruned_at is None else int(pruned_at),
        error=tags.get(schema.ERROR, ""),
        retry_of=None if retry_of is None else int(retry_of),
        start=_seconds(run.info.start_time),
        end=_seconds(run.info.end_time),
        run_id=run.info.run_id,
        commits=tuple(filter(None, tags.get(schema.COMMIT, commits).split(", "))),
        role=tags.get(schema.ROLE, ""),
    )


def _state(run: "Run") -> str:
    """Return the trial's state; one that a stopped driver left open is `interrupted`."""
    state = run.data.tags.get(schema.STATE, "running")
    return "interrupted" if state == "running" and run.info.status != "RUNNING" else state


def parse(text: str) -> Any:
    """Return the value of a parameter's text: JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return {"None": None, "True": True, "False": False}.get(text, text)


def _seconds(millis: int | None) -> float:
    return math.nan if millis is None else millis / 1000


def _sessions(text: str) -> tuple[tuple[float, float], ...]:
    return tuple((start, math.nan if end is None else end) for start, end in json.loads(text))


def _environments(client: "MlflowClient", run_id: str) -> Iterator[dict[str, Any]]:
    """Return each environment that a study ran in, in order."""
    stem, suffix = schema.ENVIRONMENT_FILE.split(".")
    for number in itertools.count(1):
        name = f"{stem}_{number}.{suffix}" if number > 1 else schema.ENVIRONMENT_FILE
        environment = _artifact(client, run_id, name)
        if not environment:
            return
        yield environment


def _artifact(client: "MlflowClient", run_id: str, name: str) -> dict[str, Any]:
    """Return a JSON artifact; empty if it is missing: tables can do without."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = client.download_artifacts(run_id, name, folder)
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (MlflowException, OSError, ValueError):
            return {}
    return content if isinstance(content, dict) else {}
