"""Opens the store of a study, with its sampler, its pruner and what it begins with."""

from typing import TYPE_CHECKING, Any

from diffrec.config import TrainingConfig
from diffrec.config.families import training_of
from search_spaces.variants import variants_of
from tune_runner.events import RecordedTrials
from tune_runner.search import notes, storage
from tune_runner.search.coordinates import coordinates
from tune_runner.search.pruners import make_pruner
from tune_runner.search.samplers import make_sampler
from tune_runner.search.study_store import StudyStore
from tune_runner.search.warm_start import earlier_points

if TYPE_CHECKING:
    from tune_runner.study.session import StudySession


def open_study_store(session: "StudySession", recorded: RecordedTrials) -> StudyStore:
    """Open the study, new or known, and queue its grid.

    Args:
        session: the study.
        recorded: trials that it must hold.

    Raises:
        UserError: its storage has lost some, or holds another study.
    """
    config, space, plan = session.config, session.space, session.plan
    configs = [
        space.resolve(p, plan.target, overrides=plan.overrides)
        for p in space.one_point_per_variant()
    ]
    # A closed form is over after one step, which no pruner judges: any length will do.
    training = next(filter(None, map(training_of, configs)), TrainingConfig())
    pruner = make_pruner(
        plan.pruner, max_epochs=training.max_epochs, eval_every=training.eval_every
    )
    study = storage.open_study(
        config.storage or session.folder.storage_url,
        config.name,
        [objective.direction for objective in space.goals.objectives],
        pruner,
        identity=session.folder.identity(),
        recorded=recorded,
    )
    # The seed depends on the study's length: a resumed one must not draw its first points again.
    drawn = len(study.get_trials(deepcopy=False))
    study.sampler = make_sampler(plan.sampler, space, config.seed + drawn)
    notes.name_objectives(study, [objective.name for objective in space.goals.objectives])
    notes.note_study(study, space.question)
    store = StudyStore(study, space, plan)
    if not plan.is_sampled:
        store.enqueue_grid()
        return store
    starts: list[dict[str, Any]] = []
    if space.start_published:
        variants = variants_of(space) if space.equal_share else variants_of(space)[:1]
        published = [space.published_samples(plan.target, v) for v in variants]
        starts = [coordinates(space, samples) for samples in published]
    if config.start_from is not None and not drawn:
        found = earlier_points(config.runs_dir, config.start_from, space)
        starts += [point for point in found if point not in starts]
    store.enqueue_start(starts)
    return store
