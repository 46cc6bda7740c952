"""Registration: the winner becomes a version that MLflow serves, the champion if confirmed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

import tune_runner
from diffrec.data import load_dataset
from diffrec.errors import UserError
from planted_study import (
    CONTROL,
    WINNER,
    PlantedStudy,
    histories,
    planted_results,
    recommended,
    train,
)
from tune_runner.cli import main
from tune_runner.study.names import check_model_name
from tune_runner.tracking.winner import judge_winner, read_recorded, winning_trials
from tune_runner.tracking_uri import update_artifact_locations


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The checkpoint of the winner."""
    quick = ("training.max_epochs=1", "training.eval_every=1")
    return train(tmp_path_factory.mktemp("trained"), "L-DiffRec", *quick)


@pytest.fixture(scope="module")
def place(tmp_path_factory, checkpoint, empty_database):
    """A folder with a study `first`, confirmed to be better than its control."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copy(empty_database, folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    planted_results(folder, uri, "first").write(checkpoint, of=1)
    return folder


@pytest.fixture(scope="module")
def first(place):
    """The first registration of the study, by the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return tune_runner.register("first", "films & more")


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    mlflow.set_tracking_uri(None)


def load(uri):
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    return mlflow.pyfunc.load_model(uri)


def test_a_confirmed_winner_is_the_first_champion(first, here):
    assert (first.version, first.is_champion, first.trial) == ("1", True, 1)
    assert first.reason.startswith("On fresh seeds it is better than the control Popularity: test/")
    version = here.get_model_version_by_alias("films & more", "champion")
    assert (version.version, version.run_id) in (("1", first.run_id), (1, first.run_id))
    tags = version.tags
    assert (tags["study"], tags["trial_number"], tags["dataset"]) == ("first", "1", "embedded")
    assert tags["dataset_sha256"] == load_dataset("embedded").sha256
    assert tags["champion_reason"] == first.reason
    (logged,) = here.search_logged_models([here.get_run(first.run_id).info.experiment_id])
    assert (f"models:/{logged.model_id}", str(logged.status)) == (version.source, "READY")
    (shown,) = json.loads(logged.tags["mlflow.modelVersions"])
    assert (shown["name"], str(shown["version"])) == ("films & more", "1")
    assert logged.source_run_id == first.run_id


def test_the_schema_says_what_goes_in_and_out(first, here):
    model = load(first.uri)
    signature = model.metadata.signature.to_dict()
    long, double = {"type": "long"}, {"type": "double"}
    column = {"type": "array", "required": True}
    assert json.loads(signature["inputs"]) == [{**column, "items": long, "name": "history"}]
    assert json.loads(signature["outputs"]) == [
        {**column, "items": long, "name": "items"},
        {**column, "items": double, "name": "scores"},
    ]
    (k,) = json.loads(signature["params"])
    assert (k["name"], k["default"], k["type"]) == ("k", 20, "long")
    assert model.metadata.metadata["dataset_digest"] == load_dataset("embedded").sha256[:12]
    example = model.input_example
    assert model.predict(example)["items"].map(len).tolist() == [20, 20]
    carried = {path.name for path in Path(artifacts(first, here)).joinpath("code").iterdir()}
    assert carried == {"diffrec"}


def artifacts(done, client):
    """Folder of a registered version."""
    uri = client.get_model_version_download_uri(done.name, done.version)
    return uri.removeprefix("file://")


def test_a_thousand_lists_are_those_of_recommend(first, here, checkpoint, tmp_path):
    dataset = load_dataset("embedded")
    lists = histories(1000, dataset.num_items, np.random.default_rng(5), dataset.train)
    found = load(f"models:/{first.name}@champion").predict(pd.DataFrame({"history": lists}))
    items = [[str(item) for item in row] for row in found["items"]]
    assert len(items) == 1000
    assert items == recommended(checkpoint, lists, tmp_path)


def test_requirements_are_pinned_and_few(first, here):
    lines = Path(artifacts(first, here), "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {
        *("mlflow", "numpy", "pandas", "psutil", "torch")
    }
    assert all("==" in line and "+" not in line for line in lines)


def test_the_same_again_is_a_second_version_and_no_champion(first, here, capsys):
    capsys.readouterr()
    assert main(["--register", first.name, "--study", "first"]) == 0
    said = capsys.readouterr().out
    assert "registered models:/films & more/2: trial 0001 of study first" in said
    assert "no: It has the very configuration of the champion, version 1." in said
    assert "-m 'models:/films & more/2'" in said
    assert str(here.get_model_version_by_alias(first.name, "champion").version) == "1"


def test_a_better_one_takes_the_alias_and_a_moved_store_keeps_its_models(
    first, here, place, checkpoint, tmp_path
):
    uri = f"sqlite:///{place / 'mlflow.db'}"
    winner = {"variant": "L-DiffRec", "training.learning_rate": 0.001}
    planted_results(place, uri, "second", ours=0.4, rival=0.3, winner=winner).write(checkpoint)
    second = tune_runner.register("second", first.name)
    assert second.is_champion
    assert second.reason.startswith("On fresh seeds it is better than the champion, version 1: ")
    version = here.get_model_version_by_alias(first.name, "champion").version
    assert str(version) == second.version
    moved = tmp_path / "moved"
    shutil.copytree(place, moved)
    update_artifact_locations(moved / "mlflow.db")
    client = MlflowClient(f"sqlite:///{moved / 'mlflow.db'}")
    assert artifacts(second, client).startswith(str(moved))
    (model,) = client.search_logged_models(
        [client.get_run(second.run_id).info.experiment_id],
        filter_string=f"source_run_id = '{second.run_id}'",
    )
    assert model.artifact_location.startswith(moved.as_uri())


def judged(folder, uri, name, champion=None, **more):
    """The judgement on a planted study; `champion` is another one."""
    client = MlflowClient(uri)

    def recorded(study):
        run = max(
            client.search_runs(["1"], f"tags.study = '{study}' and tags.kind = 'study'"),
            key=lambda run: run.info.start_time,
        )
        return read_recorded(client, run)

    planted_results(folder, uri, name, **more).write()
    study = recorded(name)
    against = None
    if champion is not None:
        theirs = recorded(champion)
        against = ("7", theirs, winning_trials(theirs)[0])
    return judge_winner(study, winning_trials(study)[0], against)


OTHER = {"variant": "DiffRec"}
BESIDE = {"champion": "first", "winner": OTHER, "other": WINNER, "control": WINNER}
BESIDE |= {"first_seed": 30}
"""A study with other seeds than the champion's, which it runs as its own control."""


@pytest.mark.parametrize(
    ("name", "more", "is_better", "words"),
    [
        ("better", {}, True, "better than the control Popularity: test/recall@20 +0.1"),
        ("worse", {"ours": 0.1}, False, "worse than the control Popularity"),
        ("equal", {"ours": 0.2001}, False, "not shown to be better than the control"),
        ("none", {"ours": None}, False, "not run on fresh seeds"),
        ("over", {"champion": "first", "winner": OTHER, "ours": 0.4}, True, "champion, version 7"),
        ("as", {"champion": "first", "winner": OTHER, "ours": 0.3}, False, "within noise"),
        ("under", {"champion": "first", "winner": OTHER, "ours": 0.25}, False, "worse than the"),
        ("won", {"control": WINNER}, True, "it is better than Popularity: test/"),
        ("none named", {"control": None}, True, "it is better than Popularity: test/"),
        ("beside", {**BESIDE, "ours": 0.4}, True, "better than the champion, version 7: test/"),
        ("apart", {**BESIDE, "other": CONTROL}, False, "have 0 fresh seeds in common"),
        ("itself", {"champion": "first", "ours": 0.5}, False, "very configuration"),
    ],
)
def test_fresh_seeds_decide(place, name, more, is_better, words):
    found = judged(place, f"sqlite:///{place / 'mlflow.db'}", f"judged {name}", **more)
    assert found.is_better is is_better, found.reason
    assert words in found.reason
    assert found.reason.count(". ") == 0


def test_other_data_and_a_champion_without_fresh_seeds_compare_nothing(place, tmp_path):
    uri = f"sqlite:///{place / 'mlflow.db'}"
    data = own_data(tmp_path)
    other = judged(place, uri, "other data", "first", winner=OTHER, dataset="mine", data_dir=data)
    assert not other.is_better
    assert "other data than the champion, version 7 (dataset mine and embedded)" in other.reason
    planted_results(place, uri, "unconfirmed", ours=None).write()
    lone = judged(place, uri, "lone", "unconfirmed", winner=OTHER)
    assert not lone.is_better
    assert "have 0 fresh seeds in common" in lone.reason


def test_the_best_single_trial_is_not_the_confirmed_cell(place):
    uri = f"sqlite:///{place / 'mlflow.db'}"
    study = planted_results(place, uri, "lucky")
    study.add(OTHER, {1: (0.27, 0.3), 2: (0.5, 0.3)}).add(WINNER, {2: (0.6, 0.3), 3: (0.0, 0.3)})
    study.write()
    client = MlflowClient(uri)
    run = client.search_runs(["1"], "tags.study = 'lucky' and tags.kind = 'study'")[0]
    recorded = read_recorded(client, run)
    found = judge_winner(recorded, winning_trials(recorded)[0], None)
    assert not found.is_better
    assert "best single trial, but the best mean over seeds" in found.reason


def own_data(folder):
    """A dataset of 40 users and 30 films with names, `mine`."""
    pairs = np.array([(user, (7 * user + step) % 30) for user in range(40) for step in range(12)])
    mine = folder / "data" / "mine"
    mine.mkdir(parents=True)
    for name, (low, high) in {"train": (0, 10), "valid": (10, 11), "test": (11, 12)}.items():
        position = np.arange(len(pairs)) % 12
        np.save(mine / f"{name}_list.npy", pairs[(low <= position) & (position < high)])
    np.save(mine / "item_ids.npy", np.array([f"film {n}" for n in range(30)]))
    np.save(mine / "user_ids.npy", np.arange(40))
    return folder / "data"


SPACE = """
from dataclasses import dataclass
from typing import ClassVar

from diffrec.config import ExternalConfig
from search_spaces import Choice, SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class CountsConfig(ExternalConfig):
    name: ClassVar[str] = "SpaceCounts"
    model: ClassVar[str] = "served_counts:Counts"


SPACE = SearchSpace(
    name="served", question="?", domains={"variant": Choice(CountsConfig, "NotInstalledThere")},
)
"""
COUNTS = """
import numpy as np
import torch
from served_helper import {name}
from diffrec.models.base import Recommender


class Counts(Recommender):
    def __init__(self, config, num_items):
        super().__init__(config, num_items)
        self.register_buffer("counts", torch.zeros(num_items))

    def fit(self, train):
        self.counts.copy_(torch.from_numpy(np.bincount(train.indices, minlength=self.num_items)))

    def scores(self, history, users):
        return shifted(self.counts).expand(len(users), -1)
"""
HELPER = "import yaml\n\n\ndef shifted(counts):\n    return counts + len(yaml.safe_load('[1]'))\n"


@pytest.fixture
def from_file(tmp_path, monkeypatch, empty_database):
    """A study of a recommender that stands in a space file, on a dataset with text ids."""
    from diffrec import user_code
    from diffrec.config import external
    from diffrec.training.checkpoint import Checkpoint, write_checkpoint

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    data = own_data(tmp_path)
    (tmp_path / "served_space.py").write_text(SPACE.replace(', "NotInstalledThere"', ""))
    (tmp_path / "served_counts.py").write_text(COUNTS.format(name="shifted"))
    (tmp_path / "served_helper.py").write_text(HELPER)
    module = user_code.load_file(tmp_path / "served_space.py")
    (tmp_path / "served_space.py").write_text(SPACE)
    external.register(module.CountsConfig)
    dataset, config = load_dataset("mine", data), module.CountsConfig()
    from diffrec.training.factory import build_model

    model = build_model(config, dataset.tuning_split())
    model.fit(dataset.train)
    write_checkpoint(tmp_path / "model.pt", Checkpoint(config, model.state_dict()))
    shutil.copy(empty_database, tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    winner = {"variant": "SpaceCounts"}
    study = planted_results(tmp_path, uri, "s", winner=winner, dataset="mine", data_dir=data)
    study.write(tmp_path / "model.pt", of=1)
    yield dataset
    external._REGISTERED.pop("SpaceCounts", None)
    for name in ("user_space_served_space", "served_counts", "served_helper"):
        sys.modules.pop(name, None)
    mlflow.set_tracking_uri(None)


ALONE = """
import json, sys
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = pandas.DataFrame({"history": json.load(sys.stdin)})
json.dump([list(row) for row in model.predict(frame, params={"k": 3})["items"]], sys.stdout)
"""


def test_a_recommender_of_a_space_file_travels_with_what_it_imports(from_file, tmp_path):
    done = tune_runner.register("s", "ratings")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    folder = shutil.copytree(artifacts(done, client), tmp_path / "elsewhere" / "model")
    carried = {path.name for path in (folder / "code").iterdir()}
    assert carried == {
        *("diffrec", "search_spaces", "user_space_served_space.py"),
        *("served_counts.py", "served_helper.py"),
    }
    lines = (folder / "requirements.txt").read_text().split()
    required = {line.partition("==")[0] for line in lines}
    assert "PyYAML" in required
    for name in ("served_space.py", "served_counts.py", "served_helper.py"):
        (tmp_path / name).unlink()
    asked = [["film 3", "film 4"], ["film 9"]]
    answer = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(folder)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=tmp_path / "elsewhere",
        check=True,
    )
    counts = np.bincount(from_file.train.indices, minlength=30)
    for history, items in zip(asked, json.loads(answer.stdout), strict=True):
        values = {f"film {n}": c for n, c in enumerate(counts) if f"film {n}" not in history}
        assert [values[item] for item in items] == sorted(values.values(), reverse=True)[:3]


def test_what_cannot_be_carried_is_refused(from_file, tmp_path, capsys):
    (tmp_path / "served_helper.py").write_text(f"import tune_runner\n{HELPER}")
    assert main(["--register", "ratings", "--study", "s"]) == 2
    said = capsys.readouterr().err
    assert "SpaceCounts cannot be carried into MLflow's registry, since served_helper" in said
    assert said.count("\n") == 1
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.search_registered_models() == []
    assert client.search_logged_models(["1"]) == []


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "with blank",
        "a'b",
        'a"b',
        "ü-名前",
        "a#b",
        "a%20b",
        "100%",
        "😀",
        "-x",
        "a;b",
        "$x",
    ],
)
def test_names_that_mlflow_can_load_again_are_taken(name):
    check_model_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a/b", "a:b", "a?b", "a@b", ".", "..", "..a", "a\nb", "a\tb", "a\x00b"),
        *("\udcff", "a\u200bb", " a", "a ", "x" * 257),
    ],
)
def test_names_that_mlflow_refuses_or_cannot_load_are_refused(name, here, capsys):
    capsys.readouterr()
    assert main([f"--register={name}", "--study", "first"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: A registered model's name must")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--register", "m", "--study", "frist"], "did you mean 'first'"),
        (["--study", "first"], "--study needs --register"),
        (["--register", "m", "--study", "first", "--confirm", "3"], "--confirm has no effect with"),
        (["--register", "m", "--study", "first", "--resume", "first"], "--resume has no effect"),
        (["--register", "m", "--space", "smoke", "--dry-run"], "no effect with --dry-run"),
        (["--register", "a/b", "--space", "smoke"], "must fit into models:/NAME@champion"),
        (["--register", "a/b", "--resume", "first"], "must fit into models:/NAME@champion"),
        (["--register", "m", "--study", "unfinished"], "has no finished trial with a result"),
        (["--register", "m", "--study", "lost"], "checkpoint of trial 0001, the best of study"),
        (["--register", "m", "--study", "folderless"], "No study named 'folderless'"),
    ],
)
def test_what_cannot_be_registered_is_one_sentence(
    place, here, capsys, arguments, words, checkpoint
):
    uri = f"sqlite:///{place / 'mlflow.db'}"
    study = arguments[-1]
    if study == "unfinished":
        PlantedStudy("runs", uri, study).add(WINNER, {1: (None, None)}).write(checkpoint, of=0)
    elif study == "lost":
        planted_results(place, uri, study).write(checkpoint, of=0)
    elif study == "folderless":
        planted_results(place, uri, study).write()
        shutil.rmtree(place / "runs" / study)
    before = sorted(place.rglob("*"))
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(place.rglob("*")) == before


def test_a_store_without_a_registry_is_refused(place, here, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "ftp://nowhere")
    assert main(["--register", "m", "--study", "first"]) == 2
    said = capsys.readouterr().err
    assert "does not take 'm' into a registry of models" in said
    assert said.count("\n") == 1


def test_a_dataset_that_has_changed_is_refused(from_file, tmp_path):
    mine = tmp_path / "data" / "mine"
    valid = np.load(mine / "valid_list.npy")
    np.save(mine / "valid_list.npy", valid[:-1])
    with pytest.raises(UserError, match="is not what study 's' was run on"):
        tune_runner.register("s", "ratings")
