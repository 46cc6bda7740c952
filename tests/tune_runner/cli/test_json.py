"""`--json`: stdout holds JSON alone, and it says what the text says."""

import json
import math
import re

import pytest

from search_spaces import SPACES
from tune_runner.cli.main import main
from tune_runner.monitoring.answers import TrialAnswer, to_json


@pytest.fixture
def ask(capsys):
    """Give a command twice: `(text, answer)`, as text and as JSON."""

    def both(*arguments):
        assert main(list(arguments)) == 0
        text = capsys.readouterr().out
        assert main([*arguments, "--json"]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return text, json.loads(said.out, parse_constant=pytest.fail)

    return both


def test_the_list_holds_every_space_with_its_size_and_question(ask):
    text, answer = ask("--list")
    assert [space["name"] for space in answer] == sorted(SPACES)
    for space in answer:
        assert space["question"] in text
        size = f"{space['trials']} trials, {space['strategy']}"
        if space["cells"] is not None:
            size = f"{space['cells']} cells x {space['seeds']} seed" + "s" * (space["seeds"] > 1)
            assert space["trials"] == space["cells"] * space["seeds"]
        assert re.search(rf"^{re.escape(space['name'])} +{size}$", text, re.M)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--space", "clustering_ablation", "--seeds", "2", "--fuse", "auto"),
        ("--space", "joint", "--trials", "9"),
    ],
)
def test_a_dry_run_says_the_same_in_json(ask, arguments):
    text, answer = ask("--dry-run", "--name", "plan", *arguments)
    facts = dict(line.split(maxsplit=1) for line in text.splitlines() if line[:1].strip())
    assert facts["study"] == answer["study"] == "plan"
    assert facts["question"] == answer["question"]
    assert facts["dataset"] == f"{answer['dataset']} ({answer['protocol']})"
    assert facts["objective"] == "{name}, {direction}".format(**answer["objective"])
    assert facts["trials"].startswith(f"{answer['num_trials']} (")
    assert ("fuse" in facts) == (answer["fuse"] != 1)
    assert all(source in text for source in answer["presets"])
    assert (answer["cells"] is None) == (answer["trials"] == []) == (answer["domains"] != {})
    if answer["trials"]:
        assert f"{answer['cells']} cells" in text
        assert len(answer["trials"]) == answer["num_trials"]
        first = answer["trials"][0]
        assert f"  0000  {first['variant']}: " in text
        assert all(f"{path}={value}" in text for path, value in first["params"].items())
        assert {trial["seed"] for trial in answer["trials"]} == set(answer["seeds"])
    assert all(f"  {path}  " in text for path in answer["domains"])


@pytest.mark.parametrize("alive", [True, False])
def test_a_status_says_the_same_in_json(ask, study_folder, alive):
    arguments = ("--status", "begun", "--runs-dir", str(study_folder.path.parent))
    if alive:
        with study_folder:
            text, answer = ask(*arguments)
    else:
        text, answer = ask(*arguments)
    assert answer["state"] == ("running" if alive else "stopped")
    assert f"state     {answer['state']}" in text
    assert f"{answer['finished']} of {answer['num_trials']}: 1 complete" in text
    open_state = "running" if alive else "interrupted"
    assert answer["counts"] == {
        "complete": 1,
        "pruned": 0,
        "failed": 1,
        "running": 0,
        "interrupted": 0,
    } | {open_state: 1}
    assert f"1 {open_state}, 0 pruned, 1 failed" in text
    best = answer["best"]
    assert f"best      {answer['objective']['name']} {best['value']:.4f} ({best['name']})" in text
    assert answer["failures"] == [{"number": 1, "name": "0001 0.9·seed1", "error": "planted"}]
    assert "failed    0001 0.9·seed1: planted" in text
    assert (answer["resume_command"] is None) == alive
    assert alive or f"resume    {answer['resume_command']}" in text
    running = [f"running   {t['name']}, epoch 5, {t['value']:.4f}" for t in answer["running"]]
    assert len(running) == alive
    assert all(line in text for line in running)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--status", "nothing"],
        ["--space", "nothing", "--dry-run"],
        ["--space", "smoke"],
        ["--resume", "nothing", "--dry-run"],
        ["--list", "--unknown"],
    ],
)
def test_a_refusal_leaves_stdout_empty(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1


def test_numbers_that_json_lacks_are_null():
    trial = TrialAnswer(number=1, name="ü", epoch=None, value=math.inf)
    text = to_json([trial])
    assert text.isascii()
    assert json.loads(text) == [{"number": 1, "name": "ü", "epoch": None, "value": None}]
