"""Effects of pruning: where trials were stopped, what it saved, and whether it was safe."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from analysis.report_table import ReportTable
from analysis.study.labels import NONE, number_text
from analysis.study.model import Study, Trial, values_of


@dataclass(frozen=True, slots=True)
class RankStability:
    """Agreement of the order of trials after some epochs with their order at the end."""

    epoch: int
    correlation: float
    """Spearman's correlation of the best value so far with the best at the end."""

    winner_place: float
    """Share of the trials that were ahead of the later winner at that epoch."""

    trials: int


@dataclass(frozen=True, slots=True)
class SavedEpochs:
    """Epochs that a pruned trial ran, and those that a full one would have run."""

    trial: Trial
    ran: int
    full: float


def rank_stability(study: Study) -> list[RankStability]:
    """Return the rank correlation at every epoch that all complete trials have validated.

    Epochs at which all values are equal are left out. A trial that has stopped early keeps its best
    value: that is what a pruner would compare with.
    """
    from scipy import stats

    complete = [t for t in study.distinct_trials if t.curves.get(study.objective)]
    if len(complete) < 3:
        return []
    first = max(min(trial.curves[study.objective]) for trial in complete)
    last = max(max(trial.curves[study.objective]) for trial in complete)
    epochs = sorted({e for t in complete for e in t.curves[study.objective] if first <= e < last})
    final = [-study.sort_key(_best_until(study, trial, last)) for trial in complete]
    winner = final.index(max(final))
    stabilities = []
    for epoch in epochs:
        current = [-study.sort_key(_best_until(study, trial, epoch)) for trial in complete]
        if len(set(current)) == 1 or len(set(final)) == 1:
            continue  # all are equal: there is no order to compare
        ranks: Any = stats.spearmanr(current, final)
        rho = float(ranks.statistic)
        ahead_share = sum(value > current[winner] for value in current) / len(complete)
        stabilities.append(RankStability(epoch, rho, ahead_share, len(complete)))
    return stabilities


def safety_sentence(ranks: Sequence[RankStability]) -> str:
    """Return from which epoch on a pruner that keeps the better half would keep the winner."""
    if not ranks:
        return ""
    safe = ranks[-1].epoch
    for rank in reversed(ranks):
        if rank.winner_place >= 0.5:
            break
        safe = rank.epoch
    safe_rank = next(rank for rank in ranks if rank.epoch == safe)
    if safe_rank.winner_place >= 0.5:
        return "Pruning is not safe here: the winner was among the lower half almost to the end."
    first = (
        f", after epoch {ranks[0].epoch} {ranks[0].correlation:.2f}"
        if safe_rank != ranks[0]
        else ""
    )
    return (
        f"A pruner that keeps the better half would have kept the winner from epoch {safe} on; "
        f"there the order of the {safe_rank.trials} complete trials correlates "
        f"{safe_rank.correlation:.2f} (Spearman) with the final one{first}."
    )


def saved_epochs(study: Study) -> list[SavedEpochs]:
    """Return each pruned trial with the epochs it ran and those that a full one would have run.

    A full trial is taken to run as long as the median of the complete ones, and no shorter than the
    pruned trial did.
    """
    lengths = [_last_epoch(t) for t in study.trials if t.state == "complete" and _last_epoch(t)]
    if not lengths:
        return []
    typical = float(median(lengths))
    pruned = [t for t in study.trials if t.state == "pruned" and _ran(t)]
    return [SavedEpochs(t, _ran(t), max(typical, float(_ran(t)))) for t in pruned]


def saved_sentence(study: Study, saved_trials: Sequence[SavedEpochs]) -> str:
    """Return what pruning has saved; empty if nothing was pruned."""
    if not saved_trials:
        return ""
    saved = sum(trial_saved.full - trial_saved.ran for trial_saved in saved_trials)
    all_ran = sum(_ran(trial) or _last_epoch(trial) for trial in study.trials)
    return (
        f"Pruning stopped {len(saved_trials)} trials and saved about {saved:.0f} epochs, "
        f"{saved / (saved + all_ran):.0%} of what the study would have run (a full trial is taken "
        "to run as long as the median of the complete ones)."
    )


def pruned_table(study: Study) -> ReportTable | None:
    """Return the pruned trials with their last epoch, and the others' value at that epoch."""
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    if not pruned:
        return None
    rows = [_pruned_row(study, trial) for trial in pruned]
    head = ("trial", "cell", "seed", "pruned at epoch", "value there", "others there", "difference")
    note = (
        f"{study.objective}, best so far. Others: the control's trial of the same seed if it "
        "reached that epoch, else the median of the complete trials that did. Pruned trials are no "
        "results; this comparison is at their last epoch only."
    )
    return ReportTable("pruned", "Pruned trials", head, tuple(rows), note)


def _pruned_row(study: Study, trial: Trial) -> tuple[str, ...]:
    epoch = _ran(trial)
    value = _best_until(study, trial, epoch)
    control = study.control.trials if study.control else ()
    same = [t for t in control if t.seed == trial.seed and t is not trial]
    other_values = [v for v in (_reached(study, t, epoch) for t in same) if not math.isnan(v)]
    reference = "control"
    if not other_values:
        complete = (t for t in study.trials if t.state == "complete")
        other_values = [
            v for v in (_reached(study, t, epoch) for t in complete) if not math.isnan(v)
        ]
        reference = f"median of {len(other_values)}"
    reference_value = median(other_values) if other_values else math.nan
    return (
        f"{trial.number:04d}",
        values_of(study, tuple(trial.params.items())) if study.is_sampled else trial.label,
        NONE if trial.seed is None else str(trial.seed),
        str(epoch or NONE),
        number_text(value),
        f"{reference_value:.4f}\n{reference}" if other_values else NONE,
        number_text(value - reference_value, "+.4f"),
    )


def _reached(study: Study, trial: Trial, epoch: int) -> float:
    """Return the best value up to an epoch, NaN if the trial did not run so far."""
    curve = trial.curves.get(study.objective, {})
    return _best_until(study, trial, epoch) if curve and max(curve) >= epoch else math.nan


def _best_until(study: Study, trial: Trial, epoch: int) -> float:
    curve = trial.curves.get(study.objective, {})
    values = [value for e, value in curve.items() if e <= epoch]
    return min(values, key=study.sort_key, default=math.nan)


def _last_epoch(trial: Trial) -> int:
    return max((max(curve) for curve in trial.curves.values() if curve), default=0)


def _ran(trial: Trial) -> int:
    return trial.pruned_at or (_last_epoch(trial) if trial.state == "pruned" else 0)
