"""Metrics beyond accuracy equal their definitions, written out one item at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config.presets import ALL_VARIANTS, preset
from diffrec.data import load_dataset, with_embeddings
from diffrec.data.interactions import Interactions
from diffrec.evaluation.beyond_accuracy import (
    BEYOND_KS,
    Catalogue,
    ListMetrics,
    catalogue_of,
    gini,
)
from diffrec.evaluation.ranking import (
    EvaluationTask,
    evaluate,
    ranking_metrics,
    rankings,
    user_results,
)
from diffrec.training.runs import build_run, score_test
from search_spaces.objectives import METRICS

NAMES = ("coverage", "gini", "arp", "aplt", "novelty", "ild")
GROUPS = ("recall_short", "recall_middle", "recall_long")


def interactions(lists, num_items):
    pairs = [(user, item) for user, items in enumerate(lists) for item in items]
    return Interactions.from_pairs(
        np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lists), num_items
    )


def reference(train, embeddings, lists, k):
    """The definitions in plain Python; `lists` are those of users with a target."""
    items = range(train.num_items)
    users = range(train.num_users)
    owned = [set(train.items_of(user).tolist()) for user in users]
    popularity = [sum(item in things for things in owned) for item in items]
    by_popularity = sorted(items, key=lambda item: (-popularity[item], item))
    tail = set(by_popularity[round(0.2 * len(popularity)) :])
    lists = [[item for item in row[:k] if item >= 0] for row in lists]
    shown = [sum(item in row for row in lists) for item in items]
    metrics = {}
    if sum(shown):
        metrics["coverage"] = len({item for row in lists for item in row}) / len(popularity)
        n, total = len(popularity), sum(shown)
        weighted = sum((2 * j - n - 1) * count / total for j, count in enumerate(sorted(shown), 1))
        metrics["gini"] = weighted / (n - 1) if n > 1 else 0.0
    nonempty = [row for row in lists if row]
    if nonempty:
        metrics["arp"] = mean(mean(popularity[i] for i in row) for row in nonempty)
        metrics["aplt"] = mean(mean(i in tail for i in row) for row in nonempty)
        metrics["novelty"] = mean(
            mean(-math.log2(max(popularity[i], 1) / train.num_users) for i in row)
            for row in nonempty
        )
    pairs = [[(i, j) for i in row for j in row if i != j] for row in nonempty if len(row) > 1]
    if embeddings is not None and pairs:
        metrics["ild"] = mean(
            mean(1 - cosine(embeddings[i].tolist(), embeddings[j].tolist()) for i, j in row)
            for row in pairs
        )
    return metrics


def mean(values):
    values = [float(value) for value in values]
    return math.fsum(values) / len(values)


def cosine(a, b):
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


@st.composite
def cases(draw):
    num_items, num_users = draw(st.integers(1, 30)), draw(st.integers(1, 9))
    item = st.integers(0, num_items - 1)
    train = [draw(st.sets(item, max_size=6)) for _ in range(num_users)]
    lists = [draw(st.permutations(range(num_items))) for _ in range(num_users)]
    width = max(1, max(lengths := [draw(st.integers(0, num_items)) for _ in range(num_users)]))
    ranking = np.full((num_users, width), -1)
    for user, length in enumerate(lengths):
        ranking[user, :length] = lists[user][:length]
    seed = draw(st.integers(0, 100))
    embeddings = np.random.default_rng(seed).normal(size=(num_items, 3)).astype(np.float32)
    embeddings[:: draw(st.integers(1, 5))] = 0  # as items without a train interaction have
    return interactions(train, num_items), embeddings, ranking


@given(cases(), st.booleans(), st.integers(1, 4))
def test_arrays_equal_the_definitions_on_random_lists(case, embedded, batches):
    train, embeddings, ranking = case
    lists = ListMetrics(Catalogue(train, embeddings if embedded else None))
    parts = [lists.add(part) for part in np.array_split(ranking, batches)]
    per_user = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    recalls = {f"recall@{k}": np.zeros(len(ranking)) for k in BEYOND_KS}
    together = lists.of_all(np.arange(len(ranking)), recalls)
    for k in BEYOND_KS:
        expected = reference(train, embeddings if embedded else None, ranking.tolist(), k)
        for name in NAMES:
            value = together.get(f"{name}@{k}", math.nan)
            if f"{name}@{k}" in per_user:
                values = per_user[f"{name}@{k}"]
                value = values[~np.isnan(values)].mean() if not np.isnan(values).all() else math.nan
            wanted = expected.get(name, math.nan)
            assert value == pytest.approx(wanted, abs=1e-9, nan_ok=True), name


def uniform_lists():
    """Ten users, twenty items, lists of ten: every item is shown five times."""
    ranking = np.stack([(np.arange(10) + 2 * user) % 20 for user in range(10)])
    return interactions([[user, user + 10] for user in range(10)], 20), ranking


def all_metrics(train, ranking, embeddings=None):
    target = interactions([[0]] * train.num_users, train.num_items)
    return ranking_metrics(ranking, target, BEYOND_KS, Catalogue(train, embeddings))


def test_uniform_exposure_covers_all_and_is_equal():
    train, ranking = uniform_lists()
    metrics = all_metrics(train, ranking, np.eye(20, dtype=np.float32))
    assert metrics["coverage@10"] == 1.0
    assert metrics["gini@10"] == 0.0
    assert metrics["arp@10"] == 1.0  # each item was chosen once
    assert metrics["novelty@10"] == pytest.approx(math.log2(10), abs=1e-12)
    assert metrics["ild@10"] == 1.0  # orthogonal embeddings


def test_the_same_list_for_all():
    train = interactions([[0, 1]] * 4 + [[2]] * 4, 40)
    ranking = np.tile(np.arange(10), (8, 1))
    metrics = all_metrics(train, ranking, np.ones((40, 2), dtype=np.float32))
    assert metrics["coverage@10"] == 10 / 40
    assert metrics["gini@10"] == pytest.approx(30 / 39, abs=1e-12)
    assert metrics["arp@10"] == pytest.approx(12 / 10, abs=1e-12)
    # three items of popularity 4; the head is the first eight, so two of ten are in the tail
    assert metrics["aplt@10"] == pytest.approx(0.2, abs=1e-12)
    assert metrics["novelty@10"] == pytest.approx((3 * 1 + 7 * 3) / 10, abs=1e-12)
    assert metrics["ild@10"] == pytest.approx(0, abs=1e-12)


def test_every_item_once_is_full_coverage_at_twenty_and_half_at_ten():
    train = interactions([[0]] * 3, 60)
    metrics = all_metrics(train, np.arange(60).reshape(3, 20))
    assert (metrics["coverage@20"], metrics["gini@20"]) == (1.0, 0.0)
    assert metrics["coverage@10"] == 0.5
    assert metrics["gini@10"] == pytest.approx(30 / 59, abs=1e-12)
    assert "ild@20" not in metrics


def test_gini_of_one_shown_item_is_one():
    assert gini(np.array([0, 0, 7])) == 1.0
    assert gini(np.array([3])) == 0.0


def test_recall_of_thirds_by_history_and_their_mean_is_recall():
    lengths = [9, 1, 5, 2, 8, 4]
    train = interactions([range(n) for n in lengths], 40)
    target = interactions([[30]] * 6, 40)
    ranking = np.tile(np.arange(10, 30), (6, 1))
    for user in (1, 3, 5):  # histories of 1, 2 and 4
        ranking[user, 15] = 30
    metrics = ranking_metrics(ranking, target, BEYOND_KS, Catalogue(train))
    assert [metrics[f"{name}@20"] for name in GROUPS] == [1.0, 0.5, 0.0]
    assert [metrics[f"{name}@10"] for name in GROUPS] == [0.0, 0.0, 0.0]
    assert metrics["recall@20"] == 0.5


def test_a_model_and_its_lists_have_the_same_metrics_from_one_ranking(monkeypatch):
    dataset = with_embeddings(load_dataset("embedded"))
    table = np.random.default_rng(0).normal(size=(dataset.num_users, dataset.num_items))
    calls = []

    class Model:
        def scores(self, history, users):
            calls.extend(users.tolist())
            return torch.from_numpy(table[users])

    catalogue = catalogue_of(dataset.train, dataset.item_embeddings)
    task = EvaluationTask(dataset.test, [dataset.train, dataset.valid])
    results = user_results(Model(), history=dataset.train, tasks=[task], catalogue=catalogue)[0]
    assert len(calls) == len(set(calls)) == len(results.users)
    users = np.arange(dataset.num_users)
    ranked = rankings(
        Model(), history=dataset.train, seen=[dataset.train, dataset.valid], users=users, k=100
    )
    lists = np.concatenate([items for _, items in ranked])
    assert results.means() == pytest.approx(
        ranking_metrics(lists, dataset.test, catalogue=catalogue), abs=1e-12
    )
    assert {f"{name}@{k}" for name in NAMES + GROUPS for k in BEYOND_KS} < results.means().keys()


def test_accuracy_is_the_same_to_the_bit_with_and_without_them():
    dataset = load_dataset("embedded")
    run = build_run(preset("EASE", "embedded").config, dataset.tuning_split())
    run.next_epoch()
    plain = evaluate(run.model, history=dataset.train, target=dataset.valid, seen=[dataset.train])
    assert {name: run.best_metrics[f"valid/{name}"] for name in plain} == plain


@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_every_variant_records_them_for_validation_and_test(variant):
    dataset = load_dataset("embedded")
    config = preset(variant, "embedded").config
    if config.needs_embeddings:
        dataset = with_embeddings(dataset)
    if hasattr(config, "training"):
        changes = {"training.max_epochs": 1, "training.eval_every": 1, "training.patience": 1}
        config = config.replace_values(changes)
    run = build_run(config, dataset.tuning_split())
    report = run.next_epoch()
    test = score_test(run, dataset.test)
    wanted = [f"{name}@{k}" for name in NAMES + GROUPS for k in BEYOND_KS]
    if dataset.item_embeddings is None:
        wanted = [name for name in wanted if not name.startswith("ild")]
    assert all(f"valid/{name}" in report.metrics and f"test/{name}" in test for name in wanted)
    assert all(math.isfinite(value) for value in test.values())
    if dataset.item_embeddings is not None:
        assert set(METRICS) <= report.metrics.keys()
