"""A working directory full of faults, and one way to judge what a program does with them.

Every case of this folder is a command that must be refused: exit code 2, one sentence on standard
error, within seconds, and not a file more or less than before. The suite's last lines count them.
"""

import hashlib
import json
import os
import signal
import stat
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

import analysis.cli
import diffrec.__main__
import tune_runner.cli

MAINS = {
    "analysis": analysis.cli.main,
    "diffrec": diffrec.__main__.main,
    "tune_runner": tune_runner.cli.main,
}
SECONDS = 10
OUTCOMES = ("refused", "traceback", "hang", "files left", "accepted", "not one sentence")
PROPERTY = "bad_input"


class HangError(BaseException):
    """The time was up; no `except Exception` of a program's may take it for its own."""


@contextmanager
def limited(seconds=SECONDS):
    def ring(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def snapshot(folder):
    """Every path below a folder with its kind and content."""
    files = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
        files[str(path.relative_to(folder))] = (stat.S_IFMT(mode), content)
    return files


def judge(program, arguments, words, capsys):
    """Run a command in the current folder; return the outcome and what was said."""
    before = snapshot(Path.cwd())
    capsys.readouterr()
    try:
        with limited():
            code = MAINS[program](list(arguments))
    except HangError:
        return "hang", ""
    except BaseException as error:  # noqa: BLE001 - whatever a program lets out is its outcome
        return "traceback", f"{type(error).__name__}: {error}"
    stderr = capsys.readouterr().err
    if code == 0:
        return "accepted", stderr
    if snapshot(Path.cwd()) != before:
        return "files left", stderr
    one = stderr.startswith("error: ") and stderr.count("\n") == 1
    if code != 2 or not one or words not in stderr:
        return "not one sentence", f"{code} {stderr}"
    return "refused", stderr


@pytest.fixture
def untouched(workdir):
    """Fail if the working directory has changed."""
    before = snapshot(workdir)
    yield
    assert snapshot(workdir) == before


@pytest.fixture
def refused(workdir, capsys, record_property):
    """Judge a case, count it under its kind, fail unless it was refused; return the sentence."""

    def run(kind, program, arguments, words=""):
        outcome, stderr = judge(program, arguments, words, capsys)
        record_property(PROPERTY, [kind, program, outcome])
        assert outcome == "refused", f"{outcome}: {stderr}"
        return stderr

    return run


@pytest.fixture
def workdir(tmp_path, monkeypatch, store):
    """The faulty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("DIFFREC_DATA", "RAY_ADDRESS", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A record with the study `clusters` and the trial `RUN`, whose files are gone."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("diffrec", (folder / "mlruns").as_uri())
    tags = {"kind": "study", "study": "clusters", "space": "smoke", "dataset": "embedded"}
    tags |= {"objective": "valid/recall@20", "direction": "maximize", "state": "complete"}
    tags |= {"question": "?", "sampler": "grid", "pruner": "none", "folder": str(folder / "gone")}
    run = client.create_run(experiment, tags=tags, run_name="clusters").info.run_id
    client.log_text(run, json.dumps({"name": "smoke", "domains": {}}), "space.json")
    tags = {"kind": "trial", "study": "clusters", "state": "complete", "trial_number": "0"}
    trial = client.create_run(experiment, tags=tags | {"mlflow.parentRunId": run}).info.run_id
    for name in ("valid/recall_at_20", "best/valid/recall_at_20", "test/recall_at_20"):
        client.log_metric(trial, name, 0.1)
    return uri


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A good one: EASE on the embedded dataset."""
    out = tmp_path_factory.mktemp("trained") / "ease"
    command = ["train", "--dataset", "embedded", "--variant", "EASE", "--out", str(out)]
    assert MAINS["diffrec"](command) == 0
    return out / "model.pt"


def fill(folder):
    """Make the things that the cases name."""
    (folder / "text.txt").write_text("nothing of ours\n")
    (folder / "binary.bin").write_bytes(bytes(range(256)))
    (folder / "empty").touch()
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere/at/all")
    os.mkfifo(folder / "fifo")
    for ending in ("py", "csv", "json", "jsonl", "pt", "parquet"):
        os.mkfifo(folder / f"fifo.{ending}")
        (folder / f"loop.{ending}").symlink_to(f"loop.{ending}")
    (folder / "ratings.csv").write_text(
        "user,item,rating,timestamp\n"
        + "".join(f"{u},{i},5,{u * 40 + i}\n" for u in range(12) for i in range(12))
    )
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    rows = {"train": pairs, "valid": np.array([[0, 2]]), "test": np.array([[1, 2]])}
    for name in ("good", "huge_items", "huge_users", "manifest", "listed", "fifo_list", "taken"):
        data = folder / "data" / name
        data.mkdir(parents=True)
        for part, array in rows.items():
            np.save(data / f"{part}_list.npy", array)
    np.save(folder / "data/huge_items/test_list.npy", np.array([[1, 2**30]]))
    np.save(folder / "data/huge_users/test_list.npy", np.array([[2**30, 1]]))
    (folder / "data/manifest/manifest.json").write_text('{"files": {"train_list.npy": 1}}')
    (folder / "data/listed/manifest.json").write_text("[1, 2]")
    (folder / "data/fifo_list/valid_list.npy").unlink()
    os.mkfifo(folder / "data/fifo_list/valid_list.npy")
    os.mkfifo(folder / "data/taken/item_emb.npy")


def pytest_terminal_summary(terminalreporter):
    """Write how many bad inputs of each kind met which end."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    cases = [
        value
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not cases:
        return
    terminalreporter.section("bad inputs")
    write = terminalreporter.write_line
    write(f"{'kind':<22}{'cases':>6}" + "".join(f"{name:>18}" for name in OUTCOMES))
    for kind in [*dict.fromkeys(kind for kind, _, _ in cases), "all"]:
        of_kind = [outcome for case_kind, _, outcome in cases if kind in (case_kind, "all")]
        counts = Counter(of_kind)
        write(f"{kind:<22}{len(of_kind):>6}" + "".join(f"{counts[n]:>18}" for n in OUTCOMES))


def pytest_unconfigure():
    """Ray runs only if a case was not refused in time."""
    with suppress(ImportError):
        import sys

        if "ray" in sys.modules:
            import ray

            ray.shutdown()
