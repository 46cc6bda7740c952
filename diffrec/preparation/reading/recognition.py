"""Recognition of a file by its content: compression, format, encoding; its name is not used."""

import codecs
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diffrec.errors import UserError

Compression = Literal["gzip", "zstd", "bzip2", "xz", "zip"]

_COMPRESSED: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
)

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"ARROW1", "an Arrow (Feather) file"),
    (b"FEA1", "a Feather file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x1f\x9d", "compressed with compress (.Z)"),
    (b"RDX", "an R data file"),
    (b"{\\rtf", "a rich text document"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"%%MatrixMarket", "a Matrix Market file, whose second line is no row"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
)

_BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_TAG = re.compile(r"<[a-z!?]")
_END_OF_ELEMENT = re.compile(r"</|/>|^<[!?]|^<(html|head|body|script)")
_HTML = re.compile(r"<(!doctype html|html|head|body|script|table|div|meta|p|tr)\b")
_SQL = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/;?)*(create table|insert into|drop table|begin transaction|pragma )"
)

_HEAD_BYTES = 65536
_MIN_UTF16_BYTES = 16
"""Fewest bytes from which UTF-16 is recognised by its zero bytes."""


@dataclass(frozen=True, slots=True)
class Content:
    """Kind and encoding of a file, by its first bytes."""

    kind: Literal["parquet", "text"] | Compression
    encoding: str | None = None
    """Encoding of text, from its byte order mark; None if there is none."""


def recognise(path: Path, source: Path, encoding: str | None = None) -> Content:
    """Return the kind of content of a file.

    Args:
        path: file to look at, perhaps a decompressed copy.
        source: the user's own path, for messages.
        encoding: given by the user; then bytes that are not UTF-8 count as text, too.

    Raises:
        UserError: the content is not a table; the message names its format.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise UserError(f"{source} must hold ratings or events, but it is empty (0 bytes).")
    if head.startswith(b"PAR1"):
        return Content("parquet")
    for magic, compression in _COMPRESSED:
        if head.startswith(magic):
            return Content(compression)
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            _refuse(source, name)
    if len(head) > 262 and head[257:262] == b"ustar":
        _refuse(source, "a tar archive")
    if source.suffix.lower() == ".parquet":
        raise UserError(
            f"{source} must be a Parquet file by its name, but it does not begin like one; check "
            "the download, or rename it."
        )
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if encoding is None and marked is None:
        _refuse_binary(source, head)
    with contextlib.suppress(UnicodeError):  # decoding all of it tells
        _refuse_other_text(source, head.decode(encoding or marked or "utf-8", errors="ignore"))
    return Content("text", encoding or marked)


def _refuse(source: Path, kind: str) -> None:
    raise UserError(
        f"{source} must be a table (CSV, TSV, `::`, JSON lines, Parquet), but it is {kind}; export "
        "its rows as CSV."
    )


def _refuse_binary(source: Path, head: bytes) -> None:
    if b"\x00" not in head:
        return
    if len(head) < _MIN_UTF16_BYTES:
        _refuse(source, "binary (it has zero bytes)")
    pairs = head[: len(head) // 2 * 2]
    odd, even = pairs[1::2].count(0), pairs[::2].count(0)
    for zeros, other_zeros, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > 0.3 * len(pairs) / 2 and other_zeros <= 0.05 * zeros:
            raise UserError(
                f"{source} must be text in UTF-8, but it looks like UTF-16 without a byte order "
                f"mark; give --encoding {name}."
            )
    _refuse(source, "binary (it has zero bytes)")


def _refuse_other_text(source: Path, head: str) -> None:
    """Refuse text of another kind: markup, SQL and so on."""
    start = head.lstrip("\ufeff \t\r\n")[:2000].lower()
    if _TAG.match(start) and _END_OF_ELEMENT.search(start):
        if _HTML.search(start):
            raise UserError(
                f"{source} must be a table, but it is an HTML page (a download that met a login "
                "or an error page?); fetch the file itself."
            )
        _refuse(source, "an XML document")
    if start.startswith("@relation"):
        _refuse(source, "an ARFF file")
    if _SQL.match(start):
        _refuse(source, "an SQL dump")
