"""Reads a search space from plain data, JSON or YAML: nothing in it is ever run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diffrec.errors import UserError, did_you_mean
from diffrec.files import read_regular
from search_spaces.definition import Condition, SpaceDefinition
from search_spaces.domains import (
    Choice,
    Domain,
    FractionOf,
    IntUniform,
    LogUniform,
    PlainDomain,
    ScaledFrom,
    Uniform,
)
from search_spaces.objectives import Objective

ENDINGS = (".json", ".yaml", ".yml")
_KINDS: dict[str, tuple[Callable[..., Domain], tuple[str, ...], tuple[str, ...]]] = {
    "choice": (Choice, ("values",), ()),
    "uniform": (Uniform, ("low", "high"), ()),
    "log_uniform": (LogUniform, ("low", "high"), ()),
    "int_uniform": (IntUniform, ("low", "high"), ("log",)),
    "scaled_from": (ScaledFrom, ("path", "factor"), ()),
    "fraction_of": (FractionOf, ("path",), ("factor",)),
}
"""Domains by `kind`: class, required keys, optional keys."""

_YAML_SCALARS = (
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", list("tf")),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
)
"""YAML 1.2's core scalars: in 1.1, which PyYAML reads, 1e-3 is a text, and `no` is false."""


def space_fields(values: Any) -> dict[str, Any]:
    """Return the fields of a search space, given as `SearchSpace.to_dict` writes them.

    What is left out has its default. A domain may be a list, which is a choice.

    Raises:
        UserError: a key is unknown or missing, or a domain or condition is malformed.
    """
    fields = _mapping(values, "A search space")
    known = list(SpaceDefinition.__dataclass_fields__)
    for key in fields:
        if key not in known:
            raise UserError(f"A search space has no field {key!r}{did_you_mean(str(key), known)}.")
    for key in ("name", "question", "domains"):
        if key not in fields:
            raise UserError(f"A search space needs the field {key!r}; add it.")
    domains = _mapping(fields["domains"], "`domains`")
    fields["domains"] = {path: _domain(domain, path) for path, domain in domains.items()}
    if "conditions" in fields:
        conditions = _mapping(fields["conditions"], "`conditions`")
        fields["conditions"] = {path: _condition(c, path) for path, c in conditions.items()}
    if "objective" in fields:
        fields["objective"] = _objective(fields["objective"], "`objective`")
    if "objectives" in fields:
        objectives = fields["objectives"]
        if not isinstance(objectives, list):
            raise UserError(
                f"`objectives` must be a list of objectives, but got {objectives!r:.60}."
            )
        fields["objectives"] = tuple(_objective(one, "Each of `objectives`") for one in objectives)
    return fields


def read_space_file(path: Path) -> Any:
    """Return the data of a JSON or YAML file.

    Raises:
        UserError: it cannot be read as one.
    """
    content = read_regular(path, "a search space in JSON or YAML")
    try:
        text = content.decode("utf-8-sig")
        return _read_json(text) if path.suffix == ".json" else _read_yaml(text)
    except UserError as error:
        raise UserError(f"Space file {str(path)!r} is refused: {error}") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise UserError(
            f"Space file {str(path)!r} must be {kind} in UTF-8, but is not ({reason}); correct it."
        ) from None


def _domain(value: Any, path: Any) -> Domain:
    if isinstance(value, list):
        return Choice(*value)
    where = f"The domain of {path!r}"
    domain = _mapping(value, f"{where} must be a list or an object with `kind`, so it")
    kind = domain.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UserError(
            f"{where} needs a `kind` of {', '.join(_KINDS)}, but got {kind!r}"
            f"{did_you_mean(str(kind), _KINDS)}."
        )
    make, required, optional = _KINDS[kind]
    _check_keys(domain, where, required, optional)
    if kind == "choice":
        if not isinstance(domain["values"], list):
            raise UserError(f"{where} needs a list as `values`, but got {domain['values']!r}.")
        return Choice(*domain["values"])
    if "log" in domain and not isinstance(domain["log"], bool):
        raise UserError(f"{where} needs true or false as `log`, but got {domain['log']!r}.")
    if "factor" in domain:
        domain["factor"] = _domain(domain["factor"], f"{path}, its factor")
    return make(**domain)


def _objective(value: Any, where: str) -> Objective:
    objective = _mapping(value, where)
    _check_keys(objective, where, ("name",), ("direction",))
    return Objective(**objective)


def _condition(value: Any, path: Any) -> Condition:
    where = f"The condition on {path!r}"
    condition = _mapping(value, where)
    _check_keys(condition, where, ("parent", "allowed"), ())
    allowed = condition["allowed"]
    if isinstance(allowed, list):
        return Condition(condition["parent"], tuple(allowed))
    domain = _domain(allowed, f"{path}, its condition")
    if not isinstance(domain, PlainDomain):
        raise UserError(f"{where} must allow values or a plain domain, but got {allowed!r}.")
    return Condition(condition["parent"], domain)


def _mapping(value: Any, what: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise UserError(
            f"{what} must be an object of keys and values, but got {value!r:.60} "
            f"({type(value).__name__})."
        )
    return dict(value)


def _check_keys(
    value: Mapping[Any, Any], where: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    known = (*required, *optional)
    for key in value:
        if key not in known:
            raise UserError(f"{where} has no key {key!r}{did_you_mean(str(key), known)}.")
    for key in required:
        if key not in value:
            raise UserError(f"{where} needs `{key}`; add it.")


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        if key in made:
            raise UserError(f"the key {key!r} comes twice; drop one.")
        made[key] = value
    return made


def _read_json(text: str) -> Any:
    def refuse(word: str) -> Any:
        raise UserError(f"{word} is no number of JSON; write a finite one.")

    return json.loads(text, object_pairs_hook=_unique, parse_constant=refuse)


def _read_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's core scalars, lists and mappings; no tags, aliases or repeated keys."""

        yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - as PyYAML has it

        def compose_node(self, parent: Any, index: Any) -> Any:
            """Refuse aliases, which can make a small file a huge space."""
            if self.check_event(yaml.AliasEvent):
                raise UserError("it has an alias (*name); write the values out.")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """Return a mapping, whose keys must be texts that come once."""
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise UserError("a key is a list or mapping; write a text.")
            pairs = [
                (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                for key, value in node.value
            ]
            return _unique(pairs)

    import re

    for tag, pattern, first in _YAML_SCALARS:
        Loader.add_implicit_resolver(tag, re.compile(pattern), first)
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
