"""The dataset folder that `prepare` writes: lists, times, id maps, and a manifest of all of it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec.data.idmaps import ITEM_IDS_FILE, USER_IDS_FILE
from diffrec.data.released import EMBEDDINGS_FILE, LIST_NAMES, list_file
from diffrec.errors import UserError
from diffrec.files import filled_folder
from diffrec.preparation.events import read_events
from diffrec.preparation.formats import Columns
from diffrec.preparation.manifest import MANIFEST_FILE, sha256
from diffrec.preparation.settings import PrepareSettings
from diffrec.preparation.splitting import Lists, split_events


def times_file(name: str) -> str:
    """Return the file with the timestamps of the list `name`."""
    return f"{name}_timestamps.npy"


_STALE = (EMBEDDINGS_FILE, *map(times_file, LIST_NAMES))
"""Files that an earlier preparation may have left and that a new one need not replace."""


def prepare_folder(
    source: Path,
    out: Path,
    settings: PrepareSettings,
    columns: Columns | None = None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Read `source`, split it, write the folder; return the manifest.

    The same source and settings give the same files, to the byte.

    Raises:
        UserError: `out` is taken, or the source is at fault.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not force:
        raise UserError(f"{out} is not empty; choose another --out, or --force to replace it.")
    events = read_events(source, columns)
    has_times = events.has_times
    lists = split_events(events, settings)
    del events
    with filled_folder(out) as new:
        manifest = _write(new, lists, has_times, source, settings)
    for name in _STALE:  # of other lists, if the folder is replaced
        if name not in manifest["files"]:
            (out / name).unlink(missing_ok=True)
    return manifest


def _write(
    out: Path, lists: Lists, has_times: bool, source: Path, settings: PrepareSettings
) -> dict[str, Any]:
    """Write lists, times, id maps and the manifest; return it."""
    arrays = {USER_IDS_FILE: lists.user_ids, ITEM_IDS_FILE: lists.item_ids}
    for part, name in enumerate(LIST_NAMES):
        rows = lists.part == part
        arrays[list_file(name)] = np.stack([lists.users[rows], lists.items[rows]], axis=1)
        if has_times:
            arrays[times_file(name)] = lists.times[rows]
    for name, array in arrays.items():
        np.save(out / name, array)
    manifest = {
        "format": 1,
        "program": f"diffrec {diffrec.__version__}",
        "source": {"name": source.name, "bytes": source.stat().st_size, "sha256": sha256(source)},
        "settings": asdict(settings),
        "counts": lists.counts,
        "files": {name: sha256(out / name) for name in arrays},
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (out / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return manifest
