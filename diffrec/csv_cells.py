"""Cells of CSV files that a spreadsheet would run as a formula: marked, and read back unchanged.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and is no number, gets an
apostrophe before it. So does a cell that already begins with apostrophes before such a sign: taking
one apostrophe away gives back the original cell.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guard_cell(text: str) -> str:
    """Return the cell with an apostrophe before it if a spreadsheet could run it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def read_cell(text: str) -> str:
    """Return the original text of a cell that `guard_cell` wrote."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
