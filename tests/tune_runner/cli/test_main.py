"""The command line: quick answers without engines, and every fault one sentence."""

import subprocess
import sys

import numpy as np
import pytest

from tune_runner.cli import arguments, main

ENGINES = ("torch", "ray", "optuna", "mlflow")
OWN = """
from search_spaces import Choice, LogUniform, SearchSpace
SPACE = SearchSpace(name="own", question="?", variant="DiffRec", strategy="tpe", trials=3,
                    domains={"training.learning_rate": LogUniform(1e-4, 1e-2)})
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--list"], ["--space", "clustering_ablation", "--dry-run"]],
)
def test_quick_answers_import_no_engine(arguments):
    code = (
        "import sys\nfrom tune_runner.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"found = [name for name in {ENGINES!r} if name in sys.modules]\n"
        "sys.stderr.write(' '.join(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout


def test_a_dry_run_shows_the_trials_and_touches_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--space", "clustering_ablation", "--dry-run", "--seed", "7", "--seeds", "2"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "34 (17 cells, seeds 7, 8; nothing is pruned)" in shown
    assert "29 more; all 34 configurations valid" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_an_own_sampled_space(capsys, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    assert main(["--space", str(path), "--dry-run", "--trials", "4"]) == 0
    assert "4 (tpe sampler, seed 1" in capsys.readouterr().out


def test_a_dry_run_says_what_is_fused(capsys):
    arguments = ["--space", "smoke", "--dry-run", "--fuse"]
    assert main([*arguments, "8"]) == 0
    assert "fuse      up to 8 trials as one computation" in capsys.readouterr().out
    assert main([*arguments, "auto"]) == 0
    assert "as many trials as speed it up" in capsys.readouterr().out


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A dataset of 40 users and 30 items, `mine`, among the datasets of the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFREC_DATA", raising=False)
    pairs = np.array([(user, (7 * user + step) % 30) for user in range(40) for step in range(12)])
    (tmp_path / "data" / "mine").mkdir(parents=True)
    for name, (low, high) in {"train": (0, 10), "valid": (10, 11), "test": (11, 12)}.items():
        position = np.arange(len(pairs)) % 12
        part = pairs[(low <= position) & (position < high)]
        np.save(tmp_path / "data" / "mine" / f"{name}_list.npy", part)
    return ["--dataset", "mine", "--dry-run"]


def test_a_dry_run_says_which_preset_an_own_dataset_starts_from(own_data, capsys):
    assert main(["--space", "baselines", *own_data]) == 0
    shown = capsys.readouterr().out
    assert "MultVAE: its usual values, the same on every published dataset; an epoch has 1" in shown
    assert main(["--space", "clustering_ablation", *own_data]) == 0
    shown = capsys.readouterr().out
    assert "nothing is published for L-DiffRec on mine; values of ml-1m_clean" in shown
    assert "patience is 300 epochs, validation every 75, at most 15,000" in shown
    assert "(5,949 users, 2,810 items, density 2.41%; here 40 users, 30 items" in shown
    assert main(["--space", "clustering_ablation", *own_data, "--preset-of", "yelp_clean"]) == 0
    shown = capsys.readouterr().out
    assert "values of yelp_clean (the released checkpoint's name); an epoch has 1 step in" in shown
    assert "nearest" not in shown


def test_a_preset_can_be_chosen_for_a_dataset_that_has_its_own(own_data, capsys):
    chosen = ["--space", "noise_schedule", "--dry-run", "--preset-of", "ml-1m_clean"]
    assert main(chosen) == 0
    assert "values of ml-1m_clean" in capsys.readouterr().out


def test_the_presets_of_the_reproduction_study_are_chosen_by_their_name(capsys):
    space = ["--space", "reproduction", "--dry-run", "--preset", "report"]
    assert main(space) == 0
    shown = capsys.readouterr().out
    assert (
        "the report has nothing for DiffRec on embedded; values of ml-1m_clean (the repro" in shown
    )


def test_few_epochs_are_validated_on_an_own_dataset_too(own_data, capsys):
    arguments = ["--space", "clustering_ablation", *own_data, "--max-epochs"]
    assert main([*arguments, "10"]) == 0
    assert main([*arguments, "3"]) == 2
    assert "eval_every <= training.max_epochs" in capsys.readouterr().err


def test_the_flags_are_frozen():
    """A new flag is a deliberate act: it changes this list."""
    flags = {a.option_strings[-1] for a in arguments.parser()._actions}
    assert sorted(flags) == [
        "--add-trials",
        "--address",
        "--checkpoints",
        "--confirm",
        "--cpus-per-trial",
        "--data-dir",
        "--dataset",
        "--dry-run",
        "--from",
        "--fuse",
        "--gpus-per-trial",
        "--help",
        "--json",
        "--list",
        "--max-concurrent",
        "--max-cost",
        "--max-epochs",
        "--max-hours",
        "--max-kwh",
        "--max-trials",
        "--name",
        "--patience",
        "--precision",
        "--preset",
        "--preset-of",
        "--price",
        "--probe",
        "--protocol",
        "--pruner",
        "--register",
        "--resources",
        "--resume",
        "--retry-failed",
        "--runs-dir",
        "--sampler",
        "--seed",
        "--seeds",
        "--space",
        "--status",
        "--storage",
        "--study",
        "--trials",
    ]


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A working directory with faulty datasets, spaces and a study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFREC_DATA", raising=False)
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    for name in ("torn", "floats", "partial"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for part in ("train", "valid", "test"):
            np.save(folder / f"{part}_list.npy", pairs)
    torn = tmp_path / "data" / "torn" / "train_list.npy"
    torn.write_bytes(torn.read_bytes()[:-8])
    np.save(tmp_path / "data" / "floats" / "valid_list.npy", pairs.astype(float))
    (tmp_path / "data" / "partial" / "test_list.npy").unlink()
    spaces = {
        "own": OWN,
        "typo": OWN.replace("learning_rate", "learnin_rate"),
        "noise": OWN.replace(
            '"training.learning_rate": LogUniform(1e-4, 1e-2)',
            '"diffusion.noise_min": Choice(0.1), "diffusion.noise_max": Choice(0.01)',
        ),
        "steps": OWN.replace(
            '"training.learning_rate": LogUniform(1e-4, 1e-2)', '"diffusion.num_steps": Choice(0)'
        ),
        "closed": OWN.replace('"DiffRec"', '"EASE"').replace("training.learning_rate", "half_life"),
        "broken": "SPACE = ",
    }
    for name, text in spaces.items():
        (tmp_path / f"{name}.py").write_text(text)
    study = tmp_path / "runs" / "taken"
    study.mkdir(parents=True)
    (study / "study.json").write_text('{"space": {"name": "smoke"}, "settings": {}}')
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "study.json").write_text("{")
    return tmp_path


CLOSED_STORE = "s3://b/p?scheme=http&endpoint_override=127.0.0.1:1&region=us-east-1"
SMOKE = ["--space", "smoke"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Nothing to study"),
        (["--space", "smokke"], "did you mean 'smoke'"),
        (["--space", "missing.py"], "No space file"),
        (["--space", "broken.py"], "SyntaxError"),
        (["--space", "typo.py"], "did you mean 'training.learning_rate'"),
        (["--space", "noise.py"], "noise_min <= diffusion.noise_max"),
        (["--space", "steps.py"], "num_steps >= 1"),
        (["--space", "own.py", "--sampler", "grid"], "finite domains"),
        ([*SMOKE, "--dataset", "ml1m"], "was not found"),
        ([*SMOKE, "--dataset", "ml-1m_clean"], "was not found in"),
        ([*SMOKE, "--dataset", "torn", "--data-dir", "nowhere"], "must be a folder"),
        ([*SMOKE, "--dataset", "torn"], "train_list.npy"),
        ([*SMOKE, "--dataset", "floats"], "valid_list.npy"),
        ([*SMOKE, "--dataset", "partial"], "test_list.npy"),
        ([*SMOKE, "--protocol", "random"], "published or chronological"),
        ([*SMOKE, "--trials", "0"], "--trials must be 1 or more"),
        ([*SMOKE, "--trials", "many"], "invalid int value"),
        ([*SMOKE, "--seeds", "0"], "--seeds must be 1 or more"),
        ([*SMOKE, "--seed", "-1"], "--seed must be 0 or more"),
        ([*SMOKE, "--max-epochs", "1"], "eval_every <= training.max_epochs"),
        ([*SMOKE, "--patience", "0"], "--patience must be 1 or more"),
        ([*SMOKE, "--precision", "bf61"], "did you mean 'bf16'"),
        ([*SMOKE, "--preset-of", "yelp"], "did you mean 'yelp_clean'"),
        ([*SMOKE, "--preset-of", "mine"], "Nothing is published for DiffRec on 'mine'"),
        (["--space", "forecasting", "--preset-of", "yelp_clean"], "leave it out"),
        (["--space", "forecasting", "--preset", "report"], "leave it out"),
        ([*SMOKE, "--preset", "reports"], "did you mean 'report'"),
        (["--resume", "taken", "--preset", "report"], "cannot be changed"),
        (["--resume", "taken", "--preset-of", "yelp_clean"], "cannot be changed"),
        (["--space", "patience", "--patience", "5"], "searches `training.patience`"),
        ([*SMOKE, "--max-concurrent", "0"], "--max-concurrent must be 1 or more"),
        ([*SMOKE, "--cpus-per-trial", "0"], "--cpus-per-trial must be above 0"),
        ([*SMOKE, "--cpus-per-trial", "1000"], "but there are"),
        ([*SMOKE, "--gpus-per-trial", "-1"], "--gpus-per-trial must be 0 or more"),
        ([*SMOKE, "--gpus-per-trial", "1000"], "but there are"),
        ([*SMOKE, "--pruner", "medain"], "did you mean 'median'"),
        ([*SMOKE, "--sampler", "gird"], "did you mean 'grid'"),
        ([*SMOKE, "--name", "a/b"], "plain folder name"),
        ([*SMOKE, "--name", "taken"], "is another one: space"),
        ([*SMOKE, "--runs-dir", "own.py", "--name", "x"], "cannot be written"),
        ([*SMOKE, "--address", "127.0.0.1:1"], "No Ray cluster answers"),
        ([*SMOKE, "--address", "ray://127.0.0.1:1"], "paths are the cluster's, so --runs-dir"),
        ([*SMOKE, "--runs-dir", "/r", "--address", "ray://127.0.0.1:1"], "No Ray cluster answers"),
        ([*SMOKE, "--storage", "postgres://u@h/d"], "did you mean 'postgresql'"),
        ([*SMOKE, "--storage", "mysql://u:secret@h/d"], "for PostgreSQL only"),
        ([*SMOKE, "--storage", "sqlite:////nowhere/x.db"], "does not answer"),
        ([*SMOKE, "--learning-rate", "1"], "unrecognized arguments"),
        ([*SMOKE, "--gpus-per-trial", "many"], "a number or auto"),
        ([*SMOKE, "--gpus-per-trial", "auto"], "but there are 0"),
        ([*SMOKE, "--fuse", "0"], "--fuse must be 1 or more"),
        ([*SMOKE, "--from", "old"], "--start-from gives a sampler points to begin with"),
        (
            ["--space", "joint", "--sampler", "cmaes"],
            "`variant` of space 'joint' has listed values",
        ),
        (["--space", "joint", "--sampler", "no_module:Mine"], "there is no module 'no_module'"),
        ([*SMOKE, "--fuse", "1.5"], "a whole number or auto"),
        (["--space", "closed.py", "--fuse", "4"], "EASE cannot be fused"),
        ([*SMOKE, "--resources", "[1]"], "must be a JSON object"),
        ([*SMOKE, "--resources", '{"CPU": 1}'], "have --cpus-per-trial"),
        ([*SMOKE, "--resources", '{"tpu": 1}'], "'tpu' per trial were requested, but there are 0"),
        ([*SMOKE, "--max-hours", "0"], "--max-hours must be a number above 0"),
        ([*SMOKE, "--max-trials", "0"], "--max-trials must be 1 or more"),
        ([*SMOKE, "--confirm", "0"], "--confirm must be 1 or more"),
        ([*SMOKE, "--add-trials", "3"], "--add-trials needs --resume"),
        ([*SMOKE, "--retry-failed"], "--retry-failed needs --resume"),
        ([*SMOKE, "--runs-dir", "s3://bucket/runs"], "give the object store as --checkpoints"),
        ([*SMOKE, "--checkpoints", "folder"], "must be the URL of an object store"),
        ([*SMOKE, "--checkpoints", "ftp://host/x"], "s3://bucket/path or"),
        ([*SMOKE, "--checkpoints", "s3://key:word@b/p"], "must not hold a password"),
        ([*SMOKE, "--checkpoints", CLOSED_STORE], "Checkpoints cannot be kept at"),
        (["--resume", "taken", "--checkpoints", "s3://b/p"], "cannot be changed"),
        ([*SMOKE, "--probe"], "--probe needs --dry-run"),
        ([*SMOKE, "--dry-run", "--probe", "--address", "auto"], "--probe measures this machine"),
        ([*SMOKE, "--json"], "--json needs --list, --dry-run or --status"),
        (["--status", "takne"], "did you mean 'taken'"),
        (["--resume", "takne"], "did you mean 'taken'"),
        (["--resume", "damaged"], "is damaged"),
        (["--resume", "taken", "--seeds", "4"], "cannot be changed"),
    ],
)
def test_a_fault_of_the_user_is_one_sentence(workdir, capsys, arguments, words):
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert words in output.err
    assert "Traceback" not in output.err
    assert "torch" not in output.out


def test_a_submitted_job_uses_the_cluster_that_ray_names(workdir, capsys, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert main(SMOKE) == 2
    output = capsys.readouterr().err
    assert "No Ray cluster answers at '127.0.0.1:1', which RAY_ADDRESS names (" in output
    assert "start one or unset RAY_ADDRESS" in output
    assert "--address" not in output


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
@pytest.mark.parametrize("variable", [True, False])
def test_a_refused_address_is_named_as_it_was_given(
    workdir, capsys, monkeypatch, address, variable
):
    monkeypatch.setenv("RAY_ADDRESS", address if variable else "127.0.0.1:2")
    flag = [] if variable else ["--address", address]
    for more in (["--runs-dir", "/tmp/r"], ["--dry-run", "--probe"], ["--runs-dir", "r"]):
        assert main([*SMOKE, *flag, *more]) == 2
        output = capsys.readouterr().err
        assert address in output
        assert ("RAY_ADDRESS" in output, "--address" in output) == (variable, not variable)


@pytest.mark.parametrize("text", ["", "local"])
def test_this_machine_is_no_cluster(text, monkeypatch):
    assert arguments.parser().parse_args(["--address", text]).address is None
    monkeypatch.setenv("RAY_ADDRESS", text)
    assert arguments.parser().parse_args([]).address is None
