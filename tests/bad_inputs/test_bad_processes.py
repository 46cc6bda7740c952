"""A few of the cases as the user gives them: a process of its own, its exit code, its streams."""

import subprocess
import sys

import pytest

CASES = [
    ("diffrec", ["train", "--dataset", "embedded", "--out", "text.txt"]),
    ("diffrec", ["prepare", "ratings.csv", "--threshold", "nan", "--out", "new"]),
    ("tune_runner", ["--space", "smoke", "--max-hours", "nan"]),
    ("tune_runner", ["--space", "smoke", "--storage", "postgresql://u:hunter2@h/d"]),
    ("analysis", ["clusters", "--tracking-uri", "postgresql+psycopg://u@127.0.0.1:1/d"]),
]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("program", "arguments"), CASES)
def test_a_process_ends_with_one_sentence_and_code_2(program, arguments):
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
