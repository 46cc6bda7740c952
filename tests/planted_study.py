"""Studies with planted results: real folders and MLflow records, a checkpoint, and no Ray."""

import json
import shutil
import time
from pathlib import Path

from diffrec.__main__ import main as diffrec
from diffrec.data import load_dataset
from tune_runner import schema
from tune_runner.checkpoints.locations import STATE, trial_location
from tune_runner.study.folder import StudyFolder
from tune_runner.tracking.dataset_input import describe_dataset
from tune_runner.tracking.mlflow_writer import MlflowWriter
from tune_runner.tracking_uri import database_path, path_beside

SCORE, TEST = "best/valid/recall@20", "test/recall@20"


def train(out, variant, *settings, dataset="embedded", data_dir=None):
    """Train a model quickly; return its checkpoint."""
    changes = [part for setting in settings for part in ("--set", setting)]
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    command = ["train", "--dataset", dataset, "--variant", variant, "--out", str(out)]
    assert diffrec([*command, *where, *changes]) == 0
    return out / "model.pt"


class PlantedStudy:
    """A complete study of chosen results; the winner's trial has the checkpoint."""

    def __init__(self, runs_dir, uri, name, *, dataset="embedded", data_dir=None, control=None):
        self.folder = StudyFolder(Path(runs_dir), name)
        self._name, self._uri, self._data_dir = name, uri, data_dir
        self._dataset = load_dataset(dataset, data_dir)
        self._trials, self._control = [], control

    def add(self, params, values, *, fresh=False, config=None, **more):
        """Add a trial for each seed; `values` are (validation, test) by seed."""
        for seed, (valid, test) in values.items():
            config = {"seed": seed, **(config or params)}
            self._trials.append((params, seed, valid, test, fresh, {**config, "seed": seed}, more))
        return self

    def write(self, checkpoint=None, of=None):
        """Record everything; put the checkpoint into the folder of trial `of` (the best)."""
        with self.folder as folder:
            folder.begin()
            settings = {"name": self._name, "dataset": self._dataset.name}
            if self._data_dir is not None:
                settings["data_dir"] = str(self._data_dir)
            folder.write({"settings": settings})
        writer = MlflowWriter(self._uri, self._name, self.folder.identity())
        for part in (list(self._messages()), []):
            writer.apply(part)
        scores = [trial[2] for trial in self._trials]
        best = scores.index(max(scores)) if of is None else of
        if checkpoint is not None:
            place = Path(trial_location(str(self.folder.checkpoints), best))
            place.mkdir(parents=True)
            shutil.copy(checkpoint, place / STATE)
        return self

    def _messages(self):
        dataset, now = self._dataset, time.time()
        tags = {
            schema.KIND: "study",
            schema.STUDY: self._name,
            schema.FOLDER: path_beside(database_path(self._uri), self.folder.path),
            schema.OBJECTIVE: "valid/recall@20",
            schema.DIRECTION: "maximize",
            schema.DATASET: dataset.name,
            schema.PROTOCOL: dataset.protocol,
            "dataset_sha256": dataset.sha256,
        }
        space = {"name": "planted", "domains": {}, "control": self._control}
        study = {"tags": tags, "artifacts": {schema.SPACE_FILE: space}}
        study["dataset"] = describe_dataset(dataset, None)
        yield {"what": "study", "time": now, **study}
        for number, (params, seed, valid, test, fresh, config, more) in enumerate(self._trials):
            start = {"name": f"{number:04d}", "params": {**params, "seed": seed}}
            start |= {"config": config, "variant": params.get("variant", "EASE")}
            start |= {"retry_of": None, "role": schema.CONFIRM if fresh else None, "tags": more}
            yield {"what": "start", "time": now, "trial": number, **start}
            state, metrics = "failed", {}
            if valid is not None:
                state, metrics = "complete", {SCORE: valid, TEST: test, "best/epoch": 1.0}
            end = {"state": state, "epoch": 1, "metrics": metrics}
            end |= {"error": None if metrics else "planted", "artifacts": {}}
            yield {"what": "end", "time": now, "trial": number, **end}
        yield {"what": "close", "time": now, "state": "complete"}


NOISE = (0.0, 0.001, -0.0005, 0.0004, -0.0008)
WINNER, CONTROL = {"variant": "L-DiffRec"}, {"variant": "Popularity"}


def _results(level, first_seed, spread=1.0):
    """(validation, test) by seed: a level with some noise."""
    pairs = enumerate(NOISE, start=first_seed)
    return {seed: (level - 0.05 + spread * e, level + spread * e) for seed, e in pairs}


def planted_results(
    folder,
    uri,
    name,
    *,
    ours=0.3,
    rival=0.2,
    winner=WINNER,
    other=CONTROL,
    control=CONTROL,
    first_seed=2,
    **more,
):
    """A study whose winner has `ours` on fresh seeds, and the other cell `rival`."""
    study = PlantedStudy(folder / "runs", uri, name, control=control, **more)
    study.add(other, {1: (0.1, 0.2)}).add(winner, {1: (0.28, 0.33)})
    if ours is not None:
        study.add(other, _results(rival, first_seed), fresh=True)
        spread = 0.5 if winner is WINNER else 0.3
        study.add(winner, _results(ours, first_seed, spread), fresh=True)
    return study


def histories(count, num_items, rng, users=None):
    """Return lists of items: whole histories of users first, then random subsets."""
    lists = [] if users is None else [users.items_of(u).tolist() for u in range(users.num_users)]
    while len(lists) < count:
        lists.append(rng.permutation(num_items)[: rng.integers(1, 30)].tolist())
    return lists[:count]


def recommended(checkpoint, lists, folder, k=20, *more):
    """Return the lists of `diffrec recommend` for histories, as text."""
    folder.mkdir(exist_ok=True)
    asked, answer = folder / "asked.jsonl", folder / "answer.csv"
    asked.write_text("".join(f"{json.dumps(items)}\n" for items in lists))
    command = ["recommend", "--checkpoint", checkpoint, "--histories", asked, "--out", answer]
    assert diffrec([*map(str, command), "-k", str(k), *more]) == 0
    found = {}
    for line in answer.read_text().splitlines()[1:]:
        user, item, _ = line.split(",")
        found.setdefault(user, []).append(item)
    return list(found.values())
