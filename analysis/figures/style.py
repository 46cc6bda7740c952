"""Style of all figures: one text colour, one palette, a question as title.

Text and axes are drawn in one ink that the page replaces by its own text colour, so that the same
drawing is readable in light and dark. Colours are Okabe and Ito's, for every eye.
"""

import io
import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from analysis.study.labels import hashable, is_number, named_value, short_path
from analysis.study.model import Cell, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKS = "osD^vP"
GREY = "#8a8a8a"
INK = "#010203"
"""Colour of text and axes; the page replaces it by `currentColor`."""

PAPER = "#fdfeff"
"""Colour of halos; the page replaces it by its background."""

SMALL = 9.8
"""Size of the smallest text in points: 8 on a page of 400 px, which shows a figure smaller."""

WIDTH = 4.6
"""Width in inches."""

_HANDLE_INCHES, _LETTER_INCHES = 0.55, 0.08
"""Width of a legend's entry: its mark with the gaps, and each letter of its name."""

_LEGEND_ROW_INCHES = 0.2
"""Height that a row of a legend adds to its figure, so that the axes keep theirs."""

_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Metadata of an SVG, all left out: nothing that changes from day to day, no address."""

PLAIN: Any = {"text.parse_math": False}
"""Texts are names, never formulas."""

_STYLE: Any = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    "font.size": 10.0,
}


def panels(
    question: str, count: int = 1, *, columns: int = 2, height: float = 3.5
) -> tuple["Figure", list["Axes"]]:
    """Return a figure with `count` axes under a question; `height` is that of one row."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
        all_axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
        title = textwrap.fill(question, 46)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        for axes in all_axes:
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
            axes.tick_params(colors=INK)
    return figure, all_axes


def single(question: str, x: str, y: str, height: float = 3.5) -> tuple["Figure", "Axes"]:
    """Return a figure of one pair of axes."""
    figure, (axes,) = panels(question, height=height)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    return figure, axes


def halo(width: float = 2.5) -> Any:
    """Return a halo of the background, which keeps text readable on lines and bars."""
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=width, foreground=PAPER)


def write(axes: "Axes", x: float, y: float, text: str, **style: Any) -> None:
    """Write on lines: a halo of the background keeps the text readable."""
    style = {"fontsize": SMALL, "va": "center", "color": INK, "zorder": 5, **style}
    axes.text(x, y, text, path_effects=[halo()], **style)


def name_panel(axes: "Axes", name: str) -> None:
    """Set a panel's title."""
    axes.set_title(name, loc="left", fontsize=10, color=INK)


def some_of(shown: int, total: int, things: str) -> str:
    """Return how many are shown, to end a question; empty if all are."""
    return f" ({shown} of {total} {things})" if shown < total else ""


def legend_below(figure: "Figure") -> None:
    """Add one legend for all panels, under them, in as many columns as the figure has room for.

    A legend of the axes that is wider than the figure would make the layout give the axes no room.
    """
    named = {
        name: handle
        for axes in figure.axes
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if not named:
        return
    widest = _HANDLE_INCHES + _LETTER_INCHES * max(map(len, named))
    columns = max(1, min(4, int(figure.get_figwidth() / widest)))
    rows = -(-len(named) // columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW_INCHES * rows)
    figure.legend(
        list(named.values()),
        list(named),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
    )


def wrap_labels(figure: "Figure") -> None:
    """Break the names of axes that are longer than the axes, which would be cut at the edge."""
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is None:
            continue
        rows, columns, *_ = spec.get_geometry()
        wide = figure.get_figwidth() / columns - 0.9
        high = figure.get_figheight() / rows - 1.2
        for axis, inches in ((axes.xaxis, wide), (axes.yaxis, high)):
            letters = max(12, int(inches / _LETTER_INCHES))
            axis.label.set_text(textwrap.fill(axis.label.get_text(), letters))


def to_svg(figure: "Figure", name: str) -> str:
    """Return the figure as SVG, the same text for the same study."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({**PLAIN, "svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata=_NO_METADATA)
    return text.getvalue()


def to_png(figure: "Figure") -> bytes:
    """Return the figure as PNG on white, for slides."""
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context(PLAIN):
        figure.savefig(content, format="png", dpi=200, facecolor="white")
    return content.getvalue()


def level_colours(study: Study, path: str) -> dict[Any, str]:
    """Return a colour for each level of a factor, the same in every figure of a study.

    Levels are in grid order, numbers by size; None, for cells in which the factor is inactive, is
    the last.
    """
    values = [hashable(dict(cell.params).get(path)) for cell in study.cells]
    levels = sorted({v: None for v in values if v is not None}, key=_as_number)
    if None in values:
        levels.append(None)
    return {level: COLOURS[i % len(COLOURS)] for i, level in enumerate(levels)}


class Colouring:
    """Colours and marks of cells, by group: a level of the first factor with two to six levels."""

    def __init__(self, study: Study) -> None:
        colours = ((path, level_colours(study, path)) for path in study.paths)
        usable = ((path, levels) for path, levels in colours if 2 <= len(levels) <= len(COLOURS))
        self.path, self._colours = next(usable, (None, {None: COLOURS[0]}))
        """Factor whose levels are the groups; None if there is one group only."""

    def group(self, cell: Cell) -> str:
        """Return the name of a cell's group; empty if there is one only."""
        return self._name(self._level(cell))

    def colour(self, cell: Cell) -> str:
        """Return a cell's colour."""
        return self._colours[self._level(cell)]

    def mark(self, cell: Cell) -> str:
        """Return a cell's mark."""
        return MARKS[list(self._colours).index(self._level(cell))]

    def name_groups(self, axes: "Axes", drawn: Collection[str], *, marks: bool) -> None:
        """Put the groups that were drawn into the legend, as marks or as lines."""
        for i, (level, colour) in enumerate(self._colours.items()):
            if (name := self._name(level)) and name in drawn:
                axes.plot([], [], MARKS[i] if marks else "-", color=colour, label=name)

    def _level(self, cell: Cell) -> Any:
        return None if self.path is None else hashable(dict(cell.params).get(self.path))

    def _name(self, level: Any) -> str:
        if self.path is None:
            return ""
        if level is None:
            return f"without {short_path(self.path)}"
        return level if isinstance(level, str) else named_value(self.path, level)


def _as_number(value: Any) -> float:
    """Return what a level is sorted by; words keep their order."""
    return float(value) if is_number(value) else 0.0


def interval_bars(
    low: Sequence[float], mean: Sequence[float], high: Sequence[float]
) -> list[list[float]]:
    """Return intervals as matplotlib's error lengths; NaN, not drawn, where one is not known."""
    below = [m - a for a, m in zip(low, mean, strict=True)]
    above = [b - m for b, m in zip(high, mean, strict=True)]
    return [below, above]
