"""The manifest of a prepared folder: reading, and comparison with the files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffrec.errors import UserError
from diffrec.files import read_json

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class ManifestCheck:
    """Result of comparing a folder's files with its manifest."""

    files: int
    changed: tuple[str, ...]
    """Files that are missing or no longer have the SHA-256 of the manifest."""


def check_manifest(folder: Path) -> ManifestCheck | None:
    """Compare a folder's files with its manifest; None if there is none (the release has none).

    Raises:
        UserError: the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    files: dict[str, str] = manifest["files"]
    changed = [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256(folder / name) != digest
    ]
    return ManifestCheck(len(files), tuple(changed))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return a folder's manifest; None if there is none (the release has none).

    Raises:
        UserError: it is not one that `prepare` wrote.
    """
    path = folder / MANIFEST_FILE
    if not path.exists() and not path.is_symlink():
        return None
    manifest = read_json(path, "the manifest that `prepare` wrote")
    files = manifest.get("files")
    digests = files.items() if isinstance(files, dict) else [("", None)]
    if not all(isinstance(d, str) and n and Path(n).name == n for n, d in digests):
        raise UserError(
            f"{path} must be the manifest that `prepare` wrote, with the SHA-256 of each file, but "
            "it is not; prepare the folder again, or remove the manifest."
        )
    return manifest


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
