"""`python -m analysis STUDY`: the table, what it says, what it refuses."""

import csv
import subprocess
import sys

import pytest

from analysis.cli import main


@pytest.fixture
def analyse(store, tmp_path, capsys):
    def run(name, *more):
        runs = str(tmp_path / "runs")
        arguments = [name, "--no-figures", "--tracking-uri", store.uri, "--runs-dir", runs]
        code = main([*arguments, *more])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def words(text):
    """The text without its line breaks."""
    return " ".join(text.split())


def test_table_has_a_row_per_cell_in_grid_order_with_the_control_marked(store, analyse):
    store.grid()
    code, out, err = analyse("clusters")
    rows = [line.split("  ")[0] for line in out.splitlines() if line.endswith("  3")]
    assert (code, err) == (0, "")
    assert rows == [
        "1 cluster",
        "kmeans·2 *",
        "kmeans·10",
        "gaussian_mixture·2",
        "gaussian_mixture·10",
    ]


def test_table_fits_eighty_columns_and_says_what_it_shows(store, analyse):
    store.grid()
    _, out, _ = analyse("clusters")
    assert max(map(len, out.split("report  ")[0].splitlines())) <= 80
    text = words(out)
    assert "Selection was on validation" in text
    assert "15 of 15 trials complete, none missing." in text
    assert "* marks the control" in text


def test_table_shows_mean_and_sample_deviation_over_seeds(store, analyse, tmp_path):
    parent = store.study()
    for seed, value in enumerate((0.1, 0.2, 0.3), start=1):
        store.trial(parent, seed, store.params("kmeans", 2, seed), best=value, test=value)
    _, out, _ = analyse("clusters")
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("kmeans·2"))
    means = ["0.1200", "0.2000", "0.1000", "0.1300", "0.2000"]
    assert lines[at].split()[2:] == [*means, "3"]
    assert lines[at + 1].split() == ["±.0600", "±.1000", "±.0500", "±.0650", "±.1000"]
    with (tmp_path / "runs/clusters/report/table.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["test/recall@20 sd"]) == pytest.approx(0.1)
    assert (row["complete"], row["control"]) == ("3", "true")


def test_pruned_and_failed_trials_are_counted_and_never_stand_as_results(store, analyse, tmp_path):
    parent = store.study()
    store.trial(parent, 0, store.params("kmeans", 2, 1), best=0.1, test=0.1)
    pruned = {"state": "pruned", "curve": [0.9, 0.9], "pruned_at_epoch": 10}
    store.trial(parent, 1, store.params("kmeans", 2, 2), **pruned)
    store.trial(parent, 2, store.params("kmeans", 2, 3), state="failed", error="out of memory")
    _, out, _ = analyse("clusters")
    row = next(line for line in out.splitlines() if "kmeans·2" in line)
    assert row.split()[-3:] == ["1", "1", "1"]
    assert "1 of 3 trials complete; 2 missing: 1 pruned, 1 failed." in words(out)
    assert "Pruned, without a result: kmeans·2 at epoch 10." in words(out)
    for name in ("table.md", "table.csv"):
        assert "0.9" not in (tmp_path / "runs/clusters/report" / name).read_text()


def test_trials_that_were_planned_and_not_begun_are_missing(store, analyse):
    parent = store.study(space={"domains": {}, "plan": {"trials": 4}})
    store.trial(parent, 0, {"seed": 1}, best=0.1, test=0.1)
    store.trial(parent, 1, {"seed": 2}, state="running")
    text = words(analyse("clusters")[1])
    assert "1 of 4 trials complete; 3 missing: 1 running, 2 not begun." in text


def test_a_trial_that_was_run_again_counts_once(store, analyse):
    parent = store.study()
    store.trial(parent, 0, store.params("kmeans", 2, 1), state="failed")
    store.trial(parent, 1, store.params("kmeans", 2, 1), best=0.1, test=0.1, retry_of=0)
    assert "1 of 1 trials complete, none missing." in words(analyse("clusters")[1])


def test_sampled_study_shows_its_ten_best_points_by_validation(store, analyse):
    parent = store.study(sampler="tpe", space={"domains": {"training.learning_rate": {}}})
    for i in range(12):
        point = {"training.learning_rate": 10.0**-i, "seed": 1}
        store.trial(parent, i, point, best=0.1 + i / 100, test=0.5 - i / 100)
    _, out, _ = analyse("clusters")
    numbers = [line.split()[0] for line in out.splitlines() if line.startswith("00")]
    assert numbers == [f"{i:04d}" for i in range(11, 1, -1)]
    assert "The best 10 of 12 points" in out
    assert "0011 learning_rate=1e-11" in words(out)


def test_every_variant_of_a_sampled_study_has_its_best_row_however_weak(store, analyse):
    parent = store.study(sampler="random", space={"domains": {"variant": {}, "half_life": {}}})
    for i in range(12):
        point = {"variant": "RecencyEASE", "half_life": float(i), "seed": 1}
        best = 0.1 + i / 100
        store.trial(parent, i, point, best=best, test=best, variant="RecencyEASE")
    for number, best in ((12, 0.01), (13, 0.02)):
        point = {"variant": "EASE", "regularization": float(number), "seed": 1}
        store.trial(parent, number, point, best=best, test=best, variant="EASE")
    store.trial(parent, 14, {"variant": "Popularity", "seed": 1}, best=0.0, test=0.0, variant="Pop")
    _, out, _ = analyse("clusters")
    numbers = [line.split()[0] for line in out.splitlines() if line.startswith("00")]
    assert numbers == [*(f"{i:04d}" for i in range(11, 3, -1)), "0013", "0014"]
    assert "by valid/recall@20, each variant's best among them" in words(out)
    assert "0013 variant=EASE, regularization=13" in words(out)


def test_page_tables_and_figures_are_saved_and_logged_to_the_parent_run(store, tmp_path, capsys):
    parent = store.grid()
    store.grid("again", effect={("kmeans", 2): 0.05})
    arguments = ["clusters", "--against", "again", "--tracking-uri", store.uri]
    assert main([*arguments, "--runs-dir", str(tmp_path / "runs")]) == 0
    folder = tmp_path / "runs" / "clusters" / "report"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tables = {f"tables/{name}.{kind}" for name in ("control", "cost") for kind in ("csv", "tex")}
    figures = {
        f"figures/{name}.{kind}" for name in ("curves", "by_number") for kind in ("png", "svg")
    }
    assert {"index.html", "report.md", "table.md", "table.tex"} | tables | figures <= files
    assert len((folder / "table.csv").read_text().splitlines()) == 6
    assert (folder / "figures/curves.png").read_bytes().startswith(b"\x89PNG")
    assert "Beside again: of 5 shared cells ours are better in 0, worse in 1" in words(
        capsys.readouterr().out
    )
    assert "Shared with again" in (folder / "index.html").read_text()
    note = store.client.get_run(parent).data.tags["mlflow.note.content"]
    assert "**kmeans·2** (control)" in note
    assert "## What was found" in note
    logged = {
        file.path.removeprefix("report/")
        for under in ("report", "report/figures", "report/tables")
        for file in store.client.list_artifacts(parent, under)
    }
    assert files <= logged


def files_of(store, parent):
    """Every file of the report on the study's run."""
    folders, paths = ["report"], set()
    while folders:
        for file in store.client.list_artifacts(parent, folders.pop()):
            if file.is_dir:
                folders.append(file.path)
            else:
                paths.add(file.path.removeprefix("report/"))
    return paths


def test_a_report_holds_nothing_of_an_earlier_one(store, analyse, tmp_path):
    parent = store.grid()
    store.grid("again", effect={("kmeans", 2): 0.05})
    folder = tmp_path / "runs/clusters/report"
    (folder / "figures").mkdir(parents=True)
    for stale in ("index.html", "figures/gone.svg", "notes.txt"):
        (folder / stale).write_text("of another day\n")
        store.client.log_artifact(parent, str(folder / stale), f"report/{stale}".rsplit("/", 1)[0])
    analyse("clusters", "--compare-to", "again")  # the other name of --against
    assert "tables/shared_again.csv" in files_of(store, parent)
    analyse("clusters")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == files_of(store, parent)
    assert not {"index.html", "figures/gone.svg", "tables/shared_again.csv"} & files
    assert "notes.txt" in files  # what others put there is theirs


def test_the_csv_table_has_the_literature_beside_the_row_that_stands_for_its_variant(
    store, analyse, tmp_path
):
    parent = store.study()
    for seed, value in enumerate((0.1, 0.2, 0.3), start=1):
        store.trial(parent, seed, store.params("kmeans", 2, seed), best=value, test=value)
    store.trial(parent, 9, store.params("kmeans", 3, 1), best=0.01, test=0.01)
    analyse("clusters")
    with (tmp_path / "runs/clusters/report/table.csv").open() as file:
        first, other = csv.DictReader(file)
    theirs = float(first["test/recall@20 paper"])
    assert float(first["test/recall@20 minus paper"]) == pytest.approx(0.2 - theirs)
    assert first["test/recall@20 outside by paper"] == "false"
    assert {value for key, value in other.items() if "paper" in key} == {""}


def test_one_figure_is_drawn_alone_and_an_unknown_one_lists_the_nearest(store, tmp_path, capsys):
    store.grid()
    arguments = ["clusters", "--tracking-uri", store.uri, "--runs-dir", str(tmp_path / "runs")]
    assert main([*arguments, "--figure", "divergence"]) == 0
    drawn = capsys.readouterr().out.split()
    assert [line.rsplit("/", 1)[-1] for line in drawn] == ["divergence.svg", "divergence.png"]
    assert main([*arguments, "--figure", "divergance"]) == 2
    assert "nearest are divergence" in capsys.readouterr().err
    assert main([*arguments, "--figure", "pruning_saved"]) == 2
    assert "needs pruned and complete trials" in capsys.readouterr().err


def test_unknown_study_is_one_sentence_with_the_nearest_names(store, analyse):
    store.study("clusters")
    store.study("clusters_2")
    store.study("patience")
    code, out, err = analyse("cluster")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the nearest names are clusters, clusters_2." in err


def test_study_without_a_complete_trial_is_one_sentence(store, analyse):
    parent = store.study("young")
    store.trial(parent, 0, {"seed": 1}, state="running", curve=[0.5])
    code, out, err = analyse("young")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no result to show: 0 of 1 trials complete; 1 missing: 1 running." in err


def test_missing_database_is_one_sentence_and_is_not_created(tmp_path, capsys):
    missing = tmp_path / "none.db"
    assert main(["x", "--tracking-uri", f"sqlite:///{missing}"]) == 2
    assert "No MLflow database" in capsys.readouterr().err
    assert not missing.exists()


def test_folder_that_cannot_be_written_is_one_sentence(store, capsys, tmp_path):
    store.grid()
    (tmp_path / "file").write_text("")
    arguments = ["clusters", "--tracking-uri", store.uri, "--runs-dir", str(tmp_path / "file")]
    arguments.append("--no-figures")
    assert main(arguments) == 2
    assert "choose another --runs-dir" in capsys.readouterr().err


def test_help_imports_neither_mlflow_nor_plots():
    code = (
        "import sys\nfrom analysis.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'mlflow', 'matplotlib', 'numpy', 'torch', 'ray', 'optuna'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "STUDY" in done.stdout
