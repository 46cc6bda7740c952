"""What MLflow's lists and comparisons show: cells, the study's best, and views of both."""

import json
import shutil
import subprocess
from dataclasses import replace
from statistics import mean, stdev
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient

from analysis.study.mlflow_reader import read_study
from diffrec.errors import UserError
from search_spaces.objectives import Goals, Objective
from servers import MlflowServer
from tune_runner import schema
from tune_runner.tracking import views
from tune_runner.tracking.mlflow_writer import MlflowWriter
from tune_runner.tracking.summaries import (
    EndedTrial,
    cell_metrics,
    front_trials,
    study_metrics,
)
from tune_runner.tracking.winner import RecordedStudy, winning_trials

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OBJECTIVE = "valid/recall@20"
SCORE = "best/valid/recall_at_20"
TEST = "test/recall_at_20"
PATH = "autoencoder.clustering"
RESULTS = {  # validation by (clustering, seed); None: it failed
    ("kmeans", 1): 0.2,
    ("kmeans", 2): 0.3,
    ("random", 1): 0.1,
    ("random", 2): None,
}


def ended(state="complete", seed="1", score=0.1, *, confirms=False, seconds=1.0, point=None):
    metrics = {SCORE: score, TEST: score + 1, "cost/seconds": seconds}
    params = frozenset({(PATH, f"{score}" if point is None else point)})
    return EndedTrial(f"{score}", state, params, seed, confirms, {}, metrics)


@pytest.mark.parametrize(("maximize", "name"), [(True, "0.3"), (False, "0.2")])
def test_the_study_shows_its_best_complete_trial_of_the_search_and_counts_all(maximize, name):
    trials = [ended(score=0.2), ended(score=0.3, seed="2"), ended("pruned", score=0.9)]
    trials += [ended("failed", score=0.0), ended(score=0.95 if maximize else 0.01, confirms=True)]
    metrics, best = study_metrics(trials, OBJECTIVE, maximize=maximize)
    assert best == name
    assert (metrics[SCORE], metrics[TEST]) == (float(name), float(name) + 1)
    states = ("complete", "pruned", "failed")
    assert [metrics[f"trials/{state}"] for state in states] == [3, 1, 1]
    assert metrics["cost/seconds"] == 5.0


def test_the_front_is_of_points_by_the_means_of_their_seeds():
    goals = Goals((Objective(OBJECTIVE), Objective("valid/gini@20")))
    cover = "best/valid/gini_at_20"
    points = {"a": [(0.3, 0.9), (0.1, 0.9)], "b": [(0.25, 0.8), (0.25, 0.8)], "c": [(0.1, 0.5)]}
    trials = [
        replace(
            ended(seed=str(seed)),
            name=f"{point}{seed}",
            params=frozenset({(PATH, point)}),
            metrics={SCORE: recall, cover: gini},
        )
        for point, seeds in points.items()
        for seed, (recall, gini) in enumerate(seeds)
    ]
    trials.append(replace(ended("failed"), metrics={SCORE: 0.9, cover: 0.1}))
    assert [trial.name for trial in front_trials(trials, goals)] == ["b0", "b1", "c0"]
    metrics, best = study_metrics(trials, OBJECTIVE, maximize=True, goals=goals)
    assert best == "b0"  # a0 is the highest, but its point is not
    assert metrics[cover] == 0.8


def recorded_run(number, point, metrics, **tags):
    tags = {"state": "complete", "trial_number": str(number), **tags}
    data = SimpleNamespace(tags=tags, params={PATH: point, "seed": "1"}, metrics=metrics)
    return SimpleNamespace(data=data, info=SimpleNamespace(run_id=str(number)))


def test_the_winner_with_a_constraint_is_the_best_that_meets_it_and_a_front_has_none():
    cover = "best/valid/coverage_at_20"
    results = {"a": (0.30, 0.1), "b": (0.295, 0.4), "c": (0.2, 0.9)}
    trials = tuple(
        recorded_run(i, point, {SCORE: recall, cover: coverage}, front=str(point == "b").lower())
        for i, (point, (recall, coverage)) in enumerate(results.items())
    )
    tags = {"study": "s", "objective": "valid/coverage@20", "direction": "maximize"}
    tags["constraint"] = "valid/recall@20 within 2 % of the best"
    study = RecordedStudy(None, SimpleNamespace(data=SimpleNamespace(tags=tags)), trials)
    assert [dict(params)[PATH] for params in study.ranked()] == ["b", "a", "c"]
    assert winning_trials(study) == [trials[1]]
    several = json.dumps([Objective(name).to_dict() for name in (OBJECTIVE, "valid/coverage@20")])
    front = SimpleNamespace(data=SimpleNamespace(tags={**tags, "objectives": several}))
    with pytest.raises(UserError, match="several objectives"):
        winning_trials(RecordedStudy(None, front, trials))


@pytest.mark.parametrize(("is_sampled", "score"), [(False, 0.5), (True, 0.25)])
def test_the_study_shows_the_leading_points_mean_and_not_the_luckiest_seed(is_sampled, score):
    """0.9 is the luckiest seed, of a poor point; 0.5 ran with one seed only."""
    trials = [ended(score=0.2, point="a"), ended(score=0.3, seed="2", point="a")]
    trials += [ended(score=0.9, point="b"), ended(score=-0.9, seed="2", point="b")]
    trials += [ended(score=0.5, point="c")]
    metrics, _ = study_metrics(trials, OBJECTIVE, maximize=True, is_sampled=is_sampled)
    assert metrics[SCORE] == score


def test_a_study_without_a_result_has_counts_alone():
    metrics, best = study_metrics([ended("failed")], OBJECTIVE, maximize=True)
    assert best == ""
    assert set(metrics) == {"trials/complete", "trials/pruned", "trials/failed", "cost/seconds"}


def test_a_cell_is_the_mean_over_its_seeds_and_one_seed_has_no_deviation():
    both = cell_metrics([ended(score=0.2), ended(score=0.4, seed="2")], OBJECTIVE)
    assert both[TEST] == pytest.approx(mean((1.2, 1.4)))
    assert both[f"std/{TEST}"] == pytest.approx(stdev((1.2, 1.4)))
    assert both[schema.NUM_SEEDS] == 2
    assert next(iter(both)) == TEST, "the page that compares runs begins with the first metric"
    one = cell_metrics([ended(score=0.2), ended("failed", seed="2", score=0.9)], OBJECTIVE)
    assert (one[TEST], one[schema.NUM_SEEDS]) == (1.2, 1)
    assert not any(name.startswith("std/") for name in one)
    twice = cell_metrics([ended(score=0.2), ended(score=0.4)], OBJECTIVE)
    assert twice[schema.NUM_SEEDS] == 1


def told(identity, seeds="1, 2"):
    """Messages of a study of two cells, as the tracker writes them."""
    dataset = {"name": "d (published)", "digest": "abc", "source_type": "local"}
    dataset |= {"source": "{}", "profile": json.dumps({"num_users": 3})}
    common = {"space": "s", "dataset": "d", "protocol": "published", "mlflow.user": "ann"}
    tags = {"kind": "study", "study": identity, "seeds": seeds, "objective": OBJECTIVE, **common}
    shown = views.study_views(identity, identity, [PATH], OBJECTIVE, maximize=True, seeds=2)
    study = {"tags": tags, "params": {**common, "seeds": seeds}, "artifacts": {}}
    yield {"what": "study", **study, "dataset": dataset, "views": shown}
    for number, ((method, seed), score) in enumerate(RESULTS.items()):
        params = {PATH: method, "seed": seed}
        inherited = {**common, "cell": method, "seed": str(seed)}
        name = schema.run_name(number, {PATH: method}, seed)
        about = {"name": name, "config": {}, "variant": "V", "retry_of": None}
        yield {
            **{"what": "start", "trial": number, "params": params, "tags": inherited},
            **about,
            "dataset": dataset,
        }
        metrics = {"cost/seconds": 2.0}
        if score is not None:
            metrics |= {"best/epoch": 5.0, f"best/{OBJECTIVE}": score, "test/recall@20": score + 1}
        state, error = ("failed", "why") if score is None else ("complete", None)
        end = {"state": state, "epoch": 9, "metrics": metrics, "error": error}
        yield {"what": "end", "trial": number, **end}
    yield {"what": "close", "state": "complete"}


@pytest.fixture(scope="module")
def database(tmp_path_factory, mlflow_database):
    """URI of a database with the study `summed`, sent by three drivers, each cut off elsewhere."""
    messages = [{"time": 1e9 + i, **message} for i, message in enumerate(told("summed"))]
    for stop in (4, 7, len(messages)):
        MlflowWriter(mlflow_database, "summed", "summed").apply(messages[:stop])
    MlflowWriter(mlflow_database, "summed", "summed").apply(messages)
    return mlflow_database


@pytest.fixture(scope="module")
def runs(database):
    """Runs of the study by kind, and the client."""
    client = MlflowClient(database)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    found = client.search_runs([experiment], "tags.study = 'summed'", max_results=100)
    kinds = {kind: [r for r in found if r.data.tags["kind"] == kind] for kind in KINDS}
    assert sum(map(len, kinds.values())) == len(found)
    return client, kinds


KINDS = ("study", "trial", "cell")


def test_each_cell_has_one_run_with_its_means_however_often_it_was_told(runs):
    client, kinds = runs
    cells = {run.data.params[PATH]: run for run in kinds["cell"]}
    assert len(kinds["cell"]) == len(cells) == 2
    kmeans, random = cells["kmeans"].data, cells["random"].data
    assert kmeans.metrics[TEST] == pytest.approx(1.25)
    assert kmeans.metrics[f"std/{TEST}"] == pytest.approx(stdev((0.2, 0.3)))
    assert (random.metrics[TEST], random.metrics[schema.NUM_SEEDS]) == (1.1, 1)
    assert f"std/{TEST}" not in random.metrics
    assert (kmeans.tags["cell"], kmeans.tags["dataset"]) == ("kmeans", "d")
    assert {run.info.status for run in kinds["cell"]} == {"FINISHED"}
    steps = [m.step for m in client.get_metric_history(cells["kmeans"].info.run_id, TEST)]
    assert sorted(steps) == sorted(set(steps))


def test_readers_do_not_take_a_summary_for_a_trial(runs):
    study = read_study(runs[0], "summed", "summed")
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    assert len(study.cells) == 2


def test_the_study_is_found_by_its_result_and_shows_its_dataset_user_and_settings(runs):
    client, kinds = runs
    (study,) = kinds["study"]
    query = f"tags.kind = 'study' and metrics.`{SCORE}` > 0.24 and params.space = 's'"
    experiment = study.info.experiment_id
    assert [r.info.run_id for r in client.search_runs([experiment], query)] == [study.info.run_id]
    assert study.data.metrics[TEST] == 1.25
    assert study.data.metrics["trials/complete"] == 3
    assert study.data.metrics["cost/seconds"] == 8.0
    assert study.data.tags[schema.BEST_TRIAL] == "0001 kmeans·s2"
    assert study.data.tags["mlflow.user"] == "ann"
    for run in (study, *kinds["trial"]):
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("d (published)", "abc")
        assert json.loads(found.dataset.profile) == {"num_users": 3}


def test_a_trial_carries_what_tells_it_from_others_and_was_tested_at_its_best_epoch(runs):
    client, kinds = runs
    run = next(run for run in kinds["trial"] if run.data.tags["trial_number"] == "1")
    wanted = {"cell": "kmeans", "space": "s", "dataset": "d", "protocol": "published", "seed": "2"}
    assert wanted.items() <= run.data.tags.items()
    steps = {
        name: [m.step for m in client.get_metric_history(run.info.run_id, name)]
        for name in (TEST, SCORE, "cost/seconds")
    }
    assert steps == {TEST: [5], SCORE: [5], "cost/seconds": [9]}


def test_another_number_of_seeds_is_told_where_a_parameter_cannot_change(runs, database):
    more = [{"time": 2e9, **message} for message in told("more", "1, 2")][:1]
    MlflowWriter(database, "more", "more").apply(more)
    again = [{"time": 2e9 + 1, **message} for message in told("more", "1, 2, 3")]
    MlflowWriter(database, "more", "more").apply(again)
    query = "tags.study = 'more' and tags.kind = 'study'"
    (run,) = runs[0].search_runs([runs[1]["study"][0].info.experiment_id], query)
    assert run.data.params["seeds"] == "1, 2"
    assert run.data.tags["seeds"] == "1, 2, 3"
    assert run.data.metrics[schema.NUM_SEEDS] == 3


def test_views_of_old_studies_make_room_and_those_of_people_stay(runs):
    client, _ = runs
    experiment = client.create_experiment("views")
    client.set_experiment_tag(experiment, f"{views.TAG}mine", "a person's own")
    for number in range(views.MAX_VIEWS + 3):
        shown = views.study_views("s", f"{number:012d}", ["a"], OBJECTIVE, maximize=True, seeds=1)
        views.save_views(client, experiment, shown, number)
    tags = client.get_experiment(experiment).tags
    kept = sorted(tag for tag in tags if tag.startswith(views.TAG))
    assert len(kept) == views.MAX_VIEWS + 1
    assert views.TAG + views.trials_key(f"{2:012d}") not in kept
    assert views.TAG + views.trials_key(f"{3:012d}") in kept
    assert f"{views.TAG}mine" in kept


@pytest.mark.parametrize(
    ("params", "name", "label"),
    [
        ({"a": "kmeans", "b": 3}, "0007 kmeans·3·s2", "kmeans·3"),
        ({"a": "gaussian_mixture", "b": 10}, "0007 gaus_mixt·10·s2", "gaussian_mixture·10"),
        ({"a": 0.00012345, "b": (200, 600)}, "0007 0.000123·200x600·s2", "0.00012345·200x600"),
        ({}, "0007 s2", "all"),
    ],
)
def test_what_differs_stands_in_the_first_characters_of_a_runs_name(params, name, label):
    assert schema.run_name(7, params, 2) == name
    assert schema.cell_label(params) == label


@pytest.mark.slow
def test_the_link_opens_the_comparison_in_mlflows_page(database, runs, tmp_path):
    """Both views, in a real browser: rows sorted by the objective, and the searched columns."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    experiment = runs[1]["study"][0].info.experiment_id
    server = MlflowServer(database, tmp_path)
    server.start()
    try:
        trials, cells = (
            page(server.uri + views.page_path(experiment, key), tmp_path)
            for key in (views.trials_key("summed"), views.cells_key("summed"))
        )
    finally:
        server.stop()
    names = ["0001 kmeans·s2", "0000 kmeans·s1", "0002 random·s1", "0003 random·s2"]
    assert positions(trials, names) == sorted(positions(trials, names))
    assert "kmeans · mean" not in trials
    means = ["kmeans · mean", "random · mean"]
    assert positions(cells, means) == sorted(positions(cells, means))
    assert "0001 kmeans·s2" not in cells
    for text in (trials, cells):
        assert f'col-id="params.`{PATH}`"' in text
        assert f'col-id="metrics.`{TEST}`"' in text


def positions(text, names):
    assert all(f">{name}<" in text for name in names)
    return [text.index(f">{name}<") for name in names]


def page(url, folder):
    """Return the page as the browser has drawn it."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=2400,1000"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [*command, "--dump-dom", url], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout
