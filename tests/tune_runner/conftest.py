"""Real engines, started once: Ray with two CPUs, one MLflow database."""

import pytest

from search_spaces import Choice, SearchSpace


def pytest_configure(config):
    """Let pass what other libraries warn each other of; ours stay errors."""
    # MLflow 3.17 with SQLAlchemy 2.1
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader:DeprecationWarning")


@pytest.fixture(scope="session")
def ray_local():
    """Ray on this machine with two CPUs, for all tests that need it."""
    from tune_runner import environment

    environment.prepare()
    import ray
    from ray import cloudpickle

    import fake_run

    cloudpickle.register_pickle_by_value(fake_run)  # workers do not have tests/ in their path
    # "local": a cluster that somebody started on this machine is none of ours
    quiet = {"log_to_driver": False, "logging_level": "error"}
    ray.init("local", num_cpus=2, include_dashboard=False, **quiet)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory):
    """URI of a database: making one takes MLflow seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


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
