"""Downloads over HTTP; ours, for resuming, a size limit and errors of one sentence."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from diffrec.errors import UserError
from diffrec.files import check_output_file, existing, is_full_disk, naming_full_disk

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None)."""

SIZE_LIMIT = 8 * 2**30
"""Bytes of a download at most; the largest public archive that `fetch` knows has 250 MB."""

_BLOCK = 2**18
_TIMEOUT_SECONDS = 30


def download(
    url: str, target: Path, *, checksum: str | None = None, progress: Progress | None = None
) -> None:
    """Download `url` to `target`, unless it exists and has the checksum.

    Bytes go to `<target>.part`, which is renamed when it is whole and its checksum is right.

    Args:
        url: http or https.
        target: the file to make.
        checksum: `md5:...` or `sha256:...`, in hexadecimal; None: not checked.
        progress: called after every block.

    Raises:
        UserError: the server cannot be reached, refuses, breaks off, or sent something else.
    """
    check_address(url)
    check_output_file(target, "A download")
    if target.is_file():
        _check_digest(target, checksum, f"remove {target} and fetch again")
        return
    part = target.with_name(target.name + ".part")
    check_output_file(part, "A download")
    try:
        with existing(target.parent), _without_remains(part), naming_full_disk(target):
            _fetch(url, part, target, progress)
    except HTTPError as error:
        raise UserError(
            f"{url} was refused by its server ({error.code} {error.reason}); if it has moved, give "
            "the new address with --url."
        ) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{urlsplit(url).netloc} cannot be reached ({reason}); without internet here, download "
            f"{url} elsewhere, put it at {target}, and run this again."
        ) from error
    except HTTPException as error:
        raise UserError(_incomplete_message(url, part, None)) from error
    try:
        _check_digest(
            part, checksum, "the download was corrupted or the file has changed, fetch it again"
        )
    except UserError:
        part.unlink()
        raise
    part.replace(target)


@contextmanager
def _without_remains(part: Path) -> Iterator[None]:
    """Remove what arrived if the disk is full: nothing can follow it there."""
    try:
        yield
    except OSError as error:
        if is_full_disk(error):
            part.unlink(missing_ok=True)
        raise


def _fetch(url: str, part: Path, target: Path, progress: Progress | None) -> None:
    num_bytes = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, num_bytes)
    except HTTPError as error:
        if error.code != 416 or not num_bytes:
            raise
        part.unlink()  # longer than the file, or just whole: begin again rather than guess
        num_bytes, response = 0, _open(url, 0)
    with response:
        if response.status != 206:
            num_bytes = 0  # the server ignored the range and sends everything
        length = response.headers.get("Content-Length")
        total = num_bytes + int(length) if length is not None and length.isdigit() else None
        _check_size(url, num_bytes if total is None else total)
        with part.open("ab" if num_bytes else "wb") as file:
            while block := response.read(_BLOCK):
                num_bytes += len(block)
                if num_bytes > SIZE_LIMIT:  # more than announced, or nothing was announced
                    part.unlink()
                _check_size(url, num_bytes)
                file.write(block)
                if progress is not None:
                    progress(num_bytes, total)
    if total is not None and num_bytes < total:
        raise UserError(_incomplete_message(url, part, total))


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "diffrec"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return _OPENER.open(Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except UserError:
        raise
    except ValueError as error:  # where a server sent us: half an IPv6 address, for example
        raise UserError(
            f"{url} leads to an address that is none ({error}); give the new one with --url."
        ) from error


def check_address(url: str) -> None:
    """Refuse an address other than http or https.

    Raises:
        UserError: the address is not http(s), or has no host.
    """
    try:
        parts = urlsplit(url)
        is_valid, port = parts.scheme in ("http", "https") and bool(parts.hostname), parts.port
    except ValueError:  # a port that is no number, half an IPv6 address
        is_valid, port = False, None
    if not is_valid or port == 0 or not url.isprintable() or " " in url:
        raise UserError(
            "A download's address must begin with http:// or https:// and a host, but got "
            f"{url!r}; correct --url."
        )


def _check_size(url: str, size: int) -> None:
    if size > SIZE_LIMIT:
        raise UserError(
            f"A download must be at most {SIZE_LIMIT // 2**30} GiB, but {url} has more; give the "
            "right address with --url."
        )


class _HttpRedirects(HTTPRedirectHandler):
    """Redirects to http and https alone: urllib itself would also follow one to ftp."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Check the address that a server sends us to."""
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


# Without the handlers of files, FTP and data addresses.
_OPENER = OpenerDirector()
for _handler in (
    ProxyHandler,
    HTTPHandler,
    HTTPSHandler,
    HTTPDefaultErrorHandler,
    _HttpRedirects,
    HTTPErrorProcessor,
    UnknownHandler,
):
    _OPENER.add_handler(_handler())


def _incomplete_message(url: str, part: Path, total: int | None) -> str:
    num_bytes = part.stat().st_size if part.exists() else 0
    of_total = "" if total is None else f" of {total}"
    return f"{url} broke off after {num_bytes}{of_total} bytes; run this again to resume."


def _check_digest(path: Path, checksum: str | None, remedy: str) -> None:
    if checksum is None:
        return
    name, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, name).hexdigest()
    if digest != expected:
        raise UserError(f"{path} must have the {name} {expected}, but has {digest}; {remedy}.")
