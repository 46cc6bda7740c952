"""The report as one page that works offline: the question, the answer, tables, figures."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from analysis.ablation import Comparison
from analysis.answers import answers
from analysis.cost import study_cost
from analysis.figures import CAPTIONS, INK
from analysis.literature import SOURCES, Beside, beside
from analysis.summary import Table, title

_FACTS = ("dataset", "protocol", "dataset_sha256", "embeddings_source", "sampler", "pruner")
_HOW = ("command", "git_commit", "git_dirty", "preset_source", "root_seed")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a page is made of."""

    table: Table
    comparisons: Sequence[Comparison]
    effects: Sequence[Comparison]
    drawings: Mapping[str, str]
    """SVG by figure name."""


def page(findings: Findings) -> str:
    """Return the whole page: no script, no request."""
    study = findings.table.study
    style = files("analysis").joinpath("page.css").read_text(encoding="utf-8")
    said = "".join(f"<li>{_text(line)}</li>" for line in answers(findings.table, findings.effects))
    figures = "".join(_figure(name, svg) for name, svg in findings.drawings.items())
    parts = [
        f"<h1>{_text(study.name)}</h1><p class=question>{_text(study.question)}</p>",
        f"<section><h2>What was found</h2><ul>{said}</ul></section>",
        f"<section><h2>The cells</h2>{_cells(findings.table)}{_notes(findings.table)}</section>",
        f"<section class=figures>{figures}</section>",
        _comparisons("Against the control, seed by seed", findings.comparisons),
        _comparisons("Each factor, all else equal", findings.effects),
        _literature(beside(study)),
        _failures(findings.table),
        f"<section><h2>Cost</h2><p>{_text(study_cost(study).sentence())}</p></section>",
        f"<section><h2>How it was made</h2>{_facts(study.tags)}</section>",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{_text(study.name)}</title>'
        f"<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _figure(name: str, svg: str) -> str:
    drawing = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # Ids are per drawing; in one page they must not meet.
    drawing = drawing.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    drawing = drawing.replace('href="#', f'href="#{name}-')
    return f"<figure>{drawing}<figcaption>{_text(CAPTIONS[name])}</figcaption></figure>"


def _cells(table: Table) -> str:
    head = [table.label_name, *map(title, table.metrics), "n", "pruned", "failed"]
    rows = []
    for cell, label in zip(table.rows, table.labels, strict=True):
        name = f"{_text(label)} <small>control</small>" if cell.is_control else _text(label)
        values = []
        for metric in table.metrics:
            mean, spread = cell.mean(metric), cell.deviation(metric)
            shown = "–" if mean != mean else f"{mean:.4f}"
            values.append(shown if spread != spread else f"{shown} <small>±{spread:.4f}</small>")
        counts = [str(cell.count(state)) for state in ("complete", "pruned", "failed")]
        rows.append([name, *values, *counts])
    return _table(head, rows)


def _notes(table: Table) -> str:
    notes = (note for note in table.notes if not note.startswith("*"))
    return "".join(f"<p class=note>{_text(note)}</p>" for note in notes)


def _comparisons(heading: str, found: Sequence[Comparison]) -> str:
    if not found:
        return ""
    head = ["R@20 of", "against", "difference", "95 % interval", "p (Holm)", "seeds", "verdict"]
    rows = []
    for c in found:
        e = c.estimate
        sure = (
            [f"{e.low:+.4f} to {e.high:+.4f}", f"{c.adjusted_p:.3f}"] if e.is_known else ["–", "–"]
        )
        size = f"{e.mean:+.4f} <small>{c.relative:+.1%}</small>" if e.n else "–"
        names = [_text(c.label), _text(c.reference)]
        rows.append(
            [*names, size, *sure, str(e.n), f'<span class="{c.verdict[:6]}">{c.verdict}</span>']
        )
    return f"<section><h2>{heading}</h2>{_table(head, rows)}</section>"


def _literature(found: Sequence[Beside]) -> str:
    if not found:
        return ""
    head = ["variant", "metric", "ours", "reported", "difference", "outside our interval", "source"]
    words = {True: "yes", False: "no", None: "one seed"}
    rows = []
    for row in found:
        source = f"{SOURCES[row.reported.source]} {row.reported.note}".strip()
        relative = f"<small>{row.difference / row.theirs:+.1%}</small>"
        rows.append(
            [
                _text(row.reported.model),
                title(f"test/{row.metric}"),
                f"{row.ours.mean:.4f}",
                f"{row.theirs:.4f}",
                f"{row.difference:+.4f} {relative}",
                words[row.exceeds],
                _text(source),
            ]
        )
    return f"<section><h2>Beside the literature</h2>{_table(head, rows)}</section>"


def _failures(table: Table) -> str:
    failed = [trial for trial in table.study.trials if trial.state == "failed"]
    if not failed:
        return ""
    items = "".join(f"<li>{t.number:04d} {_text(t.label)}: {_text(t.error)}</li>" for t in failed)
    return f"<section><h2>Failed trials</h2><ul>{items}</ul></section>"


def _facts(tags: Mapping[str, str]) -> str:
    known = [name for name in (*_FACTS, *_HOW) if tags.get(name)]
    rows = "".join(f"<dt>{_text(n)}</dt><dd>{_text(tags[n])}</dd>" for n in known)
    return f"<dl>{rows}</dl>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _text(text: str) -> str:
    return html.escape(text)
