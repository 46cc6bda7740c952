"""The manifest of a prepared folder: its name, and whether the files are as it says."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from diffrec.errors import UserError

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Vouched:
    """What became of the files that a manifest names."""

    files: int
    changed: tuple[str, ...]
    """Files that are missing or no longer have the SHA-256 of the manifest."""


def check_manifest(folder: Path) -> Vouched | None:
    """Compare a folder's files with its manifest; None where it has none (the release has none).

    Raises:
        UserError: the manifest cannot be read.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        files = dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} must be the manifest that `prepare` wrote, but it is not; prepare the folder "
            "again, or remove the manifest."
        ) from None
    changed = [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]
    return Vouched(len(files), tuple(changed))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
