"""Reads JSON as a table: a record per line, an array of records, or items by user.

Numbers keep their writing: `parse_int` and `parse_float` hand over the text itself, so that an id
of twenty digits stays one.
"""

import ast
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import ColumnChoice, choose_by_name, has_known_names
from diffrec.preparation.reading.dialect import Dialect
from diffrec.preparation.reading.line_survey import find_not_utf8
from diffrec.preparation.reading.options import Columns, ReadOptions, Role
from diffrec.preparation.reading.plain_text import UNIT_SEPARATOR, PlainFile, read_sample
from diffrec.preparation.reading.sequences import sequence_table
from diffrec.preparation.reading.table import Table
from diffrec.preparation.reading.text_table import text_table

_SAMPLED = 1000
Record = Mapping[str, Any]


def is_json(path: Path) -> bool:
    """Return whether a text begins as JSON records do."""
    lines, _ = read_sample(path)
    first = next((line.strip() for line in lines if line.strip()), "")
    is_array = first == "[" or first.startswith(("[{", "[ {"))
    return is_array or first.startswith("{") or (first.startswith("[") and first.endswith("]"))


def json_table(file: PlainFile, folder: Path, options: ReadOptions) -> Table:
    """Return the table of a JSON file.

    Raises:
        UserError: a line is not a record, or a column is missing or nested.
    """
    records, notes = _records(file)
    if isinstance(records, dict):
        if user := next((u for u, items in records.items() if not _is_text((u, *items))), None):
            raise UserError(
                f"{file.source} must hold text that can be written as UTF-8, but user "
                f"{user!r} has half a character (a lone surrogate) in an id; correct it."
            )
        lines = (UNIT_SEPARATOR.join((user, *items)) for user, items in records.items())
        target = folder / "sequences.plain"
        with target.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(line.replace("\n", " ") + "\n" for line in lines)
        sequences = sequence_table(replace(file, path=target), UNIT_SEPARATOR, folder, 0)
        return replace(
            sequences, format="JSON, users with their items", notes=[*sequences.notes, *notes]
        )
    first = list(islice(records(), _SAMPLED))
    names = list(dict.fromkeys(name for _, record in first for name in record))
    rows = [[_text(record.get(name)) for name in names] for _, record in first]
    known = set(names)
    choice = choose_by_name(file.source, names, options.columns, rows)
    indices = list(choice.indices.values()) + ([] if choice.clock is None else [choice.clock])
    target, count = folder / "records.plain", 0
    later: dict[str, int] = {}
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for line, record in records():
            while count < line - 1:
                out.write("\n")
                count += 1
            for name in record.keys() - known:
                later.setdefault(name, line)
            writer.writerow(_cells(file.source, record, line, [names[index] for index in indices]))
            count += 1
    table = _to_text_table(
        replace(file, path=target), folder, options, choice, rows, indices, count
    )
    table.names = {role: names[index] for role, index in choice.indices.items()}
    if choice.clock is not None:
        table.names["time"] += f" and {names[choice.clock]}"
    table.unused = tuple(name for index, name in enumerate(names) if index not in indices)
    table.unused += tuple(later)
    table.notes += [*choice.notes, *notes]
    table.notes += [
        f"{name!r} first comes up in line {line}, after {_SAMPLED} records, and is not used"
        for name, line in later.items()
        if has_known_names([name])
    ]
    return table


def _to_text_table(
    file: PlainFile,
    folder: Path,
    options: ReadOptions,
    choice: ColumnChoice,
    rows: Sequence[Sequence[str]],
    indices: Sequence[int],
    count: int,
) -> Table:
    roles: list[Role] = list(choice.indices)
    header = (*roles, "clock") if choice.clock is not None else tuple(roles)
    clock = {"time": "time"} if choice.clock is None and "time" in roles else {}
    cells = tuple(tuple(row[index] for index in indices) for row in rows)
    dialect = Dialect("table", ",", header, len(indices), cells, 0, 0, 0, 0)
    plain = replace(options, columns=Columns(**clock), quotes=True, drop_bad_rows=False)
    if choice.clock is not None:
        dialect = replace(dialect, header=(*(r if r != "time" else "date" for r in roles), "time"))
    table = text_table(replace(file, notes=()), dialect, folder, plain)
    table.line_of = lambda row: row + 1
    table.format = "JSON"
    table.lines = {"lines": count, "blank lines": table.lines["blank lines"]}
    table.notes = list(file.notes)
    return table


def _records(
    file: PlainFile,
) -> tuple[Callable[[], Iterator[tuple[int, Record]]] | dict[str, list[str]], list[str]]:
    """Return a function that yields (line, record), or each user's items; and notes."""
    lines, is_whole = read_sample(file.path)
    first = next(line for line in lines if line.strip())
    parse, notes = _loads, []
    value = _parse_or_none(_loads, first)
    if value is None and (value := _parse_or_none(_literal, first)) is not None:
        parse, notes = _literal, ["records are written as Python literals, not JSON"]
    filled = sum(1 for line in lines if line.strip())
    is_one = is_whole and filled == 1
    if isinstance(value, dict) and not (is_one and (_is_sequences(value) or _wrapped(value))):
        return lambda: _records_by_line(file, parse), notes
    if filled > 1 and value is not None and not isinstance(value, list):
        raise UserError(f"{file.source} must hold JSON records, but its first line is not one.")
    try:
        document = _loads(file.path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{file.source} begins like JSON, but is neither a record per line nor one JSON value "
            f"({error}); write a record per line."
        ) from error
    if isinstance(document, dict) and (split := _from_split(document)):
        document = split
        notes.append("columns and rows, as pandas' orient='split' writes them")
    if isinstance(document, dict) and (inner := _wrapped(document)):
        name, document = inner
        notes.append(f"the records are those of {name!r}")
    if isinstance(document, dict) and has_known_names(list(document)):
        document = _from_columns(file.source, document)
        notes.append("a list of values for each column")
    if isinstance(document, dict) and _is_sequences(document):
        return {user: list(_flatten(items)) for user, items in document.items()}, notes
    if not isinstance(document, list) or not all(isinstance(record, dict) for record in document):
        raise UserError(
            f"{file.source} must hold JSON records (a record per line, or an array of them), but "
            "holds other JSON; write a record per line."
        )
    return lambda: iter(enumerate(document, start=1)), [
        *notes,
        "an array; lines are counted as records",
    ]


def _records_by_line(file: PlainFile, parse: Callable[[str], Any]) -> Iterator[tuple[int, Record]]:
    with file.path.open(encoding="utf-8-sig", errors="strict", newline="\n") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _parse_or_none(parse, line)
                if not isinstance(record, dict):
                    raise UserError(
                        f"{file.source} must hold a JSON record in every line, but line {number} "
                        f"is none ({line.strip()[:60]!r}); correct or remove it."
                    )
                yield number, record
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file.source} must be text in UTF-8, but line {find_not_utf8(file.path)} is not; "
                "give its --encoding."
            ) from error


def _cells(source: Path, record: Record, line: int, names: Sequence[str]) -> list[str]:
    for name in names:
        if isinstance(record.get(name), (dict, list)):
            raise UserError(
                f"{source} must have plain values, but {name!r} in line {line} is nested; write "
                "its parts as columns of their own."
            )
    cells = [_text(record.get(name)) for name in names]
    if not _is_text(cells):
        raise UserError(
            f"{source} must hold text that can be written as UTF-8, but line {line} holds half a "
            "character (a lone surrogate, like \\ud800); correct or remove it."
        )
    return cells


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrapped(value: Mapping[str, Any]) -> tuple[str, list[Record]] | None:
    """Return the name and records of the one list of records that a JSON object holds, if any."""
    lists = [
        (name, items)
        for name, items in value.items()
        if isinstance(items, list) and items and all(isinstance(item, dict) for item in items)
    ]
    return lists[0] if len(lists) == 1 else None


def _from_split(value: Mapping[str, Any]) -> list[Record] | None:
    """Return the records of an object with `columns` and rows as `data`, None if it is none."""
    names, rows = value.get("columns"), value.get("data")
    if not set(value) <= {"columns", "index", "data"} or not isinstance(names, list):
        return None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in rows
    ):
        return None
    return [dict(zip(map(_text, names), row, strict=True)) for row in rows]


def _from_columns(source: Path, columns: Mapping[str, Any]) -> list[Record]:
    """Return the records of a JSON object with a list of values for each column."""
    if not all(isinstance(values, list) for values in columns.values()):
        raise UserError(
            f"{source} must hold JSON records, but is one object with the names of columns "
            f"({', '.join(columns)}); write a record per line."
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(
            f"{source} must have as many values in every column, but has {sizes}; write a record "
            "per line."
        )
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _loads(text: str) -> Any:
    return json.loads(
        text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_unique
    )


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; one of two values of the same name would be lost."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(
            f"A JSON object must have one value of each name, but one has {twice!r} twice; remove "
            "or rename one of them."
        )
    return dict(pairs)


def _literal(text: str) -> Any:
    return ast.literal_eval(text.strip())


def _parse_or_none(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except UserError:
        raise
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_sequences(value: Any) -> bool:
    """Return True if each value is a list of items, or of baskets of items."""
    return bool(value) and all(
        isinstance(items, list) and not any(isinstance(item, dict) for item in items)
        for items in value.values()
    )


def _flatten(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, list):
            yield from _flatten(item)
        elif isinstance(item, dict):
            raise UserError(
                "The items of a user must be names or numbers, but one is a JSON object "
                f"({str(item)[:60]}); write a record per line."
            )
        else:
            yield _text(item)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
