"""Notes in a study's storage, as optuna-dashboard itself reads and writes them."""

import optuna
import pytest

from tune_runner.search import notes

QUESTION = "Does it matter?"


@pytest.fixture
def study():
    return optuna.create_study(direction="maximize")


def test_question_and_answer_are_the_studys_note_and_the_answer_stays(study):
    notes.note_study(study, QUESTION)
    assert notes.read_note(study) == f"**Question.** {QUESTION}"
    notes.note_study(study, QUESTION, "It does.")
    notes.note_study(study, QUESTION)  # another driver begins
    assert notes.read_note(study) == f"**Question.** {QUESTION}\n\n**Answer.** It does."


@pytest.mark.parametrize("length", [10, 2045 - len("**Failed.** "), 5000])
def test_optuna_dashboard_reads_what_is_written(study, length):
    dashboard = pytest.importorskip("optuna_dashboard._note")
    trial = study.ask()
    reason = "x" * length
    for text in ("longer " * 1000, reason, reason):
        notes.note_failure(study, trial, text)
    assert dashboard.get_note(trial) == f"**Failed.** {reason}" == notes.read_note(study, 0)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    assert attributes["dashboard:0:note_ver"] == 2  # the third one was there already
    notes.note_study(study, QUESTION)
    assert dashboard.get_note(study) == f"**Question.** {QUESTION}"


def test_a_note_that_a_person_wrote_stays(study):
    dashboard = pytest.importorskip("optuna_dashboard")
    dashboard.save_note(study, "mine")
    notes.note_study(study, QUESTION, "It does.")
    assert notes.read_note(study) == "mine"


def test_the_objective_has_its_name(study):
    for _ in range(2):
        notes.name_objectives(study, ["valid/recall@20"])
    assert study.metric_names == ["valid/recall@20"]
