"""Files of a report: a folder of the study, and artifacts of the study's MLflow run."""

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.errors import UserError
from diffrec.files import atomic_write, filled_folder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ARTIFACTS = "report"
"""Folder of the report among the run's artifacts."""

FIGURES = "figures"
_PARTS = (FIGURES, "tables")
"""Folders of a report that are emptied first: the next report may have fewer files."""

_PAGE = "index.html"

_NOTE_LENGTH = 4_500
"""Most characters of a description; MLflow refuses a tag above 5,000 (8,000 in newer stores)."""


def safe_name(name: str) -> str:
    """Return a file name for a table: other studies' names may hold any character."""
    return re.sub(r"[^\w.-]", "_", name)[:120]


def report_folder(runs_dir: Path, study: str) -> Path:
    """Return the study's report folder."""
    return runs_dir / study / "report"


def write_report(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write a report whole, in place of an earlier one: nothing of that is taken for this one's.

    Files of other names that the folder holds stay.

    Raises:
        UserError: the folder cannot be written; an earlier report is as it was.
    """
    with _refusing(folder), filled_folder(folder) as new:
        _write(new, files)
        for part in filter(Path.is_dir, (folder / part for part in _PARTS)):
            shutil.rmtree(part)
        (folder / _PAGE).unlink(missing_ok=True)


def add_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into a folder, all or none, replacing older ones of their names.

    Raises:
        UserError: the folder cannot be written.
    """
    with _refusing(folder), filled_folder(folder) as new:
        _write(new, files)


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)


def describe_run(client: "MlflowClient", run_id: str, markdown: str) -> None:
    """Make the report's text the description that MLflow shows of the study's run."""
    if len(markdown) > _NOTE_LENGTH:
        start = markdown[:_NOTE_LENGTH].rsplit("\n", 1)[0]
        markdown = f"{start}\n\n… the rest is in the artifact report/report.md"
    with _noting("the description"):
        client.set_tag(run_id, "mlflow.note.content", markdown)


def log_folder(client: "MlflowClient", run_id: str, folder: Path, *, replace: bool = False) -> None:
    """Attach the folder's files to the study's run; print a note if MLflow does not accept them.

    Args:
        client: client of the tracking server.
        run_id: the study's run.
        folder: the report's folder.
        replace: whether they replace the files of an earlier report.
    """
    with _noting("the report", f"; it is in {folder}"):
        if replace:
            _remove_earlier(client, run_id)
        client.log_artifacts(run_id, str(folder), ARTIFACTS)


def _remove_earlier(client: "MlflowClient", run_id: str) -> None:
    """Remove the parts of an earlier report from the run."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    existing = {file.path for file in client.list_artifacts(run_id, ARTIFACTS)}
    stale = [path for name in (*_PARTS, _PAGE) if (path := f"{ARTIFACTS}/{name}") in existing]
    if stale:
        store = get_artifact_repository(str(client.get_run(run_id).info.artifact_uri))
        for path in stale:
            store.delete_artifacts(path)


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be written ({error.strerror}); choose another --runs-dir."
        ) from None


@contextmanager
def _noting(part: str, remedy: str = "") -> Iterator[None]:
    """Note on standard error that MLflow did not take something; the report itself is saved."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"note: MLflow did not take {part} ({reason}){remedy}\n")
