"""The parts of a study before it runs: its identity, its ledger, its tracker."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from diffrec.config import TrainingConfig
from diffrec.data import Dataset
from diffrec.errors import UserError
from diffrec.families import training_of
from search_spaces import SearchSpace
from search_spaces.reach import variants_of
from tune_runner import announce, provenance, records
from tune_runner.folder import StudyFolder, differences, plain
from tune_runner.outbox import Outbox
from tune_runner.placement import Cluster, Wish
from tune_runner.settings import Plan, StudyConfig
from tune_runner.tracking import Tracker

if TYPE_CHECKING:
    from tune_runner.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command on one study."""

    config: StudyConfig
    space: SearchSpace
    plan: Plan
    dataset: Dataset
    folder: StudyFolder
    uri: str
    wish: Wish
    """The user's, with the number of trials to fuse settled where that can be before Ray runs."""

    @property
    def maximize(self) -> bool:
        """Whether a higher objective is better."""
        return self.space.objective.direction == "maximize"


def open_ledger(session: Session) -> "Ledger":
    """Open the study, new or known, and queue its grid."""
    from tune_runner import ledger as ledgers
    from tune_runner.pruning import make_pruner
    from tune_runner.searching import make_sampler

    config, space, plan = session.config, session.space, session.plan
    made = [space.resolve(p, config.dataset, overrides=plan.overrides) for p in space.one_of_each()]
    # A closed form is over after one step, which no pruner judges: any length will do.
    training = next(filter(None, map(training_of, made)), TrainingConfig())
    pruner = make_pruner(
        plan.pruner, max_epochs=training.max_epochs, eval_every=training.eval_every
    )
    study = ledgers.open_study(
        config.storage or session.folder.storage_url, config.name, space.objective.direction, pruner
    )
    # A seed that moves on with the study: one that goes on must not draw its first points again.
    study.sampler = make_sampler(plan.sampler, config.seed + len(study.get_trials(deepcopy=False)))
    sampled = plan.sampler != "grid"
    ledger = ledgers.Ledger(study, space, ledgers.Budget(plan.trials, plan.seeds, sampled))
    if not sampled:
        ledger.enqueue_grid()
    elif space.start_published:
        variants = variants_of(space) if space.equal_share else variants_of(space)[:1]
        ledger.enqueue_start([space.published_draws(config.dataset, v) for v in variants])
    return ledger


def open_tracker(session: Session, cluster: Cluster) -> Tracker:
    """Begin to tell MLflow; the connection is made in the tracker's own thread."""
    name, uri, identity = session.config.name, session.uri, session.folder.identity()

    def connect() -> Any:
        from tune_runner.mlflow_writer import MlflowWriter

        return MlflowWriter(uri, name, identity)

    tracker = Tracker(Outbox(session.folder.outbox), connect)
    commit = provenance.git_commit()
    space, dataset, plan = session.space, session.dataset, session.plan
    tags = {
        records.KIND: "study",
        records.STUDY: name,
        records.SPACE: space.name,
        records.FOLDER: str(session.folder.path),
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
        records.COMMIT: commit,
        "git_dirty": str(commit.endswith("-dirty")).lower(),
        "preset_source": "; ".join(announce.preset_sources(space, dataset.name)),
    }
    artifacts = {
        records.SPACE_FILE: space.to_dict() | {"plan": plain(asdict(plan))},
        records.ENVIRONMENT_FILE: provenance.environment(
            {"cpus": cluster.cpus, "gpus": cluster.gpus}
        ),
    }
    tracker.start({"tags": tags, "artifacts": artifacts})
    return tracker


def summary(session: Session) -> dict[str, Any]:
    """Return what the study is, as JSON values."""
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


def check_same(folder: StudyFolder, new: Mapping[str, Any], *, resume: bool) -> None:
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
