"""Options of a study by the names of the command's flags, and the settings that they make.

The command line and `tune_runner.run_study` both come here, so their rules and sentences are one.
"""

import argparse
import inspect
import os
import time
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, get_args, get_type_hints

from diffrec.command_line import COUNT_LIMIT, folder_path
from diffrec.config.serialization import check_type
from diffrec.errors import UserError, did_you_mean
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.resources.spending import spent_from_json
from tune_runner.study.budgets import BUDGETS
from tune_runner.study.config import RunLimits, StudyConfig, extend
from tune_runner.study.description import FOR_RESUME, read_description
from tune_runner.study.folder import SPENT, StudyFolder
from tune_runner.study.spaces import SpaceSetting, study_space

Function = TypeVar("Function", bound=Callable[..., Any])

_SHORT = 60
"""Characters of the space's and the dataset's name in the default name of a study."""


class RunOptions(TypedDict, total=False):
    """Options of a new study and of a resumed one: where it runs, and with what."""

    address: str | None
    """Ray cluster, `auto` or `host:port`; None: RAY_ADDRESS if set, else this machine."""

    storage: str | None
    """URL of the database of the Optuna study; None: a journal file."""

    max_concurrent: int | None
    """Largest number of trials at a time."""

    cpus_per_trial: float | None
    gpus_per_trial: float | Literal["auto"] | None
    fuse: int | Literal["auto"] | None
    """Largest number of trials that are trained as one computation."""

    resources: Mapping[str, float] | None
    """Custom resources of a trial by name."""

    max_trials: int | None
    """Largest number of trials that this run starts."""

    max_hours: float | None
    """Hours after which this run stops."""

    price: str | None
    """Price of a node-hour, or of each type of node, as in `worker=0.35,gpu=2.10`."""

    max_cost: float | None
    """Cost of the nodes after which the study stops, over all its runs; needs a price."""

    max_kwh: float | None
    """Energy after which the study stops, over all its runs."""

    confirm: int | None
    """Fresh seeds on which the winner and its rival are run once the search is over."""


class StudyOptions(RunOptions, total=False):
    """Options of a new study; what is left out is as in the command."""

    name: str | None
    """Name of the study; None: space, dataset and time."""

    dataset: str
    data_dir: str | None
    protocol: str
    preset_of: str | None
    preset: str
    trials: int | None
    """Trials in total; None: every point of a grid, or the space's own number."""

    seeds: int | None
    """Replicates of every point; None: the space's own number."""

    seed: int
    """Root seed: replicates are seeded with it and the numbers after it."""

    sampler: str | None
    pruner: str | None
    start_from: str | None
    """Earlier studies, separated by commas, whose best points are tried first."""

    max_epochs: int | None
    patience: int | None
    precision: str | None
    runs_dir: str
    checkpoints: str | None


class ResumeOptions(RunOptions, total=False):
    """Options of a study that is resumed; all else is the study's own."""

    add_trials: int | None
    """Trials to add; a complete grid continues with the next seeds."""

    retry_failed: bool
    """Run failed trials again."""


STUDY_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(get_type_hints(StudyOptions)),
    "dataset": "embedded",
    "protocol": "published",
    "preset": "published",
    "seed": 1,
    "runs_dir": "runs",
}
RESUME_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(get_type_hints(ResumeOptions)),
    "retry_failed": False,
}


def shows_options(defaults: Mapping[str, Any]) -> Callable[[Function], Function]:
    """Return a decorator that puts options into a function's signature, for help and completion.

    Args:
        defaults: `STUDY_DEFAULTS` or `RESUME_DEFAULTS`, which the function takes as `**options`.
    """
    hints = _hints(defaults)

    def decorate(function: Function) -> Function:
        plain = inspect.signature(function)
        own = [p for p in plain.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=hints[name]
            )
            for name, value in defaults.items()
        ]
        function.__signature__ = plain.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        return function

    return decorate


def _hints(defaults: Mapping[str, Any]) -> dict[str, Any]:
    return get_type_hints(StudyOptions if defaults is STUDY_DEFAULTS else ResumeOptions)


def complete_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return options given in Python with all defaults, numbers and paths as plain values.

    Args:
        options: by name.
        defaults: `STUDY_DEFAULTS` or `RESUME_DEFAULTS`.

    Raises:
        UserError: a name is unknown, or a value is not of its type.
    """
    hints = _hints(defaults)
    for name in options:
        if name in STUDY_DEFAULTS and name not in defaults:
            raise UserError(fixed_option(name))
        if name not in defaults:
            raise UserError(
                f"A study has no option {name!r}{did_you_mean(name, defaults)}; known: "
                f"{', '.join(defaults)}."
            )
    complete = {**defaults, **{name: _plain(value) for name, value in options.items()}}
    if isinstance(complete["price"], int | float):  # one for all nodes
        complete["price"] = repr(complete["price"])
    for name, value in complete.items():
        _check_option(name, value, hints[name])
    for name in ("runs_dir", "data_dir"):
        if complete.get(name) is not None:
            try:
                complete[name] = folder_path(complete[name])
            except argparse.ArgumentTypeError as error:
                raise UserError(f"{_flag(name)} {error}; give another.") from None
    complete["address"] = complete["address"] or os.environ.get("RAY_ADDRESS") or None
    if complete["address"] == "local":
        complete["address"] = None
    return complete


def fixed_option(name: str) -> str:
    """Return the sentence for an option that a resumed study cannot be given."""
    return f"{_flag(name)} cannot be changed with --resume: it is the study's own; leave it out."


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's, and paths as texts."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _check_option(name: str, value: Any, hint: Any) -> None:
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
    if value is None and len(kinds) < len(get_args(hint)):
        return
    if name == "resources":
        return  # checked with its sentence by `custom_resources`
    if value == "auto" and any(get_args(kind) == ("auto",) for kind in kinds):
        return
    check_type(kinds[0], value, name)


def custom_resources(amounts: Any, shown: object) -> tuple[tuple[str, float], ...]:
    """Return custom resources as (name, amount) pairs.

    Args:
        amounts: by name.
        shown: what the user gave, for the message.

    Raises:
        UserError: they are no amounts above 0 by name, or CPUs and GPUs are among them.
    """
    by_name = amounts if isinstance(amounts, Mapping) else {}
    fitting = [v for v in by_name.values() if type(v) in (int, float) and 0 < v <= COUNT_LIMIT]
    if not by_name or len(fitting) < len(by_name) or {"CPU", "GPU"} & by_name.keys():
        raise UserError(
            "--resources must be a JSON object of custom names and amounts above 0, but got "
            f"{shown!r}; CPUs and GPUs have --cpus-per-trial and --gpus-per-trial."
        )
    return tuple((str(name), float(amount)) for name, amount in by_name.items())


def new_config(space: SpaceSetting, options: Mapping[str, Any]) -> StudyConfig:
    """Return the settings of a new study.

    Args:
        space: as `space_setting` returns it.
        options: all of `STUDY_DEFAULTS`, by name.

    Raises:
        UserError: a value is wrong.
    """
    own = {name: options[name] for name in _CONFIG_OPTIONS}
    if own["name"] is None:
        label = Path(space).stem if isinstance(space, str) else str(space["name"])
        stamp = time.strftime("%Y%m%d-%H%M%S")
        own["name"] = f"{label[:_SHORT]}-{options['dataset'][:_SHORT]}-{stamp}"
    limits = RunLimits(options["max_trials"], options["max_hours"])
    return StudyConfig(space=space, request=_request(options), limits=limits, **own)


_CONFIG_OPTIONS = [name for name in STUDY_DEFAULTS if name in StudyConfig.__dataclass_fields__]


def resumed_config(name: str, runs_dir: str, options: Mapping[str, Any]) -> StudyConfig:
    """Return the settings of a study to resume: its own, but for where and with what it runs.

    Args:
        name: of the study.
        runs_dir: folder of the studies.
        options: all of `RESUME_DEFAULTS`, by name.

    Raises:
        UserError: there is no such study, or a value is wrong.
    """
    description = read_description(StudyFolder(Path(runs_dir), name), FOR_RESUME)
    settings = description["settings"]
    settings |= {"address": options["address"], "runs_dir": runs_dir, "request": _request(options)}
    settings["limits"] = RunLimits(options["max_trials"], options["max_hours"])
    for kept in ("confirm", *BUDGETS):
        given = options[kept]
        settings[kept] = settings.get(kept) if given is None else given
    if options["add_trials"] is not None:
        space = study_space(settings["space"])
        settings |= extend(description["plan"], space, options["add_trials"])
    settings["storage"] = options["storage"] or settings.get("storage")
    config = StudyConfig(**settings)
    if options["max_cost"] is not None or options["max_kwh"] is not None:
        config.budgets.check_left(spent_from_json(description.get(SPENT)))
    return config


def _request(options: Mapping[str, Any]) -> ResourceRequest:
    custom, fuse = options["resources"], options["fuse"]
    return ResourceRequest(
        _float(options["cpus_per_trial"]),
        _float(options["gpus_per_trial"]),
        options["max_concurrent"],
        () if custom is None else custom_resources(custom, custom),
        1 if fuse is None else fuse,
    )


def _float(amount: Any) -> Any:
    return float(amount) if isinstance(amount, int) else amount
