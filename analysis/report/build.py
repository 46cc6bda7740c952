"""From a study's name to what is printed, saved and put on its MLflow run."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.diagnostics.cost import trial_cost_sheet
from analysis.report import files, summary_formats
from analysis.report.content import Findings, find
from analysis.report.summary import state_sentence
from analysis.report_table import sheet_csv, sheet_latex, sheet_markdown
from analysis.study import mlflow_reader
from analysis.study.model import Study
from diffrec.errors import UserError
from tune_runner.schema import EPOCH_SECONDS
from tune_runner.study.folder import StudyFolder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def report_study(
    name: str, uri: str, runs_dir: Path, against: Sequence[str] = (), *, with_figures: bool = True
) -> int:
    """Print and save the report of a study, and put it on the study's run.

    Raises:
        UserError: no such study, no result yet, or the folder cannot be written.
    """
    client = mlflow_reader.connect(uri)
    study, others = _read(client, name, against, runs_dir)
    found = find(study, others)
    _show(found)
    folder = files.report_folder(runs_dir, name)
    texts = _texts(found)
    files.clear(folder)
    files.write_files(folder, texts)  # first: a figure that fails must not cost the table
    if with_figures:
        files.write_files(folder, _drawn(found, others))
    files.log_folder(client, study.run_id, folder, instead=True)
    files.describe_run(client, study.run_id, texts["report.md"])
    sys.stdout.write(f"report    {folder / ('index.html' if with_figures else 'report.md')}\n")
    sys.stdout.flush()
    return 0


def draw_figure(
    figure: str, name: str, uri: str, runs_dir: Path, against: Sequence[str] = ()
) -> int:
    """Draw one figure of a study, save it and put it on the study's run.

    Raises:
        UserError: no such figure or study, nothing to draw, or the folder cannot be written.
    """
    from analysis import figures

    figures.check_name(figure)
    client = mlflow_reader.connect(uri)
    study, others = _read(client, name, against, runs_dir)
    drawn = figures.draw_one(figure, study, others)
    folder = files.report_folder(runs_dir, name)
    svg = (
        figures.to_svg(drawn, figure)
        .replace(figures.INK, "#000000")
        .replace(figures.PAPER, "#ffffff")
    )
    drawings = {f"figures/{figure}.svg": svg, f"figures/{figure}.png": figures.to_png(drawn)}
    files.write_files(folder, drawings)
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


def _texts(found: Findings) -> dict[str, str]:
    table, answer = found.table, "".join(f"- {line}\n" for line in found.sentences)
    sheets = "\n".join(sheet_markdown(sheet) for sheet in found.sheets)
    markdown = summary_formats.markdown_table(table)
    files = {
        "table.md": markdown,
        "table.csv": summary_formats.csv_table(table),
        "table.tex": summary_formats.latex_table(table),
        "report.md": f"{markdown}\n## What was found\n\n{answer}\n{sheets}",
    }
    # Of hundreds of trials: a file to sort, not a table to read.
    files["tables/cost_by_trial.csv"] = sheet_csv(trial_cost_sheet(found.table.study))
    for sheet in found.sheets:
        files[f"tables/{sheet.name}.csv"] = sheet_csv(sheet)
        files[f"tables/{sheet.name}.tex"] = sheet_latex(sheet)
    return files


def _drawn(found: Findings, others: Sequence[Study]) -> dict[str, str | bytes]:
    """Return the page and its figures; plots are imported only once the table is safe."""
    from analysis import figures
    from analysis.report.page import page

    drawn = figures.draw_all(found.table.study, others)
    svg = {name: figures.to_svg(figure, name) for name, figure in drawn.items()}
    files: dict[str, str | bytes] = {"index.html": page(found, svg)}
    for name, figure in drawn.items():
        files[f"figures/{name}.svg"] = (
            svg[name].replace(figures.INK, "#000000").replace(figures.PAPER, "#ffffff")
        )
        files[f"figures/{name}.png"] = figures.to_png(figure)
    return files


def _show(found: Findings) -> None:
    """Print the table and the answer: drawn for a terminal, plain for a pipe."""
    table, study = found.table, found.table.study
    heading = f"{study.name} on {study.dataset}: {study.question}"
    sys.stdout.write(textwrap.fill(heading, summary_formats.NARROW) + "\n")
    width = summary_formats.NARROW
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
    said = [textwrap.fill(f"- {s}", width, subsequent_indent="  ") for s in found.sentences]
    sys.stdout.write("\n" + "\n".join(said) + "\n")
