"""Real engines, started once: Ray with two CPUs, one MLflow database."""

import os
import shutil

import pytest

from search_spaces import Choice, SearchSpace

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="fake", question="Does the service work?", variant="DiffRec",
    overrides={{"training.max_epochs": {epochs}, "training.eval_every": 1}},
    domains={domains},
)
"""


@pytest.fixture(scope="session")
def ray_cluster():
    """A cluster of one node with two CPUs, to which a test may add others."""
    from tune_runner.execution import environment

    environment.prepare()
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # for servers.s3
    os.environ |= {  # a lost node is noticed after two seconds
        "RAY_health_check_initial_delay_ms": "500",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
    }
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    import fake_run

    cloudpickle.register_pickle_by_value(fake_run)  # workers do not have tests/ in their path
    with pytest.MonkeyPatch.context() as patch:
        # Every `ray.init()` of this machine would join this cluster.
        patch.setattr("ray._private.utils.write_ray_address", lambda address: None)
        head = {"num_cpus": 2, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="session")
def ray_local(ray_cluster):
    """Ray on this machine with two CPUs, for all tests that need it."""


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory, empty_database):
    """URI of a database that the studies of one worker share."""
    return f"sqlite:///{shutil.copy(empty_database, tmp_path_factory.mktemp('studies'))}"


@pytest.fixture(autouse=True)
def no_table(monkeypatch):
    """A study ends without the table that `analysis` prints: a process of its own, tested there."""
    monkeypatch.setattr("tune_runner.runner._print_report", lambda session: None)


@pytest.fixture
def tracking_uri(mlflow_database, monkeypatch):
    """The shared database, as the user's tracking server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_database)
    return mlflow_database


@pytest.fixture
def rates():
    """A grid of two cells."""
    return SearchSpace(
        name="rates",
        question="Which rate?",
        variant="DiffRec",
        domains={"training.learning_rate": Choice(0.1, 0.9)},
        replicates=2,
    )


@pytest.fixture
def write_space(tmp_path, monkeypatch):
    """Write a space file into the working directory; return its path."""
    monkeypatch.chdir(tmp_path)

    def write(domains, epochs=8):
        path = tmp_path / "fake.py"
        path.write_text(SPACE.format(domains=domains, epochs=epochs))
        return str(path)

    return write


@pytest.fixture
def study_folder(tmp_path, rates):
    """A study of four trials: one complete, one failed, one running at epoch 5, one waiting."""
    from optuna.pruners import NopPruner

    from tune_runner.search.storage import open_study
    from tune_runner.search.study_store import StudyStore
    from tune_runner.study.config import StudyPlan
    from tune_runner.study.folder import StudyFolder

    folder = StudyFolder(tmp_path, "begun")
    with folder:
        folder.write(
            {
                "settings": {"name": "begun", "storage": None},
                "plan": {"trials": 4, "sampler": "grid"},
                "space": rates.to_dict(),
                "dataset": {"name": "embedded"},
            }
        )
        study = open_study(folder.storage_url, "begun", "maximize", NopPruner(), identity="s")
        store = StudyStore(study, rates, StudyPlan("grid", "none", (1, 2), 4))
        store.enqueue_grid()
        numbers = [store.ask().number for _ in range(3)]
        store.report(numbers[0], 5, 0.25)
        store.complete(numbers[0], 0.25)
        store.fail(numbers[1], "planted")
        store.report(numbers[2], 5, 0.125)
    return folder
