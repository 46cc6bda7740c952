"""`--status` answers from the study's own files and changes nothing."""

import json

from tune_runner.cli.main import main
from tune_runner.monitoring.status import has_live_driver


def ask(folder, capsys):
    assert main(["--status", "begun", "--runs-dir", str(folder.path.parent)]) == 0
    return capsys.readouterr().out


def test_a_stopped_study(study_folder, capsys):
    output = ask(study_folder, capsys)
    assert "state     stopped" in output
    assert "2 of 4: 1 complete, 1 interrupted, 0 pruned, 1 failed" in output
    assert "best      valid/recall@20 0.2500 (0000 0.1·seed1)" in output
    assert "resume    python -m tune_runner --resume begun" in output


def test_a_running_study_shows_its_trials_and_is_left_alone(study_folder, capsys):
    before = {p: p.read_bytes() for p in study_folder.path.iterdir() if p.is_file()}
    with study_folder:
        assert has_live_driver(study_folder)
        (study_folder.path / "study.log.lock").touch()  # its driver is in the middle of a write
        output = ask(study_folder, capsys)
        (study_folder.path / "study.log.lock").unlink()
    assert "state     running" in output
    assert "running   0002 0.1·seed2, epoch 5, 0.1250" in output
    assert "left      about" in output
    assert {p: p.read_bytes() for p in study_folder.path.iterdir() if p.is_file()} == before
    assert not has_live_driver(study_folder)


def test_a_study_that_was_described_but_not_begun(tmp_path, rates, capsys, study_folder):
    (study_folder.path / "study.log").unlink()
    files = set(study_folder.path.iterdir())
    assert "0 of 4" in ask(study_folder, capsys)
    assert set(study_folder.path.iterdir()) == files  # reading makes nothing
    json.loads((study_folder.path / "study.json").read_text())
