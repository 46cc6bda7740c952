"""One study, from the settings to the exit code: here everything is put together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.data import Dataset, load_dataset
from diffrec.errors import UserError
from search_spaces import SearchSpace, get_space
from tune_runner import announce, environment, provenance, records
from tune_runner.folder import StudyFolder, differences, plain
from tune_runner.outbox import Outbox
from tune_runner.placement import Placement, local_resources, place, start_ray
from tune_runner.settings import Plan, StudyConfig, make_plan
from tune_runner.tracking import Tracker

if TYPE_CHECKING:
    from tune_runner.ledger import Ledger
    from tune_runner.trainable import Engine

INTERRUPTED = 130
"""Exit code of a study that was stopped and can go on."""


@dataclass(frozen=True, slots=True)
class _Session:
    """One run of the command on one study."""

    config: StudyConfig
    space: SearchSpace
    plan: Plan
    dataset: Dataset
    folder: StudyFolder
    uri: str

    @property
    def maximize(self) -> bool:
        return self.space.objective.direction == "maximize"


def run_study(config: StudyConfig, *, resume: bool = False, engine: "Engine | None" = None) -> int:
    """Run a study, new or known, and return the exit code of the command.

    Args:
        config: what to study.
        resume: go on with a study that exists; otherwise there must be none of that name.
        engine: builds the runs; the real one if left out.

    Raises:
        UserError: something about the request is wrong; nothing was started.
    """
    space = get_space(config.space)
    plan = make_plan(config, space)
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
    if config.address is None:
        cpus, gpus = local_resources()
        place(config.wish, cpus=cpus, gpus=gpus, trials=plan.trials)
    folder = StudyFolder(Path(config.runs_dir), config.name)
    session = _Session(config, space, plan, dataset, folder, records.default_tracking_uri())
    summary = _summary(session)
    if resume or folder.exists():
        _check_same(folder, summary, resume=resume)
    with folder:
        folder.write(summary)
        return _conduct(session, engine)


def _conduct(session: _Session, engine: "Engine | None") -> int:
    """Start the engines, run the trials, close the books."""
    environment.prepare(local=session.config.address is None)
    # The engines are imported before the tracker's thread starts to import MLflow: two threads that
    # import the same libraries at once may meet half-made modules.
    from tune_runner import running

    ledger = _open_ledger(session)
    tracker = _open_tracker(session)
    state: records.StudyState = "interrupted"
    try:
        ray, dashboard = start_ray(session.config.address)
        there = ray.cluster_resources()
        placement = place(
            session.config.wish,
            cpus=there.get("CPU", 1.0),
            gpus=there.get("GPU", 0.0),
            trials=session.plan.trials,
        )
        _say(_opening(session, placement, dashboard))
        _run(session, ledger, tracker, placement, engine, running)
        state = "complete" if ledger.finished() else "interrupted"
    finally:
        unsent = tracker.close(state)
    return _close(session, ledger, state, unsent)


def _run(
    session: _Session,
    ledger: "Ledger",
    tracker: Tracker,
    placement: Placement,
    engine: "Engine | None",
    running: Any,
) -> None:
    from tune_runner.conductor import Conductor
    from tune_runner.housekeeping import Housekeeper
    from tune_runner.progress import Progress

    space, plan, folder = session.space, session.plan, session.folder
    objective, best = space.objective.name, ledger.best()
    progress = Progress(objective, maximize=session.maximize, concurrent=placement.max_concurrent)
    keeper = Housekeeper(folder.checkpoints, maximize=session.maximize, best=best)
    conductor = Conductor(
        ledger,
        lambda params, seed: space.resolve(
            params, session.config.dataset, seed=seed, overrides=plan.overrides
        ),
        objective=objective,
        checkpoints=folder.checkpoints,
        observers=(tracker, progress, keeper),
    )
    known = None if best is None else (best[1], f"{best[0]:04d}")
    progress.start(ledger.planned(), ledger.ended(), known)
    try:
        running.run_trials(
            conductor,
            session.dataset,
            placement,
            folder=folder.ray,
            engine=engine,
            tick=progress.tick,
        )
    finally:
        progress.stop()


def _close(session: _Session, ledger: "Ledger", state: records.StudyState, unsent: int) -> int:
    """Say how it ended; return the exit code."""
    config, failures = session.config, ledger.failures()
    if not failures:
        shutil.rmtree(session.folder.ray, ignore_errors=True)  # Tune's own; never read again
    if ledger.ended()["complete"] and not unsent:
        _table(session)
    places = {"files": str(session.folder.path), "MLflow": _mlflow_hint(session.uri)}
    _say(
        announce.closing(
            pruned_epochs=ledger.pruned_epochs(), failures=failures, unsent=unsent, places=places
        )
    )
    if state == "interrupted":
        _say(f"Interrupted; go on with: {resume_command(config)}")
        return INTERRUPTED
    return 0 if ledger.ended()["complete"] else 1


def resume_command(config: StudyConfig) -> str:
    """Return the command that goes on with a study."""
    runs = "" if config.runs_dir == "runs" else f" --runs-dir {config.runs_dir}"
    return f"python -m tune_runner --resume {config.name}{runs}"


def _open_ledger(session: _Session) -> "Ledger":
    from tune_runner import ledger as ledgers
    from tune_runner.pruning import make_pruner
    from tune_runner.searching import make_sampler

    config, space, plan = session.config, session.space, session.plan
    first = space.resolve(space.corner_points(1)[0], config.dataset, overrides=plan.overrides)
    pruner = make_pruner(
        plan.pruner,
        max_epochs=first.training.max_epochs,
        eval_every=first.training.eval_every,
    )
    study = ledgers.open_study(
        session.folder.storage_url, config.name, space.objective.direction, pruner
    )
    # A seed that moves on with the study: one that goes on must not draw its first points again.
    study.sampler = make_sampler(plan.sampler, config.seed + len(study.get_trials(deepcopy=False)))
    sampled = plan.sampler != "grid"
    ledger = ledgers.Ledger(study, space, ledgers.Budget(plan.trials, plan.seeds, sampled))
    if not sampled:
        ledger.enqueue_grid()
    return ledger


def _open_tracker(session: _Session) -> Tracker:
    name, uri = session.config.name, session.uri

    def connect() -> Any:
        from tune_runner.mlflow_writer import MlflowWriter

        return MlflowWriter(uri, name)

    tracker = Tracker(Outbox(session.folder.outbox), connect)
    commit, dirty = provenance.git_commit()
    space, dataset, plan = session.space, session.dataset, session.plan
    tags = {
        records.KIND: "study",
        records.STUDY: name,
        records.SPACE: space.name,
        records.OBJECTIVE: space.objective.name,
        records.DIRECTION: space.objective.direction,
        "question": space.question,
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256,
        "protocol": dataset.protocol,
        "embeddings_source": dataset.embeddings_source,
        "sampler": plan.sampler,
        "pruner": plan.pruner,
        "root_seed": str(session.config.seed),
        "command": provenance.command(),
        "git_commit": commit,
        "git_dirty": str(dirty).lower(),
        "preset_source": "; ".join(announce.preset_sources(space, dataset.name)),
    }
    artifacts = {
        records.SPACE_FILE: space.to_dict() | {"plan": plain(asdict(plan))},
        records.ENVIRONMENT_FILE: provenance.environment(),
    }
    tracker.start({"tags": tags, "artifacts": artifacts})
    return tracker


def _summary(session: _Session) -> dict[str, Any]:
    dataset = session.dataset
    return plain(
        {
            "settings": asdict(session.config),
            "space": session.space.to_dict(),
            "plan": asdict(session.plan),
            "dataset": {
                "name": dataset.name,
                "sha256": dataset.sha256,
                "protocol": dataset.protocol,
            },
        }
    )


def _check_same(folder: StudyFolder, new: Mapping[str, Any], *, resume: bool) -> None:
    """Raise UserError unless the study is to be taken up, and is still the same."""
    old = folder.read()
    changed = [
        line
        for part in ("space", "dataset")
        for line in differences(old.get(part), new[part], part)
    ]
    name = folder.path.name
    if changed:
        shown = "; ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")
        raise UserError(
            f"Study {name!r} exists and is another one: {shown}; choose another --name."
        )
    if not resume:
        raise UserError(
            f"Study {name!r} exists already; go on with --resume {name}, or choose another --name."
        )


def _opening(session: _Session, placement: Placement, dashboard: str | None) -> str:
    links = {
        "place": placement.describe(),
        "Ray": dashboard,
        "MLflow": _mlflow_hint(session.uri),
        "files": str(session.folder.path),
        "stop": "Ctrl-C; the study can go on afterwards",
    }
    return announce.opening(session.config, session.space, session.plan, session.dataset, links)


def _mlflow_hint(uri: str) -> str:
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def _table(session: _Session) -> None:
    """Let `analysis` print and save the study's table; it is a room of its own, so a process."""
    if find_spec("analysis") is None or find_spec("analysis.__main__") is None:
        return
    sys.stdout.flush()
    subprocess.run(
        [sys.executable, "-m", "analysis", session.config.name],
        env={**os.environ, "MLFLOW_TRACKING_URI": session.uri},
        check=False,
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
