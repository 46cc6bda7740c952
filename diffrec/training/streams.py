"""Several streams of torch's random numbers, each as if it were the only one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Streams:
    """One state of torch's generator per run, put in place for as long as the run draws."""

    def __init__(self, device: torch.device, seeds: Sequence[int]) -> None:
        self._generator = default_generator(device)
        with self.borrowed():
            self._states = [self._generator.manual_seed(seed).get_state() for seed in seeds]

    @contextmanager
    def of(self, k: int) -> Iterator[None]:
        """Draw from stream `k` within."""
        with self.borrowed():
            self._generator.set_state(self._states[k])
            yield
            self._states[k] = self._generator.get_state()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Put back afterwards what the caller's own draws go on from."""
        before = self._generator.get_state()
        try:
            yield
        finally:
            self._generator.set_state(before)


def default_generator(device: torch.device) -> torch.Generator:
    """Return the generator that modules on `device` draw from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator
