"""What `fetch` refuses from a server: other protocols, too much, archives of something else.

Every refusal is one sentence with exit code 2, and leaves the data folder as it was.
"""

import base64
import bz2
import http.server
import io
import threading
import zipfile
from contextlib import suppress
from itertools import cycle

import pytest

from diffrec.__main__ import main
from diffrec.preparation import downloading, fetching

MEMBER = "toy/ratings"


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends what the server holds, or sends the client elsewhere."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/file") or self.server.location is None:
            self.send_response(200)
            if self.server.says_length:
                self.send_header("Content-Length", str(len(self.server.content)))
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(ConnectionError):  # the client has had enough
                self.wfile.write(self.server.content)
        else:
            self.send_response(next(self.server.codes))
            self.send_header("Location", self.server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.location, running.says_length = zipped(), None, True
        running.codes = cycle((301, 302, 303, 307, 308))
        running.url = f"http://127.0.0.1:{running.server_port}"
        source = fetching.Source(
            url=f"{running.url}/toy.zip", checksum=None, members=(MEMBER,), next_step="{folder}"
        )
        monkeypatch.setitem(fetching.SOURCES, "toy", source)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def zipped(content=b"1::2::5::3\n", method=zipfile.ZIP_DEFLATED, **others):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(MEMBER, content)
        for name, text in others.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def patched(content, offset, value):
    """Change a number of two bytes in the local and in the central header of the first member."""
    changed = bytearray(content)
    changed[offset : offset + 2] = value.to_bytes(2, "little")
    central = content.index(b"PK\x01\x02") + offset + 2  # it has one field more before
    changed[central : central + 2] = value.to_bytes(2, "little")
    return bytes(changed)


FLAGS, METHOD = 6, 8


@pytest.fixture
def refused(capsys, tmp_path):
    def run():
        assert main(["fetch", "toy", "--data-dir", str(tmp_path / "data")]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert not (tmp_path / "data").exists()
        return said

    return run


def test_it_follows_a_redirect_to_the_web(server, tmp_path):
    server.location = f"{server.url}/file"
    assert main(["fetch", "toy", "--data-dir", "data"]) == 0
    assert (tmp_path / "data/toy/ratings").read_bytes() == b"1::2::5::3\n"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "not allowed"),
        ("ftp://127.0.0.1:1/x.zip", "must begin with http"),
        ("data:application/zip;base64," + base64.b64encode(zipped()).decode(), "not allowed"),
        ("gopher://127.0.0.1/", "not allowed"),
        ("http://127.0.0.1:1/x.zip", "cannot be reached"),
        ("/again", "refused by its server"),  # for ever
        ("http://[::1", "an address that is none"),
        ("http://127.0.0.1:99999/", "must begin with http"),
    ],
)
def test_it_follows_no_redirect_elsewhere(server, refused, location, words):
    server.location = location
    assert words in refused()


@pytest.mark.parametrize("says_length", [True, False])
def test_no_more_is_downloaded_than_the_limit(server, refused, monkeypatch, says_length):
    monkeypatch.setattr(downloading, "SIZE_LIMIT", 2**20)
    server.content, server.says_length = bytes(2**20 + 1), says_length
    assert "A download must be at most" in refused()


BROKEN = {
    "nothing": b"",
    "a page": b"<html>not found</html>",
    "half": zipped(bytes(5000))[:60],
    "another file": zipped().replace(b"toy/ratings", b"toy/Ratings"),
    "encrypted": patched(zipped(), FLAGS, 1),
    "unknown compression": patched(zipped(), METHOD, 99),
    "deflate64": patched(zipped(), METHOD, 9),
    "not what it says": patched(zipped(), METHOD, zipfile.ZIP_BZIP2),
    "not lzma": patched(zipped(), METHOD, zipfile.ZIP_LZMA),
    "another checksum": zipped(method=zipfile.ZIP_STORED).replace(b"1::2", b"1::3", 1),
    "a bomb": zipped(bytes(2**27)),
    "a bomb by bzip2": zipped(bytes(2**27), zipfile.ZIP_BZIP2),
    "bzip2 alone": bz2.compress(b"1::2::5::3\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_archive_that_is_not_the_data_is_refused(server, refused, name):
    server.content = BROKEN[name]
    said = refused()
    if name == "encrypted":
        assert "must not be encrypted" in said
    if "bomb" in name:
        assert "134,217,728 bytes" in said


def test_a_file_is_no_larger_than_the_limit_however_it_is_packed(server, refused, monkeypatch):
    monkeypatch.setattr(fetching, "_MEMBER_LIMIT", 2**10)
    server.content = zipped(bytes(2**10 + 1), zipfile.ZIP_STORED)
    assert "files of at most" in refused()


def test_only_the_members_leave_an_archive_and_only_into_the_folder(server, tmp_path):
    more = {"../../evil": "x", "/tmp/evil-of-fetch": "x", "toy/other": "x"}
    server.content = zipped(**more)
    assert main(["fetch", "toy", "--data-dir", "data"]) == 0
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"data/toy/toy.zip", "data/toy/ratings"}


def test_a_link_in_a_rar_does_not_leave_it(server, tmp_path, monkeypatch, capsys):
    program = tmp_path / "unrar"
    program.write_text("#!/bin/sh\nln -s /etc/passwd $5/ratings\n")
    program.chmod(0o755)
    monkeypatch.setattr(
        fetching.shutil, "which", lambda name: str(program) if name == "unrar" else None
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    source = fetching.Source(
        url=f"{server.url}/toy.rar", checksum=None, members=("ratings",), next_step="{folder}"
    )
    monkeypatch.setitem(fetching.SOURCES, "toy", source)
    assert main(["fetch", "toy", "--data-dir", "data"]) == 2
    assert "must hold ratings, but does not" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data/toy").iterdir()] == ["toy.rar"]
