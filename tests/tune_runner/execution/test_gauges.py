"""The study's gauges at the endpoint that Prometheus asks, and the dashboard that shows them."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from search_spaces import Objective
from tune_runner.events import TrialRecord, TrialResult
from tune_runner.execution import gauges

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json"

RAYS_OWN = {"ray_node_mem_used", "ray_node_mem_total"}


def trial(number):
    return TrialRecord(number, f"{number:04d}", {}, 1, {}, "DiffRec")


def scrape(study):
    """Return the study's gauges at Ray's endpoint: {(name, State): value}."""
    import ray

    node = next(n for n in ray.nodes() if n["Alive"])
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    gauges = {}
    for line in lines:
        if f'Study="{study}"' in line:
            name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
            state = re.search(r'State="(\w+)"', labels)
            gauges[name, state and state[1]] = float(value)
    return gauges


def wait_for(study, expected):
    deadline = time.monotonic() + 60
    while (gauges := scrape(study)) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    assert gauges == expected


def expected(best, planned, **counts):
    states = {("ray_diffrec_study_trials", s): float(counts.get(s, 0)) for s in gauges.STATES}
    rest = {("ray_diffrec_study_trials_planned", None): planned}
    return states | rest | ({} if best is None else {("ray_diffrec_study_best", None): best})


@pytest.mark.ray
@pytest.mark.slow
def test_prometheus_sees_the_study(ray_local):
    none = {"complete": 1, "pruned": 0, "failed": 0}
    new = gauges.Gauges("new", Objective())
    new.start(9, none, None)
    worse = gauges.Gauges("worse", Objective("valid/ndcg@20"))
    worse.start(2, none, (0.5, "0000"))
    worse.on_trial_end(trial(1), TrialResult("complete", 8, 0.25))
    resumed = gauges.Gauges("resumed", Objective())
    resumed.start(5, none, (0.0625, "0000"))
    ends = [TrialResult("complete", 8, v) for v in (0.25, 0.125)] + [TrialResult("pruned", 3)]
    for number, end in enumerate(ends, start=1):
        resumed.on_trial_start(trial(number))
        resumed.on_trial_end(trial(number), end)
    resumed.on_trial_start(trial(4))
    resumed.plan(7)
    wait_for("resumed", expected(0.25, 7, complete=3, pruned=1, running=1))
    assert scrape("worse") == expected(0.5, 2, complete=2)
    assert scrape("new") == expected(None, 9, complete=1)


def test_the_dashboard_asks_for_exactly_these_gauges():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queried = {name for query in queries for name in re.findall(r"ray_\w+", query)}
    assert queried - RAYS_OWN == {f"ray_{n}" for n in (gauges.BEST, gauges.TRIALS, gauges.PLANNED)}
    states = {state for query in queries for state in re.findall('State="(.*?)"', query)}
    assert states == set(gauges.STATES)
    assert len({panel["id"] for panel in panels}) == len(panels)
