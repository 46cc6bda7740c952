"""JSON as a table: a record a line, an array of records, or users with lists of items.

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
from diffrec.preparation.reading.columns import ColumnChoice, choose_by_name
from diffrec.preparation.reading.dialect import Dialect, read_sample
from diffrec.preparation.reading.options import Columns, ReadOptions, Role
from diffrec.preparation.reading.plain_text import CELL_END, PlainFile
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
        UserError: a line is no record, or a column missing or nested.
    """
    records, notes = _records(file)
    if isinstance(records, dict):
        lines = (CELL_END.join((user, *items)) for user, items in records.items())
        target = folder / "sequences.plain"
        with target.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(line.replace("\n", " ") + "\n" for line in lines)
        found = sequence_table(replace(file, path=target), CELL_END, folder, 0)
        return replace(found, format="JSON, users with their items", notes=[*found.notes, *notes])
    first = list(islice(records(), _SAMPLED))
    names = list(dict.fromkeys(name for _, record in first for name in record))
    rows = [[_text(record.get(name)) for name in names] for _, record in first]
    choice = choose_by_name(file.shown, names, options.columns, rows)
    places = list(choice.places.values()) + ([] if choice.clock is None else [choice.clock])
    target, count = folder / "records.plain", 0
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for line, record in records():
            while count < line - 1:
                out.write("\n")
                count += 1
            writer.writerow(_cells(file.shown, record, line, [names[place] for place in places]))
            count += 1
    table = _as_text(replace(file, path=target), folder, options, choice, rows, places, count)
    table.names = {role: names[place] for role, place in choice.places.items()}
    if choice.clock is not None:
        table.names["time"] += f" and {names[choice.clock]}"
    table.unused = tuple(name for place, name in enumerate(names) if place not in places)
    table.notes += [*choice.notes, *notes]
    return table


def _as_text(
    file: PlainFile,
    folder: Path,
    options: ReadOptions,
    choice: ColumnChoice,
    rows: Sequence[Sequence[str]],
    places: Sequence[int],
    count: int,
) -> Table:
    roles: list[Role] = list(choice.places)
    header = (*roles, "clock") if choice.clock is not None else tuple(roles)
    clock = {"time": "time"} if choice.clock is None and "time" in roles else {}
    cells = tuple(tuple(row[place] for place in places) for row in rows)
    dialect = Dialect("table", ",", header, len(places), cells, 0, 0, 0, 0)
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
    """Return a function that yields (line, record), or each user's items; and what to say."""
    lines, is_whole = read_sample(file.path)
    first = next(line for line in lines if line.strip())
    read, notes = _loads, []
    value = _tried(_loads, first)
    if value is None and (value := _tried(_literal, first)) is not None:
        read, notes = _literal, ["records are written as Python literals, not JSON"]
    filled = sum(1 for line in lines if line.strip())
    is_one = is_whole and filled == 1
    if isinstance(value, dict) and not (is_one and _is_sequences(value)):
        return lambda: _by_line(file, read), notes
    if filled > 1 and value is not None and not isinstance(value, list):
        raise UserError(f"{file.shown} must hold JSON records, but its first line is none.")
    try:
        whole = _loads(file.path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file.shown} begins like JSON, but is neither a record a line nor JSON as a whole "
            f"({error}); write a record a line."
        ) from error
    if isinstance(whole, dict) and _is_sequences(whole):
        return {user: list(_flat(items)) for user, items in whole.items()}, notes
    if not isinstance(whole, list) or not all(isinstance(record, dict) for record in whole):
        raise UserError(
            f"{file.shown} must hold JSON records (a record a line, or an array of them), but "
            "holds other JSON; write a record a line."
        )
    return lambda: iter(enumerate(whole, start=1)), [
        *notes,
        "an array; lines are counted as records",
    ]


def _by_line(file: PlainFile, read: Callable[[str], Any]) -> Iterator[tuple[int, Record]]:
    with file.path.open(encoding="utf-8-sig", errors="strict", newline="\n") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _tried(read, line)
                if not isinstance(record, dict):
                    raise UserError(
                        f"{file.shown} must hold a JSON record in every line, but line {number} is "
                        f"none ({line.strip()[:60]!r}); mend or remove it."
                    )
                yield number, record
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file.shown} must be text in UTF-8, but is not ({error}); give its --encoding."
            ) from error


def _cells(shown: Path, record: Record, line: int, names: Sequence[str]) -> list[str]:
    for name in names:
        if isinstance(record.get(name), (dict, list)):
            raise UserError(
                f"{shown} must have plain values, but {name!r} in line {line} is nested; write its "
                "parts as columns of their own."
            )
    return [_text(record.get(name)) for name in names]


def _loads(text: str) -> Any:
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def _literal(text: str) -> Any:
    return ast.literal_eval(text.strip())


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_sequences(value: Any) -> bool:
    return bool(value) and all(isinstance(items, list) for items in value.values())


def _flat(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield _text(item)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
