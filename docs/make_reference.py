"""Writes docs/reference from the parsers, the configuration dataclasses and the shipped spaces.

`python docs/make_reference.py` writes the pages; `--check` only says which are stale and exits with
1. The pages are never edited by hand: a flag or a hyperparameter is described where it is defined.
"""

import argparse
import ast
import dataclasses
import inspect
import os
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from analysis.cli import parser as analysis_parser
from analysis.replay.command import parser as replay_parser
from diffrec.__main__ import build_parser as diffrec_parser
from diffrec.config.families import FAMILIES
from diffrec.config.presets import ALL_VARIANTS, preset
from diffrec.config.serialization import nested_class
from search_spaces import SPACES, SearchSpace, domains
from search_spaces.definition import Condition, SpaceDefinition
from search_spaces.objectives import Objective
from tune_runner.cli.arguments import parser as tune_parser
from tune_runner.monitoring import answers

FOLDER = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/make_reference.py; do not edit. -->\n"
_DATASET = "ml-1m_clean"
_ARGUMENT_HEAD = ("argument", "meaning", "default")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or with `--check` compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    check = parser.parse_args(arguments).check
    stale = [name for name, text in pages().items() if _read(FOLDER / name) != text]
    for name in stale:
        if not check:
            (FOLDER / name).write_text(pages()[name], encoding="utf-8")
        sys.stdout.write(f"{'stale' if check else 'written'}: docs/reference/{name}\n")
    return 1 if check and stale else 0


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    return {
        "cli.md": _cli(),
        "config.md": _config(),
        "json.md": _json(),
        "search_spaces.md": _spaces(),
    }


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


# Command lines


def _cli() -> str:
    os.environ.pop("RAY_ADDRESS", None)  # it would be shown as the default of --address
    parts = [
        "# Command lines",
        "Three programs. Each also runs under a name of its own once the package is installed: "
        "`diffrec`, `diffrec-tune`, `diffrec-report`. Exit codes: 0 done, 1 failed, 2 refused (one "
        "sentence says why), 3 (`tune_runner`) MLflow has not taken the whole record, which "
        "`--resume` sends once the printed reason is corrected, 130 interrupted and resumable.",
        "## `python -m tune_runner` (`diffrec-tune`)",
        *_command(tune_parser()),
        "## `python -m analysis` (`diffrec-report`)",
        *_command(analysis_parser()),
        "## `python -m analysis replay`",
        *_command(replay_parser()),
        "## `python -m diffrec` (`diffrec`)",
    ]
    for name, command in _subcommands(diffrec_parser()).items():
        parts += [f"### `python -m diffrec {name}`", *_command(command, level="####")]
    return _page(parts)


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _command(parser: argparse.ArgumentParser, level: str = "###") -> Iterator[str]:
    """Yield the description of one parser and a table for each of its groups of arguments."""
    if parser.description:
        yield " ".join(parser.description.split())
    unnamed: list[tuple[str, str, str]] = []
    named: list[str] = []
    for group in parser._action_groups:
        rows = [_argument(a) for a in group._group_actions if a.dest != "help"]
        if group.title in ("positional arguments", "options"):
            unnamed += rows
        elif rows:
            named += [f"{level} {str(group.title).capitalize()}", _table(_ARGUMENT_HEAD, rows)]
    yield from [_table(_ARGUMENT_HEAD, unnamed)] if unnamed else []
    yield from named


def _argument(action: argparse.Action) -> tuple[str, str, str]:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    names = ", ".join(action.option_strings)
    if not names:
        shown = str(action.metavar or action.dest)
    elif action.nargs == 0:
        shown = names
    else:
        shown = f"{names} {value}" + (" ..." if action.nargs == "+" else "")
    default = action.default
    plain = default is None or default is False or default == [] or action.required
    return f"`{shown}`", action.help or "", "" if plain else f"`{default}`"


# Hyperparameters


def _config() -> str:
    parts = [
        "# Hyperparameters",
        "A search space, `--set PATH=VALUE` and `config.json` name a hyperparameter by its dotted "
        "path. Defaults here are those of the dataclasses; a variant's preset changes some of them "
        "for each dataset (`diffrec/config/presets.py`), and `config.json` of a trial holds every "
        "value that it ran with.",
        "## Variants",
        "Their presets on `ml-1m_clean`, as far as they differ from the defaults.",
        _table(("variant", "preset"), [(f"`{v}`", _differences(v)) for v in ALL_VARIANTS]),
    ]
    for family in FAMILIES.values():
        parts += [f"## {family.__name__}", _docstring(family), *_fields(family)]
    return _page(parts)


def _differences(variant: str) -> str:
    """Return what a preset changes, in the defaults or in the variant that it extends."""
    config = preset(variant, _DATASET).config
    base = variant.split("+")[0]
    start = type(config)() if base == variant else preset(base, _DATASET).config
    own, before = dict(_flat(config, config)), dict(_flat(start, config))
    changed = ", ".join(f"`{k}={_value(v)}`" for k, v in own.items() if before.get(k) != v)
    return (f"`{base}` and " if base != variant else "") + (changed or "–")


def _flat(config: Any, like: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted paths and values of a configuration; a missing part has its defaults."""
    for field in dataclasses.fields(config):
        value, part = getattr(config, field.name), getattr(like, field.name)
        if dataclasses.is_dataclass(part) and not isinstance(part, type):
            yield from _flat(value or type(part)(), part, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def _fields(cls: type, prefix: str = "") -> list[str]:
    """Return a table of a dataclass's own hyperparameters, then one for each nested part."""
    hints, meanings = typing.get_type_hints(cls), _meanings(cls)
    rows: list[tuple[str, ...]] = []
    parts: list[str] = []
    for field in dataclasses.fields(cls):
        nested = nested_class(hints[field.name])
        if nested is not None:
            parts += [f"### `{field.name}`", _docstring(nested)]
            parts += _fields(nested, f"{field.name}.")
        elif field.name != "family":
            name, meaning = f"`{prefix}{field.name}`", meanings.get(field.name, "")
            rows.append((name, meaning, _default(field), _type(hints[field.name])))
    return [_table(("path", "meaning", "default", "values"), rows), *parts]


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{_value(field.default)}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{_value(field.default_factory())}`"
    return "required"


def _value(value: Any) -> str:
    if isinstance(value, Objective):
        return value.name
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _type(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(_type(part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"list of {typing.get_args(hint)[0].__name__}"
    return "None" if hint is types.NoneType else getattr(hint, "__name__", str(hint))


def _meanings(cls: type) -> dict[str, str]:
    """Return the text below each field of a class: its documentation, which Python drops."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = typing.cast("ast.ClassDef", tree.body[0]).body
    found = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


# Answers in JSON


def _json() -> str:
    flags = {
        answers.SpaceAnswer: "`--list --json`: a list of these",
        answers.PlanAnswer: "`--dry-run --json`",
        answers.StatusAnswer: "`--status NAME --json`",
    }
    parts = [
        "# Answers in JSON",
        "`--json` writes the answer of `--list`, `--dry-run` (with `--probe` too) and `--status` "
        "for programs. Standard output then holds one JSON value and nothing else. An error is one "
        "sentence on standard error, with exit code 2. Every field is always there; a number that "
        "is missing or not finite is `null`.",
        "```bash\npython -m tune_runner --status NAME --json\n```",
    ]
    shown: list[type] = []
    for cls, flag in flags.items():
        parts += [f"## {flag}", *_answer(cls, shown)]
    return _page(parts)


def _answer(cls: type, shown: list[type]) -> Iterator[str]:
    """Yield an object's description and table, then those of the objects in it, once each."""
    shown.append(cls)
    hints, meanings = typing.get_type_hints(cls), _meanings(cls)
    rows = [
        (f"`{f.name}`", _json_type(hints[f.name]), meanings.get(f.name, ""))
        for f in dataclasses.fields(cls)
    ]
    yield _docstring(cls)
    yield _table(("field", "type", "meaning"), rows)
    for nested in _parts(hints.values()):
        if isinstance(nested, type) and dataclasses.is_dataclass(nested) and nested not in shown:
            yield f"### {_object_name(nested)}"
            yield from _answer(nested, shown)


def _parts(hints: Iterable[Any]) -> Iterator[Any]:
    """Yield the types that hints are made of."""
    for hint in hints:
        yield hint
        yield from _parts(typing.get_args(hint))


def _object_name(cls: type) -> str:
    words = re.findall("[A-Z][a-z]+", cls.__name__.removesuffix("Answer"))
    return " ".join(words).capitalize()


def _json_type(hint: Any) -> str:
    plain = {str: "text", int: "integer", float: "number", types.NoneType: "null", Any: "any"}
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        name = _object_name(typing.cast("type", hint))
        return f"[{name.lower()}](#{name.lower().replace(' ', '-')})"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_json_type, parts))
    if origin is Mapping:
        return "object" if parts[1] is Any else f"object of {_json_type(parts[1])}s by name"
    if origin is Sequence:
        return f"list of {_json_type(parts[0])}"
    if origin is tuple:
        return f"list of {len(parts)} {_json_type(parts[0])}s"
    return plain[hint]


# Search spaces


def _spaces() -> str:
    parts = [
        "# Search spaces",
        "The shipped spaces (`python -m tune_runner --list`), then the fields of a space of your "
        "own. [A guide to writing one](../guides/own_space.md).",
    ]
    for space in SPACES.values():
        parts += [f"## `{space.name}`", space.question, _facts(space)]
        rows = [
            (f"`{path}`", f"`{_domain(domain)}`", _condition(space.conditions.get(path)))
            for path, domain in space.domains.items()
        ]
        parts.append(_table(("searched", "values", "only if"), rows))
    parts += ["## Fields of a space", _docstring(SpaceDefinition)]
    hints, meanings = typing.get_type_hints(SpaceDefinition), _meanings(SpaceDefinition)
    parts.append(
        _table(
            ("field", "default", "meaning"),
            [
                (f"`{f.name}`", _space_default(f), meanings.get(f.name, ""))
                for f in dataclasses.fields(SpaceDefinition)
                if f.name in hints
            ],
        )
    )
    kinds = ("Choice", "Uniform", "LogUniform", "IntUniform", "ScaledFrom", "FractionOf")
    parts += ["## Domains"]
    parts.append(
        _table(("domain", "meaning"), [(f"`{k}`", _docstring(getattr(domains, k))) for k in kinds])
    )
    return _page(parts)


def _space_default(field: "dataclasses.Field[Any]") -> str:
    shown = _default(field)
    return {"`{}`": "none", "`None`": "none"}.get(shown, shown)


def _facts(space: SearchSpace) -> str:
    start = f"starts from the preset of `{space.variant}`" if space.variant else ""
    facts = [
        f"Strategy `{space.strategy}`",
        f"{space.trials} trials"
        if space.trials
        else f"{space.replicates} {'seed' if space.replicates == 1 else 'seeds'} of every cell",
        f"pruner `{space.pruner}`",
        start,
        "control " + ", ".join(f"`{k}={v}`" for k, v in space.control.items())
        if space.control
        else "",
        "fixed: " + ", ".join(f"`{k}={_value(v)}`" for k, v in space.overrides.items())
        if space.overrides
        else "",
    ]
    return "; ".join(filter(None, facts)) + "."


def _domain(domain: Any) -> str:
    """Return a domain as it is written in a space."""
    if isinstance(domain, domains.Choice):
        return f"Choice({', '.join(repr(v) for v in domain.values)})"
    parts = [getattr(domain, field.name) for field in dataclasses.fields(domain)]
    shown = [_domain(p) if dataclasses.is_dataclass(p) else repr(p) for p in parts]
    if isinstance(domain, domains.IntUniform):
        shown = shown[:2] + (["log=True"] if domain.log else [])
    return f"{type(domain).__name__}({', '.join(shown)})"


def _condition(condition: Condition | None) -> str:
    if condition is None:
        return ""
    allowed = condition.allowed
    shown = (
        ", ".join(f"`{v}`" for v in allowed)
        if isinstance(allowed, tuple)
        else f"`{_domain(allowed)}`"
    )
    return f"`{condition.parent}` is {shown}"


# Markdown


def _docstring(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _page(parts: Sequence[str]) -> str:
    return _NOTE + "\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
