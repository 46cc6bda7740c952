"""Files of a recorded study: its settings, and where its checkpoints lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_runner import schema
from tune_runner.study.description import FOR_LOOKUP, read_description
from tune_runner.study.folder import StudyFolder
from tune_runner.tracking.run_lookup import checkpoint_file, store_of, unreadable_as_user_error
from tune_runner.tracking_uri import database_path

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """Folder and settings of a recorded study."""

    folder: StudyFolder
    settings: Mapping[str, Any]

    @property
    def store(self) -> str | None:
        """Location of the checkpoints in an object store; None: in the study's folder."""
        return store_of(self.folder, self.settings)

    @property
    def location(self) -> str:
        """Location of the checkpoints, for people."""
        return self.store or str(self.folder.checkpoints)

    @property
    def data_dir(self) -> Path | None:
        """Folder of the datasets that the study was given."""
        data_dir = self.settings.get("data_dir")
        return None if data_dir is None else Path(data_dir)

    def checkpoint(self, number: int) -> Path | None:
        """Return the file of a trial's checkpoint, downloaded if need be; None if it is gone.

        Raises:
            UserError: it cannot be read.
        """
        with unreadable_as_user_error(self.location):
            return checkpoint_file(self.folder, self.store, number)


def study_files(study: "Run", uri: str) -> StudyFiles:
    """Return where the files of a study lie.

    Args:
        study: its run.
        uri: of the store that holds the run.

    Raises:
        UserError: its folder is not here.
    """
    database = database_path(uri)
    recorded = study.data.tags.get(schema.FOLDER, "")
    path = (Path() if database is None else database.parent) / recorded
    folder = StudyFolder(path.parent, path.name)
    return StudyFiles(folder, read_description(folder, FOR_LOOKUP)["settings"])
