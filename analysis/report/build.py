"""Builds a report: read the study, analyse it, print, save, attach it to its MLflow run."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.diagnostics.cost import trial_cost_table
from analysis.report import files, summary_formats
from analysis.report.addresses import server_address, view_paths
from analysis.report.content import ReportContent, report_content
from analysis.report.summary import state_sentence
from analysis.report_table import markdown_text, to_csv, to_latex, to_markdown
from analysis.results import Results, analyse
from analysis.study import mlflow_reader
from analysis.study.model import Study
from diffrec.errors import UserError
from diffrec.terminal import stream_width
from tune_runner.schema import ANSWER_FILE, EPOCH_SECONDS
from tune_runner.study.folder import StudyFolder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def report_study(
    name: str, uri: str, runs_dir: Path, against: Sequence[str] = (), *, with_figures: bool = True
) -> int:
    """Print and save the report of a study, and attach it to the study's run.

    Raises:
        UserError: no such study, no result yet, or the folder cannot be written.
    """
    client = mlflow_reader.connect(uri)
    study, others = _read(client, name, against, runs_dir)
    results = analyse(study, others)
    content = report_content(results)
    _show(content)
    folder = files.report_folder(runs_dir, name)
    texts: dict[str, str | bytes] = {**_texts(results, content)}
    written = texts
    try:
        if with_figures:
            written = texts | _drawn(results, content, uri)
    finally:  # if a figure fails, the table is saved
        files.write_report(folder, written)
    files.log_folder(client, study.run_id, folder, replace=True)
    paths = view_paths(client, study)
    files.describe_run(client, study.run_id, _description(content, str(texts["report.md"]), paths))
    sys.stdout.write(f"report    {folder / ('index.html' if with_figures else 'report.md')}\n")
    if "trials" in paths:
        sys.stdout.write(f"compare   {server_address(uri)}{paths['trials']}\n")
    sys.stdout.flush()
    return 0


def draw_figure(
    figure: str, name: str, uri: str, runs_dir: Path, against: Sequence[str] = ()
) -> int:
    """Draw one figure of a study, save it and attach it to the study's run.

    Raises:
        UserError: no such figure or study, nothing to draw, or the folder cannot be written.
    """
    from analysis import figures

    figures.check_name(figure)
    client = mlflow_reader.connect(uri)
    study, others = _read(client, name, against, runs_dir)
    drawn = figures.draw_one(figure, analyse(study, others))
    folder = files.report_folder(runs_dir, name)
    drawings = _image_files(figure, figures.to_svg(drawn, figure), figures.to_png(drawn))
    files.add_files(
        folder / files.FIGURES, {Path(name).name: content for name, content in drawings.items()}
    )
    files.log_folder(client, study.run_id, folder)
    sys.stdout.write("".join(f"{folder / path}\n" for path in drawings))
    return 0


def _read(
    client: "MlflowClient", name: str, against: Sequence[str], runs_dir: Path
) -> tuple[Study, tuple[Study, ...]]:
    """Return the study with all that figures need, and the others beside it."""
    study = _read_one(client, name, runs_dir)
    if not study.count("complete"):
        raise UserError(f"Study {name!r} has no result to show: {state_sentence(study)}")
    others = tuple(_read_one(client, other, runs_dir) for other in dict.fromkeys(against))
    study = mlflow_reader.with_curves(client, study, [study.objective, EPOCH_SECONDS])
    study = mlflow_reader.with_weights(client, study)
    study = mlflow_reader.with_users(client, study)
    if others:
        study = mlflow_reader.with_configs(client, study)
        others = tuple(
            mlflow_reader.with_curves(
                client, mlflow_reader.with_configs(client, other), [other.objective]
            )
            for other in others
        )
    return study, others


def _read_one(client: "MlflowClient", name: str, runs_dir: Path) -> Study:
    """Return a study; the one whose folder is here, where MLflow has several of its name."""
    return mlflow_reader.read_study(client, name, StudyFolder(runs_dir, name).identity())


def _texts(results: Results, content: ReportContent) -> dict[str, str]:
    """Return the report's text files by path."""
    summary = content.summary
    lines = "".join(f"- {markdown_text(line)}\n" for line in content.sentences)
    sections = "\n".join(map(to_markdown, content.tables))
    table = summary_formats.markdown_table(summary, content.sentences[0])
    texts = {
        ANSWER_FILE: content.sentences[0] + "\n",
        "table.md": summary_formats.markdown_table(summary),
        "table.csv": summary_formats.csv_table(summary),
        "table.tex": summary_formats.latex_table(summary),
        "report.md": f"{table}\n## What was found\n\n{lines}\n{sections}",
        # For hundreds of trials: a file to sort, not a table to read.
        "tables/cost_by_trial.csv": to_csv(trial_cost_table(results.study, results.cost)),
    }
    for one in content.tables:
        name = files.safe_name(one.name)
        texts[f"tables/{name}.csv"] = to_csv(one)
        texts[f"tables/{name}.tex"] = to_latex(one)
    return texts


def _description(content: ReportContent, report: str, paths: Mapping[str, str]) -> str:
    """Return the description of the study's run: the answer, the views, then the report."""
    answer = markdown_text(content.sentences[0])
    links = [f"[{shown}]({path.removeprefix('/')})" for shown, path in paths.items()]
    line = f"Compare its {' or its '.join(links)} in a table.\n\n" if links else ""
    # the report's own heading is the study's name, which stands above the description already
    _, _, rest = report.replace(f"**{answer}**\n\n", "", 1).partition("\n\n")
    return f"**{answer}**\n\n{line}{rest}"


def _drawn(results: Results, content: ReportContent, uri: str) -> dict[str, str | bytes]:
    """Return the page and its figures; plots are imported only once the table is safe."""
    from analysis import figures
    from analysis.report.page import page

    drawn = figures.draw_all(results)
    svg = {name: figures.to_svg(figure, name) for name, figure in drawn.items()}
    report_files: dict[str, str | bytes] = {"index.html": page(content, svg, uri)}
    for name, figure in drawn.items():
        report_files |= _image_files(name, svg[name], figures.to_png(figure))
    return report_files


def _image_files(name: str, svg: str, png: bytes) -> dict[str, str | bytes]:
    """Return a figure's files by path, in black on white."""
    from analysis.figures import INK, PAPER

    black = svg.replace(INK, "#000000").replace(PAPER, "#ffffff")
    return {f"figures/{name}.svg": black, f"figures/{name}.png": png}


def _show(content: ReportContent) -> None:
    """Print the answer and the table: drawn for a terminal, plain for a pipe."""
    table, study = content.summary, content.summary.study
    width = min(summary_formats.NARROW, stream_width(sys.stdout) or summary_formats.NARROW)
    heading = f"{study.name} on {study.dataset}: {study.question}"
    sys.stdout.write(textwrap.fill(heading, width) + "\n\n")
    sys.stdout.write(textwrap.fill(content.sentences[0], width) + "\n")
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        width = min(console.width, 100)
        console.print(summary_formats.rich_table(table, console.width))
        sys.stdout.write(summary_formats.notes_text(table, width) + "\n")
    else:
        sys.stdout.write(
            f"\n{summary_formats.plain_table(table)}\n\n{summary_formats.notes_text(table)}\n"
        )
    bullets = [
        textwrap.fill(f"- {s}", width, subsequent_indent="  ") for s in content.sentences[1:]
    ]
    sys.stdout.write("\n" + "\n".join(bullets) + "\n")
