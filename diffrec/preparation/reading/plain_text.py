"""Conversion of any text to UTF-8 with line feeds: compression, encodings, line ends, separators.

Each step that changes anything writes a temporary copy in blocks, line for line, so that a line's
number in the copy is its number in the source; a file that is plain already is not copied.
"""

import bz2
import codecs
import gzip
import lzma
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from diffrec.errors import UserError
from diffrec.preparation.reading.recognition import Compression, Content, recognise

BLOCK = 1 << 24
UNIT_SEPARATOR = "\x1f"
"""ASCII unit separator: written where a file's own separator is wider than one character."""

_SAMPLE_BYTES = 1 << 20
_SAMPLE_LINES = 1000


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file that polars can read as it is."""

    path: Path
    source: Path
    content: Content
    notes: tuple[str, ...] = ()


def make_plain(source: Path, folder: Path, encoding: str | None) -> PlainFile:
    """Return `source`, or a copy in `folder`, decompressed and in UTF-8 with line feeds.

    Raises:
        UserError: it is damaged, holds no table, or is not in the encoding that was given.
    """
    file = PlainFile(source, source, recognise(source, source, encoding))
    while file.content.kind not in ("text", "parquet"):
        compression = file.content.kind
        target = folder / f"{len(list(folder.iterdir()))}.plain"
        inner = _decompress(file, compression, target)
        file = PlainFile(
            target,
            source,
            recognise(target, source, encoding),
            (*file.notes, f"compressed with {compression}{inner}"),
        )
    if file.content.kind == "parquet":
        return file
    if file.content.encoding not in (None, "utf-8-sig", "utf-8"):
        file = _decode(file, folder / "decoded.plain")
    return _with_line_feeds(file, folder / "lines.plain")


def rewrite_lines(
    file: PlainFile, target: Path, transform: Callable[[bytes], bytes], note: str = ""
) -> PlainFile:
    """Return a copy whose blocks of whole lines went through `transform`."""
    with target.open("wb") as out:
        for block in line_blocks(file.path):
            out.write(transform(block))
    notes = (*file.notes, note) if note else file.notes
    return replace(file, path=target, notes=notes)


def line_blocks(path: Path, start: int = 0) -> Iterator[bytes]:
    """Yield blocks that end with a line feed, or with the file."""
    with path.open("rb") as file:
        file.seek(start)
        pending = b""
        while block := file.read(BLOCK):
            end = block.rfind(b"\n") + 1
            if end:
                yield pending + block[:end]
                pending = block[end:]
            else:
                pending += block
        if pending:
            yield pending


def replace_colons(file: PlainFile, target: Path) -> PlainFile:
    """Return a copy with `::` replaced, so that ids may hold single colons.

    Raises:
        UserError: an odd run of colons, which can be cut in two ways.
    """
    line = 0

    def transform(block: bytes) -> bytes:
        nonlocal line
        if b":::" in block:
            for run in re.finditer(rb":{3,}", block):
                if len(run.group()) % 2:
                    number = line + block.count(b"\n", 0, run.start()) + 1
                    raise UserError(
                        f"{file.source} must have cells between `::`, but line {number} has "
                        f"{len(run.group())} colons in a row, which can be cut in two ways; write "
                        "the file with another separator."
                    )
        line += block.count(b"\n")
        return block.replace(b"::", UNIT_SEPARATOR.encode())

    return rewrite_lines(file, target, transform)


def replace_blanks(file: PlainFile, target: Path, *, quotes: bool) -> PlainFile:
    """Return a copy with runs of blanks and tabs replaced; those at a line's ends are removed.

    Args:
        file: to copy.
        target: of the copy.
        quotes: whether blanks between quotes stay, as R's `write.table` writes them.
    """
    ends = re.compile(rb"^[ \t]+|[ \t\r]+$", re.MULTILINE)
    runs = re.compile(rb'("[^"\n]*")|[ \t]+' if quotes else rb"()[ \t]+")
    cell_end = UNIT_SEPARATOR.encode()

    def transform(block: bytes) -> bytes:
        return runs.sub(lambda run: run.group(1) or cell_end, ends.sub(b"", block))

    return rewrite_lines(file, target, transform)


def _decompress(file: PlainFile, compression: Compression, target: Path) -> str:
    """Write the decompressed bytes; return a note on the archive's file."""
    inner = ""
    try:
        with target.open("wb") as out:
            if compression == "zip":
                with zipfile.ZipFile(file.path) as archive:
                    member = _only_member(archive, file.source)
                    inner = f", its file {member}"
                    with archive.open(member) as compressed:
                        shutil.copyfileobj(compressed, out, BLOCK)
            else:
                with _open_compressed(file.path, compression) as compressed:
                    shutil.copyfileobj(compressed, out, BLOCK)
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the file
        raise UserError(
            f"{file.source} begins like {compression}, but cannot be decompressed whole ({error}); "
            "fetch it again."
        ) from error
    return inner


def _open_compressed(path: Path, compression: Compression) -> BinaryIO:
    if compression == "gzip":
        return cast("BinaryIO", gzip.open(path, "rb"))
    if compression == "bzip2":
        return cast("BinaryIO", bz2.open(path, "rb"))
    if compression == "xz":
        return cast("BinaryIO", lzma.open(path, "rb"))
    import pyarrow

    return pyarrow.input_stream(
        str(path), compression="zstd"
    )  # the standard library has it in 3.14


def _only_member(archive: zipfile.ZipFile, source: Path) -> str:
    members = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if "[Content_Types].xml" in members or "content.xml" in members:
        raise UserError(
            f"{source} must be a table, but it is an Office document (a workbook?); save "
            "the sheet as CSV."
        )
    if len(members) != 1:
        raise UserError(
            f"{source} must hold one file, but it holds {len(members)} "
            f"({', '.join(members[:5])}); unpack it and name one."
        )
    return members[0]


def _decode(file: PlainFile, target: Path) -> PlainFile:
    encoding = file.content.encoding or "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.path.open("rb") as encoded, target.open("wb") as out:
        try:
            while block := encoded.read(BLOCK):
                out.write(decoder.decode(block).encode("utf-8"))
            out.write(decoder.decode(b"", final=True).encode("utf-8"))
        except UnicodeError as error:
            raise UserError(
                f"{file.source} must be text in {encoding}, but is not ({error}); give its "
                "--encoding."
            ) from error
    return replace(
        file, path=target, content=Content("text"), notes=(*file.notes, f"text in {encoding}")
    )


def _with_line_feeds(file: PlainFile, target: Path) -> PlainFile:
    """Return the file, copied if its lines end in carriage returns alone."""
    with file.path.open("rb") as lines:
        head = lines.read(BLOCK)
    if b"\n" in head or b"\r" not in head:
        return file
    with file.path.open("rb") as lines, target.open("wb") as out:
        while block := lines.read(BLOCK):
            out.write(block.replace(b"\r", b"\n"))
    return replace(file, path=target, notes=(*file.notes, "lines end in carriage returns"))


def read_sample(path: Path) -> tuple[list[str], bool]:
    """Return the first lines of a text, without line ends, and whether they are all of it."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
        is_whole = not file.read(1)
    lines = head.decode("utf-8-sig", errors="replace").split("\n")
    if (not is_whole and len(lines) > 1) or lines[-1] == "":
        lines.pop()
    is_whole = is_whole and len(lines) <= _SAMPLE_LINES
    return [line.removesuffix("\r") for line in lines[:_SAMPLE_LINES]], is_whole
