"""Calls from Python that start no study: options, spaces, refusals in the command's sentences."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffrec.errors import UserError
from outside import SPACE_WITHOUT_MODEL
from search_spaces import SPACES, get_space
from tune_runner import StudyError, run_study
from tune_runner.api.process import describe_call
from tune_runner.cli.arguments import parser
from tune_runner.cli.main import main
from tune_runner.study.options import RESUME_DEFAULTS, STUDY_DEFAULTS
from tune_runner.study.spaces import space_setting, study_space


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
    looks |= {"register", "study"}  # of a study that has ended: `StudyHandle.register`
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


def test_a_space_as_an_object_reaches_another_process_with_its_recommender(tmp_path):
    (tmp_path / "odd.py").write_text(SPACE_WITHOUT_MODEL)
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


def test_a_process_that_dies_before_its_first_trial_is_an_error_with_its_words(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dies.py").write_text("import os\nos._exit(9)\n")
    with pytest.raises(StudyError, match="exit code 9 and no word"):
        run_study("dies.py", name="dead")
    assert not (tmp_path / "runs" / "dead").exists()
