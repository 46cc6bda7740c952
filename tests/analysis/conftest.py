"""Real MLflow stores with exactly the contract's records, written by MlflowClient."""

import json
import shutil
import time
from pathlib import Path

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

SPACE = {
    "name": "clustering_ablation",
    "question": "Does clustering matter?",
    "variant": "L-DiffRec",
    "domains": {
        "autoencoder.clustering": {"kind": "choice", "values": ["kmeans", "gaussian_mixture"]},
        "autoencoder.num_clusters": {"kind": "choice", "values": [1, 2, 10]},
    },
    "control": {"autoencoder.num_clusters": 2, "autoencoder.clustering": "kmeans"},
}


class Store:
    """Writes studies into one database."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment(
            "diffrec", artifact_location=(folder / "mlruns").as_uri()
        )

    @staticmethod
    def params(method, count, seed):
        chosen = {"autoencoder.clustering": method, "autoencoder.num_clusters": count}
        return {key: v for key, v in {**chosen, "seed": seed}.items() if v is not None}

    def grid(self, name="clusters", seeds=(1, 2, 3), effect=None, **tags):
        """A whole study: two methods, counts 1, 2, 10; `effect` adds to a cell's result."""
        parent = self.study(name, **tags)
        cells = [(None, 1), ("gaussian_mixture", 10), ("gaussian_mixture", 2)]
        cells += [("kmeans", 10), ("kmeans", 2)]
        number = 0
        for seed in seeds:
            for i, (method, count) in enumerate(cells):
                value = 0.17 + 0.002 * seed + 0.0003 * ((i * 7 + seed * 3) % 5)
                value += (effect or {}).get((method, count), 0.0) * (1 + 0.01 * seed)
                self.trial(
                    parent,
                    number,
                    self.params(method, count, seed),
                    best=value - 0.03,
                    test=value,
                    curve=[value - 0.05, value - 0.035, value - 0.03],
                    study=name,
                )
                number += 1
        return parent

    def study(self, name="clusters", space=None, **tags) -> str:
        tags = {
            "kind": "study",
            "study": name,
            "space": "clustering_ablation",
            "question": "Does clustering matter?",
            "dataset": "ml-1m_clean",
            "objective": "valid/recall@20",
            "direction": "maximize",
            "sampler": "grid",
            "pruner": "none",
            "state": "complete",
            "command": f"python -m tune_runner --name {name}",
            **tags,
        }
        run = self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id
        self.client.log_text(run, json.dumps(SPACE if space is None else space), "space.json")
        self.client.log_text(run, json.dumps({"cluster": {"cpus": 2}}), "environment.json")
        return run

    def trial(
        self,
        parent,
        number,
        params,
        *,
        state="complete",
        best=None,
        test=None,
        curve=(),
        seconds=10.0,
        study="clusters",
        variant="L-DiffRec",
        **tags,
    ) -> str:
        tags = {
            "kind": "trial",
            "mlflow.parentRunId": parent,
            "study": study,
            "trial_number": str(number),
            "variant": variant,
            "state": state,
            **{key: str(value) for key, value in tags.items()},
        }
        now = int(time.time() * 1000)
        run = self.client.create_run(self.experiment, start_time=now, tags=tags).info.run_id
        metrics = []
        for i, value in enumerate(curve):
            epoch = 5 * (i + 1)
            metrics += [
                Metric("valid/recall_at_20", value, now, epoch),
                Metric("train/loss", 1.0 / epoch, now, epoch),
                Metric("train/epoch_seconds", seconds / 5 / len(curve), now, epoch),
            ]
        if state == "complete":
            metrics += [
                Metric(f"test/{name}_at_{k}", test * scale, now, 0)
                for name, k, scale in (
                    ("recall", 10, 0.6),
                    ("recall", 20, 1.0),
                    ("ndcg", 10, 0.5),
                    ("ndcg", 20, 0.65),
                )
            ]
            metrics += [Metric("best/valid/recall_at_20", best, now, 0)]
            metrics += [Metric("best/epoch", 5.0, now, 0)]
        metrics.append(Metric("cost/seconds", seconds, now, 0))
        self.client.log_batch(
            run,
            metrics=metrics,
            params=[
                Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in params.items()
            ],
            tags=[RunTag("note", "x")],
        )
        status = {"running": "RUNNING", "failed": "FAILED"}.get(state, "FINISHED")
        if status != "RUNNING":
            self.client.set_terminated(run, status, now + int(seconds * 1000))
        return run


@pytest.fixture
def store(tmp_path, empty_database):
    """A store of its own for every test."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Store(tmp_path)
