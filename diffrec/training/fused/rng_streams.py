"""Several streams of torch's random numbers, each as if it were the only one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class RngStreams:
    """A generator of its own for each of several runs, put in the default's place while it draws.

    Modules draw from the device's default generator. On a GPU that takes over another's state
    without copying it, which a recorded step may do too; on a CPU states are copied back and forth.
    """

    def __init__(self, device: torch.device, count: int) -> None:
        self._default = default_generator(device)
        self.generators = [torch.Generator(device) for _ in range(count)]
        """To be registered with what records draws from them."""

    def seed(self, seeds: Sequence[int]) -> None:
        """Begin every stream anew, each from its own seed."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)

    @contextmanager
    def of(self, k: int) -> Iterator[None]:
        """Draw from stream `k` within; afterwards the caller's own draws go on as before."""
        default, own = self._default, self.generators[k]
        if default.device.type == "cuda":
            shared = default.graphsafe_get_state()
            default.graphsafe_set_state(own.graphsafe_get_state())
            try:
                yield
            finally:
                default.graphsafe_set_state(shared)
            return
        before = default.get_state()
        default.set_state(own.get_state())
        try:
            yield
        finally:
            own.set_state(default.get_state())
            default.set_state(before)


def default_generator(device: torch.device) -> torch.Generator:
    """Return the generator that modules on `device` draw from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator
