"""AdamW that starts quickly and updates in chunks; ours, since `torch.optim.AdamW` does neither.

Making one imports torch's compiler, six CPU seconds in every worker (benchmarks/startup.py), and it
needs a wide layer's gradient as a whole (benchmarks/memory.py). The update is torch's own fused
kernel, called in its functional form; `state_dict` has the form of torch's.

Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from diffrec.runtime.memory import release_pages

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

_Moments = dict[str, Tensor]
_STEP, _FIRST, _SECOND = "step", "exp_avg", "exp_avg_sq"


class AdamW:
    """Optimiser of groups of parameters, each with its own learning rate and weight decay."""

    def __init__(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Set the groups, each a mapping with `params`, `lr` and `weight_decay`."""
        self.param_groups = [dict(group) for group in groups]
        self.state: dict[Tensor, _Moments] = {}

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if moved:
                _update(group, moved, [p.grad for p in moved], [self._moments(p) for p in moved])

    @torch.no_grad()
    def step_in_chunks(self, parameter: Tensor, pieces: Iterable[tuple[slice, Tensor]]) -> None:
        """Update `parameter` by a gradient that is computed while it is consumed; one step in all.

        Args:
            parameter: a weight of one of the groups.
            pieces: (rows, gradient of these rows), every row once. A piece is used before the next
                is requested, so all of them may share one buffer.
        """
        group = next(g for g in self.param_groups if any(p is parameter for p in g["params"]))
        whole = self._moments(parameter)
        for rows, gradient in pieces:
            part = {
                _STEP: whole[_STEP].clone(),
                _FIRST: whole[_FIRST][rows],
                _SECOND: whole[_SECOND][rows],
            }
            _update(group, [parameter.detach()[rows]], [gradient], [part])
        whole[_STEP] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return moments and groups, parameters by index; the tensors are not copied."""
        parameters = self._parameters()
        number = {id(p): i for i, p in enumerate(parameters)}
        groups = [
            group | {"params": [number[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {i: dict(self.state[p]) for i, p in enumerate(parameters) if p in self.state}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the moments of `state`, which torch's AdamW may have written; groups stay."""
        parameters = self._parameters()
        self.state = {parameters[int(i)]: {} for i in state["state"]}
        for i, moments in state["state"].items():
            parameter = parameters[int(i)]
            for name in (_STEP, _FIRST, _SECOND):
                own = torch.empty_like(moments[name], device=parameter.device)
                self.state[parameter][name] = own.copy_(moments[name])
                release_pages(moments[name])

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _moments(self, parameter: Tensor) -> _Moments:
        if parameter not in self.state:
            self.state[parameter] = {
                _STEP: torch.zeros((), dtype=torch.float32, device=parameter.device),
                _FIRST: torch.zeros_like(parameter),
                _SECOND: torch.zeros_like(parameter),
            }
        return self.state[parameter]


def _update(
    group: Mapping[str, Any],
    parameters: list[Tensor],
    gradients: list[Tensor],
    moments: list[_Moments],
) -> None:
    adamw(
        parameters,
        gradients,
        [m[_FIRST] for m in moments],
        [m[_SECOND] for m in moments],
        [],
        [m[_STEP] for m in moments],
        fused=True,
        amsgrad=False,
        beta1=BETA_1,
        beta2=BETA_2,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=EPSILON,
        maximize=False,
    )
