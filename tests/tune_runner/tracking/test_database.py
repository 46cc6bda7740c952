"""MLflow's store before a study: made whole, of a kind that keeps a record, its paths any path."""

import multiprocessing
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

from analysis.study.mlflow_reader import connect, read_study
from diffrec.errors import UserError
from servers import free_port, wait_until
from tune_runner.tracking.database import make_database, open_store
from tune_runner.tracking.mlflow_writer import MlflowWriter
from tune_runner.tracking_uri import (
    check_tracking_uri,
    database_path,
    database_url,
    default_tracking_uri,
    path_beside,
)

FOLDERS = ["plain", "blank and ~", "#hash", "what?", "100%", "%20", "a#b?c%20d é 😀", "quote's \\"]
NAMES = [
    "it's",
    'say "x"',
    "'\"`",
    "100%",
    "a\\b",
    "😀🤝🏽",
    "-x",
    "n" * 255,
    "%' OR tags.kind = 'x",
]


def message(kind, **content):
    return {"what": kind, "time": 1.0, **content}


def whole_study(name):
    """Messages of a study with one trial, both with artifacts."""
    start = {"name": "0000 x", "params": {"seed": 1}, "config": {"a": 1}, "variant": "DiffRec"}
    end = {"state": "complete", "epoch": 1, "metrics": {"best/recall@20": 0.5}, "error": None}
    tags = {"kind": "study", "study": name, "dataset": "d"}
    return [
        message("study", tags=tags, artifacts={"space.json": {"name": "space of " + name}}),
        message("start", trial=0, retry_of=None, **start),
        message("end", trial=0, **end),
        message("close", state="complete"),
    ]


def forget_connections():
    """Have MLflow open a relative URL anew: it keeps connections by their URL."""
    TrackingStoreRegistry._get_store_with_resolved_uri.cache_clear()
    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()
    SqlAlchemyStore._engine_map.clear()


@pytest.fixture
def project(tmp_path, empty_database, monkeypatch):
    """Make a working directory of that name, with a database; nothing else is there."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_database, folder)
        monkeypatch.chdir(folder)
        forget_connections()
        return folder

    yield make
    forget_connections()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_path_becomes_a_url_and_comes_back(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    folder = Path.cwd()
    assert database_path(database_url(Path("mlflow.db"))) == folder / "mlflow.db"
    assert database_path(database_url(folder / "sub" / "x.db")) == folder / "sub" / "x.db"
    other = database_url(tmp_path / "other.db")
    assert database_path(other).resolve() == (tmp_path / "other.db").resolve()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_study_is_recorded_and_read_wherever_it_lies(name, project):
    folder = project(name)
    uri = default_tracking_uri()
    MlflowWriter(uri, "s", "id").apply(whole_study("s"))
    study = read_study(connect(uri), "s", "id")
    assert study.space == {"name": "space of s"}
    assert study.trials[0].metrics == {"best/recall@20": 0.5}
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow.db", "mlruns"]
    assert [path.name for path in folder.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_recorded_and_read(name, project):
    project("names")
    uri = default_tracking_uri()
    for _ in range(2):  # the second time the runs are found again
        MlflowWriter(uri, name, "id").apply(whole_study(name))
    MlflowWriter(uri, "other", "other").apply(whole_study("other"))
    study = read_study(connect(uri), name)
    assert study.space == {"name": "space of " + name}
    assert len(study.trials) == 1


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_project_that_was_moved_or_copied_still_works_whole(how, project, monkeypatch):
    before = project("before #1")
    MlflowWriter(default_tracking_uri(), "s", "id").apply(whole_study("s"))
    after = before.with_name("after ?2")
    shutil.copytree(before, after)
    if how == "moved":
        monkeypatch.chdir(after)
        shutil.rmtree(before)
    files = {path for path in before.rglob("*") if path.is_file()}
    monkeypatch.chdir(after)
    uri = default_tracking_uri()
    forget_connections()
    assert read_study(connect(uri), "s").space == {"name": "space of s"}
    MlflowWriter(uri, "t", "id2").apply(whole_study("t"))
    assert read_study(connect(uri), "t").space == {"name": "space of t"}
    assert {path for path in before.rglob("*") if path.is_file()} == files
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("diffrec")
    assert experiment.artifact_location == (after / "mlruns" / "diffrec").as_uri()


def test_what_lies_beside_the_database_is_recorded_relative_to_it(tmp_path):
    database = tmp_path / "mlflow.db"
    assert path_beside(database, tmp_path / "runs" / "s") == "runs/s"
    assert path_beside(database, tmp_path.parent / "s") == str(tmp_path.parent / "s")
    assert path_beside(None, tmp_path / "s") == str(tmp_path / "s")


def test_a_first_start_that_was_killed_goes_on(tmp_path):
    path = tmp_path / "mlflow.db"
    half = tmp_path / ".mlflow.db.new"
    making = multiprocessing.get_context("fork").Process(target=make_database, args=(path,))
    making.start()
    wait_until(lambda: half.exists() and half.stat().st_size > 100_000)
    making.kill()
    making.join()
    assert not path.exists()
    uri = database_url(path)
    MlflowWriter(uri, "s", "id").apply(whole_study("s"))
    assert len(read_study(connect(uri), "s").trials) == 1
    assert not half.exists()


def test_a_deleted_experiment_or_run_is_restored(project):
    project("deleted")
    uri = default_tracking_uri()
    client = MlflowClient(uri)
    MlflowWriter(uri, "s", "id").apply(whole_study("s"))
    study = read_study(connect(uri), "s")
    client.delete_run(study.trials[0].run_id)
    client.delete_run(study.run_id)
    client.delete_experiment(client.get_experiment_by_name("diffrec").experiment_id)
    MlflowWriter(uri, "s", "id").apply(whole_study("s"))
    restored = read_study(connect(uri), "s")
    assert (restored.run_id, restored.trials[0].run_id) == (study.run_id, study.trials[0].run_id)


@pytest.mark.parametrize(
    "uri",
    [
        "mlruns",
        "/abs/mlruns",
        "file:///x",
        "file:x",
        "sqlite://x.db",
        "sqlite:x.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory",
        "x.db",
        "~/mlflow.db",
    ],
)
def test_what_keeps_no_record_is_refused_with_the_way_that_does(uri):
    with pytest.raises(UserError, match=r"sqlite:///mlflow\.db"):
        check_tracking_uri(uri)


@pytest.mark.parametrize("scheme", ["http://", "https://", "postgresql+psycopg://u@", "mysql://u@"])
def test_a_server_that_is_away_is_one_sentence_at_once(scheme):
    with pytest.raises(UserError, match="does not answer"):
        open_store(f"{scheme}127.0.0.1:{free_port()}/x")


def test_a_database_of_another_version_is_refused_with_the_command_that_mends_it(project):
    from tune_runner.tracking.tracker import open_writer

    class Session:
        uri = default_tracking_uri
        config = type("Config", (), {"name": "s"})
        folder = type("Folder", (), {"identity": staticmethod(lambda: "id")})

    path = project("old") / "mlflow.db"
    Session.uri = default_tracking_uri()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
    with pytest.raises(UserError, match="run: mlflow db upgrade sqlite:///"):
        open_writer(Session)
    path.write_text("notes")
    forget_connections()
    with pytest.raises(UserError, match="cannot keep the study's record"):
        open_writer(Session)
