"""A step of training that a GPU is asked for once, and that is replayed from then on.

A step is some hundred small kernels. The host takes longer to ask for them one by one than a GPU
takes to run them; a recorded step (a CUDA graph) is asked for as a whole (benchmarks/replay.py).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Recording:
    """Work that reads and writes the same memory each time: done, then recorded, then replayed.

    The first call does the work as it stands, in which libraries set themselves up and an optimiser
    makes its moments; the second records it. A replay draws what the work would have drawn, and its
    results are those of the work.
    """

    def __init__(
        self, work: Callable[[], Tensor], generators: Sequence[torch.Generator] = ()
    ) -> None:
        """Take the work.

        Args:
            work: on a GPU, without waiting for it, and without memory that others may free.
            generators: that it draws from, other than the device's default.
        """
        self._work, self._generators = work, generators
        self._is_warm = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None

    def __call__(self) -> Tensor:
        """Do the work; the next call overwrites what is returned."""
        if not self._is_warm:
            self._is_warm = True
            return self._work()
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()
        assert self._result is not None
        return self._result

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        # "thread_local": a worker's other threads may ask the driver for something meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = self._work()
        return graph
