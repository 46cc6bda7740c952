"""Choice of a published configuration for an unknown dataset: the nearest in size and density."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil, log10
from typing import Any, Literal, TypeVar, get_args

from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of
from diffrec.config.model import TrainingConfig

PresetSource = Literal["published", "report"]
"""`published`: the released checkpoints'; `report`: the reproduction study's script defaults."""

PRESET_SOURCES: tuple[PresetSource, ...] = get_args(PresetSource)

Trained = TypeVar("Trained", bound=ModelConfig)

TUNED_ON = "ml-1m_clean"
"""Dataset whose steps are meant by values that are the same everywhere."""


@dataclass(frozen=True, slots=True)
class DatasetShape:
    """Size of a dataset's train list."""

    users: int
    items: int
    interactions: int

    @property
    def density(self) -> float:
        """Share of all pairs of user and item that are interactions."""
        return self.interactions / (self.users * self.items)

    def sentence(self) -> str:
        """Return the shape in words."""
        return f"{self.users:,} users, {self.items:,} items, density {self.density:.2%}"


@dataclass(frozen=True, slots=True)
class TargetDataset:
    """The dataset that presets are wanted for, and how to choose one where none is published."""

    name: str
    shape: DatasetShape | None = None
    """Size of its train list; None: not known, and ml-1m_clean stands for the nearest."""

    like: str | None = None
    """Published dataset whose presets to take instead of its own or of the nearest one's."""

    source: PresetSource = "published"
    """Source of the configurations: as published, or as the reproduction study ran them."""


PUBLISHED_SHAPES = {
    "ml-1m_clean": DatasetShape(5_949, 2_810, 403_277),
    "ml-1m_noisy": DatasetShape(5_949, 3_494, 429_993),
    "yelp_clean": DatasetShape(54_574, 34_395, 1_402_736),
    "yelp_noisy": DatasetShape(54_574, 77_405, 1_471_675),
    "amazon-book_clean": DatasetShape(108_822, 94_949, 3_146_256),
    "amazon-book_noisy": DatasetShape(108_822, 178_181, 3_145_223),
}
"""Train lists of the DiffRec release."""


def nearest_dataset(shape: DatasetShape, published: Collection[str]) -> str:
    """Return the clean dataset of `published` that is nearest in users, items and density.

    Distances are between logarithms: ten times as many users count as much as a tenth of the
    density.
    """

    def distance(name: str) -> float:
        other = PUBLISHED_SHAPES[name]
        ratios = (
            shape.users / other.users,
            shape.items / other.items,
            shape.density / other.density,
        )
        return sum(log10(ratio) ** 2 for ratio in ratios)

    return min((name for name in published if name.endswith("_clean")), key=distance)


def same_steps(config: Trained, shape: DatasetShape, published: str) -> tuple[Trained, str]:
    """Return the configuration with epochs that hold as many steps as on the dataset `published`.

    An epoch is a pass over the users: on 1,000 users it has 3 steps where ml-1m has 15, and a
    patience of 20 epochs would end training almost at once.
    """
    training = training_of(config)
    assert training is not None
    steps = ceil(shape.users / training.batch_size)
    published_steps = ceil(PUBLISHED_SHAPES[published].users / training.batch_size)
    factor = published_steps / steps
    eval_every = max(1, round(training.eval_every * factor))
    changes: dict[str, Any] = {
        "training.eval_every": eval_every,
        "training.patience": max(eval_every, round(training.patience * factor)),
        "training.max_epochs": max(eval_every, round(training.max_epochs * factor)),
    }
    sentence = (
        f"an epoch has {steps} step{'s' * (steps > 1)} in place of {published_steps}, so patience "
        f"is {changes['training.patience']} epochs, validation every {eval_every}, at most "
        f"{changes['training.max_epochs']:,}"
    )
    return config.replace_values(changes), sentence


def shorten_interval(base: object, changes: Mapping[str, Any]) -> dict[str, int]:
    """Return the interval of validation that fewer epochs than the preset's need, if any.

    An interval that `same_steps` lengthened gives way, down to the one of every published dataset.

    Args:
        base: configuration of the preset.
        changes: dotted paths of fields to their new values.
    """
    training, epochs = getattr(base, "training", None), changes.get("training.max_epochs")
    if not isinstance(training, TrainingConfig) or not isinstance(epochs, int):
        return {}
    eval_every = max(TrainingConfig().eval_every, epochs)
    if "training.eval_every" in changes or eval_every >= training.eval_every:
        return {}
    return {"training.eval_every": eval_every}
