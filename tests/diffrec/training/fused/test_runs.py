"""Runs trained together are the runs that they would be alone."""

import io
import math
import subprocess
import sys

import pytest
import torch

from diffrec.config.baselines import EASEConfig
from diffrec.config.presets import preset
from diffrec.data import Dataset
from diffrec.data.sources import load_dataset
from diffrec.models.dropout import Dropout
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.run import NonFiniteLossError, TrainingRun
from diffrec.training.runs import build_run

QUICK = {
    "training.max_epochs": 3,
    "training.eval_every": 2,
    "training.batch_size": 128,  # the last batch is shorter
    "denoiser.hidden_dims": [12],
}
LATENT = {"autoencoder.latent_dim": 10}
OWN = (
    {"seed": 2},
    {
        "seed": 3,
        "training.learning_rate": 4e-3,
        "training.weight_decay": 0.1,
        "training.max_epochs": 2,
        "denoiser.dropout": 0.0,
    },
    {"seed": 4, "diffusion.noise_scale": 0.5, "training.eval_every": 1, "denoiser.dropout": 0.2},
)
"""What each member has of its own: among others its length, so the stack shrinks on the way."""

CASES = {
    "DiffRec": ("DiffRec", {}),
    "T-DiffRec": ("T-DiffRec", {}),
    "L-DiffRec": ("L-DiffRec", LATENT),
    "LT-DiffRec": ("LT-DiffRec", LATENT),
    "epsilon": ("DiffRec", {"diffusion.prediction_target": "epsilon"}),
    "normalised": ("DiffRec", {"denoiser.normalize_input": True}),
    "uniform steps": ("DiffRec", {"diffusion.timestep_sampler": "uniform"}),
    "weighted target": ("T-DiffRec", {"temporal.weigh_training_input": False}),
    "weighted latent target": ("LT-DiffRec", LATENT | {"temporal.weigh_training_input": False}),
    "decoders": ("L-DiffRec", LATENT | {"autoencoder.decoder_per_cluster": True}),
    "learned steps": (
        "DiffRec",
        {"temporal.weighting": "learned_steps", "temporal.ltw_learning_rate": 0.05},
    ),
    "learned losses": (
        "DiffRec",
        {
            "temporal.weighting": "learned_steps",
            "temporal.ltw_learning_rate": 0.05,
            "temporal.per_step": True,
        },
    ),
    "learned recency": (
        "DiffRec",
        {
            "temporal.weighting": "learned_recency",
            "temporal.ltw_learning_rate": 0.05,
            "temporal.future_items": 5,
            "temporal.future_temperature": 1.0,
            "temporal.future_users": 20,
            "temporal.future_every": 2,
            "temporal.weigh_inference": True,
        },
    ),
}


@pytest.fixture(scope="module")
def split():
    data: Dataset = load_dataset("embedded")
    return data.tuning_split()


def build(split, case: str = "DiffRec", **changes) -> TrainingRun:
    variant, values = CASES[case]
    config = preset(variant, "embedded").config
    changes = {k.replace("__", "."): v for k, v in changes.items()}
    return build_run(config.replace_values(QUICK | values | changes), split)


def members(split, case: str) -> list[TrainingRun]:
    return [
        build(split, case, **{k.replace(".", "__"): v for k, v in settings.items()})
        for settings in OWN
    ]


def to_the_end(fused: FusedRuns) -> dict[int, list]:
    """Train until nobody is left; return each seed's reports."""
    reports: dict[int, list] = {run.config.seed: [] for run in fused.runs}
    while fused.runs:
        for run, report, error, _ in fused.next_epoch():
            assert error is None
            reports[run.config.seed].append(report)
    return reports


def assert_equal(actual, expected) -> None:
    """Losses agree to float error, metrics to a swap of two nearly equal scores."""
    assert [r.epoch for r in actual] == [r.epoch for r in expected]
    assert [r.loss for r in actual] == pytest.approx([r.loss for r in expected], rel=1e-5)
    for one, other in zip(actual, expected, strict=True):
        assert one.finished == other.finished
        assert (one.metrics or {}) == pytest.approx(other.metrics or {}, abs=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_fused_runs_equal_the_runs_alone(case, split):
    alone = members(split, case)
    expected = {run.config.seed: list(run.epochs()) for run in alone}
    together = members(split, case)
    fused_reports = to_the_end(FusedRuns(together))
    for one, other in zip(together, alone, strict=True):
        assert_equal(fused_reports[one.config.seed], expected[one.config.seed])
        mine, theirs = one.model.state_dict(), other.model.state_dict()
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert torch.allclose(value, theirs[name], rtol=1e-3, atol=1e-5), name
    assert len({tuple(r.loss for r in reports) for reports in expected.values()}) == len(OWN)


@pytest.mark.parametrize("case", ["DiffRec", "LT-DiffRec"])
def test_in_bf16_fused_runs_are_those_alone_but_for_its_rounding(case, split, monkeypatch):
    """Products of another shape round otherwise: 1e-4 after three epochs, a tenth of bf16's own."""
    monkeypatch.setitem(QUICK, "training.precision", "bf16")
    expected = {run.config.seed: list(run.epochs()) for run in members(split, case)}
    fused_reports = to_the_end(FusedRuns(members(split, case)))
    for seed, reports in expected.items():
        losses = pytest.approx([report.loss for report in reports], rel=1e-4)
        assert [report.loss for report in fused_reports[seed]] == losses


def test_a_run_may_leave_and_another_join(split):
    expected = {run.config.seed: list(run.epochs()) for run in members(split, "DiffRec")}
    first, second, third = members(split, "DiffRec")
    fused = FusedRuns([first, second])
    fused_reports = {2: [], 3: [], 4: []}
    for run, report, *_ in fused.next_epoch():
        fused_reports[run.config.seed].append(report)
    fused.leave(first)  # continues alone
    fused_reports[2] += first.epochs()
    fused.join(third)  # a newcomer, an epoch behind
    for seed, reports in to_the_end(fused).items():
        fused_reports[seed] += reports
    for seed, reports in fused_reports.items():
        assert_equal(reports, expected[seed])


def test_a_checkpoint_holds_one_run_and_goes_on_alone_or_fused(split):
    expected = list(build(split, seed=2).epochs())
    runs = members(split, "DiffRec")
    fused = FusedRuns(runs)
    fused.next_epoch()
    fused.next_epoch()
    file, single = io.BytesIO(), io.BytesIO()
    torch.save(runs[0].state_dict(), file)
    alone = build(split, seed=2)
    alone.next_epoch()
    alone.next_epoch()
    torch.save(alone.state_dict(), single)
    assert file.tell() == pytest.approx(single.tell(), rel=0.01)
    resumed, again = build(split, seed=2), build(split, seed=2)
    for run in (resumed, again):
        file.seek(0)
        run.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(list(resumed.epochs()), expected[2:])
    assert_equal(to_the_end(FusedRuns([build(split, seed=5), again]))[2], expected[2:])


def test_a_loss_that_is_not_finite_ends_one_run_alone(split):
    expected = list(build(split, seed=2).epochs())
    good, bad = build(split, seed=2), build(split, seed=3)
    with torch.no_grad():
        bad.model.denoiser.output_bias.fill_(math.nan)
    fused = FusedRuns([bad, good])
    (_, none, error, _), (_, report, fine, _) = fused.next_epoch()
    assert none is None
    assert isinstance(error, NonFiniteLossError)
    assert error.epoch == 1
    assert fine is None
    assert fused.runs == [good]
    assert_equal([report, *to_the_end(fused)[2]], expected)


def test_patience_ends_one_run_alone(split):
    idle = build(
        split,
        seed=3,
        training__learning_rate=1e-12,  # nothing ever gets better
        training__max_epochs=50,
        training__eval_every=1,
        training__patience=1,
    )
    reports = to_the_end(FusedRuns([idle, build(split, seed=2)]))
    assert [r.epoch for r in reports[3]] == [1, 2]
    assert [r.epoch for r in reports[2]] == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        {"denoiser__hidden_dims": [8]},
        {"diffusion__num_steps": 7},
        {"diffusion__prediction_target": "epsilon"},
        {"diffusion__loss_weighting": "uniform"},
        {"training__batch_size": 64},
        {"denoiser__normalize_input": True},
        {"case": "L-DiffRec"},
        {"case": "learned steps"},
        {"case": "weighted target"},
    ],
)
def test_what_shapes_the_computation_must_be_shared(other, split):
    assert not FusedRuns([build(split)]).takes(build(split, **other))


def test_static_weights_are_only_another_input(split):
    fused = FusedRuns([build(split, "T-DiffRec", temporal__weight_min=0.5)])
    assert fused.takes(build(split, "DiffRec"))


def test_clusters_of_other_sizes_are_not_taken(split):
    settings = {"autoencoder__num_clusters": 2, "autoencoder__clustering": "agglomerative"}
    fused = FusedRuns([build(split, "L-DiffRec", seed=2)])
    assert fused.takes(build(split, "L-DiffRec", seed=3))
    other = build(split, "L-DiffRec", seed=1)  # k-means names the same clusters the other way round
    sizes = other.model.autoencoder.cluster_sizes
    assert sizes == fused.runs[0].model.autoencoder.cluster_sizes[::-1]
    assert other.config.fusion_key() == fused.runs[0].config.fusion_key()
    assert not fused.takes(other)
    again = build(split, "L-DiffRec", **settings).config
    assert again.fusion_key() == other.config.fusion_key()


def test_a_closed_form_is_never_fused():
    assert EASEConfig().fusion_key() is None


@pytest.mark.parametrize("case", ["DiffRec", "learned recency"])
def test_a_run_trained_alone_joins_as_it_is(case, split):
    alone, joins = (build(split, case) for _ in range(2))
    expected = [report.loss for report in alone.epochs()]
    losses = [joins.next_epoch().loss]
    fused = FusedRuns([build(split, case, seed=2)])
    fused.join(joins)
    while any(run is joins for run in fused.runs):
        losses += [each.report.loss for each in fused.next_epoch() if each.run is joins]
    assert losses == pytest.approx(expected, rel=1e-5)
    for name, mine in joins.model.state_dict().items():
        torch.testing.assert_close(mine, alone.model.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_fused_training_leaves_the_callers_generator_alone(split):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    FusedRuns(members(split, "L-DiffRec")).next_epoch()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
def test_a_mask_is_what_dropout_would_have_done(p):
    layer, x, mask = Dropout(p), torch.randn(7, 13), torch.empty(7, 13)
    torch.manual_seed(3)
    expected = layer(x)
    torch.manual_seed(3)
    layer.fill_mask(mask)
    assert torch.equal(x * mask, expected)


def test_a_first_epoch_loads_neither_torchs_compiler_nor_sympy():
    # new weights on the meta device do, in every worker, for five seconds
    code = """
import sys
from diffrec.data.sources import load_dataset
from diffrec.config.presets import preset
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.runs import build_run
split, config = load_dataset("embedded").tuning_split(), preset("DiffRec", "embedded").config
runs = [build_run(config.replace_values({"seed": seed}), split) for seed in (1, 2)]
assert [epoch.error for epoch in FusedRuns(runs).next_epoch()] == [None, None]
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
