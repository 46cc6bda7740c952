"""Calls a function in a process of its own, on a node of the cluster, or on one of its GPUs."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def put(value: Any) -> Any:
    """Store a value in the cluster once, and return the reference to pass to several calls."""
    import ray

    return ray.put(value)


def call_on_gpu(function: Callable[..., Result], *args: Any, share: float) -> Result:
    """Call `function` on a GPU of the cluster that this driver has joined.

    Args:
        function: what is called.
        args: its arguments; references from `put` arrive as their values.
        share: of the GPU; a whole one might be busy for hours.
    """
    import ray

    return ray.get(ray.remote(num_gpus=share, num_cpus=0, max_calls=1)(function).remote(*args))


def call_in_subprocess(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function in a process of its own, whose peak memory no earlier model has raised."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def call_on_node(function: Callable[..., Result], *args: Any, cpus: float) -> Result:
    """Call a function on a node of the cluster that this driver has joined."""
    import ray

    return ray.get(ray.remote(num_cpus=cpus, max_calls=1)(function).remote(*args))
