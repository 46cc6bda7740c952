import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffrec.__main__ import main
from diffrec.preparation.manifest import sha256

TRAIN = [[0, 2], [0, 0], [1, 1], [1, 3], [2, 0]]
VALID = [[0, 1], [1, 0], [2, 3]]
TEST = [[0, 3], [2, 1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tiny"
    path.mkdir()
    for name, rows in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        np.save(path / f"{name}_list.npy", np.array(rows))
    return path


def test_a_sound_folder_is_reported_by_its_path(folder, capsys):
    assert main(["check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Dataset tiny\n")
    assert "Verdict: undecided" in out


def test_the_report_as_json_holds_the_evidence(folder, capsys):
    assert main(["check", "tiny", "--data-dir", str(folder.parent), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lists"]["train"]["rows"] == 5
    assert report["order"]["verdict"] == "undecided"


@pytest.mark.parametrize("exchange", [False, True])
def test_exchanged_lists_exit_with_1_and_lists_in_order_with_0(exchange, tmp_path, capsys):
    folder = tmp_path / "timed"
    folder.mkdir()
    names = ("train", "test", "valid") if exchange else ("train", "valid", "test")
    for step, name in enumerate(names):
        np.save(folder / f"{name}_list.npy", np.array([(user, step) for user in range(40)]))
        np.save(folder / f"{name}_timestamps.npy", np.arange(40) + 1000 * step)
    assert main(["check", str(folder)]) == int(exchange)
    assert ("EXCHANGED" in capsys.readouterr().out) == exchange
    assert main(["check", str(folder), "--strict", "--json"]) == int(exchange)
    report = json.loads(capsys.readouterr().out)
    assert report["order"]["verdict"] == ("exchanged" if exchange else "in order")


def test_the_embedded_dataset_passes_the_strict_check(capsys):
    assert main(["check", "embedded", "--strict"]) == 0
    assert "Taste fit" in capsys.readouterr().out


def test_a_file_that_its_manifest_does_not_know_is_named(folder, capsys):
    digest = sha256(folder / "test_list.npy")
    files = {"test_list.npy": digest, "train_list.npy": digest, "item_ids.npy": digest}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    assert main(["check", str(folder), "--strict"]) == 1
    assert "CHANGED since it was written: train_list.npy, item_ids.npy" in capsys.readouterr().out
    assert main(["check", str(folder)]) == 0  # an edited dataset is no fault unless that is asked
    (folder / "manifest.json").write_text(json.dumps({"files": {"test_list.npy": digest}}))
    assert main(["check", str(folder), "--strict"]) == 0
    assert "all 1 files are as it says" in capsys.readouterr().out


BROKEN = {
    "a damaged manifest": (
        lambda f: (f / "manifest.json").write_text('{"files"'),
        "must be the manifest",
    ),
    "a missing list": (lambda f: (f / "test_list.npy").unlink(), "is missing"),
    "an empty list": (lambda f: np.save(f / "test_list.npy", np.empty((0, 2), int)), "is empty"),
    "floats": (lambda f: np.save(f / "test_list.npy", np.array(TEST) * 1.0), "integer ids"),
    "a third column": (lambda f: np.save(f / "test_list.npy", np.ones((2, 3), int)), "(n, 2)"),
    "a negative id": (
        lambda f: np.save(f / "test_list.npy", np.array([[0, -3]])),
        "smallest is -3",
    ),
    "pickled objects": (
        lambda f: np.save(f / "test_list.npy", np.array([[0, None]]), allow_pickle=True),
        "pickled",
    ),
    "text": (lambda f: (f / "test_list.npy").write_text("0,3\n"), ".npy file"),
    "a truncated file": (
        lambda f: (f / "train_list.npy").write_bytes((f / "train_list.npy").read_bytes()[:-8]),
        "truncated",
    ),
    "a repeated row": (lambda f: np.save(f / "test_list.npy", np.array(TEST + TEST)), "repeat"),
    "an overlap": (lambda f: np.save(f / "test_list.npy", np.array(TEST + VALID)), "overlap"),
    "a user without train": (
        lambda f: np.save(f / "test_list.npy", np.array([*TEST, [4, 1]])),
        "Every user must have a row",
    ),
    "too few embeddings": (
        lambda f: np.save(f / "item_emb.npy", np.zeros((2, 4), np.float32)),
        "a row for every item",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_dataset_is_said_in_one_sentence_with_exit_code_2(fault, folder, capsys):
    spoil, words = BROKEN[fault]
    spoil(folder)
    assert main(["check", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


def test_a_readable_but_broken_folder_is_surveyed_before_the_error(folder, capsys):
    np.save(folder / "test_list.npy", np.array(TEST + VALID))
    main(["check", str(folder)])
    assert "valid and test 3" in capsys.readouterr().out


def test_an_unknown_dataset_is_refused_with_the_known_ones(capsys):
    assert main(["check", "embeded"]) == 2
    assert "did you mean 'embedded'" in capsys.readouterr().err


def test_help_loads_neither_torch_nor_numpy():
    code = (
        "import sys, contextlib, io; from diffrec.__main__ import build_parser\n"
        "build_parser().format_help()\n"
        "assert not {'torch', 'numpy', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
