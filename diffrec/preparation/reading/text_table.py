"""Reads a text file as a table, after a survey of its lines, so that no line is lost."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import ColumnChoice, choose_by_name, choose_by_position
from diffrec.preparation.reading.dialect import BLANKS, COLONS, Dialect
from diffrec.preparation.reading.line_survey import LineSurvey, find_line, survey_lines
from diffrec.preparation.reading.options import ReadOptions, Role
from diffrec.preparation.reading.plain_text import (
    UNIT_SEPARATOR,
    PlainFile,
    line_blocks,
    replace_blanks,
    replace_colons,
)
from diffrec.preparation.reading.table import Table, text_times

_SEPARATOR_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", BLANKS: "blanks", COLONS: "::"}


def text_table(file: PlainFile, dialect: Dialect, folder: Path, options: ReadOptions) -> Table:
    """Return the table of a text file.

    Args:
        file: UTF-8 with line feeds.
        dialect: separator and header.
        folder: for temporary copies.
        options: the user's settings.

    Raises:
        UserError: a line is malformed (unless bad rows are dropped), or a column is missing.
    """
    choice = _choose_columns(file.source, dialect, options)
    separator, quotes = dialect.separator, options.quotes is not False
    if separator in (COLONS, BLANKS):
        target = folder / "cells.plain"
        file = (
            replace_colons(file, target)
            if separator == COLONS
            else replace_blanks(file, target, quotes=quotes)
        )
        separator = UNIT_SEPARATOR
    first_line = dialect.lines_before_rows + 1
    survey = _survey(file, first_line, separator, dialect.fields, quotes)
    if quotes and survey.padded and not survey.stray:
        file = _strip_padding(file, folder / "unpadded.plain", separator)
        survey = _survey(file, first_line, separator, dialect.fields, quotes)
    _refuse_quotes(file.source, survey, options)
    if survey.bad:
        file = _blank_bad_rows(file, folder / "sound.plain", survey, dialect, options)
    names = dialect.header or tuple(f"column {n + 1}" for n in range(dialect.fields))
    start = _offset(file.path, first_line)
    has_quotes = quotes and survey.has_quotes
    table = Table(
        file.source,
        _scan(
            file.path, first_line - 1, separator, dialect.fields, survey, quotes=has_quotes
        ).select(_selected_columns(choice)),
        {role: names[index] for role, index in choice.indices.items()},
        lambda row: find_line(
            file.path, start=start, first_line=first_line, row=row, quotes=has_quotes
        ),
        frozenset(choice.indices),
        lines=_line_counts(dialect, survey),
        rows=survey.rows,
        blank_rows=survey.blank + len(survey.bad),
        unused=tuple(
            name
            for index, name in enumerate(names)
            if index not in (*choice.indices.values(), choice.clock) and name
        ),
        notes=[*file.notes, *dialect.notes, *choice.notes],
        format=f"text, {_SEPARATOR_NAMES.get(dialect.separator, dialect.separator)} between cells",
        decimal_comma=dialect.separator != ",",
        by_position=dialect.header is None,
    )
    if choice.clock is not None:
        table.names["time"] += f" and {names[choice.clock]}"
    if survey.not_utf8 is not None:
        table.notes.append(_NOT_UTF8.format(line=survey.not_utf8))
    if "time" in choice.indices:
        table.time = text_times(table, options, _time_cells(dialect, choice))
    return table


_NOT_UTF8 = (
    "line {line} is not UTF-8, in a column that is not used; --encoding (latin-1, cp1252) reads it"
)


def _choose_columns(source: Path, dialect: Dialect, options: ReadOptions) -> ColumnChoice:
    if dialect.header is None:
        choice = choose_by_position(source, dialect.rows, options.columns, dialect.fields)
        choice.notes.insert(0, "no header: the first row reads like the others")
        first = list(dialect.rows[0])
        if len(first) > 2 and first == [str(n) for n in range(len(first))]:
            choice.notes.append(
                f"the first row is {', '.join(first)}: if pandas wrote it as a header, "
                "--skip-lines 1 leaves it out"
            )
        return choice
    return choose_by_name(source, dialect.header, options.columns, dialect.rows)


def _selected_columns(choice: ColumnChoice) -> list[pl.Expr]:
    cells = {role: pl.col(f"c{index}") for role, index in choice.indices.items()}
    if choice.clock is not None:
        strip = [pl.col(f"c{n}").str.strip_chars() for n in (choice.indices["time"], choice.clock)]
        cells["time"] = pl.concat_str(strip, separator=" ")
    return [cell.alias(role) for role, cell in cells.items()]


def _time_cells(dialect: Dialect, choice: ColumnChoice) -> list[str]:
    indices = [choice.indices["time"]] + ([] if choice.clock is None else [choice.clock])
    complete_rows = [row for row in dialect.rows if len(row) > max(indices)]
    return [" ".join(row[index] for index in indices) for row in complete_rows]


def _survey(
    file: PlainFile, first_line: int, separator: str, fields: int, quotes: bool
) -> LineSurvey:
    return survey_lines(
        file.path,
        start=_offset(file.path, first_line),
        first_line=first_line,
        separator=separator,
        fields=fields,
        quotes=quotes,
    )


def _offset(path: Path, line: int) -> int:
    """Return the byte at which a line begins, counted from 1."""
    with path.open("rb") as file:
        for _ in range(line - 1):
            file.readline()
        return file.tell()


def _scan(
    path: Path, skipped: int, separator: str, fields: int, survey: LineSurvey, *, quotes: bool
) -> pl.LazyFrame:
    if not survey.rows:
        return pl.LazyFrame(schema={f"c{n}": pl.String for n in range(fields)})
    return pl.scan_csv(
        path.absolute(),
        glob=False,
        separator=separator,
        has_header=False,
        skip_lines=skipped,
        schema={f"c{n}": pl.String for n in range(fields)},
        missing_columns="insert",  # the first row may be blank
        quote_char='"' if quotes else None,
        encoding="utf8" if survey.not_utf8 is None else "utf8-lossy",
    )


def _refuse_quotes(source: Path, survey: LineSurvey, options: ReadOptions) -> None:
    if survey.stray or survey.padded:
        lines = survey.stray or survey.padded
        raise UserError(
            f'{source} must have quotes (") around whole cells only, but {len(lines)} do not open '
            f"or close one (the first in line {lines[0]}), which would swallow lines; correct "
            "them, or give --no-quotes to read them as characters."
        )
    if survey.row_like and options.quotes is None:
        raise UserError(
            f"{source} has {len(survey.row_like)} lines inside quotes that look like rows of their "
            f"own (the first is line {survey.row_like[0]}); give --no-quotes if a quote is stray, "
            "or --quotes if these cells do hold line breaks."
        )


def _strip_padding(file: PlainFile, target: Path, separator: str) -> PlainFile:
    """Return a copy without the blanks between separators and quotes; its lines stay the same."""
    with file.path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
            writer = csv.writer(out, delimiter=separator, lineterminator="\n")
            for row in reader:
                writer.writerow([cell if "\n" in cell else cell.strip(" \t") for cell in row])
    return replace(file, path=target)


def _blank_bad_rows(
    file: PlainFile, target: Path, survey: LineSurvey, dialect: Dialect, options: ReadOptions
) -> PlainFile:
    """Return a copy with blank lines in place of bad rows; refuse them unless dropped."""
    if not options.drop_bad_rows:
        line, num_fields = survey.bad[0]
        with file.path.open("rb") as lines:
            lines.seek(survey.bad_spans[0][0])
            text = lines.readline(200).decode("utf-8", errors="replace").strip()
        hint = " (a comment?)" if text.startswith(("#", "%", "//")) else ""
        if line == dialect.lines_before_rows + 1 and dialect.header is None:
            hint = " (a title? --skip-lines skips it)"
        if dialect.header is None and len(survey.bad) > max(1, survey.rows // 10):
            hint = " (lines of a user and items? --format sequences)"
        raise UserError(
            f"{file.source} must have {dialect.fields} fields in every row, but {len(survey.bad)} "
            f"rows do not (the first is line {line} with {num_fields}: "
            f"{text.replace(UNIT_SEPARATOR, ' ')[:60]!r}){hint}; correct them, or give "
            "--drop-bad-rows."
        )
    spans = iter(survey.bad_spans)
    begin, end = next(spans)
    position = 0
    with target.open("wb") as out:
        for block in line_blocks(file.path):
            copied = 0
            while begin < position + len(block):
                start, stop = max(begin - position, 0), min(end - position, len(block))
                out.write(block[copied:start])
                is_cut_off = stop == len(block) and not block.endswith(b"\n")
                out.write(b"\n" * (block.count(b"\n", start, stop) + is_cut_off))
                copied = stop
                if end > position + len(block):
                    break
                begin, end = next(spans, (1 << 62, 1 << 62))
            out.write(block[copied:])
            position += len(block)
    return replace(file, path=target)


def _line_counts(dialect: Dialect, survey: LineSurvey) -> dict[str, int]:
    """Return counts of lines by kind; rows are counted when they are read."""
    return {
        "lines": dialect.lines_before_rows + survey.lines,
        "skipped lines": dialect.skipped,
        "header lines": dialect.header_lines,
        "comment lines": dialect.comments,
        "blank lines": dialect.blank + survey.blank,
        "lines inside quoted cells": survey.inside_quotes,
        "rows with missing or too many fields": len(survey.bad),
    }


def require_utf8_ids(table: Table, ids: Sequence[str], role: Role) -> None:
    """Refuse ids that are not UTF-8: different ids would become equal."""
    if not any("�" in name for name in ids):
        return
    note = next((note for note in table.notes if "is not UTF-8" in note), None)
    if note is None:
        return  # the mark of lost bytes stands in the source itself
    line = note.split()[1]
    raise UserError(
        f"{table.source} must be text in UTF-8, but its {role} ids are not (line {line}); give "
        "--encoding, latin-1 or cp1252 for instance."
    )
