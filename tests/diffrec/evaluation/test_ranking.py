from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec.data.interactions import Interactions
from diffrec.evaluation import ranking
from diffrec.evaluation.ranking import (
    EvaluationTask,
    batch_rows,
    evaluate,
    ranking_metrics,
    rankings,
    user_results,
)


class FixedScores:
    """Scores given beforehand, one row per user."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = torch.from_numpy(table)

    def scores(self, history: Interactions, users: np.ndarray) -> torch.Tensor:
        return self.table[torch.from_numpy(users)].clone()


def random_case(seed: int, users: int = 9, items: int = 12):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, size=(users, items))  # 0 nothing, 1 train, 2 valid, 3 test
    parts = [
        Interactions.from_pairs(np.argwhere(kind == k).reshape(-1, 2), users, items)
        for k in (1, 2, 3)
    ]
    return rng.normal(size=(users, items)), *parts


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 14))
def test_seen_items_are_never_ranked(seed, k):
    table, train, valid, _ = random_case(seed)
    batches = rankings(
        FixedScores(table), history=train, seen=[train, valid], users=np.arange(9), k=k
    )
    for users, items in batches:
        for user, row in zip(users, items, strict=True):
            hidden = {*train.items_of(user), *valid.items_of(user)}
            ranked = [i for i in row.tolist() if i >= 0]
            assert not hidden & set(ranked)
            assert len(ranked) == min(k, 12 - len(hidden), len(row))


def test_batches_of_users_do_not_change_the_result(monkeypatch):
    table, train, valid, test = random_case(3)
    model = FixedScores(table)
    expected = evaluate(model, history=train, target=test, seen=[train, valid], ks=(3, 5))
    monkeypatch.setattr(ranking, "SCORES_PER_BATCH", 24)
    monkeypatch.setattr(ranking, "MIN_ROWS", 1)
    parts = evaluate(model, history=train, target=test, seen=[train, valid], ks=(3, 5))
    assert parts == pytest.approx(expected)
    masked = table.copy()
    for part in (train, valid):
        masked[part.users(), part.indices] = -np.inf
    order = np.argsort(-masked, axis=1)
    assert ranking_metrics(order, test, ks=(3, 5)) == pytest.approx(expected)


def test_a_module_is_asked_in_eval_mode_and_given_back_as_it_was():
    class Module(torch.nn.Module):
        def scores(self, history, users):
            assert not self.training
            return torch.zeros(len(users), history.num_items)

    _, train, _, test = random_case(1)
    module = Module().train()
    evaluate(module, history=train, target=test, seen=[train])
    assert module.training


def test_one_pass_of_scores_answers_every_question():
    table, train, valid, test = random_case(5)
    model = CountedScores(table)
    tasks = [
        EvaluationTask(valid, [train]),
        EvaluationTask(test, [train, valid]),
        EvaluationTask(test, []),
    ]
    results = user_results(model, history=train, tasks=tasks, ks=(2, 5))
    together = [joint.means() for joint in results]
    assert sorted(model.asked) == sorted(set(model.asked))  # nobody twice
    for task, joint in zip(tasks, together, strict=True):
        alone = evaluate(
            FixedScores(table),
            history=train,
            target=task.target,
            seen=task.seen,
            ks=(2, 5),
        )
        assert joint == pytest.approx(alone)


class CountedScores(FixedScores):
    """Remembers who was asked for, and whether what users share was prepared."""

    def __init__(self, table: np.ndarray) -> None:
        super().__init__(table)
        self.asked: list[int] = []
        self.prepared = 0
        self.still = False

    @contextmanager
    def cached_scoring(self):
        self.prepared += 1
        self.still = True
        yield
        self.still = False

    def scores(self, history: Interactions, users: np.ndarray) -> torch.Tensor:
        assert self.still
        self.asked += users.tolist()
        return super().scores(history, users)


def test_what_all_users_share_is_prepared_once(monkeypatch):
    monkeypatch.setattr(ranking, "SCORES_PER_BATCH", 1)
    monkeypatch.setattr(ranking, "MIN_ROWS", 1)
    table, train, valid, _ = random_case(2)
    model = CountedScores(table)
    evaluate(model, history=train, target=valid, seen=[train])
    assert len(model.asked) > 1
    assert model.prepared == 1


@pytest.mark.parametrize(
    ("num_items", "free", "rows"),
    [
        (2810, 2**34, 2**22 // 2810),
        (178_181, 2**34, 64),  # never so few that all weights are read for little work
        (178_181, 2**28, 23),  # unless memory is scarce
        (178_181, 2**10, 1),
    ],
)
def test_batches_of_users_are_sized_to_memory(monkeypatch, num_items, free, rows):
    monkeypatch.setattr(ranking, "free_memory", lambda device: free)
    assert batch_rows(num_items, torch.device("cpu")) == rows
