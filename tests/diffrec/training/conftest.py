"""Fixtures of the tests of training: the embedded data, and runs of a few seconds on it."""

import pytest

from diffrec.config.presets import preset
from diffrec.data import Dataset
from diffrec.data.sources import load_dataset
from diffrec.training.run import TrainingRun
from diffrec.training.runs import build_run


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Return the embedded dataset, which no test changes."""
    return load_dataset("embedded")


@pytest.fixture(scope="module")
def quick_run(request, dataset):
    """Return a function that builds a run of a variant with the module's QUICK settings."""

    def build(variant: str, **changes) -> TrainingRun:
        config = preset(variant, "embedded").config
        latent = {"autoencoder.latent_dim": 10} if config.autoencoder else {}
        changes = {k.replace("__", "."): v for k, v in changes.items()}
        values = request.module.QUICK | latent | changes
        return build_run(config.replace_values(values), dataset.tuning_split())

    return build
