"""The dataset folder that `prepare` writes: lists, times, id maps, and a manifest of all of it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import diffrec
from diffrec.data.idmaps import ITEM_IDS_FILE, USER_IDS_FILE
from diffrec.data.released import EMBEDDINGS_FILE, LIST_NAMES, list_file, times_file
from diffrec.errors import UserError
from diffrec.files import filled_folder
from diffrec.preparation.events import Events, read_events
from diffrec.preparation.manifest import MANIFEST_FILE, sha256
from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.ready_splits import ready_lists
from diffrec.preparation.settings import PrepareSettings
from diffrec.preparation.splitting import Lists, split_events
from diffrec.preparation.thresholds import ThresholdChoice, choose_threshold


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    lists: Lists
    threshold: ThresholdChoice | None


def prepare_folder(
    source: Path,
    out: Path,
    settings: PrepareSettings,
    options: ReadOptions | None = None,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Read `source`, split it, write the folder; return the manifest.

    The same source and settings give the same files, to the byte. What an earlier run wrote into
    `out` is removed with `force`, files of other names stay.

    Raises:
        UserError: `out` is not empty, or the source is refused.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not force:
        raise UserError(f"{out} is not empty; choose another --out, or --force to replace it.")
    options = options or ReadOptions()
    events = read_events(source, options)
    prepared = make_lists(events, settings)
    report, has_times = events.report, events.has_times
    del events
    threshold = prepared.threshold
    if threshold is not None:
        report.notes.append(threshold.sentence())
    with filled_folder(out) as new:
        written = _write(new, prepared.lists, has_times=has_times)
        manifest = {
            "format": 2,
            "program": f"diffrec {diffrec.__version__}",
            "source": _fingerprint(source),
            "reading": report.to_dict(),
            "options": asdict(options),
            "settings": asdict(settings),
            "ratings": None if threshold is None else threshold.to_dict(),
            "counts": report.rows | prepared.lists.counts,
            "files": {name: sha256(new / name) for name in written},
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (new / MANIFEST_FILE).write_text(text, encoding="utf-8")
    for name in _known_files():  # of other lists, if the folder is replaced
        if name not in (*written, MANIFEST_FILE):
            (out / name).unlink(missing_ok=True)
    return manifest


def make_lists(events: Events, settings: PrepareSettings) -> _Prepared:
    """Return the lists of a source, split by the settings or as it was split already.

    Raises:
        UserError: no interaction is left, or a list would be empty.
    """
    threshold = None
    is_true = np.ones(len(events.users), dtype=bool)
    if events.ratings is not None:
        threshold = choose_threshold(events.ratings, settings.threshold)
        if threshold.threshold is not None:
            is_true = events.ratings >= np.float32(threshold.threshold)
        if not is_true.any():
            raise UserError(
                f"No rating is left as an interaction: {threshold.sentence()}; change --threshold."
            )
    if settings.noisy and (threshold is None or threshold.threshold is None):
        raise UserError(
            "Natural noise is rows rated below the threshold, but the source has no "
            "ratings (or --threshold is none); leave --noisy out, or add --random-noise instead."
        )
    if events.parts is not None:
        return _Prepared(ready_lists(events, is_true, settings), threshold)
    return _Prepared(split_events(events, is_true, settings), threshold)


def _known_files() -> list[str]:
    names = [USER_IDS_FILE, ITEM_IDS_FILE, EMBEDDINGS_FILE, MANIFEST_FILE]
    for name in LIST_NAMES:
        names += [list_file(name), times_file(name)]
    return names


def _fingerprint(source: Path) -> dict[str, Any]:
    """Return name, size and SHA-256 of the source; of each file if it is a folder."""
    if source.is_file():
        return {"name": source.name, "bytes": source.stat().st_size, "sha256": sha256(source)}
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    return {
        "name": source.resolve().name,
        "bytes": sum(file.stat().st_size for file in files),
        "files": {str(file.relative_to(source)): sha256(file) for file in files},
    }


def _write(folder: Path, lists: Lists, *, has_times: bool) -> list[str]:
    arrays = {USER_IDS_FILE: lists.user_ids, ITEM_IDS_FILE: lists.item_ids}
    for part, name in enumerate(LIST_NAMES):
        rows = lists.part == part
        arrays[list_file(name)] = np.stack([lists.users[rows], lists.items[rows]], axis=1)
        if has_times:
            arrays[times_file(name)] = lists.times[rows]
    for name, array in arrays.items():
        np.save(folder / name, array)
    return list(arrays)
