"""Our AdamW is torch's, with a way to take a gradient in pieces."""

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from torch import nn

from diffrec.training.adamw import AdamW


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(7, 5)), nn.Parameter(torch.randn(3))]


def gradients(step: int) -> list[torch.Tensor]:
    torch.manual_seed(100 + step)
    return [torch.randn(7, 5), torch.randn(3)]


def groups(params: list[nn.Parameter]) -> list[dict]:
    return [
        {"params": params[:1], "lr": 0.1, "weight_decay": 0.01},
        {"params": params[1:], "lr": 0.03, "weight_decay": 0.0},
    ]


def test_updates_equal_torchs_to_the_bit():
    mine, theirs = parameters(), parameters()
    ours = AdamW(groups(mine))
    reference = torch.optim.AdamW(groups(theirs), fused=True)
    for step in range(5):
        for params in (mine, theirs):
            for parameter, gradient in zip(params, gradients(step), strict=True):
                parameter.grad = gradient
        ours.step()
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("height", [1, 3, 7])
def test_a_gradient_in_pieces_is_the_same_step(height):
    reference, parts = parameters(), parameters()
    at_once, in_pieces = AdamW(groups(reference)), AdamW(groups(parts))
    for step in range(4):
        wide, narrow = gradients(step)
        for params in (reference, parts):
            params[1].grad = narrow
        reference[0].grad = wide
        at_once.step()
        rows = [slice(start, start + height) for start in range(0, 7, height)]
        in_pieces.step_in_chunks(parts[0], ((r, wide[r]) for r in rows))
        in_pieces.step()
    for one, other in zip(reference, parts, strict=True):  # a vector's last lanes round differently
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    assert at_once.state_dict()["state"][0]["step"] == in_pieces.state_dict()["state"][0]["step"]


def test_state_goes_on_where_it_was_also_where_torch_wrote_it():
    theirs, mine = parameters(), parameters()
    reference = torch.optim.AdamW(groups(theirs), fused=True)
    ours = AdamW(groups(mine))
    for params, optimizer in ((theirs, reference), (mine, ours)):
        for parameter, gradient in zip(params, gradients(0), strict=True):
            parameter.grad = gradient
        optimizer.step()
    assert ours.state_dict()["state"].keys() == reference.state_dict()["state"].keys()
    heir = AdamW(groups(mine))
    heir.load_state_dict(deepcopy(reference.state_dict()))
    for params, optimizer in ((theirs, reference), (mine, heir)):
        for parameter, gradient in zip(params, gradients(1), strict=True):
            parameter.grad = gradient
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_it_does_not_load_torchs_compiler():
    # torch.optim.AdamW does, in every worker, for six CPU seconds
    code = """
import sys
import torch
from diffrec.training.adamw import AdamW
parameter = torch.nn.Parameter(torch.ones(3))
optimizer = AdamW([{"params": [parameter], "lr": 0.1, "weight_decay": 0.0}])
parameter.sum().backward()
optimizer.step()
assert float(parameter.max()) < 1
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
