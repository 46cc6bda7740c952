"""Training in little memory is the same training: gradients in pieces, the best state in a file."""

import io
import logging

import numpy as np
import psutil
import pytest
import torch

from diffrec.config.presets import VARIANTS, preset
from diffrec.models import chunked_linear
from diffrec.models.chunked_linear import ChunkedLinear
from diffrec.runtime import precision
from diffrec.runtime.memory import release_pages
from diffrec.training import best_state, runs
from diffrec.training import run as training_run
from diffrec.training.best_state import BestState

QUICK = {
    "training.max_epochs": 4,
    "training.eval_every": 1,
    "training.batch_size": 64,
    "denoiser.hidden_dims": [12],
}


@pytest.mark.parametrize("variant", [*VARIANTS, "DiffRec+learned_recency"])
@pytest.mark.parametrize("target", ["x_0", "epsilon"])
def test_gradients_taken_in_pieces_give_the_same_run(variant, target, monkeypatch, quick_run):
    change = {"diffusion__prediction_target": target}
    reference = quick_run(variant, **change)
    expected = [(r.loss, r.metrics["valid/recall@20"]) for r in reference.epochs()]
    monkeypatch.setattr(training_run, "WIDE_BYTES", 0)
    monkeypatch.setattr(chunked_linear, "CHUNK_BYTES", 1000)
    pieces = quick_run(variant, **change)
    actual = [(r.loss, r.metrics["valid/recall@20"]) for r in pieces.epochs()]
    np.testing.assert_allclose(actual, expected, rtol=2e-3)
    for name, value in reference.model.state_dict().items():
        torch.testing.assert_close(pieces.model.state_dict()[name], value, rtol=1e-2, atol=1e-3)


def test_a_wide_layer_never_has_a_gradient_of_its_own(monkeypatch, quick_run):
    monkeypatch.setattr(training_run, "WIDE_BYTES", 0)
    run = quick_run("DiffRec")
    layers = [m for m in run.model.modules() if isinstance(m, ChunkedLinear)]
    before = [layer.weight.detach().clone() for layer in layers]
    run.next_epoch()
    assert len(layers) == 2
    for layer, old in zip(layers, before, strict=True):
        assert layer.weight.grad is None
        assert not torch.equal(layer.weight, old)


@pytest.mark.parametrize("limit", [2**28, 0])
def test_the_best_state_comes_back_from_memory_or_from_a_file(limit, monkeypatch, quick_run):
    monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", limit)
    run = quick_run("L-DiffRec", training__patience=50, training__max_epochs=3)
    states = {}
    for report in run.epochs():
        states[report.epoch] = {k: v.clone() for k, v in run.model.state_dict().items()}
        if report.is_best:
            with torch.no_grad():  # later weights must not reach what was kept
                run.model.denoiser.output_bias.add_(1)
    run.restore_best()
    expected = states[run.best_epoch]
    assert all(torch.equal(v, expected[k]) for k, v in run.model.state_dict().items())


def test_a_kept_file_is_replaced_whole_and_read_as_it_was_when_asked(monkeypatch):
    monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", 0)
    best = BestState()
    assert best.tensors() == {}
    first = {"flag": torch.tensor(True), "a": torch.arange(5), "b": torch.rand(3, 2).double()}
    best.store(first)
    tensors = best.tensors()
    best.store({"flag": torch.tensor(False), "a": torch.zeros(2), "b": torch.ones(1)})
    assert all(torch.equal(tensors[name], value) for name, value in first.items())
    assert not best.tensors()["flag"]


@pytest.mark.parametrize("limit", [2**28, 0])
def test_a_resumed_run_has_its_best_state(limit, dataset, monkeypatch, quick_run):
    monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", limit)
    uninterrupted = quick_run("DiffRec")
    list(uninterrupted.epochs())
    broken = quick_run("DiffRec")
    broken.next_epoch(), broken.next_epoch()
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    file.seek(0)
    resumed = quick_run("DiffRec")
    resumed.load_state_dict(torch.load(file, weights_only=True))
    list(resumed.epochs())
    assert runs.score_test(resumed, dataset.test) == runs.score_test(uninterrupted, dataset.test)


def test_a_checkpoint_of_the_best_epoch_holds_its_weights_once(quick_run):
    run = quick_run("DiffRec", training__learning_rate=1e-12)  # only epoch 1 is best
    sizes = []
    for _ in range(2):
        run.next_epoch()
        file = io.BytesIO()
        torch.save(run.state_dict(), file)
        sizes.append(file.tell())
    weights = sum(p.nbytes for p in run.model.parameters())
    assert run.best_epoch == 1
    assert sizes[1] - sizes[0] > 0.9 * weights


def test_bf16_changes_products_and_nothing_else(dataset, caplog, quick_run):
    exact, rough = (quick_run("DiffRec", training__precision=name) for name in ("fp32", "bf16"))
    if not precision.has_native_bf16(torch.device("cpu")):
        assert "only emulates" in caplog.text
    one, other = exact.next_epoch(), rough.next_epoch()
    assert one.loss != other.loss
    assert one.loss == pytest.approx(other.loss, rel=0.05)
    assert all(p.dtype == torch.float32 for p in rough.model.parameters())
    users = np.arange(3)
    rough.model.eval()
    exact.model.load_state_dict(rough.model.state_dict())
    exact.model.eval()
    actual, expected = (run.model.scores(dataset.train, users) for run in (rough, exact))
    assert torch.equal(actual, expected)  # what is reported and recommended is float32
    with rough.model.chain_precision(torch.bfloat16):
        actual = rough.model.scores(dataset.train, users)
    assert actual.dtype == torch.float32
    assert not torch.equal(actual, expected)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.02 * float(expected.std()))


def test_bf16_validates_in_bf16_and_is_tested_in_float32(dataset, quick_run):
    run = quick_run("DiffRec", training__precision="bf16", training__max_epochs=1)
    formats = []
    score = run.model.scores

    def spy(history, users):
        formats.append(run.model.chain_dtype)
        return score(history, users)

    run.model.scores = spy
    run.next_epoch()
    assert set(formats) == {torch.bfloat16}
    formats.clear()
    runs.score_test(run, dataset.test)
    assert set(formats) == {None}


@pytest.mark.parametrize("variant", ["L-DiffRec", "LT-DiffRec"])
@pytest.mark.parametrize("target", ["x_0", "epsilon"])
def test_in_bf16_latents_and_losses_are_float32(variant, target, quick_run):
    run = quick_run(
        variant,
        training__precision="bf16",
        diffusion__prediction_target=target,
        diffusion__loss_weighting="elbo",
    )
    model, seen = run.model, {}

    def spy(owner, name, key):
        original = getattr(owner, name)

        def spied(*args, **kwargs):
            seen[key] = (args, result := original(*args, **kwargs))
            return result

        setattr(owner, name, spied)

    spy(model.autoencoder, "encode", "encoded")
    spy(model.timestep_sampler, "update", "losses")
    spy(model.noise, "forward", "noise")
    run.next_epoch()
    encoded = seen["encoded"][1]
    values = [encoded.latent, encoded.kl, seen["losses"][0][1], seen["noise"][1]]
    assert {value.dtype for value in values} == {torch.float32}
    assert not torch.equal(encoded.latent, encoded.latent.bfloat16().float())
    losses = model.timestep_sampler.history[model.timestep_sampler.history > 0]
    assert not torch.equal(losses, losses.bfloat16().double())


def configured(variant, precision, **changes):
    values = {k.replace("__", "."): v for k, v in changes.items()}
    return preset(variant, "embedded").config.replace_values(
        {"training.precision": precision, **values}
    )


def test_auto_is_float32_where_bf16_was_not_shown_to_be_as_good(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    device = torch.device("cpu")
    validated = [configured(v, "auto") for v in ("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec")]
    unvalidated = [
        configured("DiffRec", "auto", diffusion__prediction_target="epsilon"),
        configured("DiffRec+learned_recency", "auto"),
        configured("L-DiffRec+learned_steps", "auto"),
        configured("MultVAE", "auto"),
    ]
    assert {precision.product_dtype(config, device) for config in validated} == {torch.bfloat16}
    assert {precision.product_dtype(config, device) for config in unvalidated} == {None}


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bf16_only_where_the_hardware_has_it(native, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": native})
    device = torch.device("cpu")
    caplog.set_level(logging.WARNING)
    auto = precision.product_dtype(configured("L-DiffRec", "auto"), device)
    assert auto is (torch.bfloat16 if native else None)
    assert precision.product_dtype(configured("L-DiffRec", "fp32"), device) is None
    for dtype in (auto, None):
        precision.warn_if_emulated(dtype, device)
    assert not caplog.text
    assert precision.product_dtype(configured("L-DiffRec", "bf16"), device) is torch.bfloat16
    precision.warn_if_emulated(torch.bfloat16, device)
    assert bool(caplog.text) is not native


def test_a_large_kept_state_is_saved_whole_and_is_not_resident_afterwards(monkeypatch, tmp_path):
    monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", 0)
    best, process = BestState(), psutil.Process()
    best.store({str(i): torch.full((2**23,), float(i)) for i in range(4)})  # 32 MiB each
    tensors = best.tensors()
    before = process.memory_info().rss
    with (tmp_path / "state").open("wb") as file:
        torch.save(tensors, best_state.PageReleasingFile(file))
    assert process.memory_info().rss - before < 2**26
    loaded = torch.load(tmp_path / "state", weights_only=True)
    assert [float(loaded[str(i)].mean()) for i in range(4)] == [0.0, 1.0, 2.0, 3.0]
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("variant", ["DiffRec", "L-DiffRec+learned_recency"])
def test_a_run_goes_on_from_a_large_file_as_from_a_small_one(
    variant, monkeypatch, tmp_path, quick_run
):
    run = quick_run(variant)
    run.next_epoch()
    run.next_epoch()
    torch.save(run.state_dict(), tmp_path / "state.pt")
    resumed = []
    for limit in (2**28, 0):  # read whole, and as it is used
        monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", limit)
        resumed.append(quick_run(variant))
        resumed[-1].load_state_dict(best_state.read_state(tmp_path / "state.pt"))
    (tmp_path / "state.pt").unlink()  # the resumed run no longer needs it
    for other in resumed:
        losses = [report.loss for report in other.epochs()]
        run_on = quick_run(variant)
        assert losses == [report.loss for report in run_on.epochs()][2:]
        other.restore_best()
    for one, other in zip(*(r.model.state_dict().values() for r in resumed), strict=True):
        assert torch.equal(one, other)


def test_what_was_copied_of_a_large_state_is_not_resident(monkeypatch, tmp_path):
    monkeypatch.setattr(best_state, "IN_MEMORY_BYTES", 0)
    each = 2**24  # numbers, 64 MiB
    torch.save({str(k): torch.full((each,), float(k)) for k in range(6)}, tmp_path / "state.pt")
    state = best_state.read_state(tmp_path / "state.pt")
    copy, process = torch.zeros(each), psutil.Process()
    before = process.memory_info().rss
    for k in range(6):
        copy.copy_(state[str(k)])
        assert float(copy[0]) == float(copy[-1]) == k
        release_pages(state[str(k)])
    assert process.memory_info().rss - before < 2**26
    assert float(state["3"][5]) == 3.0  # it is still there


def test_a_state_in_memory_is_not_let_go(quick_run):
    run, other = (quick_run("DiffRec") for _ in range(2))
    run.next_epoch()
    state = run.state_dict()
    before = {name: value.clone() for name, value in state["model"].items()}
    other.load_state_dict(state)
    other.next_epoch()
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, before[name])
    first = [report.loss for report in run.epochs()]  # the other's steps moved none of its moments
    again = quick_run("DiffRec")
    assert first == [report.loss for report in again.epochs()][1:]
