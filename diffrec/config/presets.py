"""Presets: the configuration that a variant starts from on a dataset, by its source.

`published` is the configuration that the released checkpoints were trained with; `report` the one
that the reproduction study ran, whose scripts kept their defaults. The two are different
experiments (`diffrec.config.preset_rows` has the values).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffrec.config import external
from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of
from diffrec.config.preset_choice import (
    PUBLISHED_SHAPES,
    TUNED_ON,
    DatasetShape,
    PresetSource,
    TargetDataset,
    nearest_dataset,
    same_steps,
)
from diffrec.config.preset_rows import PUBLISHED_ROWS, REPORT_ROWS, Row, build_config
from diffrec.config.presets_baselines import BASELINES, baseline_config
from diffrec.config.presets_forecasting import FORECASTING, forecasting_config
from diffrec.config.presets_weighted import EXTENSIONS, weighted
from diffrec.errors import UserError, did_you_mean

VARIANTS = ("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec")
_TIMED = {"DiffRec": "T-DiffRec", "L-DiffRec": "LT-DiffRec"}
"""Variant with linear weights of each that has none."""

ALL_VARIANTS = (*VARIANTS, *EXTENSIONS, *FORECASTING, *BASELINES)

WITHOUT_ROWS = (*FORECASTING, *BASELINES)
"""Variants with one preset for all published datasets: there is none to choose among."""

FALLBACK_DATASET = TUNED_ON


@dataclass(frozen=True, slots=True)
class Preset:
    """A published configuration and where it comes from."""

    config: Any
    """Configuration, of the variant's family (`diffrec.config.base.ModelConfig`)."""

    source: str
    choice: str | None = None
    """Why that dataset's values were taken, where nothing is published for the user's own."""


def preset(
    variant: str,
    dataset: str,
    *,
    shape: DatasetShape | None = None,
    like: str | None = None,
    source: PresetSource = "published",
) -> Preset:
    """Return the configuration that `source` has for `variant`, a baseline's too, on `dataset`.

    A dataset without one (your own, for example) starts from a published dataset's, with epochs and
    patience of the same number of steps; `Preset.source` says which and why, and the caller shows
    it.

    Args:
        variant: one of `ALL_VARIANTS`.
        dataset: its name.
        shape: size of its train list, by which the nearest published dataset is chosen; ml-1m_clean
            without one.
        like: published dataset to take instead.
        source: `published`, or `report`: as the reproduction study ran it.

    Raises:
        UserError: no such variant, or `source` has nothing for it on `like`, or for it at all.
    """
    if variant in WITHOUT_ROWS and like is not None:
        raise UserError(
            f"{variant} starts from one set of values on every published dataset, so there is none "
            f"to choose, but got {like!r}; leave out --preset-of."
        )
    if variant in WITHOUT_ROWS and source != "published":
        raise UserError(
            f"{variant} starts from one set of values, which the reproduction study does not have, "
            f"but got {source!r}; leave out --preset."
        )
    if variant in BASELINES:
        return _everywhere(*baseline_config(variant, dataset), dataset, shape)
    if variant in FORECASTING:
        return _everywhere(*forecasting_config(variant, dataset), dataset, shape)
    if variant in EXTENSIONS:
        base, suffix = variant.split("+", 1)
        plain = preset(base, dataset, shape=shape, like=like, source=source)
        line = _line(base, like or dataset, shape, source)
        config, weighting = weighted(plain.config, suffix, line)
        return Preset(config, f"{plain.source}; {weighting}", plain.choice)
    if variant not in VARIANTS:
        return _external(variant, dataset)
    row = _rows(source).get((variant, dataset))
    if row is not None and like is None:
        return Preset(build_config(row), f"{variant} on {dataset}: {row.source}")
    return _borrowed(variant, dataset, shape, like, source)


def preset_for(variant: str, target: TargetDataset | str) -> Preset:
    """Return the preset of `variant` for a dataset of this name, or of this name and size.

    `like` and `source` of the target are left to the variants that have several presets to choose
    among.

    Raises:
        UserError: as `preset`.
    """
    if isinstance(target, str):
        return preset(variant, target)
    if variant in WITHOUT_ROWS:
        return preset(variant, target.name, shape=target.shape)
    return preset(variant, target.name, shape=target.shape, like=target.like, source=target.source)


def is_as_run_by(source: PresetSource, variant: str, dataset: str, start: PresetSource) -> bool:
    """Return whether the preset that `start` has is the configuration that `source` ran.

    The two sources agree on T- and LT-DiffRec on ML-1M, which were published by one of them alone.

    Args:
        source: whose configuration is wanted.
        variant: one of `ALL_VARIANTS`.
        dataset: its name.
        start: source of the preset that was taken.
    """
    base = variant.split("+")[0]
    target_row, start_row = _rows(source).get((base, dataset)), _rows(start).get((base, dataset))
    return (
        target_row is not None
        and start_row is not None
        and build_config(target_row) == build_config(start_row)
    )


def _rows(source: PresetSource) -> Mapping[tuple[str, str], Row]:
    return PUBLISHED_ROWS if source == "published" else REPORT_ROWS


def _line(
    base: str, dataset: str, shape: DatasetShape | None, source: PresetSource
) -> tuple[float, float]:
    """Return the weights (oldest, newest) of T- or LT-DiffRec on `dataset` or the nearest one."""
    timed, rows = _TIMED.get(base, base), _rows(source)
    row = rows.get((timed, dataset), rows[timed, _nearest(timed, shape, source)])
    assert row.weights is not None
    return row.weights


def _published(variant: str, source: PresetSource) -> list[str]:
    return [name for v, name in _rows(source) if v == variant and name in PUBLISHED_SHAPES]


def _nearest(variant: str, shape: DatasetShape | None, source: PresetSource) -> str:
    return (
        FALLBACK_DATASET if shape is None else nearest_dataset(shape, _published(variant, source))
    )


def _everywhere(
    config: ModelConfig, source: str, dataset: str, shape: DatasetShape | None
) -> Preset:
    """Return values that are the same everywhere, on a dataset of your own in as many steps."""
    is_published = dataset in PUBLISHED_SHAPES or dataset == "embedded"
    if is_published or shape is None or training_of(config) is None:
        return Preset(config, source)
    config, steps = same_steps(config, shape, TUNED_ON)
    return Preset(config, f"{source}; {steps}")


def known_variants() -> list[str]:
    """Return the names of all variants, of recommenders from outside too."""
    return [*ALL_VARIANTS, *(name for name in external.known_names() if name not in ALL_VARIANTS)]


def check_variant(variant: object) -> None:
    """Refuse a name that no variant has.

    Raises:
        UserError: so it is; or it is of a recommender from outside that breaks a rule.
    """
    if variant in ALL_VARIANTS or (isinstance(variant, str) and external.find(variant) is not None):
        return
    known = known_variants()
    raise UserError(
        f"No variant named {variant!r}{did_you_mean(str(variant), known)}; "
        f"known: {', '.join(known)}."
    )


def _external(variant: str, dataset: str) -> Preset:
    """Return the configuration with which a recommender from outside starts."""
    check_variant(variant)
    cls = external.find(variant)
    assert cls is not None
    if dataset in cls.presets:
        config = cls().replace_values(cls.presets[dataset])
        return Preset(config, f"{variant} on {dataset}: as its package has it")
    return Preset(cls(), f"{variant}: its own defaults, the same on every dataset")


def _borrowed(
    variant: str,
    dataset: str,
    shape: DatasetShape | None,
    like: str | None,
    source: PresetSource,
) -> Preset:
    """Return another dataset's configuration: of `like`, or of the nearest one."""
    rows = _rows(source)
    nothing = "nothing is published" if source == "published" else "the report has nothing"
    published = _published(variant, source)
    if like is not None and like not in published:
        raise UserError(
            f"{nothing[0].upper()}{nothing[1:]} for {variant} on {like!r}"
            f"{did_you_mean(like, published)}; choose from {', '.join(sorted(published))}."
        )
    chosen = like or _nearest(variant, shape, source)
    row = rows[variant, chosen]
    config, origin = build_config(row), f"values of {chosen} ({row.source})"
    if like is None:
        origin = f"{nothing} for {variant} on {dataset}; {origin}"
    if shape is None:
        return Preset(config, origin)
    choice = (
        None
        if like is not None
        else f"{chosen} is the nearest published dataset in size and density "
        f"({PUBLISHED_SHAPES[chosen].sentence()}; here {shape.sentence()}); another is chosen with "
        "--preset-of"
    )
    config, steps = same_steps(config, shape, chosen)
    return Preset(config, f"{origin}; {steps}", choice)
