"""The recommenders of docs/examples, installed into a folder as pip would install them."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
PACKAGES = ("linear_attention", "giffcf")
SPACE_WITHOUT_MODEL = """
from dataclasses import dataclass
from typing import ClassVar
from diffrec.config import ExternalConfig
from search_spaces import Choice, SearchSpace

@dataclass(frozen=True, kw_only=True, slots=True)
class OddConfig(ExternalConfig):
    name: ClassVar[str] = "Odd"
    model: ClassVar[str] = "Odd"
    dim: int = 8

SPACE = SearchSpace(name="odd", question="?", variant=OddConfig, domains={"dim": Choice(4, 8)})
"""
"""A space file whose recommender has no model."""

_BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"


def install(target):
    """Build the wheel of each package and unpack it into `target`; return `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        source = target.parent / f"{name}-source"
        shutil.copytree(EXAMPLES / name, source)
        done = subprocess.run(
            [sys.executable, "-c", _BUILD], cwd=source, check=True, capture_output=True, text=True
        )
        with zipfile.ZipFile(source / done.stdout.split()[-1]) as wheel:
            wheel.extractall(target)
    return target
