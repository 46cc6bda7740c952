"""AdamW that starts quickly and updates in chunks; ours, since `torch.optim.AdamW` does neither.

Making one imports torch's compiler, six CPU seconds in every worker (benchmarks/startup.py), and it
needs a wide layer's gradient as a whole (benchmarks/memory.py). The update is torch's own fused
kernel, called directly: around it, torch's functional form sorts all tensors by device and counts
each parameter's steps by itself, which takes longer than the kernel where layers are small.
`state_dict` has the form of torch's.

Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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
        self._counts: dict[int, Tensor] = {}
        """Step counts of a group's parameters in one tensor, of which `state` has views."""

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for index, group in enumerate(self.param_groups):
            updated = [p for p in group["params"] if p.grad is not None]
            if not updated:
                continue
            moments = [self._moments(p) for p in updated]
            if len(updated) == len(group["params"]):
                self._counts[index].add_(1)
            else:
                for moment in moments:
                    moment[_STEP] += 1
            _update(group, updated, [p.grad for p in updated], moments)

    @torch.no_grad()
    def step_in_chunks(self, parameter: Tensor, chunks: Iterable[tuple[slice, Tensor]]) -> None:
        """Update `parameter` by a gradient that is computed while it is consumed; one step in all.

        Args:
            parameter: a weight of one of the groups.
            chunks: (rows, gradient of these rows), every row once. A piece is used before the next
                is requested, so all of them may share one buffer.
        """
        group = next(g for g in self.param_groups if any(p is parameter for p in g["params"]))
        moments = self._moments(parameter)
        moments[_STEP] += 1
        for rows, gradient in chunks:
            chunk_moments = {
                _STEP: moments[_STEP],
                _FIRST: moments[_FIRST][rows],
                _SECOND: moments[_SECOND][rows],
            }
            _update(group, [parameter.detach()[rows]], [gradient], [chunk_moments])

    def state_dict(self) -> dict[str, Any]:
        """Return moments and groups, parameters by index; the tensors are not copied."""
        parameters = self._parameters()
        index = {id(p): i for i, p in enumerate(parameters)}
        groups = [
            group | {"params": [index[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {i: dict(self.state[p]) for i, p in enumerate(parameters) if p in self.state}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the moments of `state`, which torch's AdamW may have written; groups stay."""
        parameters = self._parameters()
        self.state, self._counts = {}, {}
        for i, moments in state["state"].items():
            target = self._moments(parameters[int(i)])
            for name in (_STEP, _FIRST, _SECOND):
                target[name].copy_(moments[name])
                release_pages(moments[name])

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _moments(self, parameter: Tensor) -> _Moments:
        if parameter not in self.state:
            self.state[parameter] = {
                _STEP: self._count(parameter),
                _FIRST: torch.zeros_like(parameter),
                _SECOND: torch.zeros_like(parameter),
            }
        return self.state[parameter]

    def _count(self, parameter: Tensor) -> Tensor:
        """Return the parameter's step count, a scalar: a view into its group's."""
        for group_index, group in enumerate(self.param_groups):
            for index, candidate in enumerate(group["params"]):
                if candidate is parameter:
                    if group_index not in self._counts:
                        zeros = torch.zeros(len(group["params"]), device=parameter.device)
                        self._counts[group_index] = zeros
                    return self._counts[group_index][index]
        raise KeyError("the parameter is in no group")


def _update(
    group: Mapping[str, Any],
    parameters: list[Tensor],
    gradients: list[Tensor],
    moments: list[_Moments],
) -> None:
    """Update parameters whose steps were counted already, in place."""
    torch.ops.aten._fused_adamw_(
        parameters,
        gradients,
        [m[_FIRST] for m in moments],
        [m[_SECOND] for m in moments],
        [],
        [m[_STEP] for m in moments],
        amsgrad=False,
        lr=group["lr"],
        beta1=BETA_1,
        beta2=BETA_2,
        weight_decay=group["weight_decay"],
        eps=EPSILON,
        maximize=False,
    )
