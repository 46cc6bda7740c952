"""Report on a dataset folder, which works for a broken one, too."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffrec.data.interactions import Dataset, Interactions
from diffrec.data.npy import read_npy
from diffrec.data.released import LIST_NAMES, read_lists, read_released, times_file
from diffrec.data.sources import EMBEDDED_NAME, find_folder, load_dataset
from diffrec.errors import UserError
from diffrec.preparation.affinity import item_affinity, list_seams
from diffrec.preparation.manifest import ManifestCheck, check_manifest
from diffrec.preparation.survey import (
    ListStatistics,
    Skew,
    noise_drift,
    popularity_skew,
    survey_lists,
    taste_fit,
)
from diffrec.preparation.time_order import OrderEvidence, order_by_items, order_by_timestamps

_VERDICTS = {
    "in order": "valid lies before test in time",
    "exchanged": "valid and test are EXCHANGED: test lies between train and valid in time, so "
    "tuning on valid uses the future of test; use --protocol chronological",
    "undecided": "undecided: this does not show whether valid or test is earlier in time",
}

_SPARSE = 1000
"""Largest id of a faulty dataset that is still surveyed, in multiples of its rows."""


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """Report of `check`; `refusal` is the error message of `load_dataset`, if any."""

    name: str
    lists: dict[str, ListStatistics]
    common: dict[str, int]
    skew: Skew
    refusal: str | None = None
    fit: dict[str, float] | None = None
    order: OrderEvidence | None = None
    manifest: ManifestCheck | None = None
    """None if the folder has none."""

    @property
    def is_changed(self) -> bool:
        """Return True if a file differs from the dataset's manifest."""
        return self.manifest is not None and bool(self.manifest.changed)

    @property
    def is_exchanged(self) -> bool:
        """Return True if the held-out lists are in the wrong order of time."""
        return self.order is not None and self.order.verdict == "exchanged"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def check_dataset(name: str, data_dir: Path | None = None) -> DatasetReport:
    """Survey the dataset `name`; if it is valid, estimate its noise and time order as well.

    Raises:
        UserError: there is no such dataset, or a list or the manifest cannot even be read.
    """
    if name == EMBEDDED_NAME:
        dataset = load_dataset(name)
        return _report(name, {part: getattr(dataset, part).to_pairs() for part in LIST_NAMES})
    folder = find_folder(name, data_dir)
    pairs = read_lists(folder)
    manifest = check_manifest(folder)
    try:
        read_released(folder)
    except UserError as refusal:
        # One wrong id must not allocate gigabytes: the survey has an entry for each id.
        if max(int(rows.max()) for rows in pairs.values()) > _SPARSE * sum(
            map(len, pairs.values())
        ):
            raise
        return replace(_survey(name, pairs, str(refusal)), manifest=manifest)
    return replace(_report(name, pairs, _read_times(folder, pairs)), manifest=manifest)


def check_loaded(dataset: Dataset) -> DatasetReport:
    """Survey a dataset that is already loaded, under the protocol it was loaded with."""
    return _report(dataset.name, {part: getattr(dataset, part).to_pairs() for part in LIST_NAMES})


def render(report: DatasetReport) -> str:
    """Return the report as text."""
    lines = [f"Dataset {report.name}", "", _row("", "rows", "share", "users", "items", "repeated")]
    for name, statistics in report.lists.items():
        lines.append(
            _row(
                name,
                statistics.rows,
                f"{statistics.share:.3f}",
                statistics.users,
                statistics.items,
                statistics.repeated,
            )
        )
    common = ", ".join(f"{pair} {count}" for pair, count in report.common.items())
    lines += ["", f"Rows in two lists: {common}"]
    lines += [
        f"Cold in {name}: {statistics.cold_users} users and {statistics.cold_items} items without "
        f"a train row, in {statistics.cold_rows} rows"
        for name, statistics in report.lists.items()
        if name != "train"
    ]
    lines.append(
        f"Popularity skew: Gini {report.skew.gini:.3f}; the most popular fifth of the items has "
        f"{report.skew.head_share:.1%} of the train rows"
    )
    if report.manifest is not None:
        lines.append(_manifest_line(report.manifest))
    if report.fit is not None:
        values = ", ".join(f"{name} {value:.3f}" for name, value in report.fit.items())
        lines.append(f"Taste fit (0.5 is random): {values}; {noise_drift(report.fit)}")
    if report.order is not None:
        lines += ["", *_order_lines(report.order)]
    if report.refusal is not None:
        lines += ["", "Verdict: broken, cannot be loaded"]
    return "\n".join(lines) + "\n"


def _manifest_line(manifest: ManifestCheck) -> str:
    if manifest.changed:
        return f"Manifest: CHANGED since it was written: {', '.join(manifest.changed)}"
    return f"Manifest: all {manifest.files} files are as it says"


def _order_lines(order: OrderEvidence) -> list[str]:
    lines = ["Affinity where lists meet (EASE weight x 1000; high where items follow each other)"]
    lines += [f"  {name:<24}{value:8.2f}" for name, value in (order.seams or {}).items()]
    if order.earlier_valid is not None:
        lines.append(
            f"Time order by timestamps: valid is earlier than test for {order.earlier_valid:.1%} "
            f"of {order.users} users"
        )
    elif order.score is None:
        lines.append(f"Time order by items: only {order.users} users can be compared")
    else:
        signs = ", ".join(f"{name} {value:+.1f}" for name, value in (order.signs or {}).items())
        lines.append(
            f"Time order by items: {order.score:+.3f}, where train histories cut alike give "
            f"{order.score_in_order:+.3f} in order and {order.score_exchanged:+.3f} exchanged; "
            f"standard error {order.standard_error:.3f}, {order.users} users ({signs} standard "
            "errors)"
        )
    lines.append(f"Verdict: {_VERDICTS[order.verdict]} (error rate {_rate(order.error_rate)})")
    return lines


def _rate(error: float) -> str:
    return "below 0.1 %" if error < 0.001 else f"{error:.1%}"


def _read_times(folder: Path, pairs: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """Return the timestamps of valid and test; None if the folder has none.

    Raises:
        UserError: they are not one number for each row.
    """
    paths = {name: folder / times_file(name) for name in ("valid", "test")}
    if not all(path.is_file() for path in paths.values()):
        return None
    times = {name: read_npy(path) for name, path in paths.items()}
    for name, array in times.items():
        if array.shape != (len(pairs[name]),) or array.dtype.kind not in "iuf":
            raise UserError(
                f"{paths[name]} must hold a number for each of the {len(pairs[name])} rows of its "
                f"list, but holds {array.dtype} of shape {array.shape}; remove it, or prepare the "
                "dataset again."
            )
    return times


def _order(
    affinity: np.ndarray,
    cut: tuple[Interactions, ...],
    pairs: dict[str, np.ndarray],
    times: dict[str, np.ndarray] | None,
) -> OrderEvidence:
    if times is not None and any(len(np.unique(array)) > 1 for array in times.values()):
        lists = {name: (pairs[name][:, 0], array) for name, array in times.items()}
        return order_by_timestamps(lists, list_seams(affinity, *cut))
    return order_by_items(affinity, *cut)


def _report(
    name: str, pairs: dict[str, np.ndarray], times: dict[str, np.ndarray] | None = None
) -> DatasetReport:
    num_users = 1 + max(int(rows[:, 0].max()) for rows in pairs.values() if len(rows))
    num_items = 1 + max(int(rows[:, 1].max()) for rows in pairs.values() if len(rows))
    parts = tuple(Interactions.from_pairs(pairs[part], num_users, num_items) for part in LIST_NAMES)
    affinity, cut = item_affinity(parts)
    surveyed = _survey(name, pairs, None)
    return DatasetReport(
        name,
        surveyed.lists,
        surveyed.common,
        surveyed.skew,
        fit=taste_fit(affinity, dict(zip(LIST_NAMES, cut, strict=True))),
        order=_order(affinity, cut, pairs, times),
    )


def _survey(name: str, pairs: dict[str, np.ndarray], refusal: str | None) -> DatasetReport:
    lists, common = survey_lists(pairs)
    num_items = 1 + max(int(rows[:, 1].max()) for rows in pairs.values())
    return DatasetReport(name, lists, common, popularity_skew(pairs["train"], num_items), refusal)


def _row(*cells: object) -> str:
    name, *values = cells
    return f"{name!s:<8}" + "".join(f"{value!s:>10}" for value in values)
