"""Would other users say the same? Every cell against the control, paired by user.

Seeds answer whether another training run would come out so; users, whether other people would be
served so by the models that were trained. Both are needed to call a difference real: with thousands
of users a difference between two single models is soon beyond chance, though the next seed may turn
it round.
"""

import numpy as np

from analysis.comparisons.ablation import Comparison, PairedSample, against_control, compare_family
from analysis.comparisons.table import comparison_sheet
from analysis.report_table import ReportTable
from analysis.study.metrics import METRIC
from analysis.study.model import Cell, Study

_NOTE = (
    "Differences in R@20 on test of each user, averaged over the seeds that both cells have, then "
    "paired by user. p: Holm's correction within this table, Student's intervals. "
    "The models are taken as they are: whether other training runs agree is what the seeds say."
)


def by_user(study: Study) -> list[Comparison]:
    """Return every other cell's difference to the control, paired by user.

    Empty without a control, or where the trials kept nothing of single users.
    """
    control = study.control
    if control is None:
        return []
    others = (cell for cell in study.cells if not cell.is_control)
    found = [_pairs(cell, control) for cell in others]
    return compare_family([pairs for pairs in found if pairs is not None])


def users_sheet(study: Study) -> ReportTable | None:
    """Return the comparisons as a table; None where there are none."""
    return comparison_sheet(
        "users", "Against the control, user by user", by_user(study), _NOTE, unit="users"
    )


def users_sentence(study: Study) -> str:
    """Return how users and seeds agree; empty where the trials kept nothing of single users."""
    found = by_user(study)
    if not found:
        return ""
    seeds = {one.label: one.verdict for one in against_control(study, METRIC)}
    clear = [one for one in found if one.verdict in ("better", "worse")]
    alone = [one.label for one in clear if seeds.get(one.label) != one.verdict]
    said = (
        f"User by user (up to {max(one.estimate.n for one in found):,} users, averaged over seeds) "
        f"{len(clear)} of {len(found)} cells differ from the control beyond chance"
    )
    if not alone:
        return f"{said}, and the seeds agree." if clear else f"{said}."
    which = ", ".join(alone[:3]) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
    return (
        f"{said}; of {which} the seeds do not say so: true of these trained models, not shown of "
        "the next."
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
    mine, base = (tuple(map(float, values)) for values in means)
    return PairedSample(cell.label, control.label, mine, base)
