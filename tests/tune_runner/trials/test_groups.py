"""Which trials share a worker, what becomes of each of them, and when they are not fused at all."""

import pytest
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from diffrec.config import RecommenderConfig
from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.errors import UserError
from search_spaces import Choice, SearchSpace
from tune_runner.events import GroupReport, Outcome, StudyCallback, TrialReport
from tune_runner.probe.fusion import MAX_FUSED_GPU, fused_on_gpu, fusion_speedup, resolve_fusion
from tune_runner.probe.gpu_share import MARGIN, USABLE, _with_measured
from tune_runner.resources.allocation import ResourceRequest, TrialResources
from tune_runner.resources.limits import CONTEXT_BYTES
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyConfig, StudyPlan, make_plan
from tune_runner.trials.controller import StudyController
from tune_runner.trials.groups import ActiveTrial, TrialGroup

GIB = 2**30


class Costs(StudyCallback):
    """An observer that remembers what each trial held."""

    def __init__(self):
        self.cpus = {}

    def on_trial_end(self, trial, end):
        self.cpus[trial.number] = end.metrics["cost/cpus"]


@pytest.fixture
def stage(tmp_path):
    """Make a controller over a grid of `domains` and two seeds; return it, its study and costs."""

    def make(domains, *, fuse, concurrent=1, variant="DiffRec"):
        space = SearchSpace(name="s", question="?", domains=domains, variant=variant, replicates=2)
        pruner = ThresholdPruner(lower=0.0)
        study = open_study(f"journal://{tmp_path / 'log'}", "s", "maximize", pruner, identity="s")
        plan = StudyPlan("grid", "none", (1, 2), 2 * len(space.grid_samples()))
        store = StudyStore(study, space, plan)
        store.enqueue_grid()
        costs = Costs()
        controller = StudyController(
            store,
            lambda params, seed: space.resolve(params, "embedded", seed=seed),
            objective="valid/recall@20",
            checkpoints=str(tmp_path),
            callbacks=[costs],
            resources=TrialResources(max_concurrent=concurrent, fuse=fuse),
            max_resources=TrialResources(4),
        )
        return controller, study, costs

    return make


RATES = {"training.learning_rate": Choice(0.1, 0.5, 0.9)}
DONE = Outcome(0.5)


def numbers(controller, key):
    """The trials of the group given out under `key`."""
    assignment = controller.next_group(key)
    return [] if assignment is None else [trial.number for trial in assignment.trials]


def tell(controller, key, epoch, **values):
    """Report values, or outcomes, of trials ("t0=0.5"); return whether the group is at its end."""
    reports = {
        int(name[1:]): TrialReport(epoch, None, {}, value)
        if isinstance(value, Outcome)
        else TrialReport(epoch, value, {})
        for name, value in values.items()
    }
    return controller.on_report(key, GroupReport(reports))


def test_a_group_takes_as_many_as_it_may(stage):
    controller, _, _ = stage(RATES, fuse=4)
    assert numbers(controller, "a") == [0, 1, 2, 3]
    assert numbers(controller, "b") == [4, 5]
    assert numbers(controller, "c") == []


def test_no_worker_is_idle_because_another_has_all_the_trials(stage):
    controller, _, _ = stage(RATES, fuse=6, concurrent=2)
    assert numbers(controller, "a") == [0, 1, 2]
    assert numbers(controller, "b") == [3, 4, 5]


def test_what_does_not_fit_waits_for_its_own_kind(stage):
    controller, study, _ = stage({"diffusion.num_steps": Choice(5, 10, 40)}, fuse=2)
    groups = [numbers(controller, key) for key in "abcd"]
    # the first seed's three cells come first, then the second's
    assert groups == [[0, 3], [1, 4], [2, 5], []]
    assert not controller.is_done
    for key, group in zip("abc", groups, strict=False):
        assert tell(controller, key, 1, **{f"t{n}": DONE for n in group})
        controller.on_end(key, failed=False)
    assert controller.is_done
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 6


def test_a_sampler_is_not_asked_ahead_of_its_results(stage):
    controller, study, _ = stage({"diffusion.num_steps": Choice(5, 10, 40)}, fuse=2)
    controller.store._plan = StudyPlan("random", "none", (1, 2), 6)
    assert numbers(controller, "a") == [0]
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING] * 2 + [TrialState.WAITING] * 4


def test_what_waits_counts_against_the_allowance_and_is_given_out(stage):
    controller, _, _ = stage({"diffusion.num_steps": Choice(5, 10, 40)}, fuse=2)
    controller._trials_left = 2
    assert numbers(controller, "a") == [0]
    assert numbers(controller, "b") == [1]
    assert numbers(controller, "c") == []


def test_families_that_cannot_be_fused_go_alone(stage):
    controller, _, _ = stage({"regularization": Choice(1.0, 10.0)}, fuse=4, variant="EASE")
    assert [numbers(controller, key) for key in "abcd"] == [[0], [1], [2], [3]]


def test_each_member_has_its_own_end(stage):
    controller, study, costs = stage(RATES, fuse=3)
    assert numbers(controller, "a") == [0, 1, 2]
    controller.on_start("a")
    assert not tell(controller, "a", 1, t0=0.5, t1=-1.0)  # the third is validated less often
    states = [trial.state for trial in study.trials[:3]]
    assert states == [TrialState.RUNNING, TrialState.PRUNED, TrialState.RUNNING]
    assert not tell(controller, "a", 2, t1=7.0, t2=Outcome(failure="the loss is not finite"))
    assert study.trials[1].intermediate_values == {1: -1.0}
    assert study.trials[2].state is TrialState.FAIL
    assert tell(controller, "a", 3, t0=DONE)
    controller.on_end("a", failed=False)
    assert study.trials[0].value == 0.5
    assert costs.cpus[1] == pytest.approx(1 / 3)
    assert 1 / 3 < costs.cpus[2] < costs.cpus[0] < 1


def test_what_one_worker_held_is_divided_among_its_trials(monkeypatch):
    clock = iter([100.0, 110.0, 114.0])
    monkeypatch.setattr("tune_runner.trials.groups.time.monotonic", lambda: next(clock))
    first, second = (ActiveTrial(None, 0, TrialResources(2)) for _ in range(2))
    group = TrialGroup([first, second], TrialResources(2))
    group.start()  # the time that it waited for a worker is nobody's
    group.leave(first)
    group.leave(second)
    assert (first.mean_fraction, second.mean_fraction) == (0.5, 9 / 14)
    assert first.mean_fraction * 10 + second.mean_fraction * 14 == 14


def test_an_interrupted_group_stays_open(stage):
    controller, study, _ = stage(RATES, fuse=2)
    numbers(controller, "a")
    tell(controller, "a", 1, t0=DONE)
    controller.on_end("a", failed=False)
    assert [t.state for t in study.trials[:2]] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_a_lost_worker_costs_its_trials_one_accident_each_then_they_go_alone(stage):
    controller, study, _ = stage(RATES, fuse=6)
    assert numbers(controller, "a") == [0, 1, 2, 3, 4, 5]
    tell(controller, "a", 1, t0=DONE)
    controller.on_end("a", failed=True)
    assert numbers(controller, "b") == [1, 2, 3, 4, 5]
    controller.on_end("b", failed=True)
    assert [numbers(controller, key) for key in "cd"] == [[1], [2]]
    controller.on_end("c", failed=True)
    assert study.trials[1].state is TrialState.FAIL
    assert study.trials[2].state is TrialState.RUNNING


def test_memory_that_a_group_lacks_one_trial_may_have(stage):
    controller, study, _ = stage(RATES, fuse=2)
    numbers(controller, "a")
    controller.set_error("a", "torch.OutOfMemoryError: CUDA out of memory")
    controller.on_end("a", failed=True)
    single = controller.next_group("b")
    assert [trial.number for trial in single.trials] == [0]
    assert single.resources.cpus == 1
    tell(controller, "b", 1, t0=Outcome(failure="MemoryError", failure_kind="out_of_memory"))
    assert numbers(controller, "c") == [1]
    assert tell(controller, "c", 1, t1=DONE)
    retry = controller.next_group("d")
    assert ([trial.number for trial in retry.trials], retry.resources.cpus) == ([0], 2)
    tell(controller, "d", 1, t0=Outcome(failure="MemoryError", failure_kind="out_of_memory"))
    assert study.trials[0].state is TrialState.FAIL


MIXED = SearchSpace(
    name="m", question="?", domains={"variant": Choice("DiffRec", "EASE")}, replicates=8
)
CLOSED = SearchSpace(
    name="c", question="?", domains={"variant": Choice("Popularity", "EASE")}, replicates=8
)


def settled(fuse, space=MIXED, gain=2.0):
    """How many trials are fused, and the line that says why."""
    config = StudyConfig(space="m", name="x", request=ResourceRequest(fuse=fuse, max_concurrent=1))
    plan, data = make_plan(config, space), load_dataset("embedded")
    request, reason = resolve_fusion(config, space, plan, data, measure=lambda *_, cluster: gain)
    return request.fuse, reason


def test_fusing_is_obeyed_where_it_is_not_slower():
    assert settled(1) == (1, "")
    count, reason = settled(4, gain=1.02)
    assert count == 4
    assert reason == (
        "fuse      4 trials of DiffRec as one computation run at 1.02 times the rate of one by "
        "one; EASE each alone"
    )
    assert settled(100)[0] == 16  # no more than there are
    assert settled("auto", gain=1.2)[0] == 8


def test_fusing_that_is_slower_is_refused_or_left_out():
    with pytest.raises(UserError, match=r"--fuse 4 is of no use here.*run at 0\.97 times the rate"):
        settled(4, gain=0.97)
    count, reason = settled("auto", gain=1.05)
    assert count == 1
    assert "nothing: 8 trials of DiffRec as one computation run at 1.05 times" in reason


def test_a_study_of_closed_forms_is_not_fused():
    with pytest.raises(UserError, match="Popularity, EASE cannot be fused"):
        settled(4, space=CLOSED)
    assert settled("auto", space=CLOSED)[0] == 1


def test_groups_that_do_not_fit_into_memory_are_refused(monkeypatch):
    monkeypatch.setattr(RecommenderConfig, "estimate_bytes", lambda *_, fused=False: 1e12)
    with pytest.raises(UserError, match="1 times 4 trials at a time need about"):
        settled(4)


def test_the_gain_is_measured_on_real_runs():
    config = preset("DiffRec", "embedded").config
    assert 0.1 < fusion_speedup(config, load_dataset("embedded"), TrialResources(), 2) < 10


def test_on_a_gpu_as_many_are_fused_as_fit():
    assert fused_on_gpu(2 * GIB, 9 * GIB) == 4
    assert fused_on_gpu(GIB, 1000 * GIB) == MAX_FUSED_GPU
    assert fused_on_gpu(8 * GIB, 4 * GIB) == 1
    single = _with_measured(ResourceRequest(gpus="auto"), 2 * GIB, 24 * GIB).gpus
    assert _with_measured(ResourceRequest(gpus="auto", fuse=3), 2 * GIB, 24 * GIB).gpus > 2 * single
    both = _with_measured(ResourceRequest(gpus="auto", fuse="auto"), 2 * GIB, 24 * GIB)
    assert both.gpus == 1.0
    half = _with_measured(ResourceRequest(gpus=0.5, fuse="auto"), 2 * GIB, 24 * GIB)
    assert (half.gpus, half.fuse) == (0.5, 4)
    assert half.fuse * MARGIN * 2 * GIB + CONTEXT_BYTES <= USABLE * 12 * GIB
