"""Numbers ids from 0 in ascending order."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from diffrec.errors import UserError

_WHOLE = r"^(0|-?[1-9][0-9]*)$"
_WITH_ZEROS = r"^(0|-?[1-9][0-9]*)\.0+$"
_MARK = "\ufeff"
"""Byte order mark."""

_DECIMAL = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_MISSING = ("nan", "null", "none", "na", "n/a", "#n/a", "<na>", "\\n", "undefined", "?", "-")
_REMARK = r"^(#|%|//)\s|^:?[-=+|]{3,}:?$"
"""Comments, and the rules that separate headers in tables made for the eye."""

_ROUNDED = r"^[0-9]\.[0-9]{1,5}E\+[0-9]+$"
"""Long numbers as Excel shows them."""

_MOST_REMARKS = 0.5
_MOST_EXAMPLES = 5
_LOST = "\ufffd"
"""Character that stands for bytes that were no text."""


@dataclass(slots=True)
class NumberedIds:
    """Ids of one kind, and each row's number among them."""

    ids: np.ndarray
    """int64 if every id is a whole number in its usual form, text otherwise; ascending."""

    numbers: np.ndarray
    """int32 (rows,); -1 where the cell is empty."""

    notes: list[str] = field(default_factory=list)


def number_ids(cells: pl.Series, kind: str, source: str) -> NumberedIds:
    """Return the ids of a column.

    Args:
        cells: categorical; null where the cell is empty.
        kind: `user` or `item`, for messages.
        source: the source, for messages.

    Raises:
        UserError: the ids are fractions.
    """
    codes = cells.to_physical()
    distinct = cells.unique().drop_nulls()
    names = distinct.cast(pl.String)
    notes: list[str] = []
    _refuse_zeros(names, kind, source)
    names = _strip_blanks(names, kind, notes)
    names = _strip_zero_fractions(names, kind, source, notes)
    filled = names.filter(names != "")
    ids = filled.unique().sort()
    if len(ids) and filled.str.contains(_WHOLE).all():
        as_numbers = ids.cast(pl.Int64, strict=False)
        if as_numbers.null_count() == 0:  # larger ones stay text
            ids = as_numbers.sort()
    table = pl.DataFrame(
        {"name": names.cast(ids.dtype, strict=False), "code": distinct.to_physical()}
    )
    order = pl.DataFrame({"name": ids, "number": np.arange(len(ids), dtype=np.int32)})
    table = table.join(order, on="name", how="left", maintain_order="left")
    lookup = np.full(int(codes.max() or 0) + 2, -1, dtype=np.int32)  # type: ignore[call-overload]
    lookup[table["code"].to_numpy()] = table["number"].fill_null(-1).to_numpy()
    numbers = lookup[codes.fill_null(len(lookup) - 1).to_numpy()]
    _note_doubtful(ids, numbers, kind, notes)
    return NumberedIds(_id_array(ids), numbers, notes)


def _refuse_zeros(names: pl.Series, kind: str, source: str) -> None:
    """Refuse zero characters: `.npy` files lose them at an id's end, so that two would become one.

    Raises:
        UserError: an id has one.
    """
    with_zero = names.filter(names.str.contains("\0", literal=True))
    if len(with_zero):
        raise UserError(
            f"The {kind} ids of {source} must be text without zero characters, but "
            f"{len(with_zero)} have one ({with_zero.sort()[0]!r}); remove them."
        )


def _strip_blanks(names: pl.Series, kind: str, notes: list[str]) -> pl.Series:
    stripped = names.str.strip_chars()
    if stripped.str.contains(_MARK, literal=True).any():  # of a file that was appended to another
        stripped = stripped.str.strip_chars(_MARK).str.strip_chars()
    num_changed = int((stripped != names).sum())
    if not num_changed:
        return names
    num_merged = names.n_unique() - stripped.n_unique()
    collisions = f"; {num_merged} became the same as another" if num_merged else ""
    notes.append(
        f"{num_changed} {kind} ids had blanks at their ends, which were removed{collisions}"
    )
    return stripped


def _strip_zero_fractions(names: pl.Series, kind: str, source: str, notes: list[str]) -> pl.Series:
    """Return 12 for 12.0 if all ids are whole numbers, some written so by pandas."""
    with_zeros = names.str.contains(_WITH_ZEROS)
    filled = names != ""
    if len(names) and names.filter(filled).str.contains(_DECIMAL).all():
        fractions = names.filter(filled & names.str.contains(r"\.0*[1-9]"))
        if len(fractions):
            raise UserError(
                f"The {kind} ids of {source} must be names or whole numbers, but are fractions "
                f"({fractions[0]}); name the right column."
            )
    if not with_zeros.any() or not (with_zeros | names.str.contains(_WHOLE) | ~filled).all():
        return names
    integers = names.str.replace(r"\.0+$", "")
    num_merged = names.n_unique() - integers.n_unique()
    collisions = f"; {num_merged} became the same as another" if num_merged else ""
    example = names.filter(with_zeros).sort()[0]
    notes.append(
        f"{int(with_zeros.sum())} {kind} ids are whole numbers written with a fraction ({example}, "
        f"as pandas does where cells are missing) and became {example.partition('.')[0]} and so on"
        f"{collisions}"
    )
    return integers


def _note_doubtful(ids: pl.Series, numbers: np.ndarray, kind: str, notes: list[str]) -> None:
    """Note ids that may be none: missing ones, comments, numbers that were rounded."""
    if ids.dtype != pl.String:
        return
    is_missing = ids.str.to_lowercase().is_in(_MISSING)
    is_remark = ids.str.contains(_REMARK)
    if is_remark.sum() > _MOST_REMARKS * len(ids):  # the ids are written so
        is_remark = is_missing & False
    for is_meant, words in ((is_missing, "a missing one"), (is_remark & ~is_missing, "a comment")):
        for number in np.flatnonzero(is_meant.to_numpy())[:_MOST_EXAMPLES].tolist():
            rows = int(np.count_nonzero(numbers == number))
            notes.append(f"{rows} rows have the {kind} id {ids[number]!r}: {words}?")
    for pattern, reason in ((_ROUNDED, "as Excel rounds long numbers"), (_LOST, "of lost bytes")):
        doubtful = ids.filter(ids.str.contains(pattern))
        if len(doubtful):
            notes.append(
                f"{len(doubtful)} {kind} ids are written like {doubtful[0]!r}, {reason}: different "
                "ones may have become one"
            )


def _id_array(ids: pl.Series) -> np.ndarray:
    """Return ids as an array that `.npy` can store without pickle."""
    return ids.to_numpy() if ids.dtype.is_integer() else np.array(ids.to_list(), dtype=np.str_)
