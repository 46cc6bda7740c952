"""Independent streams of torch's random numbers; torch.func.vmap has no seed per run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class RngStreams:
    """One generator per run, which replaces the device's default generator while the run draws.

    Modules draw from the default generator. On a GPU it takes over another's state without a copy,
    which works inside a CUDA graph, too; on a CPU the states are copied back and forth.
    """

    def __init__(self, device: torch.device, count: int) -> None:
        self._default = default_generator(device)
        self.generators = [torch.Generator(device) for _ in range(count)]
        """Generators to register with a CUDA graph that draws from them."""

    def seed(self, seeds: Sequence[int]) -> None:
        """Restart every stream from its own seed."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)

    @contextmanager
    def use(self, k: int) -> Iterator[None]:
        """Draw from stream `k` inside the context; the default generator is restored afterwards."""
        default, stream = self._default, self.generators[k]
        if default.device.type == "cuda":
            saved_state = default.graphsafe_get_state()
            default.graphsafe_set_state(stream.graphsafe_get_state())
            try:
                yield
            finally:
                default.graphsafe_set_state(saved_state)
            return
        saved = default.get_state()
        default.set_state(stream.get_state())
        try:
            yield
        finally:
            stream.set_state(default.get_state())
            default.set_state(saved)


def default_generator(device: torch.device) -> torch.Generator:
    """Return the generator that modules on `device` draw from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator
