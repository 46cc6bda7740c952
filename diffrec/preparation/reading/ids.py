"""Numbers ids from 0 in ascending order."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from diffrec.errors import UserError

_WHOLE = r"^(0|-?[1-9][0-9]*)$"
_WITH_ZEROS = r"^(0|-?[1-9][0-9]*)\.0+$"
_DECIMAL = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_MISSING = ("nan", "null", "none", "na", "n/a", "\\n", "undefined")


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
    _note_missing(ids, numbers, kind, notes)
    return NumberedIds(_id_array(ids), numbers, notes)


def _strip_blanks(names: pl.Series, kind: str, notes: list[str]) -> pl.Series:
    stripped = names.str.strip_chars()
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


def _note_missing(ids: pl.Series, numbers: np.ndarray, kind: str, notes: list[str]) -> None:
    if ids.dtype != pl.String:
        return
    suspects = np.flatnonzero(ids.str.to_lowercase().is_in(_MISSING).to_numpy())
    for number in suspects.tolist():
        rows = int(np.count_nonzero(numbers == number))
        notes.append(f"{rows} rows have the {kind} id {ids[number]!r}: a missing one?")


def _id_array(ids: pl.Series) -> np.ndarray:
    """Return ids as an array that `.npy` can store without pickle."""
    return ids.to_numpy() if ids.dtype.is_integer() else np.array(ids.to_list(), dtype=np.str_)
