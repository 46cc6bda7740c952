"""What pruning did: given up where, compared with whom there, safe from when, saved how much."""

import pytest

from analysis.diagnostics.pruning import (
    pruned_table,
    rank_stability,
    safety_sentence,
    saved_epochs,
    saved_sentence,
)
from analysis.study.model import Study, Trial

OBJECTIVE = "valid/recall@20"
CONTROL = {"method": "kmeans"}


def trial(number, values, *, state="complete", seed=1, method="ward", every=5):
    curve = {every * (i + 1): value for i, value in enumerate(values)}
    best = {f"best/{OBJECTIVE}": max(values)} if state == "complete" else {}
    at = max(curve) if state == "pruned" else None
    params = {"method": method}
    return Trial(number, state, params, seed, "L", best, at, curves={OBJECTIVE: curve})


def study(*trials, control=CONTROL):
    return Study("s", {}, {"control": control}, trials)


def test_a_pruned_trial_is_compared_at_its_epoch_with_the_control_of_its_seed():
    one = study(
        trial(0, [0.10, 0.20, 0.90], method="kmeans", seed=1),
        trial(1, [0.50, 0.60, 0.70], method="kmeans", seed=2),
        trial(2, [0.05, 0.16], state="pruned", seed=1),
    )
    assert pruned_table(one).rows == (
        ("0002", "ward", "1", "10", "0.1600", "0.2000\ncontrol", "-0.0400"),
    )


def test_without_a_control_there_the_median_of_the_others_stands():
    one = study(
        trial(0, [0.1, 0.2, 0.3]),
        trial(1, [0.2, 0.4, 0.5]),
        trial(2, [0.3], method="kmeans"),
        trial(3, [0.05, 0.1], state="pruned"),
        control=None,
    )
    (row,) = pruned_table(one).rows
    assert row[5:] == ("0.3000\nmedian of 2", "-0.2000")
    assert pruned_table(study(trial(0, [0.1]))) is None


def test_early_ranks_that_turn_round_are_not_called_safe():
    crossing = study(*(trial(i, [0.5 - i / 10, 0.3, 0.1 + i / 5], seed=i) for i in range(4)))
    ranks = rank_stability(crossing)
    assert [early.epoch for early in ranks] == [5, 10]
    assert ranks[0].correlation == pytest.approx(-0.2, abs=1.0)
    assert ranks[0].winner_place == 0.75
    assert "not safe here" in safety_sentence(ranks)


def test_early_ranks_that_last_are_safe_from_the_first_epoch():
    steady = study(
        *(trial(i, [0.1 + i / 10, 0.2 + i / 10, 0.3 + i / 10], seed=i) for i in range(4))
    )
    assert [early.correlation for early in rank_stability(steady)] == pytest.approx([1.0, 1.0])
    assert "from epoch 5 on" in safety_sentence(rank_stability(steady))
    assert rank_stability(study(trial(0, [0.1, 0.2]))) == []


def test_saved_epochs_are_those_to_the_median_of_complete_trials():
    one = study(
        trial(0, [0.1] * 4),
        trial(1, [0.1] * 6),
        trial(2, [0.1] * 20),
        trial(3, [0.1], state="pruned"),
        trial(4, [0.1] * 8, state="pruned"),
    )
    assert [(s.trial.number, s.ran, s.full) for s in saved_epochs(one)] == [
        (3, 5, 30),
        (4, 40, 40),
    ]
    assert "stopped 2 trials and saved about 25 epochs" in saved_sentence(one, saved_epochs(one))
    assert saved_sentence(study(trial(0, [0.1])), []) == ""
