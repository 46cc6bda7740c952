"""Choices of `prepare` that are told: thresholds, ready-made splits, repeats, what is replaced."""

import json

import numpy as np
import pytest

from diffrec.__main__ import main
from diffrec.data import load_dataset
from diffrec.preparation.thresholds import choose_threshold


@pytest.mark.parametrize(
    ("ratings", "automatic"),
    [
        ([1, 2, 3, 4, 5], 4),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 8),
        ([0.5, 1, 2, 3, 3.5, 4, 4.5, 5], 4),
        ([0, 1], 1),
        ([0, 20, 40, 60, 80, 100], 80),
    ],
)
def test_the_automatic_threshold_takes_the_upper_quarter_of_the_scale(ratings, automatic):
    choice = choose_threshold(np.array(ratings, np.float32), "auto")
    assert choice.threshold == choice.automatic == automatic
    assert choice.kept_share == pytest.approx(np.mean(np.array(ratings) >= automatic))


def test_the_share_that_each_threshold_keeps_is_told(tmp_path, capsys):
    rows = [f"u{u},i{i},{4 + (u + i) % 7},{u + i}" for u in range(12) for i in range(12)]
    (tmp_path / "r.csv").write_text("user,item,rating,time\n" + "\n".join(rows))
    out = str(tmp_path / "out")
    assert main(["prepare", str(tmp_path / "r.csv"), "--out", out]) == 0
    output = capsys.readouterr().out
    assert "ratings of at least 4 are interactions, 100.0% of them" in output
    assert "--threshold auto takes 9" in output
    shares = json.loads((tmp_path / "out" / "manifest.json").read_text())["ratings"]["shares"]
    assert shares["4"] == 1.0
    assert shares["10"] == pytest.approx(20 / 144, abs=0.01)


def test_a_threshold_that_keeps_nothing_is_refused_with_what_others_keep(tmp_path, capsys):
    (tmp_path / "r.csv").write_text("user,item,rating\na,b,1\na,c,0\n")
    assert main(["prepare", str(tmp_path / "r.csv"), "--out", str(tmp_path / "out")]) == 2
    assert "--threshold auto takes 1, 50.0%" in capsys.readouterr().err


@pytest.fixture
def split(tmp_path):
    """Three files: user a in all, b without train rows, a pair of train again in test."""
    folder = tmp_path / "split"
    folder.mkdir()
    train = [f"a,i{n}" for n in range(8)] + [f"c,i{n}" for n in range(8)]
    (folder / "train.csv").write_text("user,item\n" + "\n".join(train))
    (folder / "test.csv").write_text("user,item\na,i8\na,i0\nb,i1\nc,i9\n")
    return folder


def test_a_ready_made_split_is_kept_and_the_end_of_train_becomes_valid(split, tmp_path, capsys):
    assert main(["prepare", str(split), "--out", str(tmp_path / "mine")]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "rows of pairs in an earlier list dropped 1" in output
    assert "held-out rows of users without train rows dropped 1" in output
    assert "train rows moved to valid 2" in output
    dataset = load_dataset("mine", tmp_path)
    assert [part.nnz for part in (dataset.train, dataset.valid, dataset.test)] == [14, 2, 2]
    assert dataset.valid.lengths.tolist() == [1, 1]


@pytest.mark.parametrize("option", [["--min-user", "3"], ["--split", "leave-last"]])
def test_a_setting_that_would_split_again_is_refused(option, split, tmp_path, capsys):
    assert main(["prepare", str(split), "--out", str(tmp_path / "mine"), *option]) == 2
    assert "has no effect" in capsys.readouterr().err


def test_repeats_cannot_be_kept_and_the_sentence_says_why(split, tmp_path, capsys):
    assert main(["prepare", str(split), "--out", str(tmp_path / "o"), "--keep-repeats"]) == 2
    assert "takes each item of a user once" in capsys.readouterr().err


def test_force_leaves_no_file_of_the_lists_before(split, tmp_path):
    out = tmp_path / "mine"
    dated = [f"u{u},i{i},{u * 12 + i}" for u in range(12) for i in range(12)]
    (tmp_path / "dated.csv").write_text("user,item,timestamp\n" + "\n".join(dated))
    command = ["prepare", str(tmp_path / "dated.csv"), "--out", str(out), "--embeddings", "svd"]
    assert main(command) == 0
    assert (out / "train_timestamps.npy").exists()
    (out / "notes.txt").write_text("mine")
    assert main(["prepare", str(split), "--out", str(out), "--force"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert {p.name for p in out.iterdir()} == {*manifest["files"], "manifest.json", "notes.txt"}
    assert not (out / "train_timestamps.npy").exists()


def test_the_command_that_is_printed_works(split, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", str(split), "--out", "my data"]) == 0
    command = capsys.readouterr().out.rsplit("python -m diffrec ", 1)[1].strip()
    assert command == "check './my data'"
    assert main(["check", "./my data"]) == 0


def test_moments_may_be_dates(tmp_path):
    rows = [f"u{u},i{(u + d) % 20},2020-01-{d:02d}" for u in range(12) for d in range(1, 29)]
    (tmp_path / "r.csv").write_text("user,item,date\n" + "\n".join(rows))
    command = ["prepare", str(tmp_path / "r.csv"), "--out", str(tmp_path / "out")]
    assert main([*command, "--split", "timestamp", "--moments", "2020-01-20,2020-01-25"]) == 0
    first = {n: np.load(tmp_path / "out" / f"{n}_timestamps.npy").min() for n in ("valid", "test")}
    assert first["valid"] == np.datetime64("2020-01-20", "us").astype(int)
    assert first["test"] == np.datetime64("2020-01-25", "us").astype(int)
