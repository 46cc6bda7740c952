"""A full disk below every output path: found before the work, or in the middle of writing.

With room for two blocks the check of the path succeeds, and the writing fails.
"""

import http.server
import shutil
import threading
import zipfile

import numpy as np
import pytest

from diffrec.preparation import fetching
from small_disk import fill, small_disk

BLOCK = 4096
LIMITS = ["--min-user", "2", "--min-item", "2"]
CHECKPOINT = "CHECKPOINT"
OUTPUTS = {
    "prepare": ("diffrec", ["prepare", "ratings.csv", *LIMITS, "--out", "small/new"]),
    "prepare deep": ("diffrec", ["prepare", "ratings.csv", *LIMITS, "--out", "small/a/b/new"]),
    "train": (
        "diffrec",
        ["train", "--dataset", "embedded", "--variant", "EASE", "--out", "small/new"],
    ),
    "csv": ("diffrec", ["recommend", "--checkpoint", CHECKPOINT, "--out", "small/new.csv"]),
    "tsv": ("diffrec", ["recommend", "--checkpoint", CHECKPOINT, "--out", "small/a/new.tsv"]),
    "parquet": ("diffrec", ["recommend", "--checkpoint", CHECKPOINT, "--out", "small/p.parquet"]),
    "fetch": ("diffrec", ["fetch", "ml-100k", "--data-dir", "small"]),
    "fetch deep": ("diffrec", ["fetch", "ml-100k", "--data-dir", "small/a/b"]),
    "embed": ("diffrec", ["embed", "small/dataset", "--force"]),
    "report": ("analysis", ["clusters", "--no-figures", "--runs-dir", "small/runs"]),
    "report with figures": ("analysis", ["clusters", "--runs-dir", "small/runs"]),
    "study": ("tune_runner", ["--space", "smoke", "--name", "x", "--runs-dir", "small/runs"]),
}


@pytest.fixture
def disk(workdir):
    """The folder `small` of the working directory."""
    with small_disk(workdir / "small") as folder:
        shutil.copytree(workdir / "data/good", folder / "dataset")
        items = np.arange(2000)  # so many that their embeddings need room
        np.save(folder / "dataset/train_list.npy", np.stack([items, items], axis=1))
        yield folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive of a few blocks, whose member needs many."""
    folder = tmp_path_factory.mktemp("archive")
    with zipfile.ZipFile(folder / "ml-100k.zip", "w", zipfile.ZIP_DEFLATED) as archive_file:
        archive_file.writestr("ml-100k/u.data", bytes(2**20))
    return folder


@pytest.fixture
def served(archive, monkeypatch):
    """`fetch` finds the archive at a server on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=archive)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/ml-100k.zip"
        source = fetching.Source(
            url=url, checksum=None, members=("ml-100k/u.data",), next_step="prepare {folder}"
        )
        monkeypatch.setitem(fetching.SOURCES, "ml-100k", source)
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("blocks", [0, 2])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_one_sentence(refused, disk, checkpoint, monkeypatch, name, blocks):
    monkeypatch.setattr("ray.init", None)  # a study must not come so far
    fill(disk, spare=blocks * BLOCK)
    program, arguments = OUTPUTS[name]
    arguments = [str(checkpoint) if part == CHECKPOINT else part for part in arguments]
    message = refused("full disk", program, arguments)
    assert "is full; free some space" in message or "No space left on device" in message
    assert "small" in message
