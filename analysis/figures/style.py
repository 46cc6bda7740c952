"""Style of every figure: one ink, one palette, a question as title.

Text and axes are drawn in one ink that the page replaces by its own text colour, so that the same
drawing is readable in light and dark. Colours are Okabe and Ito's, for every eye.
"""

import io
import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from analysis.study.labels import is_number, named_value, short_path
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

WIDTH = 5.2
"""Width in inches; a page of 400 px still shows the text at its size."""

_HANDLE_INCHES, _LETTER_INCHES = 0.5, 0.065
"""Width of a legend's entry: its mark with the gaps, and each letter of its name."""

_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""Metadata of an SVG, all left out: nothing that changes from day to day, no address."""

PLAIN: Any = {"text.parse_math": False}
"""Texts are names, never formulas."""

_STYLE: Any = {
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
    "font.size": 9.5,
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
        made = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
        asked = textwrap.fill(question, 54)
        figure.suptitle(asked, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
        for axes in made:
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
            axes.tick_params(colors=INK)
    return figure, made


def single(question: str, x: str, y: str, height: float = 3.5) -> tuple["Figure", "Axes"]:
    """Return a figure of one pair of axes."""
    figure, (axes,) = panels(question, height=height)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    return figure, axes


def write(axes: "Axes", x: float, y: float, text: str, **how: Any) -> None:
    """Write on lines: a halo of the background keeps the text readable."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=PAPER)]
    axes.text(x, y, text, fontsize=7, va="center", color=INK, path_effects=halo, zorder=5, **how)


def name_panel(axes: "Axes", name: str) -> None:
    """Set a panel's title."""
    axes.set_title(name, loc="left", fontsize=9.5, color=INK)


def legend(axes: "Axes", **how: Any) -> None:
    """Add a legend if anything has a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, **how)


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
    figure.legend(
        list(named.values()),
        list(named),
        loc="outside lower left",
        ncols=max(1, min(4, int(figure.get_figwidth() / widest))),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )


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


class Colouring:
    """Colours and marks of cells, by group: the first factor with two to six levels."""

    def __init__(self, study: Study) -> None:
        self._path = next((p for p in study.paths if 2 <= self._levels(study, p) <= 6), None)
        named = {self.group(cell): self._value(cell) for cell in study.cells}
        self._groups = sorted(named, key=lambda name: _as_number(named[name]))
        """In grid order, numbers by their size."""

    def group(self, cell: Cell) -> str:
        """Return the name of a cell's group; empty where there is one only."""
        if self._path is None:
            return ""
        value = self._value(cell)
        if value is None:
            return f"without {short_path(self._path)}"
        return value if isinstance(value, str) else named_value(self._path, value)

    def colour(self, cell: Cell) -> str:
        """Return a cell's colour."""
        return COLOURS[self._groups.index(self.group(cell)) % len(COLOURS)]

    def mark(self, cell: Cell) -> str:
        """Return a cell's mark."""
        return MARKS[self._groups.index(self.group(cell)) % len(MARKS)]

    def name_groups(self, axes: "Axes", drawn: Collection[str], *, marks: bool) -> None:
        """Put the groups that were drawn into the legend, as marks or as lines."""
        for i, name in enumerate(self._groups):
            if name in drawn and name:
                style = MARKS[i % len(MARKS)] if marks else "-"
                axes.plot([], [], style, color=COLOURS[i % len(COLOURS)], label=name)

    def _value(self, cell: Cell) -> Any:
        return dict(cell.params).get(self._path or "")

    @staticmethod
    def _levels(study: Study, path: str) -> int:
        return len({repr(dict(cell.params).get(path)) for cell in study.cells})


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
