"""Results of a study: every analysis computed once, for sentences, tables and figures alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from analysis.comparisons.ablation import Comparison, against_control, main_effects
from analysis.comparisons.beyond import BeyondComparison, beyond_control
from analysis.comparisons.confirmation import Confirmation, confirmation
from analysis.comparisons.factor_interactions import interactions
from analysis.comparisons.front import Front, front_of
from analysis.comparisons.literature import ReportedComparison, compare_to_reported
from analysis.comparisons.other_studies import StudyBeside, study_beside
from analysis.comparisons.patience import PatienceEffect, patience_effects
from analysis.comparisons.per_user import by_user
from analysis.comparisons.trends import trends
from analysis.diagnostics.cost import StudyCost, study_cost
from analysis.diagnostics.importance import Importance, importance
from analysis.diagnostics.pruning import RankStability, SavedEpochs, rank_stability, saved_epochs
from analysis.study.metrics import METRIC
from analysis.study.model import Study


@dataclass(frozen=True)
class Results:
    """Everything that a report says about a study, before it is put into words."""

    study: Study
    control: tuple[Comparison, ...]
    """Every other cell against the control, seed by seed."""

    users: tuple[Comparison, ...]
    """The same cells, user by user."""

    effects: tuple[Comparison, ...]
    trends: tuple[Comparison, ...]
    interactions: tuple[Comparison, ...]
    confirmation: Confirmation | None
    patience: tuple[PatienceEffect, ...]
    literature: tuple[ReportedComparison, ...]
    ranks: tuple[RankStability, ...]
    saved: tuple[SavedEpochs, ...]
    cost: StudyCost
    others: tuple[StudyBeside, ...] = ()
    beyond: tuple[BeyondComparison, ...] = ()
    """The cells against the control in the metrics beyond accuracy."""

    front: Front | None = None
    """Answer of a study with several objectives or a constraint."""

    @cached_property
    def importance(self) -> Importance | None:
        """Importance of the parameters; computed when first used, since a forest takes a second."""
        return importance(self.study)

    @property
    def studies(self) -> tuple[Study, ...]:
        """The study and those beside it."""
        return (self.study, *(beside.study for beside in self.others))

    @property
    def families(self) -> tuple[tuple[Comparison, ...], ...]:
        """Families of tests by seed; each has an error rate of its own."""
        return (self.control, self.effects, self.trends, self.interactions)


def analyse(study: Study, others: Sequence[Study] = ()) -> Results:
    """Return the results of a study, alone and beside others.

    Args:
        study: with curves, weights and users as far as they were recorded.
        others: studies to set beside it, with configurations and curves.
    """
    return Results(
        study,
        tuple(against_control(study, METRIC)),
        tuple(by_user(study)),
        tuple(main_effects(study, METRIC)),
        tuple(trends(study, METRIC)),
        tuple(interactions(study, METRIC)),
        confirmation(study, METRIC),
        tuple(patience_effects(study)),
        tuple(compare_to_reported(study)),
        tuple(rank_stability(study)),
        tuple(saved_epochs(study)),
        study_cost(study),
        tuple(study_beside(study, other, METRIC) for other in others),
        tuple(beyond_control(study)),
        front_of(study),
    )
