"""Weights that do no harm: a curve that cannot fit noise, futures held back, a guard."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config import RecommenderConfig, TemporalConfig, serialization
from diffrec.config.presets import preset
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.data.sources import load_dataset
from diffrec.errors import UserError
from diffrec.evaluation.beyond_accuracy import catalogue_of
from diffrec.evaluation.ranking import evaluate
from diffrec.models.holdout import truncate_histories, visible_lengths
from diffrec.models.monotone_recency import MonotoneRecencyCurve
from diffrec.models.query_choice import Query, QueryChoice
from diffrec.models.recency import NUM_KNOTS, RecencyCurve, cut_histories
from diffrec.models.recommender import DiffusionRecommender
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.guard import best_query
from diffrec.training.run import TrainingRun
from diffrec.training.runs import build_run

HELD_BACK = TemporalConfig(
    weighting="learned_recency",
    ltw_learning_rate=0.1,
    future_items=3,
    future_temperature=0.7,
    future_users=64,
    future_every=1,
    future_holdout=0.1,
    future_holdout_unit="interactions",
    recency_curve="monotone",
    guard=True,
    weigh_inference=True,
    keep_norm=True,
    inference_scale=2.0,
)


def histories(lengths) -> Interactions:
    pairs = [(user, item) for user, length in enumerate(lengths) for item in range(length)]
    return Interactions.from_pairs(np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lengths), 60)


@given(st.floats(-20, 20), st.floats(-5, 5))
def test_the_monotone_curve_never_rises_and_starts_at_one(beta, log2_tau):
    curve = MonotoneRecencyCurve(1)
    with torch.no_grad():
        curve.shape.copy_(torch.tensor([[beta, log2_tau]]))
    knots = curve.knots()[0].detach()
    assert knots.shape == (NUM_KNOTS,)
    assert knots[0] == 1
    assert (knots[1:] <= knots[:-1]).all()
    assert (knots >= 0).all()


def test_it_starts_near_ones_and_the_prior_pulls_it_there():
    curve = MonotoneRecencyCurve(1)
    assert curve.knots().min() > 0.6
    with torch.no_grad():
        curve.shape += 5.0  # steep
    assert curve.knots()[0, 6] < 0.5
    optimizer = torch.optim.SGD(curve.parameters(), lr=0.5)
    for _ in range(500):
        optimizer.zero_grad()
        curve.penalty().backward()
        optimizer.step()
    assert curve.knots()[0, 6] > 0.85  # 63 items ago


def test_it_fits_what_free_curves_came_to_on_ml_1m():
    expected = torch.tensor([1, 0.79, 0.63, 0.41, 0.28, 0.21, 0.16])
    curve = MonotoneRecencyCurve(1)
    optimizer = torch.optim.Adam(curve.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        (curve.knots()[0, :7] - expected).square().sum().backward()
        optimizer.step()
    assert (curve.knots()[0, :7] - expected).abs().max() < 0.06


def test_rows_have_the_binary_norm():
    history = histories([1, 5, 40])
    (weights,) = MonotoneRecencyCurve(1).all_rows(history)
    assert weights is not None
    squares = torch.zeros(3).index_add(0, torch.from_numpy(history.users()), weights.square())
    torch.testing.assert_close(squares, torch.tensor([1.0, 5.0, 40.0]), rtol=1e-5, atol=1e-5)


def test_a_choice_starts_plain_and_travels_with_the_state():
    choice = QueryChoice(2.0)
    assert choice.query == Query(is_weighted=False, scale=1.0) == choice.options[0]
    assert len(choice.options) == 4
    choice.choose(Query(is_weighted=True, scale=2.0))
    other = QueryChoice(2.0)
    other.load_state_dict(choice.state_dict())
    assert other.query == Query(is_weighted=True, scale=2.0)
    assert len(QueryChoice(1.0).options) == 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=10), st.integers(0, 5))
def test_held_back_futures_lose_no_user(lengths, seed):
    history = histories(lengths)
    held = np.arange(len(lengths)) % 2 == 0
    visible_counts = visible_lengths(HELD_BACK, history, held, seed)
    assert visible_counts is not None
    visible = truncate_histories(history, visible_counts)
    assert (visible.lengths[~held] == history.lengths[~held]).all()
    longer = held & (history.lengths >= 2)
    assert (visible.lengths[longer] < history.lengths[longer]).all()
    assert (visible.lengths[history.lengths > 0] > 0).all()
    for user in range(len(lengths)):
        assert (visible.items_of(user) == history.items_of(user)[: visible_counts[user]]).all()


def test_the_cuts_are_the_seeds():
    history = histories([30] * 50)
    held = np.ones(50, dtype=bool)
    first, again = (visible_lengths(HELD_BACK, history, held, 3) for _ in range(2))
    assert (first == again).all()
    assert (first != visible_lengths(HELD_BACK, history, held, 4)).any()
    assert first.min() == pytest.approx(15, abs=2)
    assert first.max() <= 27


NO_WEIGHTS = serialization.to_dict(TemporalConfig())


def quick(variant: str, **changes) -> RecommenderConfig:
    quick = {
        "denoiser.hidden_dims": [12],
        "training.eval_every": 1,
        "training.max_epochs": 2,
        "training.learning_rate": 1e-2,
    }
    config = preset(variant, "embedded").config
    return config.replace_values(quick | {k.replace("__", "."): v for k, v in changes.items()})


GUARDED = [
    quick("DiffRec+exponential", temporal__guard=True),
    quick("DiffRec+exponential", temporal__guard=True, temporal__inference_scale=1.0),
    quick("DiffRec").replace_values(
        {f"temporal.{k}": v for k, v in serialization.to_dict(HELD_BACK).items()}
    ),
]
guarded = pytest.mark.parametrize("config", GUARDED, ids=["scale 2", "scale 1", "learned"])


@pytest.fixture(scope="module")
def split() -> TuningSplit:
    return load_dataset("embedded").tuning_split()


def run_of(config: RecommenderConfig, split: TuningSplit) -> TrainingRun:
    run = build_run(config, split)
    assert isinstance(run, TrainingRun)
    assert isinstance(run.model, DiffusionRecommender)
    return run


@guarded
def test_a_guarded_run_is_never_worse_than_its_own_network_without_weights(config, split):
    run = run_of(config, split)
    reports = list(run.epochs())
    for report in reports:
        metrics = report.metrics
        assert metrics is not None
        assert metrics["valid/recall@20"] >= metrics["valid/unweighted_recall@20"]
        chosen = Query(bool(metrics["valid/query_weighted"]), metrics["valid/query_scale"])
        assert chosen in run.model.query.options
    run.restore_best()
    best = run.best_metrics
    assert run.model.query.query == Query(
        bool(best["valid/query_weighted"]), best["valid/query_scale"]
    )
    again = evaluate(
        run.model,
        history=split.train,
        target=split.valid,
        seen=[split.train],
        catalogue=catalogue_of(split.train, split.item_embeddings),
    )
    assert again == {
        k.removeprefix("valid/"): v
        for k, v in best.items()
        if "/query" not in k and "/unweighted" not in k
    }


@guarded
def test_the_plain_query_of_a_guarded_network_is_that_of_an_unweighted_one(config, split):
    run = run_of(config, split)
    run.next_epoch()
    run.model.query.choose(Query(is_weighted=False, scale=1.0))
    plain = DiffusionRecommender(
        config.replace_values({f"temporal.{k}": v for k, v in NO_WEIGHTS.items()}),
        split.train.num_items,
    )
    plain.load_state_dict(run.model.state_dict(), strict=False)
    users = np.arange(10)
    assert torch.equal(
        run.model.eval().scores(split.train, users), plain.eval().scores(split.train, users)
    )


def test_where_order_says_nothing_the_guard_keeps_the_plain_query(split):
    """Shuffled histories: a half-life of half an item throws all but the newest away."""
    rng = np.random.default_rng(0)
    train = split.train
    indices = np.concatenate([rng.permutation(train.items_of(u)) for u in range(train.num_users)])
    shuffled = replace(split, train=replace(train, indices=indices))
    config = quick(
        "DiffRec+exponential",
        temporal__guard=True,
        temporal__half_life=0.5,
        training__max_epochs=8,
        training__eval_every=4,
    )
    run = run_of(config, shuffled)
    list(run.epochs())
    assert run.best_metrics["valid/query_weighted"] == 0
    unguarded = run_of(config.replace_values({"temporal.guard": False}), shuffled)
    list(unguarded.epochs())
    assert run.best_metrics["valid/recall@20"] > 1.02 * unguarded.best_metrics["valid/recall@20"]


def test_an_equal_query_does_not_replace_the_plain_one():
    choice = QueryChoice(2.0)
    metrics = best_query(choice, lambda: {"recall@20": 0.5})
    assert choice.query == choice.options[0]
    assert metrics == {
        "recall@20": 0.5,
        "query_weighted": 0.0,
        "query_scale": 1.0,
        "unweighted_recall@20": 0.5,
    }


@guarded
def test_a_guarded_run_resumes_to_the_bit(config, split):
    uninterrupted = run_of(config, split)
    expected = [(r.loss, r.metrics) for r in uninterrupted.epochs()]
    broken = run_of(config, split)
    first = broken.next_epoch()
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    file.seek(0)
    resumed = run_of(config, split)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert [(r.loss, r.metrics) for r in (first, *resumed.epochs())] == expected


@guarded
def test_guarded_runs_trained_together_are_those_trained_alone(config, split):
    configs = [config, config.replace_values({"seed": 2})]
    alone = [[(r.epoch, r.metrics) for r in run_of(c, split).epochs()] for c in configs]
    runs = [run_of(c, split) for c in configs]
    fused = FusedRuns(runs)
    together: list[list] = [[], []]
    while fused.runs:
        for done in fused.next_epoch():
            assert done.report is not None
            together[runs.index(done.run)].append((done.report.epoch, done.report.metrics))
    for actual, expected in zip(together, alone, strict=True):
        for (epoch, metrics), (expected_epoch, expected_metrics) in zip(
            actual, expected, strict=True
        ):
            assert epoch == expected_epoch
            assert metrics == pytest.approx(expected_metrics, abs=2e-3)


def test_the_network_is_trained_on_all_users_and_never_on_what_is_held_back(split):
    run = run_of(GUARDED[2], split)
    assert len(run.users) == np.count_nonzero(split.train.lengths)
    rows = [run.loader.rows(batch)[0] for batch in run.batches()]
    total = int(torch.cat(rows).sum())
    lengths = visible_lengths(HELD_BACK, split.train, run._holdout.users, run.config.seed)
    assert lengths is not None
    assert total == lengths.sum() < split.train.nnz


def test_cuts_of_held_back_futures_lie_where_the_network_saw_nothing():
    history = histories([2, 10, 30])
    earliest = np.array([1, 7, 20])
    for seed in range(20):
        past, _ = cut_histories(history, 3, np.random.default_rng(seed), earliest)
        assert (past.lengths >= earliest).all()
        assert (past.lengths < history.lengths).all()


def test_the_collapse_detector_knows_the_lengths_of_histories():
    curve = RecencyCurve()
    with torch.no_grad():
        curve.log_weights[:, 5:] = -20.0  # nothing is older than 31 items
    assert curve.check_collapse(np.array([3, 30])) is None
    with torch.no_grad():
        curve.log_weights[:, 1:] = -8.0
    assert "has become one item" in (curve.check_collapse(np.array([3, 30])) or "")
    assert curve.check_collapse(np.array([0, 1])) is None  # nothing to weigh at all


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recency_curve": "monotone"}, "no effect with temporal.weighting='none'"),
        ({"future_holdout_unit": "interactions"}, "no effect without `temporal.future_holdout`"),
        ({"guard": True}, "compares queries with and without weights"),
    ],
)
def test_safety_without_effect_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        TemporalConfig(**changes)
