"""Learned temporal weighting: what W must do, and what it must never do."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config import RecommenderConfig
from diffrec.config.presets import preset
from diffrec.data.batches import dense_rows
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.data.sources import load_dataset
from diffrec.diffusion.timesteps import ImportanceTimestepSampler, LearnedTimestepSampler
from diffrec.models.learned_weights import fit_recency_weights
from diffrec.models.recency import (
    NUM_KNOTS,
    RecencyCurve,
    cut_histories,
    future_nll,
    standardise_scores,
)
from diffrec.models.recommender import DiffusionRecommender
from diffrec.models.weighted_history import WeightedHistory
from diffrec.training.factory import build_optimizer
from diffrec.training.runs import build_run
from diffrec.training.weight_trajectory import MAX_SNAPSHOTS, WeightTrajectory

BASES = pytest.mark.parametrize("base", ["DiffRec", "L-DiffRec"])
SMALL = {"denoiser.hidden_dims": [12], "training.eval_every": 1, "training.max_epochs": 3}


def histories(lengths) -> Interactions:
    pairs = [(user, item) for user, length in enumerate(lengths) for item in range(length)]
    return Interactions.from_pairs(np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lengths), 60)


ASKED = {"temporal__inference_scale": 1.5}
"""Settings that W does not change: `none` and a W of ones give queries of equal norm."""


def small(variant: str, **changes) -> RecommenderConfig:
    config = preset(variant, "embedded").config
    latent = {"autoencoder.latent_dim": 10} if config.autoencoder else {}
    bare = {"temporal.guard": False}  # what W does by itself, see test_safe_weights
    if variant.endswith("recency"):
        bare |= {"temporal.recency_curve": "free", "temporal.future_holdout_unit": "users"}
    return config.replace_values(
        SMALL | latent | bare | {k.replace("__", "."): v for k, v in changes.items()}
    )


def build(variant: str, **changes) -> DiffusionRecommender:
    torch.manual_seed(0)
    return DiffusionRecommender(small(variant, **changes), 60, np.arange(60) % 2)


@BASES
def test_recency_at_ones_scores_like_none_to_the_bit(base):
    plain, learned = build(base, **ASKED), build(f"{base}+learned_recency", **ASKED)
    learned.load_state_dict(plain.state_dict() | {"recency.log_weights": torch.zeros(1, NUM_KNOTS)})
    plain.eval(), learned.eval()
    history, users = histories([5, 17, 40]), np.arange(3)
    assert torch.equal(plain.scores(history, users), learned.scores(history, users))


def test_steps_at_ones_draw_like_none_to_the_bit():
    plain, learned = ImportanceTimestepSampler(4), LearnedTimestepSampler(4)
    torch.manual_seed(1)
    for _ in range(5):
        t, loss = torch.randint(4, (30,)), torch.rand(30)
        plain.update(t, loss), learned.update(t, loss)
        assert torch.equal(plain.probabilities(), learned.probabilities().detach())
        torch.manual_seed(9)
        drawn = plain.sample(10)
        torch.manual_seed(9)
        again = learned.sample(10)
        assert torch.equal(drawn.t, again.t)
        assert torch.equal(drawn.importance, again.importance.detach())


@BASES
def test_a_whole_run_at_ones_equals_none_to_the_bit(base):
    split = load_dataset("embedded").tuning_split()
    frozen = {"temporal__ltw_learning_rate": 1e-30, **ASKED}
    plain = [r.metrics for r in build_run(small(base, **ASKED), split).epochs()]
    trained_on_all = {"learned_steps": {}, "learned_recency": {"temporal__future_holdout": 0.0}}
    for weighting, changes in trained_on_all.items():
        run = build_run(small(f"{base}+{weighting}", **frozen, **changes), split)
        assert [r.metrics for r in run.epochs()] == plain, weighting


@BASES
def test_changing_w_changes_the_scores(base):
    model = build(f"{base}+learned_recency").eval()
    history, users = histories([5, 17, 40]), np.arange(3)
    before = model.scores(history, users)
    with torch.no_grad():
        model.recency.log_weights[:, 2:] -= 1.0
    assert not torch.allclose(before, model.scores(history, users))


def warm(sampler: LearnedTimestepSampler) -> None:
    torch.manual_seed(0)
    for t in range(sampler.num_steps):
        sampler.update(torch.full((10,), t), torch.rand(10) + t)


def test_changing_w_changes_the_timestep_probabilities():
    sampler = LearnedTimestepSampler(3)
    warm(sampler)
    before = sampler.probabilities().detach()
    with torch.no_grad():
        sampler.log_weights[0] += 1.0
    assert sampler.probabilities().detach()[0] > before[0]


def test_w_of_the_newest_loss_is_in_the_first_column():
    sampler = LearnedTimestepSampler(1)
    for value in range(1, 14):  # the ring has gone round: 4 to 13 are kept
        sampler.update(torch.tensor([0]), torch.tensor([float(value)]))
    with torch.no_grad():
        sampler.log_weights[0, 0] = np.log(100)
    assert float(sampler.weighted_history().detach().max()) == pytest.approx(1300)


@BASES
def test_w_over_steps_is_taught_at_the_first_step_after_warm_up(base):
    model = build(f"{base}+learned_steps").train()
    x_0 = torch.rand(8, 60)
    model.training_loss(x_0, x_0, 0).backward()  # cold: uniform, nothing to learn from
    w = model.timestep_sampler.log_weights
    assert w.grad is None or not w.grad.any()
    warm(model.timestep_sampler)
    model.training_loss(x_0, x_0, 0).backward()
    assert bool(w.grad.isfinite().all())
    assert bool(w.grad.any())


@BASES
def test_the_future_teaches_w_and_nothing_else(base):
    model = build(f"{base}+learned_recency").train()
    with model.frozen_except_w():
        model.future_loss(histories([30, 40, 2, 1]), np.random.default_rng(0)).backward()
    taught = {name for name, p in model.named_parameters() if p.grad is not None}
    assert taught == {"recency.log_weights"}
    assert bool(model.recency.log_weights.grad.any())
    assert all(p.requires_grad for p in model.parameters())
    assert model.training


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 6), st.integers(0, 99))
def test_a_cut_keeps_the_order_and_parts_past_from_future(lengths, num_future, seed):
    history = histories(lengths)
    past, future = cut_histories(history, num_future, np.random.default_rng(seed))
    cuttable = [n for n in lengths if n >= 2]
    assert past.num_users == future.num_users == len(cuttable)
    for user, length in enumerate(cuttable):
        before, after = past.items_of(user).tolist(), future.items_of(user).tolist()
        assert before == list(range(len(before)))  # items are numbered in time
        assert 1 <= len(before) < length
        assert after == list(range(len(before), min(len(before) + num_future, length)))


def test_future_likelihood_is_the_closed_form():
    past, future = histories([2]), Interactions.from_pairs(np.array([[0, 3], [0, 4]]), 1, 60)
    scores = torch.zeros(1, 60)
    # 58 candidates remain, all alike
    assert float(future_nll(scores, past, future)) == pytest.approx(np.log(58))


def test_curve_is_linear_between_its_knots_and_flat_after_the_last():
    curve = RecencyCurve()
    with torch.no_grad():
        curve.log_weights.copy_(torch.arange(NUM_KNOTS) * -0.5)
    knots = curve.knots().detach().numpy()[0]
    (row,) = curve.all_rows(histories([40]))
    weights = row.detach().numpy()[::-1]  # by age
    position = np.log2(np.arange(40) + 1)
    expected = np.interp(position, np.arange(NUM_KNOTS), knots)
    np.testing.assert_allclose(weights / weights[0], expected / expected[0], rtol=1e-5)
    np.testing.assert_allclose((weights**2).sum(), 40, rtol=1e-5)


@pytest.mark.parametrize(
    ("log_weights", "expected"),
    [
        (torch.zeros(NUM_KNOTS), None),
        (torch.full((NUM_KNOTS,), -50.0), "fallen to zero"),
        (torch.tensor([9.0] + [0.0] * (NUM_KNOTS - 1)), "newest item holds"),
    ],
)
def test_collapse_is_said(log_weights, expected):
    curve = RecencyCurve()
    with torch.no_grad():
        curve.log_weights.copy_(log_weights)
    warning = curve.check_collapse()
    assert (warning is None) if expected is None else expected in warning


def test_learned_recency_finds_the_planted_drift():
    split = load_dataset("embedded").tuning_split()
    quick = {"training__max_epochs": 30, "training__eval_every": 10, "denoiser__hidden_dims": [100]}
    plain = build_run(small("DiffRec", **quick), split)
    learned = build_run(small("DiffRec+learned_recency", **quick), split)
    for run in (plain, learned):
        for _ in run.epochs():
            pass
    assert learned.best_metrics["valid/recall@20"] > 1.05 * plain.best_metrics["valid/recall@20"]
    (knots,) = learned.model.learned_weights()
    assert float(knots[0]) > 1.5 * float(knots[5])  # age 0 against age 31
    assert bool((knots > 0).all())
    trajectory = learned.weight_trajectory()
    assert trajectory["epochs"] == [0, 10, 20, 30]
    assert trajectory["ages"][:4] == [0, 1, 3, 7]
    assert np.shape(trajectory["weights"]) == (4, 1, NUM_KNOTS)
    assert set(trajectory["weights"][0][0]) == {1.0}  # W at the start is ones
    np.testing.assert_allclose(trajectory["weights"][-1][0], knots, rtol=1e-4)


def test_the_trajectory_is_bounded_and_keeps_its_ends():
    trajectory = WeightTrajectory(build("DiffRec+learned_steps"))
    for epoch in range(1, 1000):
        trajectory.record(epoch)
    record = trajectory.to_json()
    assert len(record["epochs"]) == len(record["weights"]) <= MAX_SNAPSHOTS
    assert record["epochs"][0] == 0
    assert record["epochs"][-1] == 999
    assert np.shape(record["weights"])[1:] == (len(record["steps"]), len(record["slots"]))


def test_nothing_learned_has_no_trajectory():
    assert WeightTrajectory(build("DiffRec")).to_json() is None


@BASES
def test_a_row_for_each_step_at_ones_scores_like_none_to_the_bit(base):
    plain = build(base, **ASKED)
    learned = build(f"{base}+learned_recency", temporal__per_step=True, **ASKED)
    w = torch.zeros(learned.process.num_steps, NUM_KNOTS)
    learned.load_state_dict(plain.state_dict() | {"recency.log_weights": w})
    plain.eval(), learned.eval()
    history, users = histories([5, 17, 40]), np.arange(3)
    assert torch.equal(plain.scores(history, users), learned.scores(history, users))


@BASES
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"diffusion__prediction_target": "epsilon"},
        {"diffusion__num_inference_noise_steps": 2},
    ],
    ids=str,
)
def test_rows_that_are_alike_score_like_the_single_one(base, changes):
    one = build(f"{base}+learned_recency", **changes).eval()
    many = build(f"{base}+learned_recency", temporal__per_step=True, **changes).eval()
    row = -0.3 * torch.arange(float(NUM_KNOTS))
    rows = row.expand(many.process.num_steps, -1)
    one.load_state_dict(one.state_dict() | {"recency.log_weights": row[None]})
    many.load_state_dict(one.state_dict() | {"recency.log_weights": rows})
    history, users = histories([5, 17, 40]), np.arange(3)
    torch.manual_seed(0)
    expected = one.scores(history, users)
    torch.manual_seed(0)
    assert torch.equal(many.scores(history, users), expected)
    with torch.no_grad():
        many.recency.log_weights[1, :3] += 1.0  # what only one step sees counts too
    torch.manual_seed(0)
    assert not torch.equal(many.scores(history, users), expected)


@BASES
@pytest.mark.parametrize("target", ["x_0", "epsilon"])
def test_the_collapsed_chain_sees_each_steps_history_like_the_plain_one(base, target):
    model = build(
        f"{base}+learned_recency", temporal__per_step=True, diffusion__prediction_target=target
    ).eval()
    with torch.no_grad():
        model.recency.log_weights.normal_()
    rows = histories([5, 17, 40])
    query = model._query(rows)
    with torch.no_grad():
        seen = [query.dense(t) for t in range(model.process.num_steps)]
        if model.autoencoder is not None:
            seen = [model.autoencoder.encode(x_0).latent for x_0 in seen]
        plain = model.process.reverse_chain(model.denoiser, seen[-1], seen.__getitem__)
        if model.autoencoder is not None:
            plain = model.autoencoder.decode(plain)
    tolerance = 1e-5 * float(plain.abs().max())
    torch.testing.assert_close(model.scores(rows, np.arange(3)), plain, rtol=1e-5, atol=tolerance)


@BASES
@pytest.mark.parametrize("per_step", [False, True])
def test_the_first_lesson_moves_w_and_nothing_else(base, per_step):
    model = build(f"{base}+learned_recency", temporal__per_step=per_step).train()
    optimizer = build_optimizer(model.config, model)
    x_0 = torch.rand(8, 60)
    model.training_loss(x_0, x_0, 0).backward()
    optimizer.step()  # as after a batch: the others have moments that must not move them
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    fit_recency_weights(model, optimizer, histories([30, 40, 2, 1]), np.random.default_rng(0))
    moved = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
    assert moved == {"recency.log_weights"}
    assert all(p.requires_grad for p in model.parameters())
    assert model.training


def test_w_has_its_own_rate_and_no_decay():
    model = build("L-DiffRec+learned_recency", temporal__ltw_learning_rate=0.07)
    (group,) = [g for g in build_optimizer(model.config, model).param_groups if g["lr"] == 0.07]
    assert [p is model.recency.log_weights for p in group["params"]] == [True]
    assert group["weight_decay"] == 0


def test_users_held_out_teach_w_and_no_one_else_does():
    split = load_dataset("embedded").tuning_split()
    run = build_run(small("DiffRec+learned_recency", temporal__future_holdout=0.25), split)
    held_out = np.setdiff1d(np.flatnonzero(split.train.lengths >= 2), run.users)
    assert len(held_out) == round(0.25 * np.count_nonzero(split.train.lengths >= 2))
    taught, trained = [], []
    lesson, batch = run.model.future_loss, run._train_batch
    run.model.future_loss = lambda rows, *arguments: taught.append(rows) or lesson(rows, *arguments)
    run._train_batch = lambda users: trained.append(users) or batch(users)
    run.next_epoch()
    rows = [row for users in trained for row in run.loader.rows(users)[0].numpy()]
    assert sorted(map(bytes, rows)) == sorted(map(bytes, dense_rows(split.train, run.users)))
    of_kept = {tuple(split.train.items_of(user)) for user in held_out}
    assert all(tuple(rows.items_of(i)) in of_kept for rows in taught for i in range(rows.num_users))


def test_the_scale_of_what_is_asked_reaches_the_network_once():
    plain, loud = build("DiffRec").eval(), build("DiffRec", temporal__inference_scale=3.0).eval()
    history, users = histories([5, 17, 40]), np.arange(3)
    thrice = torch.full((len(history.indices),), 3.0)
    with torch.no_grad():
        expected = plain._scores(WeightedHistory(history, [thrice], plain.device))
    assert torch.equal(loud.scores(history, users), expected)
    assert not torch.equal(loud.scores(history, users), plain.scores(history, users))


def learned_w(train: Interactions, valid: Interactions) -> torch.Tensor:
    embeddings = np.zeros((train.num_items, 1), dtype=np.float32)
    split = TuningSplit(train, valid, embeddings)
    run = build_run(small("DiffRec+learned_recency"), split)
    for _ in run.epochs():
        pass
    return run.model.learned_weights()


def test_w_learns_from_train_alone():
    # test interactions are not in a split at all; validation must only select
    assert {f.name for f in fields(TuningSplit)} == {"train", "valid", "item_embeddings"}
    train, valid = histories([20] * 30), histories([5] * 30)
    other = Interactions.from_pairs(valid.to_pairs() + np.array([0, 40]), 30, 60)
    w = learned_w(train, valid)
    assert torch.equal(w, learned_w(train, other))
    assert not torch.equal(w, learned_w(histories([19] * 30), valid))


def test_a_step_that_takes_all_the_sampling_is_said():
    sampler = LearnedTimestepSampler(3)
    warm(sampler)
    assert sampler.check_collapse() is None
    with torch.no_grad():
        sampler.log_weights[1] += 9.0
    assert "Diffusion step 1" in sampler.check_collapse()


def test_one_row_of_w_weighs_all_steps_alike():
    one, many = LearnedTimestepSampler(3, per_step=False), LearnedTimestepSampler(3)
    warm(one), warm(many)
    with torch.no_grad():
        one.log_weights[0, 0] += 1.0
        many.log_weights[:, 0] += 1.0
    assert one.log_weights.shape == (1, 10)
    torch.testing.assert_close(one.probabilities(), many.probabilities())


def test_scores_in_spreads_do_not_depend_on_their_unit():
    scores = torch.rand(3, 60)
    scaled = standardise_scores(scores)
    torch.testing.assert_close(scaled.std(dim=1), torch.ones(3))
    torch.testing.assert_close(standardise_scores(40 * scores), scaled)
    assert torch.equal(
        standardise_scores(torch.zeros(2, 5)), torch.zeros(2, 5)
    )  # all alike: no unit
