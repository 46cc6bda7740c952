"""Times a training step with and without torch.compile, and the compilation.

    python benchmarks/compile.py --threads 1
    python benchmarks/compile.py --device cuda --mode reduce-overhead    # CUDA graphs

torch's compiler needs a C++ compiler on the machine. The two take turns, epoch by epoch.
"""

import argparse
import time

import torch
from measuring import ML_1M, interleaved, machine, report, split_of_size

from diffrec.config.presets import preset
from diffrec.training.run import TrainingRun


def main() -> None:
    """Measure in turn and print the ratio, and the epochs after which compiling has paid."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", default="DiffRec")
    parser.add_argument("--steps", type=int, default=5, help="of an epoch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--mode", default="default", help="torch.compile's")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = preset(args.variant, "ml-1m_clean").config.replace_values(
        {"training.max_epochs": 10**6, "training.eval_every": 10**6}
    )
    users = args.steps * config.training.batch_size
    split = split_of_size(users, ML_1M[1], 68 * users)
    plain, compiled = (TrainingRun(config, split, device=args.device) for _ in range(2))
    loss = torch.compile(compiled.model.training_loss, mode=args.mode)
    compiled.model.training_loss = loss  # type: ignore[method-assign]
    started = time.perf_counter()
    compiled.next_epoch()
    first_epoch = time.perf_counter() - started
    seconds = interleaved(
        {"eager": plain.next_epoch, "compiled": compiled.next_epoch}, repeats=args.repeats
    )
    eager, after = (seconds[name][0] / args.steps for name in ("eager", "compiled"))
    print(machine(args.device))
    report(
        [
            ("step, eager, ms", "compiled, ms", "ratio", "first epoch with compiling, s"),
            (
                f"{eager * 1e3:.1f}",
                f"{after * 1e3:.1f}",
                f"{eager / after:.2f}",
                f"{first_epoch:.0f}",
            ),
        ]
    )


if __name__ == "__main__":
    main()
