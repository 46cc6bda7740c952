"""Builds the run of any family of recommenders, and scores its best state on the test set."""

from diffrec.config.families import AnyConfig, TrainedConfig
from diffrec.config.forecasting import ForecastingConfig
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.evaluation.ranking import EvaluationTask, UserResults, user_results
from diffrec.training.closed_form_run import ClosedFormRun
from diffrec.training.forecasting_run import ForecastingRun
from diffrec.training.run import TrainingRun

Run = TrainingRun | ClosedFormRun

WITH_VALID = "test_with_valid"
"""Prefix of test metrics whose query is train and valid together: another protocol than `test`."""


def build_run(config: AnyConfig, split: TuningSplit, *, device: str = "cpu") -> Run:
    """Return a fresh run of whatever family `config` belongs to."""
    if isinstance(config, ForecastingConfig):
        return ForecastingRun(config, split, device=device)
    if isinstance(config, TrainedConfig):
        return TrainingRun(config, split, device=device)
    return ClosedFormRun(config, split, device=device)


def score_test(run: Run, test: Interactions) -> dict[str, float]:
    """Return the means of `user_test_scores`: `test/recall@20` and so on."""
    return {f"test/{name}": value for name, value in user_test_scores(run, test).means().items()}


def user_test_scores(run: Run, test: Interactions) -> UserResults:
    """Score the best-validation state once on the test interactions, user by user.

    History is the training list; training and validation items are masked (the published
    protocol).
    """
    run.restore_best()
    train, valid = run.split.train, run.split.valid
    tasks = [EvaluationTask(test, [train, valid])]
    return user_results(run.model, history=train, tasks=tasks)[0]


def metrics_with_valid(run: Run, test: Interactions) -> dict[str, float]:
    """Return test metrics of the best-validation state queried with train and valid together.

    The model has learned from train alone; it only knows what the user did since. The names,
    `test_with_valid/recall@20` and so on, keep them apart from the published protocol's.
    """
    run.restore_best()
    train, valid = run.split.train, run.split.valid
    history = train.followed_by(valid)
    tasks = [EvaluationTask(test, [history])]
    found = user_results(run.model, history=history, tasks=tasks)[0]
    return {f"{WITH_VALID}/{name}": value for name, value in found.means().items()}
