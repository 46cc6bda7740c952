"""From a study's name to what is printed, saved and put on its MLflow run."""

import sys
import textwrap
from pathlib import Path

from analysis import reading, saving, tables
from analysis.study import Study
from analysis.summary import make_table, state_sentence
from diffrec.errors import UserError


def report_study(name: str, uri: str, runs_dir: Path) -> int:
    """Print and save the table of a study, and put it on the study's run.

    Raises:
        UserError: no such study, no result yet, or the folder cannot be written.
    """
    client = reading.connect(uri)
    study = reading.read_study(client, name)
    if not study.count("complete"):
        raise UserError(f"Study {name!r} has no result to show: {state_sentence(study)}")
    table = make_table(study)
    _show(table)
    folder = saving.report_folder(runs_dir, name)
    files = {"table.md": tables.markdown_table(table), "table.csv": tables.csv_table(table)}
    saving.write_files(folder, files | {"table.tex": tables.latex_table(table)})
    saving.write_files(folder, _drawn(reading.with_curves(client, study, [study.objective])))
    saving.log_folder(client, study.run_id, folder)
    sys.stdout.write(f"report    {folder / 'index.html'}\n")
    sys.stdout.flush()
    return 0


def _drawn(study: Study) -> dict[str, str | bytes]:
    """Return the page and its figures; plots are imported only once the table is safe."""
    from analysis import ablation, figures
    from analysis.page import Findings, page

    drawn = figures.draw_all(study)
    svg = {name: figures.to_svg(figure, name) for name, figure in drawn.items()}
    findings = Findings(
        make_table(study),
        ablation.against_control(study, figures.METRIC),
        ablation.main_effects(study, figures.METRIC),
        svg,
    )
    files: dict[str, str | bytes] = {"index.html": page(findings)}
    for name, figure in drawn.items():
        files[f"figures/{name}.svg"] = svg[name].replace(figures.INK, "#000000")
        files[f"figures/{name}.png"] = figures.to_png(figure)
    return files


def _show(table: tables.Table) -> None:
    """Print the table: drawn for a terminal, plain for a pipe."""
    study = table.study
    heading = f"{study.name} on {study.dataset}: {study.question}"
    sys.stdout.write(textwrap.fill(heading, tables.NARROW) + "\n")
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        console.print(tables.rich_table(table, console.width))
        sys.stdout.write(tables.notes_text(table, min(console.width, 100)) + "\n")
    else:
        sys.stdout.write(f"\n{tables.plain_table(table)}\n\n{tables.notes_text(table)}\n")
