import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import parity
from diffrec.data.interactions import Interactions
from diffrec.evaluation.metrics import ranking_metrics, user_metrics


def target_of(lists, num_items=100) -> Interactions:
    pairs = [(user, item) for user, items in enumerate(lists) for item in items]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Interactions.from_pairs(array, len(lists), num_items)


def test_metrics_equal_the_released_ones():
    case = parity.case("metrics")
    wanted = json.loads(str(case["ground_truth_json"]))
    ours = ranking_metrics(case["topk_items"], target_of(wanted), ks=case["k"].tolist())
    # the released average counts users without a target as zero; ours leaves them out
    share = sum(bool(items) for items in wanted) / len(wanted)
    for name in ("precision", "recall", "ndcg", "mrr"):
        for k, expected in zip(case["k"], case[name], strict=True):
            assert ours[f"{name}@{k}"] * share == pytest.approx(expected, abs=5.1e-5), (name, k)


def test_closed_form():
    found = ranking_metrics(np.array([[7, 3, 9, 1]]), target_of([[9, 7, 50]]), ks=(1, 3))
    assert found["recall@1"] == pytest.approx(1 / 3)
    assert found["recall@3"] == pytest.approx(2 / 3)
    assert found["precision@3"] == pytest.approx(2 / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@3"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)
    assert found["ndcg@1"] == 1.0
    assert found["mrr@3"] == 1.0


def test_users_without_a_target_are_left_out():
    found = ranking_metrics(np.array([[1, 2], [3, 4]]), target_of([[1], []]), ks=(2,))
    assert found["recall@2"] == 1.0


def test_nothing_left_to_rank_is_no_hit():
    found = ranking_metrics(np.array([[-1, -1]]), target_of([[0]]), ks=(2,))
    assert found["recall@2"] == 0.0


def slow_metrics(ranking, wanted, k):
    """The definitions, one user at a time."""
    hits = [item in wanted for item in ranking[:k]]
    dcg = sum(hit / math.log2(i + 2) for i, hit in enumerate(hits))
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(wanted))))
    first = hits.index(True) if any(hits) else None
    return {
        f"recall@{k}": sum(hits) / len(wanted),
        f"precision@{k}": sum(hits) / k,
        f"ndcg@{k}": dcg / ideal,
        f"mrr@{k}": 0.0 if first is None else 1 / (first + 1),
    }


@given(st.data(), st.integers(2, 12), st.integers(1, 15))
def test_arrays_equal_the_definitions(data, num_items, k):
    users = data.draw(st.integers(1, 4))
    wanted = [data.draw(st.sets(st.integers(0, num_items - 1), min_size=1)) for _ in range(users)]
    order = np.array([data.draw(st.permutations(range(num_items))) for _ in range(users)])
    found = user_metrics(order, target_of([sorted(w) for w in wanted], num_items), ks=(k,))
    for user in range(users):
        for name, value in slow_metrics(order[user].tolist(), wanted[user], k).items():
            assert found[name][user] == pytest.approx(value), name


@given(st.permutations(range(30)), st.sets(st.integers(0, 29), min_size=1))
def test_recall_never_falls_with_k(ranking, wanted):
    ks = tuple(range(1, 31))
    found = ranking_metrics(np.array([ranking]), target_of([sorted(wanted)], 30), ks=ks)
    recalls = [found[f"recall@{k}"] for k in ks]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0


@given(st.integers(1, 130), st.integers(1, 130), st.integers(0, 3))
def test_a_perfect_ranking_has_exactly_one_and_no_ranking_more(wanted, width, seed):
    ks, num_items = (1, 10, 20, 50, 100), 200
    perfect = np.arange(width)[None]
    found = user_metrics(perfect, target_of([range(wanted)], num_items), ks)
    order = np.random.default_rng(seed).permutation(num_items)[None, :width]
    other = user_metrics(order, target_of([range(wanted)], num_items), ks)
    for k in ks:
        if width >= min(k, wanted):
            assert found[f"ndcg@{k}"][0] == 1.0
        assert 0.0 <= other[f"ndcg@{k}"][0] <= 1.0
