"""A record that is whole, or a study that says it is not: on real Ray, Optuna and MLflow."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import load_dict

from diffrec.config.preset_choice import DatasetShape
from diffrec.config.presets import preset
from diffrec.errors import UserError
from driver import start_driver
from fake_run import FakeBackend
from faults import Harm, Watch
from servers import wait_until
from tune_runner import exit_codes
from tune_runner.cli.main import main
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.study.config import RunLimits, StudyConfig
from tune_runner.tracking.database import make_database
from tune_runner.tracking_uri import database_path

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PLANT = """
CREATE TRIGGER planted BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'planted'); END
"""


def execute(uri, statement):
    """Run a statement in MLflow's database."""
    with closing(sqlite3.connect(database_path(uri), timeout=60)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def config(write_space):
    """A grid of two rates."""
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6)}', epochs=4)
    return StudyConfig(space=space, name="recorded", request=ResourceRequest(max_concurrent=1))


def test_an_incomplete_record_has_a_reason_an_exit_code_and_a_way_on(
    ray_local, tracking_uri, config, capsys, monkeypatch
):
    monkeypatch.setattr("tune_runner.tracking.tracker._PATIENCE_SECONDS", 3.0)
    tables = []
    monkeypatch.setattr("tune_runner.runner._print_report", tables.append)
    make_database(database_path(tracking_uri))
    execute(tracking_uri, PLANT)
    try:
        assert run_study(config, backend=FakeBackend()) == exit_codes.RECORD_INCOMPLETE
        output = capsys.readouterr()
        assert "(planted), so there is no report" in output.out
        assert output.out.splitlines()[-1].endswith("python -m tune_runner --resume recorded")
        assert "Traceback" not in output.out + output.err
        assert tables == []
        with pytest.raises(UserError, match=r"does not accept the study's record .*planted"):
            run_study(config, resume=True, backend=FakeBackend())
    finally:
        execute(tracking_uri, "DROP TRIGGER planted")
    assert run_study(config, resume=True, backend=FakeBackend()) == exit_codes.COMPLETE
    assert len(tables) == 1
    assert Watch("recorded", tracking_uri).harm() == Harm()


def test_a_refused_start_leaves_nothing_behind(ray_local, config, tmp_path, monkeypatch):
    before = set(tmp_path.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'notes.py'}")
    (tmp_path / "notes.py").write_text("x = 1\n" * 500)
    with pytest.raises(UserError, match="cannot keep the study's record in sqlite:///"):
        run_study(config, backend=FakeBackend())
    assert set(tmp_path.iterdir()) == before | {tmp_path / "notes.py"}


@pytest.mark.parametrize("kind", ["gone", "another's", "cut"])
def test_a_lost_journal_is_refused_and_nothing_is_run_twice(
    kind, ray_local, tracking_uri, config, tmp_path
):
    name = f"journal {kind}"
    config = StudyConfig(space=config.space, name=name, request=config.request)
    diary = tmp_path / "diary"
    assert run_study(config, backend=FakeBackend(diary=str(diary))) == 0
    watch = Watch(name, tracking_uri)
    runs = {run.info.run_id: run.data.metrics for run in watch.runs()[1]}
    journal, ran = Path("runs") / name / "study.log", diary.read_text()
    content = journal.read_bytes()
    journal.unlink()
    if kind == "cut":
        journal.write_bytes(b"".join(content.splitlines(keepends=True)[:6]))
    elif kind == "another's":
        other = StudyConfig(space=config.space, name="another's other", request=config.request)
        assert run_study(other, backend=FakeBackend()) == 0
        shutil.copy(Path("runs") / other.name / "study.log", journal)
    for outbox in (True, False):  # MLflow alone knows it as well
        if not outbox:
            (Path("runs") / name / "tracking.jsonl").unlink()
        with pytest.raises(UserError, match=r"does not hold all|holds another study"):
            run_study(config, resume=True, backend=FakeBackend(diary=str(diary)))
    assert diary.read_text() == ran
    assert {run.info.run_id: run.data.metrics for run in watch.runs()[1]} == runs


@pytest.mark.parametrize("name", ['it\'s "x" 100% a\\b 😀', "n" * 255])
def test_a_study_of_any_name_runs_answers_and_goes_on(
    name, ray_local, tracking_uri, config, capsys
):
    config = StudyConfig(space=config.space, name=name, request=config.request)
    assert run_study(config, backend=FakeBackend()) == 0
    assert main(["--status", name]) == 0
    assert f"study     {name}: fake" in capsys.readouterr().out
    assert run_study(config, resume=True, backend=FakeBackend()) == 0
    from analysis.cli import main as analyse

    capsys.readouterr()
    assert analyse(["--no-figures", "--", name]) == 0
    assert "2 of 2 trials complete" in capsys.readouterr().out
    assert (Path("runs") / name / "report").is_dir()


def test_an_own_dataset_starts_from_the_same_preset_when_resumed(
    ray_local, tracking_uri, config, tmp_path, capsys
):
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    for part, items in (("train", range(8)), ("valid", (8,)), ("test", (9,))):
        pairs = [(user, (user + item) % 20) for user in range(40) for item in items]
        np.save(folder / f"{part}_list.npy", np.array(pairs))
    own_config = replace(
        config, name="own", dataset="mine", data_dir=str(folder), preset_of="yelp_clean"
    )
    once = replace(own_config, limits=RunLimits(trials=1))
    assert run_study(once, backend=FakeBackend()) == exit_codes.COMPLETE
    assert main(["--resume", "own", "--dry-run"]) == 0
    assert run_study(own_config, resume=True, backend=FakeBackend()) == exit_codes.COMPLETE
    (parent,), trials, _ = Watch("own", tracking_uri).runs()
    configs = [load_dict(f"{run.info.artifact_uri}/config.json") for run in trials]
    expected = preset("DiffRec", "mine", shape=DatasetShape(40, 20, 320), like="yelp_clean")
    assert expected.config.training.patience == 2740
    assert parent.data.tags["preset_source"] == expected.source
    assert (parent.data.tags["preset"], parent.data.tags["preset_of"]) == (
        "published",
        "yelp_clean",
    )
    assert [config["training"]["patience"] for config in configs] == [2740, 2740]
    output = capsys.readouterr().out
    assert output.count(f"preset    {expected.source}") == 3


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\tb", "x\udcff", "é" * 128, "a\u2028b"])
def test_names_that_nothing_can_show_are_refused(name, capsys):
    assert main(["--space", "smoke", "--name", name]) == 2
    assert "A study's name must" in capsys.readouterr().err
    assert main(["--status", name]) == 2
    assert main(["--resume", name]) == 2


def test_a_folder_that_is_removed_under_a_study_ends_it_with_a_sentence(
    ray_cluster, tracking_uri, config, tmp_path
):
    diary = tmp_path / "diary"
    driver = start_driver(config, FakeBackend(seconds=0.3, diary=str(diary)), ray_cluster.address)
    wait_until(lambda: diary.exists() and len(diary.read_text().splitlines()) > 1)
    shutil.rmtree(Path("runs") / "recorded")
    driver.join(60)
    output = Path("driver.out").read_text()
    assert driver.exitcode == exit_codes.FAILED, output
    assert "recorded was removed while the study ran" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert not (Path("runs") / "recorded").exists()
