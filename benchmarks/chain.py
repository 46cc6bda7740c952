"""Times the reverse chain in the hidden layer, the plain one over all items, and its products.

    python benchmarks/chain.py
    python benchmarks/chain.py --users 256 --threads 2

Both give the scores of the same users with the same weights (DiffRec of ml-1m_clean, fresh ones).
"of its products" is the part of this machine's best square product that the chain achieves.
"""

import argparse
import time

import numpy as np
import torch
from measuring import ML_1M, interleaved, machine, product_rate, report, scoring_work

from diffrec.config.presets import preset
from diffrec.models.recommender import DiffusionRecommender
from diffrec.runtime.memory import retain_freed_memory


def main() -> None:
    """Time the chains in turn and print a row each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=1024)
    parser.add_argument("--items", type=int, default=ML_1M[1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    retain_freed_memory()
    config = preset("DiffRec", "ml-1m_clean").config
    model = DiffusionRecommender(config, args.items).eval()
    rng = np.random.default_rng(0)
    x_0 = torch.from_numpy((rng.random((args.users, args.items)) < 0.02).astype(np.float32))

    def plain() -> torch.Tensor:
        return model.process.reverse_chain(model.denoiser, x_0.clone())

    def collapsed() -> torch.Tensor:
        return model._denoise(model._build_cache(), x_0, None, torch.randn_like)

    def shorter() -> torch.Tensor:
        with model.chain_precision(torch.bfloat16):
            return collapsed()

    with torch.no_grad():
        error = float((collapsed() - plain()).abs().max() / plain().std())
        works = {"plain": plain, "fp32": collapsed, "bf16": shorter}
        seconds = interleaved(works, repeats=args.repeats)
    print(f"{args.users} users, {args.items} items, T = {config.diffusion.num_steps}; {machine()}")
    print(f"largest difference of the two in fp32: {error:.1e} standard deviations of the scores")
    rows = [("chain", "wall s", "CPU s", "plain / it", "of its products")]
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for name, (wall, cpu) in seconds.items():
        part = ""
        if name in kinds:
            rate = max(product_rate(n, kinds[name], time.perf_counter) for n in (512, 1024) * 2)
            part = f"{args.users * scoring_work(model) / rate / wall:.2f}"
        rows.append((name, f"{wall:.2f}", f"{cpu:.2f}", f"{seconds['plain'][0] / wall:.1f}", part))
    report(rows)


if __name__ == "__main__":
    main()
