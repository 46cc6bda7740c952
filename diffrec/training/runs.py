"""Builds the run of any family of recommenders and scores its best state on the test set."""

from diffrec.config.base import ModelConfig
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.evaluation.beyond_accuracy import catalogue_of
from diffrec.evaluation.ranking import EvaluationTask, UserResults, user_results
from diffrec.models.registry import recommender_class
from diffrec.training.closed_form_run import ClosedFormRun
from diffrec.training.run import TrainingRun

Run = TrainingRun | ClosedFormRun

WITH_VALID = "test_with_valid"
"""Prefix of test metrics with train and valid as the query; `test` queries with train alone."""


def build_run(config: ModelConfig, split: TuningSplit, *, device: str = "cpu") -> Run:
    """Return a new run of the family that `config` belongs to."""
    kind = ClosedFormRun if recommender_class(config).overrides("fit") else TrainingRun
    return kind(config, split, device=device)


def score_test(run: Run, test: Interactions) -> dict[str, float]:
    """Return the means of `user_test_scores` by name (`test/recall@20`)."""
    return _prefixed("test", user_test_scores(run, test))


def user_test_scores(run: Run, test: Interactions) -> UserResults:
    """Return the test metrics of the best-validation state, per user.

    The query is the training list; training and validation items are masked (the published
    protocol).
    """
    return _scores(run, test, run.split.train, [run.split.train, run.split.valid])


def metrics_with_valid(run: Run, test: Interactions) -> dict[str, float]:
    """Return test metrics of the best-validation state queried with train and valid together.

    The model has learned from train alone; only its query is longer. The names
    (`test_with_valid/recall@20`) keep them apart from those of the published protocol.
    """
    history = run.split.train.followed_by(run.split.valid)
    return _prefixed(WITH_VALID, _scores(run, test, history, [history]))


def _scores(
    run: Run, test: Interactions, history: Interactions, seen: list[Interactions]
) -> UserResults:
    run.restore_best()
    catalogue = catalogue_of(run.split.train, run.split.item_embeddings)
    tasks = [EvaluationTask(test, seen)]
    return user_results(run.model, history=history, tasks=tasks, catalogue=catalogue)[0]


def _prefixed(prefix: str, results: UserResults) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in results.means().items()}
