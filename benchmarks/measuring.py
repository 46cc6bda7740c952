"""Shared by the benchmarks: description of the machine, interleaved timing, random interactions."""

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.models.recommender import DiffusionRecommender

ML_1M = (5_949, 2_810, 403_277)
"""Users, items, train interactions of ml-1m_clean."""

AMAZON_BOOK_NOISY = (108_822, 178_181, 3_145_223)


def machine(device: str = "cpu") -> str:
    """Return a description of the machine, with its load: ratios on a busy machine mean less."""
    gpu = f"{torch.cuda.get_device_name()} beside " if device == "cuda" else ""
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return (
        f"{gpu}{_processor()}, {os.cpu_count()} cores, {threads} torch threads, torch "
        f"{torch.__version__}, load {load:.1f}"
    )


def interleaved(
    works: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, tuple[float, float]]:
    """Return the least (wall, CPU) seconds of each work, all of them run in turn.

    Other load only adds time, so the minimum is the best estimate; taking turns exposes every work
    to the same load.
    """
    least = dict.fromkeys(works, (float("inf"), float("inf")))
    for _ in range(repeats):
        for name, work in works.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            least[name] = (min(least[name][0], spent[0]), min(least[name][1], spent[1]))
    return least


def product_rate(
    size: int, kind: torch.dtype, clock: Callable[[], float], device: str = "cpu"
) -> float:
    """Return operations per second of a product of two square matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    # A GPU is launched at and waited for once: enough products that this does not count.
    count = max(1, (2**30 if device == "cpu" else 2**44) // size**3)
    float((a @ b)[0, 0])  # the first call sets up, and reading waits for a GPU
    started = clock()
    for _ in range(count):
        c = a @ b
    float(c[0, 0])
    return count * 2 * size**3 / (clock() - started)


def training_work(model: DiffusionRecommender) -> int:
    """Return the operations of a training step's products, per user, without an autoencoder.

    Six for each weight, two of them forward; the first layer's input needs no gradient.
    """
    layers = (model.denoiser.input_layer, *model.denoiser.layers)
    first, *other_layers = (layer.weight.numel() for layer in layers)
    return 4 * first + 6 * sum(other_layers)


def scoring_work(model: DiffusionRecommender) -> int:
    """Return the operations of a collapsed chain's products, per user, without an autoencoder.

    For the x_0 target: T times the layers between, T - 1 times M, and once the output; that of the
    history is sparse.
    """
    *between, last = (layer.weight for layer in model.denoiser.layers)
    steps, product = model.process.num_steps, len(model.denoiser.input_weight) * last.shape[1]
    inner = steps * sum(weight.numel() for weight in between)
    return 2 * (inner + (steps - 1) * product + last.numel())


def report(rows: list[tuple[str, ...]]) -> None:
    """Print rows as a Markdown table, the first being its head."""
    head, *body = rows
    for row in (head, ("---",) * len(head), *body):
        print("| " + " | ".join(row) + " |", flush=True)


def split_of_size(num_users: int, num_items: int, num_train: int, seed: int = 0) -> TuningSplit:
    """Return popularity-skewed random interactions: right in size, nothing to learn from them."""
    rng = np.random.default_rng(seed)
    train = _pairs(rng, num_users, num_items, num_train)
    valid = _pairs(rng, num_users, num_items, max(num_users, num_train // 7))
    embeddings = rng.standard_normal((num_items, 64), dtype=np.float32)
    lists = (Interactions.from_pairs(pairs, num_users, num_items) for pairs in (train, valid))
    return TuningSplit(*lists, embeddings)


def _pairs(rng: np.random.Generator, num_users: int, num_items: int, count: int) -> np.ndarray:
    """Return about `count` distinct [user, item], every user at least once."""
    extra = max(0, count - num_users)
    users = np.concatenate((np.arange(num_users), rng.integers(num_users, size=extra)))
    items = (num_items * rng.random(len(users)) ** 2).astype(np.int64)
    keys = np.unique(users * num_items + items)
    return np.stack((keys // num_items, keys % num_items), axis=1)


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
