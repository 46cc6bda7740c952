"""CPU time of a worker before its first training step, with both AdamWs, and of `--help`.

    python benchmarks/startup.py

CPU seconds of fresh processes, taken in turn; a worker spends them once for all its trials.
"""

import argparse
import subprocess
import sys

from measuring import machine, report

_STEP = """
import time
{imports}
parameter = torch.nn.Parameter(torch.ones(3))
groups = [{{"params": [parameter], "lr": 0.1, "weight_decay": 0.0}}]
optimizer = {optimizer}
parameter.sum().backward()
optimizer.step()
print(time.process_time())
"""
_OURS = "import torch; from diffrec.training.adamw import AdamW"
_HELP = """
import sys, time
from tune_runner.cli.arguments import parser
parser().format_help()
assert "rich" not in sys.modules
print(time.process_time())
"""
_CASES = {
    "import torch": "import time, torch; print(time.process_time())",
    "torch's AdamW, one step": _STEP.format(
        imports="import torch", optimizer="torch.optim.AdamW(groups, fused=True)"
    ),
    "ours, one step": _STEP.format(imports=_OURS, optimizer="AdamW(groups)"),
    "import diffrec.training.run": (
        "import time, diffrec.training.run; print(time.process_time())"
    ),
    "text of tune_runner --help": _HELP,
}


def main() -> None:
    """Start the processes in turn and print the least of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    least = dict.fromkeys(_CASES, float("inf"))
    for _ in range(args.repeats):
        for name, code in _CASES.items():
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            least[name] = min(least[name], float(done.stdout))
    print(machine())
    report([("what", "CPU s"), *((name, f"{s:.1f}") for name, s in least.items())])


if __name__ == "__main__":
    main()
