"""Tables in and out: CSV, TSV and Parquet by the file's ending, through polars.

polars is used because it reads all three formats, streams large files, and needs neither pandas'
memory nor its guesses about types.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from diffrec.csv_cells import guard_cell, read_cell
from diffrec.errors import UserError
from diffrec.files import atomic_write, existing

ENDINGS = (".csv", ".tsv", ".parquet")


def check_ending(path: Path) -> None:
    """Refuse a file name without the ending of a known format."""
    if path.suffix not in ENDINGS:
        raise UserError(f"A table's name must end in {', '.join(ENDINGS)}, but got {path}.")


def write_table(path: Path | None, columns: Mapping[str, np.ndarray | list[str]]) -> None:
    """Write the columns in the format of the file's ending; None is CSV to standard output.

    Text that a spreadsheet would run is marked in CSV and TSV, and read back by `read_table` as it
    was: see `diffrec.csv_cells`.
    """
    frame = pl.DataFrame(dict(columns))
    if path is None or path.suffix != ".parquet":
        frame = frame.with_columns(pl.col(pl.String).map_elements(guard_cell, pl.String))
    if path is None:
        sys.stdout.write(frame.write_csv())
        return
    check_ending(path)
    separator = "\t" if path.suffix == ".tsv" else ","
    with existing(path.parent):
        if path.suffix == ".parquet":
            atomic_write(path, frame.write_parquet)
        else:
            atomic_write(path, lambda file: frame.write_csv(file, separator=separator))


def read_table(path: Path, text_columns: Sequence[str] = ()) -> pl.DataFrame:
    """Read a whole table with a header.

    Args:
        path: `.csv`, `.tsv` or `.parquet`.
        text_columns: columns of a text file that stay as written: `007` is no 7. Blanks at the
            ends of cells are removed, as `prepare` does.

    Raises:
        UserError: there is no such file, or it is no table of its ending's format.
    """
    check_ending(path)
    if not path.is_file():
        raise UserError(f"No table at {path}; check that it is a file.")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path.absolute(), glob=False)
        frame = pl.read_csv(
            path.absolute(),
            separator="\t" if path.suffix == ".tsv" else ",",
            glob=False,
            schema_overrides=dict.fromkeys(text_columns, pl.String),
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        form = {".csv": " with commas between cells", ".tsv": " with tabs between cells"}
        raise UserError(
            f"{path} must be a table{form.get(path.suffix, '')}, but it cannot be read ({reason})."
        ) from error
    cells = pl.col(pl.String)
    return frame.with_columns(cells.map_elements(lambda cell: read_cell(cell.strip()), pl.String))
