"""Studies from Python: the same rules as the command, real studies beside a Ray session of ours."""

import csv
import inspect
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.study.mlflow_reader import connect, read_study
from diffrec.__main__ import main as diffrec
from diffrec.errors import UserError
from search_spaces import SPACES, Choice, SearchSpace, get_space
from servers import wait_until
from tune_runner import StudyError, load_study, run_study
from tune_runner.api.process import describe_call
from tune_runner.cli.arguments import parser
from tune_runner.cli.main import main
from tune_runner.study.options import RESUME_DEFAULTS, STUDY_DEFAULTS
from tune_runner.study.spaces import space_setting, study_space

RATES = SearchSpace(
    name="rates",
    question="Which rate?",
    variant="DiffRec",
    domains={
        "training.learning_rate": Choice(1e-3, 1e-4),
        "denoiser.hidden_dims": Choice((50, 20)),
    },
    overrides={"training.max_epochs": 4, "training.eval_every": 2},
    control={"training.learning_rate": 1e-4, "denoiser.hidden_dims": (50, 20)},
    replicates=2,
)


def test_nothing_heavy_is_imported_before_a_study_is_read():
    code = (
        "import sys, tune_runner; light = set(sys.modules); from tune_runner import run_study, "
        "load_study; heavy = {'torch', 'ray', 'optuna', 'mlflow', 'pandas'} & set(sys.modules); "
        "print(sorted(heavy), 'tune_runner.api' in light, 'search_spaces' in light)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False False\n"


def test_the_options_are_the_flags_with_their_defaults(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    flags = vars(parser().parse_args([]))
    looks = {"space", "list", "dry_run", "probe", "status", "json", "resume"}
    assert flags.keys() - looks == STUDY_DEFAULTS.keys() | RESUME_DEFAULTS.keys()
    assert {name: flags[name] for name in STUDY_DEFAULTS} == STUDY_DEFAULTS
    assert {name: flags[name] for name in RESUME_DEFAULTS} == RESUME_DEFAULTS


def test_help_and_completion_show_the_options():
    import tune_runner

    options = inspect.signature(run_study).parameters
    assert list(options) == ["space", *STUDY_DEFAULTS]
    assert options["seed"].default == 1
    resume = inspect.signature(tune_runner.StudyHandle.resume).parameters
    assert list(resume) == ["self", *RESUME_DEFAULTS]
    assert {"run_study", "load_study", "StudyHandle", "StudyError"} <= set(dir(tune_runner))
    with pytest.raises(AttributeError, match="no attribute 'run_studies'"):
        _ = tune_runner.run_studies


REFUSED = {
    "an unknown space": ("smokes", {}),
    "no trials": ("smoke", {"trials": 0}),
    "an unknown sampler": ("smoke", {"sampler": "tpee"}),
    "a negative seed": ("smoke", {"seed": -1}),
    "a name with a slash": ("smoke", {"name": "a/b"}),
    "no cluster's address": ("smoke", {"address": "ftp"}),
    "a reserved resource": ("smoke", {"resources": {"CPU": 1}}),
    "no hours": ("smoke", {"max_hours": 0}),
    "an unknown dataset": ("smoke", {"dataset": "nowhere"}),
    "no folder": ("smoke", {"runs_dir": ""}),
    "an unknown preset": ("smoke", {"preset_of": "nix"}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_bad_argument_is_refused_in_the_sentence_of_the_command(
    fault, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    space, options = REFUSED[fault]
    flags = [
        part
        for name, value in options.items()
        for part in (
            f"--{name.replace('_', '-')}",
            json.dumps(value) if isinstance(value, dict) else str(value),
        )
    ]
    assert main(["--space", space, *flags]) == 2
    said = capsys.readouterr().err.removeprefix("error: ").strip()
    with pytest.raises(UserError) as caught:
        run_study(space, **options)
    expected = said.replace("argument --runs-dir:", "--runs-dir").split("; see --help")[0]
    assert str(caught.value).replace("{'CPU': 1}", "'{\"CPU\": 1}'").startswith(expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("smoke", {"trails": 3}), r"no option 'trails' \(did you mean 'trials'\?\)"),
        (("smoke", {"add_trials": 3}), "no option 'add_trials'"),
        (("smoke", {"trials": "3"}), "`trials` must be of type int, but got '3'"),
        (("smoke", {"dataset": None}), "`dataset` must be of type str, but got None"),
        (("smoke", {"fuse": "all"}), "`fuse` must be of type int"),
        (("smoke", {"address": "ray://host:1"}), "From Python a study runs on the machine"),
        ((3, {}), "A study needs a SearchSpace"),
        (({"name": "x"}, {}), "needs the field 'question'"),
    ],
)
def test_what_only_python_can_get_wrong_is_one_sentence(arguments, rule):
    with pytest.raises(UserError, match=rule) as caught:
        run_study(arguments[0], **arguments[1])
    assert "\n" not in str(caught.value)


def test_numpy_numbers_and_paths_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--trials must be 1 or more, but got 0;"):
        run_study(Path("smoke"), trials=np.int64(0), runs_dir=tmp_path)


def test_a_call_is_recorded_without_passwords():
    options = {"storage": "postgresql://ann:secret@host/db", "trials": 3}
    said = describe_call("run_study", ["smoke"], options)
    assert "secret" not in said
    assert said.startswith("tune_runner.run_study('smoke', storage='postgresql://")


OUTSIDE = """
from dataclasses import dataclass
from typing import ClassVar
from diffrec.config import ExternalConfig
from search_spaces import Choice, SearchSpace

@dataclass(frozen=True, kw_only=True, slots=True)
class OddConfig(ExternalConfig):
    name: ClassVar[str] = "Odd"
    model: ClassVar[str] = "Odd"
    dim: int = 8

SPACE = SearchSpace(name="odd", question="?", variant=OddConfig, domains={"dim": Choice(4, 8)})
"""


def test_a_space_as_an_object_reaches_another_process_with_its_recommender(tmp_path):
    (tmp_path / "odd.py").write_text(OUTSIDE)
    space = get_space(str(tmp_path / "odd.py"))
    code = (
        "import json, sys; from tune_runner.study.spaces import study_space; "
        "space = study_space(json.load(sys.stdin)); "
        "print(json.dumps(space.to_dict()), space.resolve({'dim': 4}, 'embedded').dim)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(space_setting(space)),
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{json.dumps(space.to_dict())} 4\n", done.stderr


@pytest.mark.parametrize("name", SPACES)
def test_every_form_of_a_space_is_the_same_one(name):
    space = SPACES[name]
    assert space_setting(space) == name
    assert study_space(json.loads(json.dumps(space_setting(space.to_dict())))) == space


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The working directory of all studies here, with its own record."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def study(place, ray_local):
    """A study that has run in a Ray of its own, while this process has a session, too."""
    handle = run_study(RATES, name="first", max_concurrent=2)
    assert handle.status().state == "running"
    with pytest.raises(TimeoutError, match="still runs after 0 seconds"):
        handle.wait(timeout=0)
    assert handle.wait(timeout=200).state == "complete"
    return handle


pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_the_session_of_the_caller_is_left_alone(study):
    import ray

    assert ray.is_initialized()
    assert ray.get(ray.remote(lambda: 3).remote()) == 3


def test_trials_and_cells_are_those_of_the_report(study, place):
    recorded = read_study(connect(f"sqlite:///{place / 'mlflow.db'}"), "first")
    trials, cells = study.trials(), study.cells()
    assert trials.index.tolist() == [0, 1, 2, 3]
    assert set(trials["state"]) == {"complete"}
    assert trials["seed"].tolist() == [1, 1, 2, 2]
    assert trials["denoiser.hidden_dims"].tolist() == [[50, 20]] * 4
    for trial in recorded.trials:
        for metric, value in trial.metrics.items():
            assert trials.loc[trial.number, metric] == value
    assert cells["cell"].tolist() == [cell.label for cell in recorded.cells]
    assert cells["is_control"].tolist() == [False, True]
    for row, cell in enumerate(recorded.cells):
        assert cells.loc[row, "seeds"] == 2
        assert cells.loc[row, "test/recall@20"] == cell.mean("test/recall@20")
        assert cells.loc[row, "std/test/recall@20"] == cell.deviation("test/recall@20")
    means = trials.groupby("training.learning_rate")["test/recall@20"].mean()
    ours = cells.set_index("training.learning_rate")["test/recall@20"]
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
    assert diffrec(["recommend", "--run", "first", "--users", "3,7", "-k", "4"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    ours = study.recommend([3, 7], k=4).astype(str)
    assert ours.to_dict("records") == rows
    assert diffrec(["recommend", "--run", "first", "--history", "9,1", "-k", "2"]) == 0
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
    for found in (load_study("first"), load_study("runs/first"), load_study(place / "runs/first")):
        assert found.status() == study.status()
        assert found.wait() == study.status()
    monkeypatch.chdir(tmp_path)
    found = load_study(place / "runs" / "first", tracking_uri=uri)
    assert found.trials().equals(study.trials())
    assert found.recommend([3]).equals(study.recommend([3]))
    assert repr(found) == f"StudyHandle('{place}/runs/first')"
    with pytest.raises(UserError, match=r"No study named 'frist' .*did you mean 'first'"):
        load_study("frist", runs_dir=place / "runs")


def test_a_name_that_is_taken_is_refused_as_by_the_command(study, place):
    with pytest.raises(UserError, match="resume it with: python -m tune_runner --resume first"):
        run_study(RATES, name="first")
    assert study.status().state == "complete"


LONG = {
    "name": "long",
    "question": "Does one trial go through a stop?",
    "variant": "DiffRec",
    "domains": {"training.learning_rate": [1e-5]},
    "overrides": {"training.max_epochs": 150, "training.eval_every": 5, "training.patience": 150},
}


def test_a_second_study_is_stopped_and_resumed_in_the_session_of_the_caller(
    place, study, ray_cluster
):
    handle = run_study(LONG, name="second", address=ray_cluster.address)
    wait_until(lambda: any((trial.epoch or 0) >= 5 for trial in handle.status().running), 120)
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


def test_a_study_that_fails_says_so(place, ray_cluster):
    (place / "bad.py").write_text(OUTSIDE)  # its model is not there
    handle = run_study("bad.py", name="failing", address=ray_cluster.address)
    with pytest.raises(StudyError, match="'failing' ended with exit code 1"):
        handle.wait(timeout=100)
    assert handle.best() is None
    assert set(handle.trials()["state"]) == {"failed"}
    with pytest.raises(UserError, match="has no result to show"):
        handle.report()


def test_a_process_that_dies_before_its_first_trial_is_an_error_with_its_words(place, tmp_path):
    (place / "dies.py").write_text("import os\nos._exit(9)\n")
    with pytest.raises(StudyError, match="exit code 9 and no word"):
        run_study("dies.py", name="dead")
    assert not (place / "runs" / "dead").exists()
