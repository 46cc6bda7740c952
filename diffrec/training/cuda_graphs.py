"""A step of training that a GPU is asked for once, and that is replayed from then on.

A step is some hundred small kernels. The host takes longer to ask for them one by one than a GPU
takes to run them; a recorded step (a CUDA graph) is asked for as a whole (benchmarks/recording.py).
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class CudaGraphedCall:
    """Work that reads and writes the same memory each time: done, then recorded, then replayed.

    The first call does the work as it stands, in which libraries set themselves up and an optimiser
    makes its moments; the second records it. A replay draws what the work would have drawn, and its
    results are those of the work.
    """

    def __init__(self, generators: Sequence[torch.Generator] = ()) -> None:
        """Take the generators that the work draws from, other than the device's default."""
        self._generators = generators
        self._is_warm = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None

    def __call__(self, work: Callable[[], Tensor]) -> Tensor:
        """Do the work; the next call overwrites what is returned.

        Args:
            work: the same at every call, on a GPU, without waiting for it. It is not kept: who
                holds a record holds what it works on, and a cycle would leave the GPU's memory to
                the garbage collector.
        """
        if not self._is_warm:
            self._is_warm = True
            return work()
        if self._graph is None:
            with _gc_disabled():
                self._graph = self._record(work)
        self._graph.replay()
        assert self._result is not None
        return self._result

    def _record(self, work: Callable[[], Tensor]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        # "thread_local": a worker's other threads may ask the driver for something meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = work()
        return graph


@contextmanager
def _gc_disabled() -> Iterator[None]:
    """Keep the garbage collector off: freeing another's GPU memory would spoil the record."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
