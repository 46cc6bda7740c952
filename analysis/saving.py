"""Where a report's files go: a folder of the study, and the study's MLflow run."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.errors import UserError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ARTIFACTS = "report"
"""Folder of the report among the run's artifacts."""

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


def log_folder(client: "MlflowClient", run_id: str, folder: Path) -> None:
    """Put the folder's files on the study's run; say so if MLflow does not take them."""
    from mlflow.exceptions import MlflowException

    try:
        client.log_artifacts(run_id, str(folder), ARTIFACTS)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"note: MLflow did not take the report ({reason}); it is in {folder}\n")
