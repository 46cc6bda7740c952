import io

import numpy as np
import pytest
import torch

from diffrec.config.presets import VARIANTS, preset
from diffrec.training import runs
from diffrec.training.patience import PatienceRule
from diffrec.training.run import NonFiniteLossError, TrainingRun
from diffrec.training.runs import build_run

QUICK = {
    "training.max_epochs": 6,
    "training.eval_every": 2,
    "training.batch_size": 64,
    "denoiser.hidden_dims": [12],
}
variants = pytest.mark.parametrize("variant", VARIANTS)


def losses(run: TrainingRun) -> list[float]:
    return [report.loss for report in run.epochs()]


@variants
def test_same_seed_gives_equal_losses_to_the_bit(variant, quick_run):
    first, second = quick_run(variant), quick_run(variant)
    assert losses(first) == losses(second)
    assert first.best_metrics == second.best_metrics
    assert quick_run(variant, seed=2).next_epoch().loss != quick_run(variant).next_epoch().loss


@variants
@pytest.mark.parametrize("stop_after", [1, 2, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(variant, stop_after, dataset, quick_run):
    uninterrupted = quick_run(variant)
    expected = [(r.epoch, r.loss, r.metrics) for r in uninterrupted.epochs()]
    broken = quick_run(variant)
    reports = [broken.next_epoch() for _ in range(stop_after)]
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    torch.manual_seed(12345)  # whatever happens to the process's own generator
    resumed = quick_run(variant)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    reports += list(resumed.epochs())
    assert [(r.epoch, r.loss, r.metrics) for r in reports] == expected
    assert resumed.best_epoch == uninterrupted.best_epoch
    assert runs.score_test(resumed, dataset.test) == runs.score_test(uninterrupted, dataset.test)


@pytest.mark.parametrize(
    "noise",
    [{"diffusion__num_inference_noise_steps": 2}, {"diffusion__stochastic_sampling": True}],
)
def test_a_chain_that_draws_noise_draws_it_from_the_runs_own_seed(noise, dataset, quick_run):
    metrics = []
    for state in (1, 2):
        run = quick_run("DiffRec", diffusion__noise_scale=0.5, **noise)
        torch.manual_seed(state)  # whatever happens to the process's own generator
        expected = torch.random.get_rng_state()
        reports = [report.metrics for report in run.epochs()]
        tested = runs.score_test(run, dataset.test)
        assert torch.equal(torch.random.get_rng_state(), expected)
        metrics.append((reports, tested))
    assert metrics[0] == metrics[1]


def test_two_runs_in_one_process_do_not_disturb_each_other(quick_run):
    alone = losses(quick_run("DiffRec"))
    one, other = quick_run("DiffRec"), quick_run("L-DiffRec")
    interleaved = []
    while not one.finished:
        interleaved.append(one.next_epoch().loss)
        other.next_epoch()
    assert interleaved == alone


def test_training_leaves_the_callers_generator_alone(quick_run):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    quick_run("L-DiffRec").next_epoch()
    assert torch.equal(torch.rand(3), expected)


def test_validation_comes_when_due_and_at_the_end(quick_run):
    reports = list(quick_run("DiffRec", training__max_epochs=5, training__eval_every=2).epochs())
    assert [r.epoch for r in reports if r.metrics] == [2, 4, 5]
    assert [r.finished for r in reports] == [False] * 4 + [True]
    assert all(name.startswith("valid/") for name in reports[1].metrics)


def test_patience_ends_the_run(quick_run):
    run = quick_run(
        "DiffRec",
        training__learning_rate=1e-12,  # nothing ever gets better
        training__max_epochs=50,
        training__eval_every=1,
        training__patience=3,
    )
    assert [r.epoch for r in run.epochs()] == [1, 2, 3, 4]


def test_test_metrics_come_from_the_best_validation_state(dataset, quick_run):
    run = quick_run("DiffRec", training__max_epochs=4, training__eval_every=1)
    states = {}
    for report in run.epochs():
        states[report.epoch] = {k: v.clone() for k, v in run.model.state_dict().items()}
    metrics = runs.score_test(run, dataset.test)
    assert set(metrics) >= {"test/recall@20", "test/ndcg@10", "test/mrr@100", "test/precision@50"}
    state = run.model.state_dict()
    assert all(torch.equal(state[k], v) for k, v in states[run.best_epoch].items())


def test_a_run_holds_no_test_interactions(quick_run):
    run = quick_run("DiffRec")
    assert not hasattr(run.split, "test")


def test_a_loss_that_is_not_finite_ends_the_run_with_its_epoch(quick_run):
    run = quick_run("DiffRec")
    run.next_epoch()
    with torch.no_grad():
        run.model.denoiser.output_bias.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        run.next_epoch()


def test_another_configurations_state_is_refused(quick_run):
    state = quick_run("DiffRec").state_dict()
    with pytest.raises(ValueError, match="another configuration"):
        quick_run("DiffRec", training__patience=7).load_state_dict(state)


def test_learning_beats_popularity(dataset):
    run = build_run(preset("DiffRec", "embedded").config, dataset.tuning_split())
    for _ in range(40):
        run.next_epoch()
    popular = np.bincount(dataset.train.indices, minlength=dataset.num_items)

    class Popularity:
        def scores(self, history, users):
            return torch.from_numpy(popular).float().repeat(len(users), 1)

    from diffrec.evaluation.ranking import evaluate

    baseline = evaluate(
        Popularity(), history=dataset.train, target=dataset.valid, seen=[dataset.train]
    )
    assert run.best_metrics["valid/recall@20"] > 1.5 * baseline["recall@20"]


@pytest.mark.parametrize(
    ("patience", "history", "stops"),
    [
        (20, [], False),
        (20, [(5, 0.1)], False),
        (20, [(5, 0.3), (10, 0.2), (15, 0.2), (20, 0.2)], False),
        (20, [(5, 0.3), (10, 0.2), (15, 0.2), (20, 0.2), (25, 0.2)], True),
        (20, [(5, 0.3), (10, 0.2), (15, 0.31), (20, 0.2), (30, 0.2)], False),
        (20, [(5, 0.3), (25, 0.3)], True),  # an equal value is not better
        (1, [(1, 0.3), (2, 0.4)], False),
    ],
)
def test_patience_rule(patience, history, stops):
    assert PatienceRule(patience).should_stop(history) is stops
