"""The report as one page that works offline: the question, the answer, tables, figures."""

import html
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files

from analysis.figures import FIGURES, INK, PAPER
from analysis.report.content import Findings
from analysis.report.summary import Table
from analysis.report.summary_formats import reported_rows
from analysis.report_table import ReportTable
from analysis.study.metrics import title

_FACTS = ("dataset", "protocol", "dataset_sha256", "embeddings_source", "sampler", "pruner")
_HOW = ("command", "git_commit", "git_dirty", "preset_source", "root_seed")


def page(findings: Findings, drawings: Mapping[str, str]) -> str:
    """Return the whole page, `drawings` being SVG by figure name: no script, no request."""
    study = findings.table.study
    style = files("analysis.report").joinpath("page.css").read_text(encoding="utf-8")
    said = "".join(f"<li>{_text(line)}</li>" for line in findings.sentences)
    figures = "".join(_figure(name, svg) for name, svg in drawings.items())
    parts = [
        f"<header><h1>{_text(study.name)}</h1><p class=question>{_text(study.question)}</p>"
        f"{_where(study.tags)}</header>",
        f"<section><h2>What was found</h2><ul>{said}</ul></section>",
        f"<section><h2>The cells</h2>{_cells(findings.table)}{_notes(findings.table)}</section>",
        f"<section class=figures>{figures}</section>",
        *map(_sheet, findings.sheets),
        f"<section><h2>How it was made</h2>{_facts(study.tags)}</section>",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{_text(study.name)}</title>'
        f"<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _where(tags: Mapping[str, str]) -> str:
    shown = [f"{tags.get('dataset', 'unknown')}, {tags.get('protocol', 'unknown')} split"]
    shown += [f"{name} {tags[name]}" for name in ("sampler", "pruner") if tags.get(name)]
    return f"<p class=note>{_text(' · '.join(shown))}</p>"


def _figure(name: str, svg: str) -> str:
    drawing = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    # Ids are per drawing; in one page they must not meet.
    drawing = drawing.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    drawing = drawing.replace('href="#', f'href="#{name}-')
    return f"<figure>{drawing}<figcaption>{_text(FIGURES[name].caption)}</figcaption></figure>"


def _cells(table: Table) -> str:
    head = [table.label_name, *map(title, table.metrics), "n", "pruned", "failed"]
    rows, quoted = [], set[int]()
    for cell, label, reported in zip(table.rows, table.labels, table.reported, strict=True):
        values = []
        for metric in table.metrics:
            mean, spread = cell.mean(metric), cell.deviation(metric)
            shown = "–" if mean != mean else f"{mean:.4f}"
            values.append(shown if spread != spread else f"{shown}\n±{spread:.4f}")
        counts = [str(n) for n in (cell.num_seeds, cell.count("pruned"), cell.count("failed"))]
        rows.append([f"{label}\ncontrol" if cell.is_control else label, *values, *counts])
        theirs = [[*texts, "", "", ""] for texts in reported_rows(table, reported, "\n")]
        quoted |= {len(rows) + i for i in range(len(theirs))}
        rows += theirs
    return _table(head, rows, quoted)


def _notes(table: Table) -> str:
    notes = (note for note in table.notes if not note.startswith("*"))
    return "".join(f"<p class=note>{_text(note)}</p>" for note in notes)


def _sheet(sheet: ReportTable) -> str:
    note = f"<p class=note>{_text(sheet.note)}</p>" if sheet.note else ""
    return (
        f"<section><h2>{_text(sheet.heading)}</h2>{_table(sheet.head, sheet.rows)}{note}</section>"
    )


def _facts(tags: Mapping[str, str]) -> str:
    known = [name for name in (*_FACTS, *_HOW) if tags.get(name)]
    rows = "".join(f"<dt>{_text(n)}</dt><dd>{_text(tags[n])}</dd>" for n in known)
    return f"<dl>{rows}</dl>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], quoted: Collection[int] = ()) -> str:
    """Return a table; the rows numbered in `quoted` are others' values, not ours."""
    top = "".join(f"<th>{_text(name)}</th>" for name in head)
    kinds = (" class=reported" if i in quoted else "" for i in range(len(rows)))
    body = "".join(
        f"<tr{kind}>{''.join(map(_cell, row))}</tr>" for kind, row in zip(kinds, rows, strict=True)
    )
    return (
        f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    first, *more = text.split("\n")
    kind = f" class={first}" if first in ("better", "worse") else ""
    # Sentences may wrap; numbers and names stand in one line.
    kind = kind or (" class=words" if len(text) > 40 else "")
    small = "".join(f" <small>{_text(line)}</small>" for line in more)
    return f"<td{kind}>{_text(first)}{small}</td>"


def _text(text: str) -> str:
    return html.escape(text)
