"""Objectives and constraint: which results are the answer of a study."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.errors import UserError
from search_spaces import Choice, Objective, SearchSpace
from search_spaces.objectives import Constraint, Goals, Scores

RECALL, COVERAGE, GINI = map(Objective, ("valid/recall@20", "valid/coverage@20", "valid/gini@20"))
WITHIN = "valid/recall@20 within 1 % of the best"

numbers = st.integers(0, 6).map(lambda n: n / 4)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12)


def dominates(a, b):
    """More recall and less Gini, at least one of them strictly."""
    return a[0] >= b[0] and a[1] <= b[1] and a != b


@given(pairs)
def test_the_front_is_what_nothing_dominates(values):
    front = Goals((RECALL, GINI)).answer([Scores(pair) for pair in values])
    undominated = {pair for pair in values if not any(dominates(o, pair) for o in values)}
    assert {values[i] for i in front} == undominated
    assert len(front) == len(undominated)  # of equal ones the first
    assert all(values.index(values[i]) == i for i in front)
    assert [values[i][0] for i in front] == sorted((p[0] for p in undominated), reverse=True)


@given(pairs, st.integers(0, 99))
def test_a_constraint_leaves_out_exactly_what_falls_behind_the_best(values, percent):
    goals = Goals((COVERAGE,), Constraint.parse(f"valid/recall@20 within {percent} % of the best"))
    results = [Scores((coverage,), recall) for recall, coverage in values]
    best = max(recall for recall, _ in values)
    inside = [c for r, c in values if best - r <= percent / 100 * best + 1e-12]
    answer = goals.answer(results)
    assert len(answer) == 1
    assert values[answer[0]][1] == max(inside)


@given(pairs, pairs)
def test_what_may_become_the_answer_is_kept(first, later):
    """Whatever comes later, the answer is among the kept and the new."""
    goals = Goals((COVERAGE,), Constraint.parse("valid/recall@20 within 20 % of the best"))
    results = [Scores((coverage,), recall) for recall, coverage in (*first, *later)]
    kept = goals.candidates(results[: len(first)])
    answer = goals.answer(results)
    chosen = results[answer[0]]
    assert answer[0] >= len(first) or chosen in [results[i] for i in kept]


def test_a_metric_to_be_small_is_constrained_from_above():
    goals = Goals((RECALL,), Constraint.parse("valid/gini@20 within 10 % of the best"))
    results = [Scores((0.3,), 0.9), Scores((0.2,), 0.54), Scores((0.1,), 0.5)]
    assert goals.answer(results) == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recall", "has the form"),
        (3, "has the form"),
        ("valid/recall@20 within 1 of the best", "has the form"),
        ("valid/recall@20 within -1 % of the best", "has the form"),
        ("valid/recall@20 within 100 % of the best", "less than 100 %"),
        ("test/recall@20 within 1 % of the best", "validation metric"),
        ("valid/recal@20 within 1 % of the best", "did you mean"),
    ],
)
def test_another_form_is_refused(text, words):
    with pytest.raises(UserError, match=words):
        Constraint.parse(text)


def test_goals_survive_json():
    space = SearchSpace(
        name="both",
        question="?",
        variant="DiffRec",
        domains={"training.learning_rate": Choice(0.1, 0.2)},
        objectives=(COVERAGE, GINI),
        constraint=WITHIN,
    )
    assert space.objective == COVERAGE
    values = space.to_dict()
    assert SearchSpace.from_dict(values) == space
    assert Goals.of_space(values) == space.goals
    assert space.goals.metrics == ("valid/coverage@20", "valid/gini@20", "valid/recall@20")
