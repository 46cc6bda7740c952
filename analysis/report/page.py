"""Page of a report: one HTML file that works offline, filled from `page.html.jinja`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

from analysis.figures import FIGURES, INK, PAPER
from analysis.report.addresses import LOCAL_UI, run_url
from analysis.report.content import ReportContent
from analysis.report.summary import SummaryTable
from analysis.report.summary_formats import reported_rows
from analysis.study.labels import NONE
from analysis.study.metrics import title
from analysis.study.model import Cell, Study

_FACTS = ("dataset", "protocol", "dataset_sha256", "embeddings_source", "sampler", "pruner")
_HOW = ("command", "git_commit", "git_dirty", "preset_source", "root_seed")

_WORDS = 40
"""Characters from which on a cell is a sentence and may wrap."""

_MOST_LINKS = 12
"""Most runs of a cell that are linked."""


@dataclass(frozen=True, slots=True)
class Link:
    """Link to a run in MLflow."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class HtmlCell:
    """Cell of a table: its text, smaller lines below it, its class, and links."""

    text: str
    more: tuple[str, ...] = ()
    kind: str = ""
    verdict: str = ""
    """Verdict of the row, shown in its first cell on a phone, where the last column is far away."""

    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class HtmlRow:
    """Row of a table; `kind` is its class."""

    cells: tuple[HtmlCell, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """Table of the page with its heading and the notes below it."""

    id: str
    heading: str
    head: tuple[str, ...]
    rows: tuple[HtmlRow, ...]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class HtmlFigure:
    """Figure of the page: its drawing as trusted SVG, and its caption."""

    name: str
    svg: Markup
    caption: str


def page(content: ReportContent, drawings: Mapping[str, str], tracking_uri: str = "") -> str:
    """Return the whole page: no script, no request.

    Args:
        content: the report's text and tables.
        drawings: SVG by figure name.
        tracking_uri: of the study's MLflow; cells then link to their runs.
    """
    study, package = content.summary.study, files("analysis.report")
    cells = _summary(content.summary, tracking_uri)
    tables = [
        HtmlTable(
            f"table-{i}",
            one.heading,
            one.head,
            tuple(_rows(one.rows, one.head)),
            tuple(filter(None, [one.note])),
        )
        for i, one in enumerate(content.tables)
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((package / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        name=study.name,
        question=study.question,
        where=_where(study.tags),
        style=Markup((package / "page.css").read_text(encoding="utf-8")),
        sentences=content.sentences,
        contents=list(_contents(content, tables, bool(drawings))),
        cells=cells,
        figures=[_figure(name, svg) for name, svg in drawings.items()],
        tables=tables,
        facts=[(name, study.tags[name]) for name in (*_FACTS, *_HOW) if study.tags.get(name)],
    )


def _contents(
    content: ReportContent, tables: Sequence[HtmlTable], has_figures: bool
) -> Iterator[dict[str, str]]:
    if content.sentences[2:]:
        yield {"id": "found", "heading": "What was found"}
    yield {"id": "cells", "heading": "The cells"}
    if has_figures:
        yield {"id": "figures", "heading": "Figures"}
    for one in tables:
        yield {"id": one.id, "heading": one.heading}
    yield {"id": "made", "heading": "How it was made"}


def _where(tags: Mapping[str, str]) -> str:
    shown = [f"{tags.get('dataset', 'unknown')}, {tags.get('protocol', 'unknown')} split"]
    shown += [f"{name} {tags[name]}" for name in ("sampler", "pruner") if tags.get(name)]
    return " · ".join(shown)


def _figure(name: str, svg: str) -> HtmlFigure:
    drawing = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    # Ids are per drawing; in one page they must not meet.
    drawing = drawing.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    drawing = drawing.replace('href="#', f'href="#{name}-')
    return HtmlFigure(name, Markup(drawing), FIGURES[name].caption)


def _summary(table: SummaryTable, tracking_uri: str) -> HtmlTable:
    """Return the table of cells, each with links to its runs."""
    head = (table.label_name, *map(title, table.metrics), "n", "pruned", "failed")
    link = partial(_links, table.study, tracking_uri)
    rows: list[HtmlRow] = []
    linked = False
    for cell, label, reported in zip(table.rows, table.labels, table.reported, strict=True):
        values = []
        for metric in table.metrics:
            mean, spread = cell.mean(metric), cell.deviation(metric)
            shown = NONE if mean != mean else f"{mean:.4f}"
            values.append(shown if spread != spread else f"{shown}\n±{spread:.4f}")
        counts = [str(n) for n in (cell.num_seeds, cell.count("pruned"), cell.count("failed"))]
        links = link(cell)
        linked |= bool(links)
        first = HtmlCell(
            label, ("control",) if cell.is_control else (), _cell(label).kind, links=links
        )
        rows.append(HtmlRow((first, *map(_cell, (*values, *counts)))))
        rows += [
            HtmlRow(tuple(map(_cell, (*texts, "", "", ""))), "reported")
            for texts in reported_rows(table, reported, "\n")
        ]
    notes = [note for note in table.notes if not note.startswith("*")]
    if linked:
        notes.append(_link_note(tracking_uri))
    return HtmlTable("cells", "The cells", head, tuple(rows), tuple(notes))


def _links(study: Study, tracking_uri: str, cell: Cell) -> tuple[Link, ...]:
    """Return a link to each run of a cell, named by its seed."""
    if not tracking_uri or not study.experiment_id:
        return ()
    return tuple(
        Link(
            f"run {trial.number:04d}" if trial.seed is None else f"seed {trial.seed}",
            run_url(tracking_uri, study.experiment_id, trial.run_id),
        )
        for trial in cell.trials[:_MOST_LINKS]
        if trial.run_id
    )


def _link_note(tracking_uri: str) -> str:
    if urlsplit(tracking_uri).scheme in ("http", "https"):
        return "A seed's link opens its run in MLflow."
    return f"A seed's link opens its run in MLflow, while `mlflow ui` serves {LOCAL_UI}."


def _rows(rows: Sequence[Sequence[str]], head: Collection[str]) -> Iterator[HtmlRow]:
    judged = "verdict" in head
    for row in rows:
        first, *other_cells = map(_cell, row)
        verdict = other_cells[-1].text if judged and other_cells else ""
        yield HtmlRow((HtmlCell(first.text, first.more, first.kind, verdict), *other_cells))


def _cell(text: str) -> HtmlCell:
    first, *more = text.split("\n")
    kind = first if first in ("better", "worse") else "words" if len(text) > _WORDS else ""
    return HtmlCell(first, tuple(more), kind)
