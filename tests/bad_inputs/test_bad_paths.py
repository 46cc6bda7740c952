"""Output paths that cannot be written, names too long, and inputs that are pipes or loops."""

import pytest

LONG = "x" * 300
TARGETS = {
    "a file": "text.txt",
    "below a file": "text.txt/below",
    "a device": "/dev/full",
    "not writable": "/proc/nowhere",
    "not writable, deep": "/proc/nowhere/at/all",
    "300 characters": LONG,
    "300 characters, deep": f"new/{LONG}/deeper",
    "a loop": "loop",
    "below a loop": "loop/below",
    "a link to nothing": "dangling",
    "a pipe": "fifo",
    "a NUL": "a\0b",
}
SMOKE = ["--space", "smoke", "--name", "x"]
FOLDERS = {
    "prepare": (
        "diffrec",
        ["prepare", "ratings.csv", "--min-user", "2", "--min-item", "2", "--out"],
    ),
    "train": ("diffrec", ["train", "--dataset", "embedded", "--variant", "EASE", "--out"]),
    "fetch": ("diffrec", ["fetch", "ml-100k", "--url", "http://127.0.0.1:1/x.zip", "--data-dir"]),
    "study": ("tune_runner", [*SMOKE, "--runs-dir"]),
    "dry run": ("tune_runner", [*SMOKE, "--dry-run", "--runs-dir"]),
    "report": ("analysis", ["clusters", "--no-figures", "--runs-dir"]),
    "figure": ("analysis", ["clusters", "--figure", "best_so_far", "--runs-dir"]),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_cannot_be_written(refused, command, target):
    program, arguments = FOLDERS[command]
    message = refused("output path", program, [*arguments, TARGETS[target]])
    assert arguments[-1] in message


FILES = {
    "a folder": "folder.csv",
    "below a file": "text.txt/below.csv",
    "not writable": "/proc/nowhere.csv",
    "300 characters": f"{LONG}.csv",
    "a loop": "loop.csv",
    "a pipe": "fifo.csv",
    "a link to nothing": "dangling.csv",
    "no ending": "table",
    "a NUL": "a\0b.csv",
}


@pytest.mark.parametrize("target", FILES)
def test_a_table_that_cannot_be_written(refused, workdir, checkpoint, target):
    (workdir / "folder.csv").mkdir()
    (workdir / "dangling.csv").symlink_to("nowhere/at/all.csv")
    arguments = ["recommend", "--checkpoint", str(checkpoint), "--out", FILES[target]]
    refused("output path", "diffrec", arguments)


@pytest.mark.parametrize("folder", ["text.txt", LONG, "loop", "fifo", "empty", "nowhere", ""])
@pytest.mark.parametrize("method", ["svd", "lightgcn"])
def test_embeddings_in_no_dataset(refused, folder, method):
    refused("output path", "diffrec", ["embed", folder, "--method", method])


def test_embeddings_in_place_of_a_pipe(refused):
    refused("output path", "diffrec", ["embed", "data/taken", "--force"])


NAMES = {
    "study name": ("tune_runner", [*SMOKE[:2], "--name", LONG]),
    "study name in bytes": ("tune_runner", [*SMOKE[:2], "--name", "é" * 200]),
    "dry run's study name": ("tune_runner", [*SMOKE[:2], "--dry-run", "--name", LONG]),
    "space": ("tune_runner", ["--space", LONG]),
    "space file": ("tune_runner", ["--space", f"{LONG}.py"]),
    "status": ("tune_runner", ["--status", LONG]),
    "resume": ("tune_runner", ["--resume", LONG]),
    "dataset": ("tune_runner", [*SMOKE, "--dataset", LONG]),
    "dry run's dataset": ("tune_runner", [*SMOKE, "--dry-run", "--dataset", LONG]),
    "data folder": ("tune_runner", [*SMOKE, "--data-dir", LONG, "--dataset", "good"]),
    "report": ("analysis", [LONG]),
    "other study": ("analysis", ["clusters", "--against", LONG]),
    "figure": ("analysis", ["clusters", "--figure", LONG]),
    "database": ("analysis", ["clusters", "--tracking-uri", f"sqlite:///{LONG}"]),
    "source": ("diffrec", ["prepare", LONG, "--out", "new"]),
    "checked": ("diffrec", ["check", LONG]),
    "checked path": ("diffrec", ["check", f"data/{LONG}"]),
    "configuration": ("diffrec", ["train", "--config", LONG, "--dataset", "good", "--out", "n"]),
    "variant": ("diffrec", ["train", "--variant", LONG, "--dataset", "good", "--out", "new"]),
    "checkpoint": ("diffrec", ["recommend", "--checkpoint", LONG]),
    "run": ("diffrec", ["recommend", "--run", LONG]),
    "table": ("diffrec", ["evaluate", "--recommendations", f"{LONG}.csv", "--dataset", "good"]),
    "fetched": ("diffrec", ["fetch", LONG]),
    "archive": ("diffrec", ["fetch", "ml-100k", "--url", f"http://127.0.0.1:1/{LONG}.zip"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_no_file_system_takes(refused, case):
    refused("long name", *NAMES[case])


READ = {
    "space": ("tune_runner", ["--space", "{}.py"]),
    "configuration": (
        "diffrec",
        ["train", "--config", "{}.json", "--dataset", "embedded", "--out", "new"],
    ),
    "checkpoint": ("diffrec", ["recommend", "--checkpoint", "{}.pt"]),
    "table": ("diffrec", ["evaluate", "--recommendations", "{}.csv", "--dataset", "embedded"]),
    "parquet": ("diffrec", ["evaluate", "--recommendations", "{}.parquet", "--dataset", "good"]),
    "dataset": ("tune_runner", [*SMOKE, "--data-dir", "{}", "--dataset", "good"]),
    "database": ("analysis", ["clusters", "--tracking-uri", "sqlite:///{}"]),
    "source": ("diffrec", ["prepare", "{}.csv", "--out", "new"]),
}


@pytest.mark.parametrize("kind", ["fifo", "loop"])
@pytest.mark.parametrize("case", READ)
def test_an_input_that_is_a_pipe_or_a_loop(refused, case, kind):
    program, arguments = READ[case]
    refused("pipe or loop", program, [part.format(kind) for part in arguments])


@pytest.mark.parametrize("kind", ["fifo", "loop"])
def test_histories_that_are_a_pipe_or_a_loop(refused, checkpoint, kind):
    arguments = ["recommend", "--checkpoint", str(checkpoint), "--histories", f"{kind}.jsonl"]
    refused("pipe or loop", "diffrec", arguments)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("diffrec", ["check", "data/fifo_list"]),
        ("diffrec", ["train", "--dataset", "data/fifo_list", "--out", "new"]),
        ("tune_runner", [*SMOKE, "--dataset", "fifo_list"]),
    ],
)
def test_a_list_that_is_a_pipe(refused, program, arguments):
    refused("pipe or loop", program, arguments)
