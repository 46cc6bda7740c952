"""Comparison user by user: every cell against the control, paired by user.

Seeds show whether another training run would come out so; users show whether other people would be
served so by the models that were trained. Both are needed to call a difference real: with thousands
of users a difference between two single models is soon beyond chance, though the next seed may
reverse it.
"""

from collections.abc import Sequence

import numpy as np

from analysis.comparisons.ablation import (
    DETECTABLE_NOTE,
    Comparison,
    PairedSample,
    compare_family,
    shows_difference,
)
from analysis.comparisons.table import comparison_table
from analysis.report_table import ReportTable
from analysis.study.labels import list_some
from analysis.study.model import Cell, Study

_NOTE = (
    "Differences in R@20 on test of each user, averaged over the seeds that both cells have, then "
    "paired by user. p: Holm's correction within this table, Student's intervals. "
    "This holds for these trained models; whether other training runs agree, the seeds show. "
    f"{DETECTABLE_NOTE}"
)


def by_user(study: Study) -> list[Comparison]:
    """Return every other cell's difference to the control, paired by user.

    Empty without a control, or if the trials recorded no single users.
    """
    control = study.control
    if control is None:
        return []
    cells = (cell for cell in study.cells if not cell.is_control)
    samples = [_pairs(cell, control) for cell in cells]
    return compare_family([pairs for pairs in samples if pairs is not None])


def users_table(comparisons: Sequence[Comparison]) -> ReportTable | None:
    """Return the comparisons of `by_user` as a table; None if there are none."""
    return comparison_table(
        "users", "Against the control, user by user", comparisons, _NOTE, unit="users"
    )


def users_sentence(comparisons: Sequence[Comparison], by_seed: Sequence[Comparison]) -> str:
    """Return how users and seeds agree; empty without comparisons by user.

    Args:
        comparisons: comparisons of `by_user`.
        by_seed: the same cells compared seed by seed.
    """
    if not comparisons:
        return ""
    seeds = {c.label: c.verdict for c in by_seed}
    shown = [c for c in comparisons if shows_difference(c)]
    unconfirmed = [c.label for c in shown if seeds.get(c.label) != c.verdict]
    summary = (
        f"User by user (up to {max(c.estimate.n for c in comparisons):,} users, averaged over "
        f"seeds) {len(shown)} of {len(comparisons)} cells differ from the control beyond chance"
    )
    if not unconfirmed:
        return f"{summary}, and the seeds agree." if shown else f"{summary}."
    return (
        f"{summary}; for {list_some(unconfirmed)} the seeds do not show it: it holds for these "
        "trained models, and is not shown for the next training run."
    )


def _pairs(cell: Cell, control: Cell) -> PairedSample | None:
    """Return the means over the seeds and users that both cells have; None without any."""
    ours = {trial.seed: trial.users for trial in cell.trials if trial.users}
    theirs = {trial.seed: trial.users for trial in control.trials if trial.users}
    seeds = sorted(ours.keys() & theirs.keys(), key=str)
    if not seeds:
        return None
    users = sorted(set.intersection(*(set(side[s]) for side in (ours, theirs) for s in seeds)))
    means = (
        np.mean([[side[seed][user] for user in users] for seed in seeds], axis=0)
        for side in (ours, theirs)
    )
    our_means, their_means = (tuple(map(float, values)) for values in means)
    return PairedSample(cell.label, control.label, our_means, their_means)
