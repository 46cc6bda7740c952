"""Notes that optuna-dashboard shows of a study and of its trials, and the name of the objective.

optuna-dashboard keeps a note as system attributes of the study (`optuna_dashboard.save_note`). They
are written here by their names, since a study runs without optuna-dashboard, too.
"""

import warnings
from collections.abc import Sequence
from itertools import count

import optuna
from optuna.exceptions import ExperimentalWarning

_PART = 2045
"""Characters of one attribute: optuna-dashboard's limit, which a column of a database sets."""

_STUDY = "**Question.** "
_FAILURE = "**Failed.** "


def name_objectives(study: optuna.Study, names: Sequence[str]) -> None:
    """Make `names` the headings of the study's values, unless they are already."""
    if study.metric_names != list(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(names))


def note_study(study: optuna.Study, question: str, answer: str = "") -> None:
    """Make question and answer the study's note; one that a person wrote stays as it is."""
    text, old = _STUDY + question, read_note(study)
    if answer:
        text += f"\n\n**Answer.** {answer}"
    elif old.startswith(text):  # an answer that is there stays until there is another
        return
    if old.startswith(_STUDY) or not old:
        _write(study, text, "dashboard:")


def note_failure(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    """Make the reason of a failure the trial's note."""
    _write(study, _FAILURE + reason, f"dashboard:{trial._trial_id}:")


def read_note(study: optuna.Study, trial_id: int | None = None) -> str:
    """Return a note: the study's, or that of a trial; "" if there is none."""
    prefix = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    attributes = study._storage.get_study_system_attrs(study._study_id)
    parts = (attributes.get(f"{prefix}note_str:{number}") for number in count())
    return "".join(iter(lambda: next(parts) or "", ""))


def _write(study: optuna.Study, text: str, prefix: str) -> None:
    """Write a note as optuna-dashboard does; one that is there already is not written again."""
    storage, study_id = study._storage, study._study_id  # Optuna has no public call
    attributes = storage.get_study_system_attrs(study_id)
    parts = {
        f"{prefix}note_str:{start // _PART}": text[start : start + _PART]
        for start in range(0, len(text), _PART)
    }
    old = [key for key in attributes if key.startswith(f"{prefix}note_str:")]
    parts |= dict.fromkeys((key for key in old if key not in parts), "")
    changed = {key: part for key, part in parts.items() if attributes.get(key) != part}
    for key, part in changed.items():
        storage.set_study_system_attr(study_id, key, part)
    if changed:  # last: until then the old version is the note's
        version = attributes.get(f"{prefix}note_ver", 0) + 1
        storage.set_study_system_attr(study_id, f"{prefix}note_ver", version)
