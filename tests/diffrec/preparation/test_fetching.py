"""Downloads against a server on 127.0.0.1 that can break off, refuse, and forget ranges."""

import hashlib
import io
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from diffrec.__main__ import main
from diffrec.errors import UserError
from diffrec.preparation import fetching
from diffrec.preparation.downloading import download
from diffrec.preparation.fetching import Source, unpack

CONTENT = bytes(range(256)) * 4000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves `content`; every GET's range is noted in `asked`."""

    content = CONTENT
    stop_after: int | None = None
    knows_ranges = True
    status: int | None = None

    def __init__(self):
        self.asked: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        byte_range = self.headers.get("Range")
        self.server.asked.append(byte_range)
        if self.server.status is not None:
            self.send_error(self.server.status)
            return
        start = 0
        if byte_range and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", byte_range)[1])
            if start >= len(self.server.content):
                self.send_error(416)
                return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.stop_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_arrives_whole_with_progress(server, tmp_path):
    seen = []
    download(server.url, tmp_path / "f", checksum=MD5, progress=lambda *now: seen.append(now))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [have for have, _ in seen] == sorted(have for have, _ in seen)
    assert not (tmp_path / "f.part").exists()


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.stop_after = 300_000
    with pytest.raises(UserError, match=f"broke off after 300000 of {len(CONTENT)} bytes"):
        download(server.url, tmp_path / "f", checksum=MD5)
    assert not (tmp_path / "f").exists()
    server.stop_after = None
    download(server.url, tmp_path / "f", checksum=MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    download(server.url, tmp_path / "f", checksum=MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_part_as_long_as_the_file_or_longer_is_begun_again(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT + b"more")
    download(server.url, tmp_path / "f", checksum=MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_neither_file_nor_part(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match="must have the md5"):
        download(server.url, tmp_path / "f", checksum=MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_fetched_again_but_checked(server, tmp_path):
    (tmp_path / "f").write_bytes(CONTENT)
    download(server.url, tmp_path / "f", checksum=MD5)
    assert server.asked == []
    (tmp_path / "f").write_bytes(b"other")
    with pytest.raises(UserError, match=r"remove .* and fetch again"):
        download(server.url, tmp_path / "f", checksum=MD5)


def test_a_refusal_says_the_status(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match=r"refused by its server \(404"):
        download(server.url, tmp_path / "f")


def test_without_a_connection_the_way_by_hand_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    with pytest.raises(UserError, match=r"cannot be reached .* put it at .*f, and run this again"):
        download(f"http://127.0.0.1:{port}/f", tmp_path / "f")


def test_only_web_addresses_are_fetched(tmp_path):
    with pytest.raises(UserError, match="must begin with http"):
        download("file:///etc/hostname", tmp_path / "f")


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"toy/{name}", text)
    return buffer.getvalue()


@pytest.fixture
def toy(server, monkeypatch) -> Server:
    server.content = zipped(ratings="1::2::5::3\n", readme="?")
    source = Source(
        url=server.url,
        checksum=f"md5:{hashlib.md5(server.content).hexdigest()}",
        members=("toy/ratings",),
        sha256={"ratings": hashlib.sha256(b"1::2::5::3\n").hexdigest()},
        next_step="prepare {folder}/ratings",
    )
    monkeypatch.setitem(fetching.SOURCES, "toy", source)
    return server


def test_the_command_fetches_unpacks_and_says_what_comes_next(toy, tmp_path, capsys):
    assert main(["fetch", "toy", "--data-dir", str(tmp_path)]) == 0
    assert (tmp_path / "toy" / "ratings").read_text() == "1::2::5::3\n"
    assert not (tmp_path / "toy" / "readme").exists()
    assert f"next: prepare {tmp_path}/toy/ratings" in capsys.readouterr().out
    assert main(["fetch", "toy", "--data-dir", str(tmp_path)]) == 0
    assert len(toy.asked) == 1


def test_the_commands_faults_are_one_sentence_with_exit_code_2(toy, tmp_path, capsys):
    assert main(["fetch", "ml-1n", "--data-dir", str(tmp_path)]) == 2
    assert "did you mean 'ml-1m'" in capsys.readouterr().err
    toy.content = b"no zip"
    assert main(["fetch", "toy", "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_broken_archive_and_a_missing_member_are_said(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(UserError, match="must be a zip archive"):
        unpack(tmp_path / "a.zip", tmp_path, ("x",))
    (tmp_path / "b.zip").write_bytes(zipped(y="1"))
    with pytest.raises(UserError, match="must be a zip archive with toy/x"):
        unpack(tmp_path / "b.zip", tmp_path, ("toy/x",))


def test_a_rar_without_a_program_to_open_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="none of bsdtar, unrar, 7z is installed"):
        unpack(Path("a.rar"), tmp_path, ())


def test_a_rar_is_opened_by_the_program_that_is_there(tmp_path, monkeypatch):
    program = tmp_path / "unrar"
    program.write_text("#!/bin/sh\necho data > $5/x.npy\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(
        fetching.shutil, "which", lambda name: str(program) if name == "unrar" else None
    )
    unpack(tmp_path / "a.rar", tmp_path, ("x.npy",))
    with pytest.raises(UserError, match=r"must hold z\.npy"):
        unpack(tmp_path / "a.rar", tmp_path, ("z.npy",))
    program.write_text("#!/bin/sh\necho bad archive >&2; exit 3\n")
    with pytest.raises(UserError, match=r"cannot unpack .* \(bad archive\)"):
        unpack(tmp_path / "a.rar", tmp_path, ())


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ml-1m_clean", "ml-1m_noisy"])
def test_the_released_lists_have_the_checksums_that_fetch_expects(name):
    from real_data import require_real_data

    folder = require_real_data(name)
    for file, expected in fetching.SOURCES[name].sha256.items():
        assert fetching.sha256(folder / file) == expected
