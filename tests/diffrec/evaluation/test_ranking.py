import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec.data.interactions import Interactions
from diffrec.evaluation import ranking
from diffrec.evaluation.metrics import ranking_metrics
from diffrec.evaluation.ranking import evaluate, rankings


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
    found = rankings(
        FixedScores(table), history=train, seen=[train, valid], users=np.arange(9), k=k
    )
    for users, items in found:
        for user, row in zip(users, items, strict=True):
            hidden = {*train.items_of(user), *valid.items_of(user)}
            shown = [i for i in row.tolist() if i >= 0]
            assert not hidden & set(shown)
            assert len(shown) == min(k, 12 - len(hidden), len(row))


def test_batches_of_users_do_not_change_the_result(monkeypatch):
    table, train, valid, test = random_case(3)
    model = FixedScores(table)
    whole = evaluate(model, history=train, target=test, seen=[train, valid], ks=(3, 5))
    monkeypatch.setattr(ranking, "SCORES_PER_BATCH", 24)
    parts = evaluate(model, history=train, target=test, seen=[train, valid], ks=(3, 5))
    assert parts == pytest.approx(whole)
    masked = table.copy()
    for part in (train, valid):
        masked[part.users(), part.indices] = -np.inf
    order = np.argsort(-masked, axis=1)
    assert ranking_metrics(order, test, ks=(3, 5)) == pytest.approx(whole)


def test_a_module_is_asked_in_eval_mode_and_given_back_as_it_was():
    class Module(torch.nn.Module):
        def scores(self, history, users):
            assert not self.training
            return torch.zeros(len(users), history.num_items)

    _, train, _, test = random_case(1)
    module = Module().train()
    evaluate(module, history=train, target=test, seen=[train])
    assert module.training
