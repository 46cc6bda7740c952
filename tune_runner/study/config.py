"""Settings and plan of one study; imports no Ray, Optuna or MLflow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from diffrec.command_line import COUNT_LIMIT, SEED_LIMIT
from diffrec.config import Precision
from diffrec.config.families import training_of
from diffrec.config.preset_choice import (
    PRESET_SOURCES,
    DatasetShape,
    PresetSource,
    TargetDataset,
)
from diffrec.config.presets import WITHOUT_ROWS, preset_for
from diffrec.credentials import refuse_password, without_password
from diffrec.errors import UserError, did_you_mean
from diffrec.files import NAME_BYTES
from search_spaces import goal_rules
from search_spaces.definition import POINT_LIMIT, PRUNERS, check_strategy
from search_spaces.space import SearchSpace
from search_spaces.variants import variants_of
from tune_runner.checkpoints.locations import check_store_url, is_url, study_location
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.study import urls
from tune_runner.study.budgets import Budgets
from tune_runner.study.checks import check_choice, check_count, shortened
from tune_runner.study.names import check_name
from tune_runner.study.sampler_rules import check_sampler

if TYPE_CHECKING:
    from diffrec.data import Dataset

PROTOCOLS = ("published", "chronological")
PRECISIONS = get_args(Precision)


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Limits of one run of the command; the rest is left to the next one. None: no limit."""

    trials: int | None = None
    hours: float | None = None


NO_LIMITS = RunLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig:
    """Settings of a study: the space, the data, the search, and where it runs."""

    space: str | dict[str, Any]
    """Name of a shipped space, path of a .py, .json or .yaml file, or the space itself
    (tune_runner.study.spaces)."""

    name: str
    """Name of the study and of its folder."""

    dataset: str = "embedded"
    data_dir: str | None = None
    protocol: str = "published"
    preset_of: str | None = None
    """Published dataset whose presets to start from; None: its own, or the nearest in size."""

    preset: str = "published"
    """Source of the presets to start from, one of `PRESET_SOURCES`."""

    trials: int | None = None
    """Trials in total; None: every point of a grid, or the space's own number."""

    seeds: int | None = None
    """Replicates of every point; None: the space's own number."""

    seed: int = 1
    """Root seed: replicates are seeded with it and the numbers after it."""

    max_epochs: int | None = None
    patience: int | None = None
    precision: str | None = None
    """Precision of training. None, here and for the two fields before, leaves it to the presets."""

    pruner: str | None = None
    sampler: str | None = None
    address: str | None = None
    storage: str | None = None
    """URL of the database with the Optuna study, without password; None: a journal file."""

    runs_dir: str = "runs"
    checkpoints: str | None = None
    """URL of an object store that trials keep their checkpoints in; None: the study's folder."""

    start_from: str | None = None
    """Earlier studies, separated by commas, whose best points are tried first."""

    confirm: int | None = None
    """Fresh seeds on which the winner and its rival are run again once the search is over."""

    price: str | None = None
    """Price of a node-hour, or one for each type of node (`tune_runner.resources.prices`)."""

    max_cost: float | None = None
    """Budget in the currency of `price`; None, here and for energy: there is none."""

    max_kwh: float | None = None
    request: ResourceRequest = field(default_factory=ResourceRequest)
    limits: RunLimits = field(default_factory=RunLimits)

    def __post_init__(self) -> None:
        check_choice("pruner", self.pruner, PRUNERS)
        if self.sampler is not None:
            check_strategy(self.sampler, "--sampler")
        check_choice("precision", self.precision, PRECISIONS)
        if self.storage is not None:
            urls.check_url(self.storage)
        if "://" in self.runs_dir:
            raise UserError(
                f"--runs-dir must be a folder, but got {self.runs_dir!r}; give the object store as "
                "--checkpoints, and a folder of this machine as --runs-dir."
            )
        if self.checkpoints is not None and not is_url(self.checkpoints):
            raise UserError(
                "--checkpoints must be the URL of an object store, for example s3://bucket/path, "
                f"but got {without_password(self.checkpoints)!r}; a folder is given by --runs-dir, "
                "all of it."
            )
        plain = self.dataset not in ("", "..") and Path(self.dataset).name == self.dataset
        if not plain or not self.dataset.isprintable() or len(self.dataset.encode()) > NAME_BYTES:
            raise UserError(
                "A dataset's name must be the plain name of a folder, but got --dataset "
                f"{self.dataset[:NAME_BYTES]!r}; give the folder it lies in as --data-dir."
            )
        if self.protocol not in PROTOCOLS:
            raise UserError(
                f"--protocol must be published or chronological, but got {self.protocol!r}"
                f"{did_you_mean(self.protocol, PROTOCOLS)}."
            )
        check_choice("preset source", self.preset, PRESET_SOURCES)
        if self.checkpoints is not None:
            check_store_url(self.checkpoints)
            refuse_password(
                self.checkpoints,
                "--checkpoints",
                "it must not hold a password, since studies are shared: give it in the store's own "
                "settings, for example AWS_SECRET_ACCESS_KEY",
            )
        for name in ("trials", "seeds"):
            check_count("--" + name, getattr(self, name), POINT_LIMIT)
        for name in ("max_epochs", "patience"):
            check_count(f"--{name.replace('_', '-')}", getattr(self, name), COUNT_LIMIT)
        check_count("--max-concurrent", self.request.max_concurrent, COUNT_LIMIT)
        if self.request.fuse != "auto":
            check_count("--fuse", self.request.fuse, POINT_LIMIT)
        check_count("--max-trials", self.limits.trials, COUNT_LIMIT)
        check_count("--confirm", self.confirm, POINT_LIMIT)
        hours = self.limits.hours
        if hours is not None and not 0 < hours < math.inf:
            raise UserError(f"--max-hours must be a number above 0, but got {hours:g}.")
        _ = self.budgets  # which refuses what no study can have
        if not 0 <= self.seed <= SEED_LIMIT:
            raise UserError(
                f"--seed must be 0 or more, and at most {SEED_LIMIT:,}, but got "
                f"{shortened(self.seed)}; give another."
            )
        amounts = {"cpus-per-trial": self.request.cpus, "gpus-per-trial": self.request.gpus}
        for flag, amount in amounts.items():
            if isinstance(amount, float) and math.isfinite(amount) and round(amount, 4) != amount:
                raise UserError(
                    f"--{flag} must have four decimals at most, as Ray counts, but got {amount!r}; "
                    "round it."
                )
        if self.request.cpus is not None and not 0 < self.request.cpus < math.inf:
            raise UserError(
                f"--cpus-per-trial must be above 0 and finite, but got {self.request.cpus:g}; give "
                "another."
            )
        if isinstance(self.request.gpus, float) and not 0 <= self.request.gpus < math.inf:
            raise UserError(
                f"--gpus-per-trial must be 0 or more and finite, but got {self.request.gpus:g}; "
                "give another."
            )
        check_name(self.name)

    @property
    def budgets(self) -> Budgets:
        """Budgets in money and energy."""
        return Budgets(self.price, self.max_cost, self.max_kwh)

    def checkpoints_of(self, folder: Path) -> str:
        """Return where the trials keep their checkpoints (`tune_runner.checkpoints.store`).

        Args:
            folder: where they do unless a store is given.
        """
        return (
            str(folder) if self.checkpoints is None else study_location(self.checkpoints, self.name)
        )


_EMBEDDED = TargetDataset("embedded")


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The settings with the space's own defaults filled in."""

    sampler: str
    pruner: str
    seeds: tuple[int, ...]
    trials: int
    """Trials in total, replicates included."""

    target: TargetDataset = _EMBEDDED
    """Dataset by whose size the presets of the trials are chosen."""

    overrides: dict[str, Any] = field(default_factory=dict)

    def for_dataset(self, dataset: "Dataset", space: SearchSpace) -> "StudyPlan":
        """Return the plan with presets chosen by the size of the dataset, once that was read.

        Raises:
            UserError: the plan's overrides do not fit to the presets, or an objective needs item
                embeddings and the dataset has none.
        """
        train = dataset.train
        shape = DatasetShape(train.num_users, train.num_items, train.nnz)
        plan = replace(self, target=replace(self.target, shape=shape))
        for params in space.one_point_per_variant():
            space.resolve(params, plan.target, overrides=plan.overrides)
        if dataset.item_embeddings is None and not plan.needs_embeddings(space):
            goal_rules.check_without_embeddings(space, dataset.name)
        return plan

    def needs_embeddings(self, space: SearchSpace) -> bool:
        """Return whether a trial may cluster the items by their embeddings."""
        return "autoencoder.clustering" in space.domains or any(
            space.resolve(params, self.target, overrides=self.overrides).needs_embeddings
            for params in space.one_point_per_variant()
        )

    @property
    def is_sampled(self) -> bool:
        """True if a sampler draws points once the queue is empty."""
        return self.sampler != "grid"

    @property
    def learns(self) -> bool:
        """True if what is drawn depends on the results of earlier trials."""
        return self.sampler not in ("grid", "random", "qmc")


def make_plan(config: StudyConfig, space: SearchSpace) -> StudyPlan:
    """Fill in what the user left to the space.

    Raises:
        UserError: a grid was requested for a space that has intervals, or a value does not fit.
    """
    sampler = config.sampler or space.strategy
    check_sampler(sampler, space)
    count = config.seeds or space.replicates
    seeds = tuple(range(config.seed, config.seed + count))
    settings = {name: getattr(config, name) for name in ("max_epochs", "patience", "precision")}
    overrides = {f"training.{name}": value for name, value in settings.items() if value is not None}
    if config.seed + count > SEED_LIMIT:
        raise UserError(
            f"--seed and the {count - 1} after it must be at most {SEED_LIMIT:,}, but got "
            f"{config.seed}; use a smaller --seed."
        )
    if sampler == "grid":
        size = len(space.grid_samples()) * count
        trials = min(config.trials or size, size)
    else:
        # A sampler on a space made for a grid tries as many points as the grid has.
        default_trials = (
            space.trials if space.trials is not None else len(space.grid_samples()) * count
        )
        trials = config.trials or default_trials
        if (num_points := space.num_points()) is not None:  # no point is run twice
            trials = min(trials, num_points * count)
    if trials > POINT_LIMIT:
        raise UserError(
            f"A study has at most {POINT_LIMIT:,} trials, but this one would have {trials:,} "
            f"({count} seeds); give fewer --seeds, or --trials."
        )
    pruner = config.pruner or space.pruner
    if config.start_from is not None and sampler == "grid":
        raise UserError(
            f"--start-from gives a sampler points to begin with, but space {space.name!r} is run "
            "as a grid, which has all of its points; leave it out, or give --sampler."
        )
    if config.confirm:
        goal_rules.check_confirmation(space)
    if pruner != "none":
        goal_rules.check_pruning(space, f"the {pruner} pruner", "--pruner none")
    target = _target(config, space)
    configs = [space.resolve(p, target, overrides=overrides) for p in space.one_point_per_variant()]
    if pruner != "none" and not any(training_of(one) for one in configs):
        raise UserError(
            f"No variant of space {space.name!r} trains by epochs, so there is nothing that the "
            f"{pruner} pruner could stop early; use --pruner none."
        )
    return StudyPlan(sampler, pruner, seeds, trials, target, overrides)


def _target(config: StudyConfig, space: SearchSpace) -> TargetDataset:
    """Return what presets are chosen by; the dataset's size follows once it is read."""
    flags = {"--preset-of": config.preset_of is not None, "--preset": config.preset != "published"}
    for flag, is_given in flags.items():
        if is_given and set(variants_of(space)) <= set(WITHOUT_ROWS):
            raise UserError(
                f"{flag} chooses among the presets of a variant, but those of space "
                f"{space.name!r} have one each for all published datasets; leave it out."
            )
    source: PresetSource = "report" if config.preset == "report" else "published"
    return TargetDataset(config.dataset, like=config.preset_of, source=source)


def extend(plan: Mapping[str, Any], space: SearchSpace, more: int) -> dict[str, int]:
    """Return the settings of a study with `more` trials than its old plan had.

    A complete grid continues with the seeds after its last.

    Args:
        plan: the old plan, as `study.json` has it.
        space: the study's space.
        more: trials to add.
    """
    check_count("--add-trials", more, POINT_LIMIT)
    total, seeds = plan["trials"] + more, len(plan["seeds"])
    if plan["sampler"] == "grid":
        seeds = max(seeds, math.ceil(total / len(space.grid_samples())))
    return {"trials": total, "seeds": seeds}


def preset_sources(space: SearchSpace, target: TargetDataset) -> list[str]:
    """Return where the presets come from, a sentence for each variant, and why they were chosen."""
    presets = [preset_for(variant, target) for variant in variants_of(space)]
    reasons = [choice.choice for choice in presets if choice.choice is not None]
    return [*(choice.source for choice in presets), *dict.fromkeys(reasons)]
