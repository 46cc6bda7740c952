"""Figures of a report by name: what draws each, what its bars and marks are, what it needs.

A figure is drawn from `Results` alone; None if the study has nothing for it. Matplotlib is imported
when one is drawn. Begin with `FIGURES`; colours and fonts are in `style`.
"""

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.figures import comparisons, search, trade_offs, training, weights
from analysis.figures.style import INK, PAPER, PLAIN, to_png, to_svg, wrap_labels
from analysis.results import Results
from diffrec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "INK", "PAPER", "FigureSpec", "draw_all", "draw_one", "to_png", "to_svg"]


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """Figure: its function, and what a reader must know about it."""

    draw: Callable[[Results], "Figure | None"]
    caption: str
    """Explanation of bars, marks and colours."""

    needs: str
    """Requirement, to end the sentence `this figure needs …`."""


_STUDENT = "bars: 95 % Student interval over the seeds, not corrected for their number"
_GRID = "a grid of one or two factors, one of them a number"

FIGURES: Mapping[str, FigureSpec] = {
    "against_control": FigureSpec(
        comparisons.against_the_control,
        "Mean difference to the control, paired by seed. Bars: 95 % Student interval. Coloured "
        "where the difference stands after Holm's correction, grey within noise.",
        "a control cell and another cell with a seed in common",
    ),
    "by_number": FigureSpec(
        comparisons.by_number,
        "Mean over seeds; bars: sample standard deviation over seeds. Lines are shifted sideways "
        "a little so that bars do not hide each other. A ring marks the control.",
        _GRID,
    ),
    "divergence": FigureSpec(
        comparisons.divergence,
        f"Mean of the changes within each seed, at the same number; {_STUDENT}.",
        "a grid of a number and a method",
    ),
    "accuracy_and_coverage": FigureSpec(
        trade_offs.accuracy_and_coverage,
        f"Test means over seeds; {_STUDENT}. A ring marks the control.",
        "two cells whose trials recorded coverage",
    ),
    "front": FigureSpec(
        trade_offs.pareto_front,
        f"Means over seeds on validation; {_STUDENT}. Grey: points that are not in the answer.",
        "several objectives or a constraint",
    ),
    "improvement": FigureSpec(
        comparisons.improvement,
        f"Change within each seed, mean over seeds; {_STUDENT}.",
        "a control cell and another cell with a seed in common",
    ),
    "reproduction": FigureSpec(
        comparisons.reproduction,
        "Ours less the reported value, as per cent of the reported one. Bars: 95 % Student "
        "interval of ours, none for one seed; the literature gives none. Zero is agreement.",
        "a variant and dataset that the literature reports, on the published split",
    ),
    "weight_by_age": FigureSpec(
        weights.weight_by_age,
        "Curves of the best trial of each variant, faint at the start of training, strong at the "
        "end, the mean over diffusion steps where each has its own. Static curves for scale: "
        "exponential with a half-life of 5 items; linear for a user with 50 items.",
        "complete trials with learned recency that recorded their weights",
    ),
    "mphate": FigureSpec(
        weights.mphate_panels,
        "M-PHATE of the learned weights of the best trial of each variant: points near to each "
        "other had alike weights. A line is one row of W (a diffusion step) or, where W has one "
        "row, one place of it; its number stands at the end. Directions and scale mean nothing.",
        "complete trials that recorded learned weights at five epochs or more",
    ),
    "curves": FigureSpec(
        training.learning_curves,
        "Strong lines: the median of a group's complete trials; band: first to third quartile, "
        "from three trials on. Faint: single trials, dashed and ended by × if pruned.",
        "validation values by epoch",
    ),
    "best_so_far": FigureSpec(
        search.best_so_far,
        "The best epoch of every complete trial, in the order in which they ended.",
        "two complete trials",
    ),
    "parallel": FigureSpec(
        search.parallel,
        "A line for each trial, a dot for each of its values. Without a dot on an axis it passes "
        "over a parameter that is inactive for it; the last axis is the validation value.",
        "two complete trials and two parameters that vary",
    ),
    "importance": FigureSpec(
        search.important,
        "First-order fANOVA of a random forest. The seed's bar (grey) is luck; the remainder to 1 "
        "is joint effects. If the forest predicts unseen trials badly, the bars mean little.",
        "ten complete trials and a parameter that varies",
    ),
    "slices": FigureSpec(
        search.slices,
        "A mark for each complete trial, whatever its other parameters.",
        "two complete trials and a parameter that varies",
    ),
    "cost": FigureSpec(
        training.against_cost,
        "A mark for each complete trial. Minutes are those it held its share.",
        "complete trials with recorded seconds",
    ),
    "seconds_per_epoch": FigureSpec(
        training.seconds_per_epoch,
        "A dot is one trial's mean over its epochs, so the spread is that of trials.",
        "recorded seconds by epoch",
    ),
    "timeline": FigureSpec(
        training.timeline,
        "A bar for each trial, from its first start to its end, with its number if there is room. "
        "Empty is a worker that waits.",
        "two trials that have ended",
    ),
    "early_final": FigureSpec(
        training.early_final,
        "Spearman's rank correlation between the best value so far and the best at the end, of "
        "complete trials; and the share of them ahead of the later winner. A pruner that keeps the "
        "better half would lose the winner where that share is above 0.5.",
        "three complete trials with validation values by epoch",
    ),
    "pruning_saved": FigureSpec(
        training.pruning_saved,
        "A full trial is taken to run as long as the median of the complete ones.",
        "pruned and complete trials with validation values by epoch",
    ),
}


def draw_all(results: Results) -> dict[str, "Figure"]:
    """Return every figure that the study has something for.

    A figure that fails is named on standard error; the others and the page are still made.
    """
    drawn: dict[str, Figure] = {}
    for name in FIGURES:
        try:
            figure = _draw(name, results)
        except Exception as error:  # noqa: BLE001 - the others are still drawn
            sys.stderr.write(f"note: figure {name} failed ({type(error).__name__}: {error})\n")
            continue
        if figure is not None:
            drawn[name] = figure
    return drawn


def _draw(name: str, results: Results) -> "Figure | None":
    """Draw a figure; a name with two dollars is no formula."""
    import matplotlib as mpl

    with mpl.rc_context(PLAIN):
        figure = FIGURES[name].draw(results)
    if figure is not None:
        wrap_labels(figure)
    return figure


def draw_one(name: str, results: Results) -> "Figure":
    """Return one figure.

    Raises:
        UserError: the study has nothing for it.
    """
    figure = _draw(name, results)
    if figure is None:
        raise UserError(
            f"Figure {name!r} needs {FIGURES[name].needs}, and study {results.study.name!r} has "
            "none; without --figure the report draws all that there are."
        )
    return figure


def check_name(name: str) -> None:
    """Refuse an unknown figure.

    Raises:
        UserError: no figure of that name.
    """
    if name not in FIGURES:
        close = difflib.get_close_matches(name, FIGURES, n=3, cutoff=0.4)
        nearest = f"the nearest are {', '.join(close)}" if close else f"known: {', '.join(FIGURES)}"
        raise UserError(f"No figure named {name!r}; {nearest}.")
