"""The study's gauges at the endpoint that Prometheus asks, and the dashboard that shows them."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from search_spaces import Objective
from tune_runner.events import Leader, TrialRecord, TrialReport, TrialResult
from tune_runner.execution import gauges

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json"

LEFT = ("ray_diffrec_study_seconds_left", None)
RAYS_OWN = {"ray_node_mem_used", "ray_node_mem_total"}


def trial(number):
    return TrialRecord(number, f"{number:04d}", {}, 1, {}, "DiffRec")


def scrape(study):
    """Return the study's gauges at Ray's endpoint: {(name, State or Trial): value}."""
    import ray

    node = next(n for n in ray.nodes() if n["Alive"])
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    gauges = {}
    for line in lines:
        if f'Study="{study}"' in line:
            name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
            state = re.search(r'(?:State|Trial)="(\w+)"', labels)
            gauges[name, state and state[1]] = float(value)
    return gauges


def wait_for(study, expected):
    deadline = time.monotonic() + 60
    while (seen := _rounded(scrape(study))) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    assert seen == expected


def _rounded(values):
    """The same with an estimate of less than a second as none."""
    return {key: float(int(v)) if key == LEFT else v for key, v in values.items()}


def expected(best, planned, **counts):
    states = {("ray_diffrec_study_trials", s): float(counts.get(s, 0)) for s in gauges.STATES}
    finished = float(sum(counts.get(s, 0) for s in gauges.STATES if s != "running"))
    rest = {
        ("ray_diffrec_study_trials_planned", None): planned,
        ("ray_diffrec_study_trials_finished", None): finished,
    }
    return states | rest | ({} if best is None else {("ray_diffrec_study_best", None): best})


@pytest.mark.ray
@pytest.mark.slow
def test_prometheus_sees_the_study(ray_local):
    none = {"complete": 1, "pruned": 0, "failed": 0}
    new = gauges.Gauges("new", Objective())
    new.start(9, none, None)
    worse = gauges.Gauges("worse", Objective("valid/ndcg@20"))
    worse.start(2, none, Leader(0, "0000", 0.5))
    worse.on_trial_end(trial(1), TrialResult("complete", 8, 0.25, leader=Leader(0, "0000", 0.5)))
    resumed = gauges.Gauges("resumed", Objective())
    resumed.start(5, none, Leader(0, "0000", 0.0625))
    leader = Leader(1, "0001", 0.25)
    ends = [TrialResult("complete", 8, v, leader=leader) for v in (0.25, 0.125)]
    ends.append(TrialResult("pruned", 3))
    for number, end in enumerate(ends, start=1):
        resumed.on_trial_start(trial(number))
        resumed.on_trial_end(trial(number), end)
    resumed.on_trial_start(trial(4))
    resumed.on_trial_report(trial(4), TrialReport(6, 0.125, {}))
    resumed.plan(7)
    own = {("ray_diffrec_trial_objective", "0004"): 0.125, ("ray_diffrec_trial_epoch", "0004"): 6.0}
    counts = expected(0.25, 7, complete=3, pruned=1, running=1)
    wait_for("resumed", counts | own | {LEFT: 0.0})  # its trials took no time
    assert _rounded(scrape("worse")) == expected(0.5, 2, complete=2) | {LEFT: 0.0}
    assert scrape("new") == expected(None, 9, complete=1)


def test_the_number_of_trials_with_gauges_of_their_own_is_bounded(monkeypatch):
    set_values = []

    class Recorded:
        def __init__(self, name, *_):
            self.name = name

        def set_default_tags(self, tags):
            pass

        def set(self, value, tags=None):
            set_values.append((self.name, (tags or {}).get("Trial")))

    monkeypatch.setattr(gauges, "Gauge", Recorded)
    many = gauges.Gauges("many", Objective(), concurrent=40)
    many.start(100, {}, None)
    for number in range(40):
        many.on_trial_start(trial(number))
        many.on_trial_report(trial(number), TrialReport(1, 0.5, {}))
    set_values.clear()
    many.plan(100)
    shown = {label for name, label in set_values if name == gauges.RUNNING_OBJECTIVE}
    assert shown == {f"{number:04d}" for number in range(gauges.MAX_RUNNING)}


def test_the_dashboard_asks_for_exactly_these_gauges():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queried = {name for query in queries for name in re.findall(r"ray_\w+", query)}
    study = {gauges.BEST, gauges.TRIALS, gauges.PLANNED, gauges.FINISHED, gauges.SECONDS_LEFT}
    trials = {gauges.RUNNING_OBJECTIVE, gauges.RUNNING_EPOCH}
    assert queried - RAYS_OWN == {f"ray_{name}" for name in study | trials}
    states = {state for query in queries for state in re.findall('State="(.*?)"', query)}
    assert states == set(gauges.STATES)
    assert len({panel["id"] for panel in panels}) == len(panels)
