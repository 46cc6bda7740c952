"""Where a report's files go: a folder of the study, and the study's MLflow run."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.errors import UserError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ARTIFACTS = "report"
"""Folder of the report among the run's artifacts."""

_PARTS = ("figures", "tables")
"""Folders of a report in which one may hold what the next does not."""

_PAGE = "index.html"

_NOTE_LENGTH = 4_500
"""Characters of a description; MLflow refuses a tag above 5,000 (8,000 in newer stores)."""


def report_folder(runs_dir: Path, study: str) -> Path:
    """Return the study's report folder, made if it was not there.

    Raises:
        UserError: it cannot be made.
    """
    folder = runs_dir / study / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another --runs-dir."
        ) from None
    return folder


def clear(folder: Path) -> None:
    """Remove what an earlier report of the study left: none of it may pass for this one's.

    Raises:
        UserError: it cannot be removed.
    """
    try:
        for part in filter(Path.is_dir, (folder / part for part in _PARTS)):
            shutil.rmtree(part)
        (folder / _PAGE).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be written ({error.strerror}); choose another --runs-dir."
        ) from None


def write_files(folder: Path, files: Mapping[str, str] | Mapping[str, str | bytes]) -> None:
    """Write the files, replacing older ones.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be written ({error.strerror}); choose another --runs-dir."
        ) from None


def describe_run(client: "MlflowClient", run_id: str, markdown: str) -> None:
    """Make the report's text the description that MLflow shows of the study's run."""
    from mlflow.exceptions import MlflowException

    if len(markdown) > _NOTE_LENGTH:
        kept = markdown[:_NOTE_LENGTH].rsplit("\n", 1)[0]
        markdown = f"{kept}\n\n… the rest is in the artifact report/report.md"
    try:
        client.set_tag(run_id, "mlflow.note.content", markdown)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"note: MLflow did not take the description ({reason})\n")


def log_folder(client: "MlflowClient", run_id: str, folder: Path, *, instead: bool = False) -> None:
    """Put the folder's files on the study's run; say so if MLflow does not take them.

    Args:
        client: of the tracking server.
        run_id: the study's run.
        folder: the report's.
        instead: whether they take the place of what an earlier report left there.
    """
    from mlflow.exceptions import MlflowException

    try:
        if instead:
            _forget(client, run_id)
        client.log_artifacts(run_id, str(folder), ARTIFACTS)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"note: MLflow did not take the report ({reason}); it is in {folder}\n")


def _forget(client: "MlflowClient", run_id: str) -> None:
    """Remove the parts of an earlier report from the run."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    there = {file.path for file in client.list_artifacts(run_id, ARTIFACTS)}
    stale = [path for name in (*_PARTS, _PAGE) if (path := f"{ARTIFACTS}/{name}") in there]
    if stale:
        store = get_artifact_repository(str(client.get_run(run_id).info.artifact_uri))
        for path in stale:
            store.delete_artifacts(path)
