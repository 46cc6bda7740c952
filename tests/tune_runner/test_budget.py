"""A study stops at its budget in money, keeps what it has, and continues with a larger one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from diffrec.errors import UserError
from fake_run import FakeBackend
from faults import Harm, Watch
from tune_runner.resources.spending import spent_from_json
from tune_runner.runner import run_study
from tune_runner.study.config import StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def spent(name):
    """What study.json of a study in ./runs says that it has spent."""
    return spent_from_json(json.loads(Path("runs", name, "study.json").read_text())["spent"])


def test_a_study_stops_at_its_budget_and_a_larger_one_continues_it(
    ray_local, tracking_uri, write_space, capsys
):
    space = write_space('{"training.learning_rate": Choice(0.9, 0.8, 0.7, 0.6)}', epochs=12)
    config = StudyConfig(space=space, name="paid", price="0,head=3600", max_cost=3.0)
    assert run_study(config, backend=FakeBackend(seconds=0.4)) == 0
    output = capsys.readouterr().out
    assert "the budget of 3 (--max-cost) is spent, 3." in output
    assert "a larger one continues the study; resume with: python -m tune_runner --resume" in output
    watch = Watch("paid", tracking_uri)
    states = [trial.state for trial in watch.trials()]
    assert TrialState.FAIL not in states
    assert {TrialState.RUNNING, TrialState.WAITING} & set(states)
    first = spent("paid")
    assert 3.0 <= first.cost < 6.0
    assert first.cost == pytest.approx(first.node_seconds["head"])  # 3600 an hour
    (parent,), _, _ = watch.runs()
    assert parent.data.tags["state"] == "interrupted"
    assert parent.data.metrics["spent/cost"] == pytest.approx(first.cost)

    larger = replace(config, max_cost=1000.0)
    assert run_study(larger, resume=True, backend=FakeBackend(seconds=0.15)) == 0
    assert [trial.state for trial in watch.trials()] == [TrialState.COMPLETE] * 4
    assert watch.harm() == Harm()
    second = spent("paid")
    assert second.sessions == 2
    assert second.cost > first.cost
    assert 0 < second.used_seconds <= second.room_seconds
    (parent,), _, _ = watch.runs()
    assert parent.data.metrics["spent/cost"] == pytest.approx(second.cost)
    assert parent.data.metrics["spent/node_seconds"] == pytest.approx(second.total_seconds)
    assert parent.data.tags["price"] == "0,head=3600"


def test_prices_that_leave_out_a_node_are_refused_and_nothing_is_left(
    ray_local, tracking_uri, write_space
):
    space = write_space('{"training.learning_rate": Choice(0.9)}')
    config = StudyConfig(space=space, name="unpriced", price="tpu=1", max_cost=3.0)
    with pytest.raises(UserError, match="add head=PRICE"):
        run_study(config, backend=FakeBackend())
    assert not Path("runs").exists()
