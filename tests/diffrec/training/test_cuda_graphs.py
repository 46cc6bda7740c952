"""What a GPU would replay is what every step does: seen without a GPU, operation by operation."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diffrec.config.presets import preset
from diffrec.data.sources import load_dataset
from diffrec.training import run as run_module
from diffrec.training.fused import stack
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.runs import build_run

SPLIT = load_dataset("embedded").tuning_split()
QUICK = {"training.max_epochs": 4, "training.eval_every": 2, "training.batch_size": 64}
LATENT = {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}
VARIANTS = ("T-DiffRec", "L-DiffRec", "DiffRec+learned_steps", "L-DiffRec+learned_recency")


class Operations(TorchDispatchMode):
    """Notes each operation: its numbers, and where what persists lies."""

    def __init__(self, persistent: set[int]) -> None:
        super().__init__()
        self.noted: list[tuple] = []
        self._persistent = persistent

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.noted.append((str(func), *map(self._seen, tree_leaves((args, kwargs)))))
        return func(*args, **(kwargs or {}))

    def _seen(self, value):
        if not isinstance(value, torch.Tensor):
            return repr(value)
        address = value.data_ptr()
        return (value.shape, value.dtype, address if address in self._persistent else None)


class Watched:
    """Stands in for a graph: does the work each time, and compares it with the second time's."""

    runs: tuple = ()
    made: "list[Watched]"

    def __init__(self, generators=()) -> None:
        self.calls, self._second = 0, None
        self.made.append(self)

    def __call__(self, work):
        self.calls += 1
        if self.calls == 1:
            return work()
        with Operations(self._persistent()) as operations:
            result = work()
        self._second = self._second or operations.noted
        assert operations.noted == self._second
        return result

    def _persistent(self) -> set[int]:
        tensors = [t for run in self.runs for t in run.model.state_dict().values()]
        tensors += [
            t for run in self.runs for m in run.optimizer.state.values() for t in m.values()
        ]
        return {tensor.data_ptr() for tensor in tensors} - {0}


@pytest.fixture
def watched(monkeypatch):
    """Stands in for every captured graph."""
    monkeypatch.setattr(Watched, "made", [], raising=False)
    for module in (run_module, stack):
        monkeypatch.setattr(module, "CudaGraphedCall", Watched)
    return Watched


def build(variant: str, **changes):
    family = preset(variant, "embedded").config
    values = QUICK | {key.replace("__", "."): value for key, value in changes.items()}
    run = build_run(family.replace_values(values), SPLIT)
    run.uses_cuda_graph = True
    return run


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", [*VARIANTS, "MultVAE"])
def test_every_step_is_the_second_step(variant, precision, watched):
    run, plain = (build(variant, training__precision=precision) for _ in range(2))
    plain.uses_cuda_graph = False
    watched.runs = (run,)
    assert [r.loss for r in run.epochs()] == [r.loss for r in plain.epochs()]
    (record,) = watched.made
    assert record.calls == 4 * (len(run.users) // 64)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_step_of_fused_runs_is_the_second_step(variant, watched):
    latent = LATENT if variant.startswith("L") else {}
    expected = [[r.loss for r in build(variant, seed=s, **latent).epochs()] for s in (1, 2)]
    watched.made.clear()
    runs = [build(variant, seed=seed, **latent) for seed in (1, 2)]
    watched.runs, fused = tuple(runs), FusedRuns(runs)
    for epoch in range(4):
        epoch_losses = [each.report.loss for each in fused.next_epoch()]
        assert epoch_losses == pytest.approx([losses[epoch] for losses in expected], rel=1e-5)
    (record,) = watched.made
    assert record.calls == 4 * (len(runs[0].users) // 64)


def test_a_number_of_the_host_would_be_seen(watched, monkeypatch):
    run = build("L-DiffRec")
    loss = run.model.training_loss
    monkeypatch.setattr(
        run.model, "training_loss", lambda x_0, target, epoch: loss(x_0, target, int(epoch))
    )
    watched.runs = (run,)
    with pytest.raises(AssertionError):
        list(run.epochs())
