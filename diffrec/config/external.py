"""Recommenders from outside: their configuration, how they are named, found and checked. No torch.

One is installed as a package with an entry point of the group `diffrec.recommenders`, or its
configuration class stands in a space file. The guide is docs/guides/own_recommender.md.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from diffrec import user_code
from diffrec.config import serialization
from diffrec.config.base import ModelConfig
from diffrec.config.model import TrainingConfig
from diffrec.config.rules import at_least
from diffrec.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "diffrec.recommenders"
_REGISTERED: dict[str, type["ExternalConfig"]] = {}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExternalConfig(ModelConfig):
    """Base of the configuration of a recommender from outside; a subclass is a frozen dataclass."""

    name: ClassVar[str]
    """Its variant in search spaces and tables; the name of its entry point, if it has one."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Changes to the defaults by name of the dataset, e.g. {"ml-1m_clean": {"hidden_dim": 600}}."""

    seed: int = 1
    """Root of every random draw of the run."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)

    @property
    def variant(self) -> str:
        """The name in tables."""
        return type(self).name

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries of JSON values, and how the class is found again."""
        return {"family": family_of(type(self)), **serialization.to_dict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested dictionaries; unknown keys and wrong types raise UserError."""
        own = {key: value for key, value in values.items() if key != "family"}
        return serialization.from_dict(cls, own)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle by name, since the module of a space file cannot be imported elsewhere."""
        return _rebuild, (self.to_dict(),)


def _rebuild(values: Mapping[str, Any]) -> ExternalConfig:
    return external_class(values["family"], trusted=True).from_dict(values)


def installed() -> "dict[str, EntryPoint]":
    """Return the entry points of installed recommenders by name; none of them is imported."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def known_names() -> list[str]:
    """Return the names of the recommenders from outside that this process can find."""
    return list(dict.fromkeys([*_REGISTERED, *installed()]))


def find(name: str) -> type[ExternalConfig] | None:
    """Return the configuration class of a variant from outside; None if there is none.

    Raises:
        UserError: it cannot be imported, or breaks a rule.
    """
    entry = None if name in _REGISTERED else installed().get(name)
    if entry is not None:
        package = entry.dist.name if entry.dist is not None else "of its entry point"
        try:
            cls = entry.load()
        except (Exception, SystemExit) as error:
            raise UserError(
                f"Recommender {name!r} cannot be imported ({user_code.reason(error)}); correct its "
                f"package {package}, or uninstall it."
            ) from error
        check_class(cls)
        if cls.name != name:
            raise UserError(
                f"The entry point {name!r} of {package} must bear the `name` of its class, but "
                f"{cls.__qualname__} is called {cls.name!r}; make them equal."
            )
        _REGISTERED[name] = cls
    return _REGISTERED.get(name)


def external_class(family: str, *, trusted: bool = False) -> type[ExternalConfig]:
    """Return the class that `family_of` named.

    Args:
        family: name of an installed recommender, or `FOLDER:MODULE:CLASS`.
        trusted: whether the file of the latter may be run; otherwise it must be known already.

    Raises:
        UserError: there is none, or it breaks a rule.
    """
    known = {family_of(cls): cls for cls in _REGISTERED.values()}
    if family in known:
        return known[family]
    if ":" not in family:
        cls = find(family)
        if cls is None:
            raise UserError(f"Recommender {family!r} is not installed; install its package.")
        return cls
    if not trusted:
        raise UserError(
            f"The recommender {family.rsplit(':', 1)[1]} stands in a file, which is not run on a "
            "checkpoint's word; give the trial by --run, or install it as a package."
        )
    cls = user_code.load_reference(family)
    register(cls)
    return cls


def register(cls: type[ExternalConfig]) -> str:
    """Check a configuration class and return the variant under which it is found from now on.

    Raises:
        UserError: it breaks a rule, or another one has its name.
    """
    check_class(cls)
    family_of(cls)
    before = _REGISTERED.get(cls.name)
    if before is not None and family_of(before) != family_of(cls):
        raise UserError(
            f"Two recommenders are called {cls.name!r}: {family_of(before)} and {family_of(cls)}; "
            "rename one."
        )
    _REGISTERED[cls.name] = cls
    return cls.name


def family_of(cls: type[ExternalConfig]) -> str:
    """Return the name by which another process finds a class: of its entry point, or its file."""
    entry = installed().get(cls.name)
    if entry is not None and entry.value.replace(" ", "") == f"{cls.__module__}:{cls.__qualname__}":
        return cls.name
    return user_code.reference(cls)


def check_class(cls: Any) -> None:
    """Refuse what is no configuration of a recommender.

    Raises:
        UserError: the first rule that it breaks.
    """
    shown = getattr(cls, "__qualname__", repr(cls))
    if not isinstance(cls, type) or not issubclass(cls, ExternalConfig):
        raise UserError(
            f"A recommender is named by its configuration, a subclass of "
            f"diffrec.config.ExternalConfig, but {shown} is none; name that class."
        )
    if "__dataclass_fields__" not in vars(cls):
        raise UserError(
            f"{shown} must be a frozen dataclass, but is none; put @dataclass(frozen=True, "
            "kw_only=True) above it."
        )
    name, model = getattr(cls, "name", None), getattr(cls, "model", None)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", name):
        raise UserError(
            f"{shown} needs `name: ClassVar[str]` of letters, digits, '-', '_' and '.', 60 at "
            f"most, but has {name!r}."
        )
    if not isinstance(model, str) or not re.fullmatch(r"([\w.]+:)?\w+", model):
        raise UserError(
            f'{shown} needs `model: ClassVar[str]` = "module:Class", or "Class" in its own module, '
            f"but has {model!r}."
        )
    _check_fields(cls, shown)


def _check_fields(cls: type[ExternalConfig], shown: str) -> None:
    """Build the defaults and the presets, and read both back."""
    required = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    if required:
        raise UserError(
            f"Every field of {shown} needs a default, from which a search starts, but "
            f"`{required[0]}` has none; give it one."
        )
    try:
        hints, config = serialization.field_hints(cls), cls()
        if hints.get("training", TrainingConfig) is not TrainingConfig:
            raise UserError(
                f"its field `training` must be a TrainingConfig, not {hints['training']}"
            )
        for path, hint in serialization.field_types(cls).items():
            _check_hint(path, hint)
        if serialization.from_dict(cls, serialization.to_dict(config)) != config:
            raise UserError("its defaults are not the same once written and read")
        for values in cls.presets.values():
            config.replace_values(values)
    except Exception as error:
        said = str(error) if isinstance(error, UserError) else user_code.reason(error)
        raise UserError(
            f"{shown} cannot be a configuration ({said.rstrip('.')}); correct its fields or "
            "presets."
        ) from error


def _check_hint(path: str, hint: Any) -> None:
    """Refuse a field that no JSON value can fill."""
    for part in serialization.leaf_types(hint):
        if part not in (int, float, str, bool):
            raise UserError(
                f"`{path}` must be of int, float, str, bool, Literal, a tuple[X, ...] of these, a "
                f"dataclass or X | None, but is {hint}"
            )
