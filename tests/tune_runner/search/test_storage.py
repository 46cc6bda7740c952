"""A journal or database that is gone, cut or another study's is refused; reading makes nothing."""

import pytest
from optuna.pruners import NopPruner

from diffrec.errors import UserError
from tune_runner.events import RecordedTrials
from tune_runner.search.storage import open_study, read_trials

RECORDED = RecordedTrials(frozenset({0, 1, 2}), {0: "complete", 1: "complete"}, frozenset({1}))
"""Two trials have ended, the last one perhaps unknown to the study, and one runs."""


@pytest.fixture(params=["journal", "sqlite"])
def url(request, tmp_path):
    scheme = {"journal": "journal://", "sqlite": "sqlite:///"}[request.param]
    return f"{scheme}{tmp_path / 'study.log'}"


def open_(url, name="s", identity="mine", recorded=RECORDED):
    return open_study(url, name, "maximize", NopPruner(), identity=identity, recorded=recorded)


@pytest.fixture
def study(url):
    """A study of three trials: two complete, one running."""
    study = open_(url, recorded=RecordedTrials())
    for _ in range(3):
        study.ask()
    for number in range(2):
        study.tell(number, 0.5)
    return study


def test_a_whole_study_goes_on(study, url):
    assert len(open_(url).trials) == 3


def test_a_missing_one_is_refused_once_trials_were_begun(url, tmp_path):
    with pytest.raises(UserError, match=r"does not hold all .* trials 0000, 0001, 0002"):
        open_(url)
    assert list(tmp_path.iterdir()) == []
    open_(url, recorded=RecordedTrials())  # killed before the first trial: it continues


def test_another_study_of_the_same_name_is_refused(study, url):
    with pytest.raises(UserError, match="holds another study"):
        open_(url, identity="other")
    with pytest.raises(UserError, match=r"does not hold all|holds another study"):
        open_(url, name="t", identity="other")


@pytest.mark.parametrize(("lines", "refused"), [(1, False), (2, True), (3, True), (99, True)])
def test_a_journal_that_was_cut_is_refused(study, url, lines, refused):
    """Without its last line only the end is missing that a killed driver could not write."""
    if not url.startswith("journal"):
        pytest.skip("a database is cut by its own tools")
    path = url.removeprefix("journal://")
    with open(path) as file:  # noqa: PTH123
        all_lines = file.readlines()
    with open(path, "w") as file:  # noqa: PTH123
        file.writelines(all_lines[: max(0, len(all_lines) - lines)])
    if refused:
        with pytest.raises(UserError, match="does not hold all"):
            open_(url)
    else:
        assert len(open_(url).trials) == 3


@pytest.mark.parametrize("text", ["notes\n", "notes\nmore\n", '{"op_code": 99}\n', "[]\n[]\n"])
def test_a_journal_that_is_something_else_is_refused(tmp_path, text):
    path = tmp_path / "study.log"
    path.write_text(text)
    with pytest.raises(UserError, match=r"damaged|does not hold all"):
        open_(f"journal://{path}")


def test_reading_makes_nothing(url, tmp_path):
    assert read_trials(url, "s") == []
    assert list(tmp_path.iterdir()) == []


def test_reading_finds_the_trials(study, url):
    assert len(read_trials(url, "s")) == 3
    assert read_trials(url, "t") == []
