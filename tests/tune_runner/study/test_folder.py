"""A study's folder has one driver, and knows whether it is still the same study."""

import shlex
from pathlib import Path

import pytest

from diffrec.errors import UserError
from tune_runner.cli.arguments import parser
from tune_runner.study.folder import StudyFolder, json_diff


def test_a_second_driver_is_refused_until_the_first_is_gone(tmp_path):
    second = StudyFolder(tmp_path, "s")
    with (
        StudyFolder(tmp_path, "s"),
        pytest.raises(UserError, match="run by another process"),
        second,
    ):
        pass
    with StudyFolder(tmp_path, "s"):
        pass


def test_a_description_comes_back_and_an_unknown_study_names_the_nearest(tmp_path):
    folder = StudyFolder(tmp_path, "clustering-1")
    with folder:
        folder.write({"a": [1]})
    assert folder.read() == {"a": [1]}
    with pytest.raises(UserError, match="did you mean 'clustering-1'"):
        StudyFolder(tmp_path, "clustering-2").read()
    (folder.path / "study.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        folder.read()


def test_a_study_keeps_its_identity_and_one_of_its_name_elsewhere_has_another(tmp_path):
    folders = [StudyFolder(tmp_path / parent, "s") for parent in ("a", "b")]
    for folder in folders:
        with folder:
            folder.begin()
            folder.write({})
    first, second = (folder.identity() for folder in folders)
    assert first
    assert second
    assert first != second
    with folders[0]:
        folders[0].begin()
    assert folders[0].identity() == first
    (folders[0].path / "study.id").unlink()
    with pytest.raises(UserError, match=r"study.id is missing.*restore it from a copy"):
        folders[0].begin()


@pytest.mark.parametrize("name", ["plain", 'it\'s "here" $(x) %d \\ 😀', "-x", "--list", "*"])
def test_the_resume_command_survives_a_shell(name, tmp_path):
    command = StudyFolder(Path("some where's"), name).resume_command
    python, *arguments = shlex.split(command)
    assert python == "python"
    args = parser().parse_args(arguments[2:])
    assert (args.resume, args.runs_dir) == (name, "some where's")


def test_a_study_that_did_not_begin_leaves_nothing(tmp_path):
    (tmp_path / "own.txt").touch()
    folder = StudyFolder(tmp_path / "new" / "runs", "s")
    with folder:
        folder.begin()
        folder.write({})
        folder.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]

    mine = tmp_path / "runs" / "s"
    mine.mkdir(parents=True)
    (mine / "notes.txt").touch()
    folder = StudyFolder(tmp_path / "runs", "s")
    with folder:
        folder.begin()
        folder.write({})
        folder.discard()
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_a_driver_sees_that_its_folder_was_removed_or_replaced(tmp_path):
    folder = StudyFolder(tmp_path, "s")
    with folder:
        assert not folder.is_gone()
        folder.path.rename(tmp_path / "elsewhere")
        assert folder.is_gone()
        with StudyFolder(tmp_path, "s"):
            assert folder.is_gone()


def test_differences_name_the_place():
    old = {"space": {"variant": "DiffRec", "control": None}}
    new = {"space": {"variant": "L-DiffRec", "trials": 3}}
    assert json_diff(old, new) == [
        'space.variant was "DiffRec", is "L-DiffRec"',
        "space.trials was null, is 3",
    ]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), StudyFolder(tmp_path / "file", "s"):
        pass
