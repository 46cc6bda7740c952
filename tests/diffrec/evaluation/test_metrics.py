import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import parity
from diffrec.data.interactions import Interactions
from diffrec.evaluation.metrics import user_metrics
from diffrec.evaluation.ranking import ranking_metrics


def target_of(lists, num_items=100) -> Interactions:
    pairs = [(user, item) for user, items in enumerate(lists) for item in items]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Interactions.from_pairs(array, len(lists), num_items)


def test_metrics_equal_the_released_ones():
    case = parity.case("metrics")
    targets = json.loads(str(case["ground_truth_json"]))
    ours = ranking_metrics(case["topk_items"], target_of(targets), ks=case["k"].tolist())
    # the released average counts users without a target as zero; ours leaves them out
    share = sum(bool(items) for items in targets) / len(targets)
    for name in ("precision", "recall", "ndcg", "mrr"):
        for k, expected in zip(case["k"], case[name], strict=True):
            assert ours[f"{name}@{k}"] * share == pytest.approx(expected, abs=5.1e-5), (name, k)


def test_closed_form():
    metrics = ranking_metrics(np.array([[7, 3, 9, 1]]), target_of([[9, 7, 50]]), ks=(1, 3))
    assert metrics["recall@1"] == pytest.approx(1 / 3)
    assert metrics["recall@3"] == pytest.approx(2 / 3)
    assert metrics["precision@3"] == pytest.approx(2 / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics["ndcg@3"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)
    assert metrics["ndcg@1"] == 1.0
    assert metrics["mrr@3"] == 1.0


def test_users_without_a_target_are_left_out():
    metrics = ranking_metrics(np.array([[1, 2], [3, 4]]), target_of([[1], []]), ks=(2,))
    assert metrics["recall@2"] == 1.0


def test_nothing_left_to_rank_is_no_hit():
    metrics = ranking_metrics(np.array([[-1, -1]]), target_of([[0]]), ks=(2,))
    assert metrics["recall@2"] == 0.0


def slow_metrics(ranking, targets, k):
    """The definitions, one user at a time."""
    hits = [item in targets for item in ranking[:k]]
    dcg = sum(hit / math.log2(i + 2) for i, hit in enumerate(hits))
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(targets))))
    first = hits.index(True) if any(hits) else None
    return {
        f"recall@{k}": sum(hits) / len(targets),
        f"precision@{k}": sum(hits) / k,
        f"ndcg@{k}": dcg / ideal,
        f"mrr@{k}": 0.0 if first is None else 1 / (first + 1),
    }


@given(st.data(), st.integers(2, 12), st.integers(1, 15))
def test_arrays_equal_the_definitions(data, num_items, k):
    users = data.draw(st.integers(1, 4))
    targets = [data.draw(st.sets(st.integers(0, num_items - 1), min_size=1)) for _ in range(users)]
    order = np.array([data.draw(st.permutations(range(num_items))) for _ in range(users)])
    metrics = user_metrics(order, target_of([sorted(w) for w in targets], num_items), ks=(k,))
    for user in range(users):
        for name, value in slow_metrics(order[user].tolist(), targets[user], k).items():
            assert metrics[name][user] == pytest.approx(value), name


@given(st.permutations(range(30)), st.sets(st.integers(0, 29), min_size=1))
def test_recall_never_falls_with_k(ranking, targets):
    ks = tuple(range(1, 31))
    metrics = ranking_metrics(np.array([ranking]), target_of([sorted(targets)], 30), ks=ks)
    recalls = [metrics[f"recall@{k}"] for k in ks]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0


@given(st.integers(1, 130), st.integers(1, 130), st.integers(0, 3))
def test_a_perfect_ranking_has_exactly_one_and_no_ranking_more(targets, width, seed):
    ks, num_items = (1, 10, 20, 50, 100), 200
    perfect = np.arange(width)[None]
    metrics = user_metrics(perfect, target_of([range(targets)], num_items), ks)
    order = np.random.default_rng(seed).permutation(num_items)[None, :width]
    other = user_metrics(order, target_of([range(targets)], num_items), ks)
    for k in ks:
        if width >= min(k, targets):
            assert metrics[f"ndcg@{k}"][0] == 1.0
        assert 0.0 <= other[f"ndcg@{k}"][0] <= 1.0
