"""Studies from Python on real Ray: the notebook, a stop and resume, a fault."""

import csv
import io
import re
import shutil
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from analysis.study.mlflow_reader import connect, read_study
from diffrec.__main__ import main as diffrec
from diffrec.errors import UserError
from outside import SPACE_WITHOUT_MODEL
from servers import wait_until
from tune_runner import StudyError, load_study, run_study

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DOCS = Path(__file__).parents[3] / "docs"
NOTEBOOK = nbformat.read(DOCS / "examples" / "study.ipynb", as_version=4)


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_database):
    """The working directory of all studies here, with its own record."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copy(empty_database, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def notebook(place, ray_cluster):
    """The notebook of docs/examples, executed; its study runs on the cluster of the tests."""
    resources = {"metadata": {"path": str(place)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ray_cluster.address)
        return NotebookClient(deepcopy(NOTEBOOK), timeout=200, resources=resources).execute()


@pytest.fixture(scope="module")
def study(place, notebook):
    """The notebook's study, opened in this process."""
    return load_study("dropout")


def test_the_notebook_shows_tables_report_and_recommendations(notebook):
    *_, report, recommended, state = (
        str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"
    )
    assert "Does dropout help" in report
    assert "rank" in recommended
    assert "'complete'" in state


def test_the_notebook_is_kept_without_outputs():
    assert not any(cell.get("outputs") for cell in NOTEBOOK.cells)


def test_every_block_of_the_guide_is_a_cell_of_the_notebook():
    blocks = re.findall(r"```py\n(.*?)\n```", (DOCS / "guides" / "python_api.md").read_text(), re.S)
    assert blocks
    sources = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert [block for block in blocks if block not in sources] == []


def test_trials_and_cells_are_those_of_the_report(study, place):
    recorded = read_study(connect(f"sqlite:///{place / 'mlflow.db'}"), "dropout")
    trials, cells = study.trials(), study.cells()
    assert trials.index.tolist() == [0, 1, 2, 3]
    assert set(trials["state"]) == {"complete"}
    assert trials["seed"].tolist() == [1, 1, 2, 2]
    assert trials["denoiser.dropout"].tolist() == [0.0, 0.5, 0.0, 0.5]
    for trial in recorded.trials:
        for metric, value in trial.metrics.items():
            assert trials.loc[trial.number, metric] == value
    assert cells["cell"].tolist() == [cell.label for cell in recorded.cells]
    assert cells["is_control"].tolist() == [False, True]
    for row, cell in enumerate(recorded.cells):
        assert cells.loc[row, "seeds"] == 2
        assert cells.loc[row, "test/recall@20"] == cell.mean("test/recall@20")
        assert cells.loc[row, "std/test/recall@20"] == cell.deviation("test/recall@20")
    means = trials.groupby("denoiser.dropout")["test/recall@20"].mean()
    ours = cells.set_index("denoiser.dropout")["test/recall@20"]
    assert ours.to_dict() == pytest.approx(means.to_dict())


def test_the_best_trial_is_the_one_of_the_status(study):
    best = study.best()
    assert best.name == study.status().best.number
    assert best["best/valid/recall@20"] == study.trials()["best/valid/recall@20"].max()


def test_the_report_is_made_at_a_call(study):
    page = study.folder / "report" / "report.md"
    before = page.read_text()
    page.unlink()
    assert study.report(figures=False) == page
    assert page.read_text() == before


def test_recommendations_are_those_of_the_command(study, place, capsys):
    capsys.readouterr()
    assert diffrec(["recommend", "--run", "dropout", "--users", "3,7", "-k", "4"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    ours = study.recommend([3, 7], k=4).astype(str)
    assert ours.to_dict("records") == rows
    assert diffrec(["recommend", "--run", "dropout", "--history", "9,1", "-k", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert study.recommend(histories=[[9, 1]], k=2)["item"].tolist() == [
        int(row["item"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"users": [0], "histories": [[1]]}, "give one of the two"),
        ({"users": [10_000]}, "must be one of the dataset's 600 users"),
        ({"histories": [[1], []]}, "that at 1 is empty"),
        ({"k": 0}, "`k` must be 1 or more"),
        ({"k": "3"}, "`k` must be of type int"),
        ({"history_from": "al"}, "`history_from` must be train or all"),
        ({"device": "tpu"}, "must be cpu, or cuda"),
    ],
)
def test_a_bad_query_is_one_sentence(arguments, rule, study, place):
    with pytest.raises(UserError, match=rule):
        study.recommend(**arguments)


def test_a_study_is_found_again_by_name_and_folder(study, place, tmp_path, monkeypatch):
    (place / "elsewhere").mkdir()
    uri = f"sqlite:///{place / 'mlflow.db'}"
    for found in (
        load_study("dropout"),
        load_study("runs/dropout"),
        load_study(place / "runs/dropout"),
    ):
        assert found.status() == study.status()
        assert found.wait() == study.status()
    monkeypatch.chdir(tmp_path)
    found = load_study(place / "runs" / "dropout", tracking_uri=uri)
    assert found.trials().equals(study.trials())
    assert found.recommend([3]).equals(study.recommend([3]))
    assert repr(found) == f"StudyHandle('{place}/runs/dropout')"
    with pytest.raises(UserError, match=r"No study named 'dropuot' .*did you mean 'dropout'"):
        load_study("dropuot", runs_dir=place / "runs")


def test_a_name_that_is_taken_is_refused_as_by_the_command(study, place):
    with pytest.raises(UserError, match=r"exists and is another one: .*; choose another --name"):
        run_study("smoke", name="dropout")
    assert study.status().state == "complete"


LONG = {
    "name": "long",
    "question": "Does one trial go through a stop?",
    "variant": "DiffRec",
    "domains": {"training.learning_rate": [1e-5]},
    "overrides": {"training.max_epochs": 150, "training.eval_every": 5, "training.patience": 150},
}


def test_a_second_study_is_stopped_and_resumed_in_the_session_of_the_caller(place, ray_cluster):
    handle = run_study(LONG, name="second", address=ray_cluster.address)
    wait_until(lambda: any((trial.epoch or 0) >= 5 for trial in handle.status().running), 120)
    with pytest.raises(TimeoutError, match="still runs after 0 seconds"):
        handle.wait(timeout=0)
    other = load_study("second")
    with pytest.raises(UserError, match="being run by another process"):
        other.resume()
    stopped = other.stop(timeout=60)  # it has no process of its own: the folder's lock says whose
    assert (stopped.state, stopped.counts["interrupted"]) == ("stopped", 1)
    assert handle.wait() == other.stop() == stopped
    assert handle.best() is None
    with pytest.raises(UserError, match="--trials cannot be changed with --resume"):
        handle.resume(trials=3)
    assert handle.resume(address=ray_cluster.address) is handle
    assert handle.wait(timeout=200).state == "complete"
    (run,) = handle.trials()["run_id"]
    history = connect(f"sqlite:///{place / 'mlflow.db'}").get_metric_history(run, "train/loss")
    assert [metric.step for metric in history] == list(range(1, 151))
    assert "Interrupted; resume with" in handle.log.read_text()


def test_a_third_one_in_a_ray_of_its_own_fails_and_leaves_the_session_alone(place, ray_cluster):
    import ray

    (place / "bad.py").write_text(SPACE_WITHOUT_MODEL)  # its model is not there
    handle = run_study("bad.py", name="failing", address="local")
    with pytest.raises(StudyError, match="'failing' ended with exit code 1"):
        handle.wait(timeout=200)
    assert handle.best() is None
    assert set(handle.trials()["state"]) == {"failed"}
    assert ray.get(ray.remote(lambda: 3).remote()) == 3
