"""Runs the controller's trials on Ray Tune, to the end of the study or the first signal.

Each run of the command is a fresh Tune run over the study: nothing of Tune's own is ever restored.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Tune imports these when a run begins, MLflow's among them: here, so that it is done in one thread.
import ray.air.integrations.comet
import ray.air.integrations.mlflow
import ray.air.integrations.wandb
import ray.tune.logger.aim  # noqa: F401
from ray import tune

from tune_runner.execution.elastic import MAX_PENDING, ElasticCluster
from tune_runner.execution.stop_signals import StopSignals
from tune_runner.execution.tune_adapters import PruningScheduler, StudyGuard, StudySearcher
from tune_runner.resources.allocation import TrialResources
from tune_runner.trials.controller import StudyController
from tune_runner.trials.groups import ASSIGNMENT
from tune_runner.worker.trainable import RecommenderTrainable

if TYPE_CHECKING:
    from diffrec.data import Dataset
    from tune_runner.worker.backend import TrainingBackend


def run_trials(
    controller: StudyController,
    dataset: "Dataset",
    resources: TrialResources,
    *,
    folder: Path,
    elastic: ElasticCluster | None = None,
    backend: "TrainingBackend | None" = None,
    tick: Callable[[], None] = lambda: None,
    on_stop: Callable[[str], None] = lambda cause: None,
) -> None:
    """Run until the study's budget is spent, or until SIGINT or SIGTERM.

    Args:
        controller: gives out the trials and takes their reports.
        dataset: put into Ray's object store once; every worker reads it without a copy.
        resources: what a trial gets.
        folder: Tune's own files.
        elastic: follows a cluster that grows and shrinks; None: `resources` says how many.
        backend: builds the runs; None: `TrainingBackend`.
        tick: called often, from this thread.
        on_stop: called at once when a signal asks for a stop, from another thread.

    Raises:
        KeyboardInterrupt: Ctrl-C was given again while the run was being stopped.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # Tune would request one trial at a time, and start the workers one after the other.
    pending = resources.max_concurrent if elastic is None else MAX_PENDING
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(pending))
    # Tune would restart a preempted trial itself, without the controller.
    os.environ["RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE"] = "1"
    trainable = tune.with_resources(
        tune.with_parameters(RecommenderTrainable, data=dataset, backend=backend),
        lambda config: tune.PlacementGroupFactory([config[ASSIGNMENT].resources.bundle]),
    )
    # What Ray's dashboard calls the workers; Tune's own wrapper has no name that says anything.
    trainable.__name__ = trainable.__qualname__ = RecommenderTrainable.__name__
    stops = StopSignals(on_stop)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(controller, elastic),
            scheduler=PruningScheduler(controller),
            num_samples=-1,  # the study's budget ends it
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(folder),
            verbose=0,
            # Tune would save at the end of every trial; trials save their own checkpoints.
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=tune.FailureConfig(max_failures=0),  # see tune_runner.trials.retries
            callbacks=[StudyGuard(controller, tick, stops)],
        ),
    )
    with stops:
        tuner.fit()


def _name(trial: Any) -> str:
    return trial.config[ASSIGNMENT].name


def _folder_name(trial: Any) -> str:
    return f"trial_{trial.config[ASSIGNMENT].number:04d}_{trial.trial_id}"
