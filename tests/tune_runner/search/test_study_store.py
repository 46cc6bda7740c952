"""The study store: every point once, true states, a dead driver's trials taken up in place."""

import optuna
import pytest
from optuna.pruners import NopPruner, ThresholdPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from search_spaces import Choice, Condition, IntUniform, LogUniform, ScaledFrom, SearchSpace
from tune_runner.search.samplers import make_sampler
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan


@pytest.fixture
def open_store(tmp_path, rates):
    """Open the same study again and again, as drivers do."""

    def opened(space=rates, trials=4, seeds=(1, 2), *, sampled=False, pruner=None):
        url = f"journal://{tmp_path / 'study.log'}"
        study = open_study(url, "s", "maximize", pruner or NopPruner(), identity="s")
        study.sampler = RandomSampler(seed=0)
        store = StudyStore(
            study, space, StudyPlan("random" if sampled else "grid", "none", seeds, trials)
        )
        if not sampled:
            store.enqueue_grid()
        return store, study

    return opened


def test_a_grid_is_proposed_once_all_cells_of_the_first_seed_first(open_store):
    store, _ = open_store()
    proposals = [store.ask() for _ in range(4)]
    rates = [p.params["training.learning_rate"] for p in proposals]
    assert [(rate, p.seed) for rate, p in zip(rates, proposals, strict=True)] == [
        (0.1, 1),
        (0.9, 1),
        (0.1, 2),
        (0.9, 2),
    ]
    assert store.ask() is None


def test_a_reopened_grid_queues_nothing_twice(open_store):
    store, _ = open_store()
    for _ in range(4):
        store.complete(store.ask().number, 1.0)
    reopened, study = open_store()
    assert reopened.ask() is None
    assert reopened.finished()
    assert len(study.trials) == 4


def test_of_a_large_grid_twenty_points_wait_at_a_time_and_each_is_asked_once(open_store):
    space = SearchSpace(
        name="large",
        question="?",
        variant="DiffRec",
        domains={"training.learning_rate": Choice(*(0.001 * (i + 1) for i in range(80)))},
        replicates=3,
    )
    asked = []
    for upto in (30, 170, 240):  # three drivers, one after the other
        store, study = open_store(space, 240, (1, 2, 3))
        assert store.num_remaining() == 240 - len(asked)
        assert not store.finished()
        while len(asked) < upto:
            trial = store.ask()
            waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            assert len(waiting) <= 20
            asked.append((trial.params["training.learning_rate"], trial.seed))
            store.complete(trial.number, float(len(asked) % 7))
    assert store.ask() is None
    assert store.finished()
    points = [0.001 * (i + 1) for i in range(80)]
    assert asked == [(point, seed) for seed in (1, 2, 3) for point in points]


def test_a_point_that_somebody_else_has_queued_is_run_at_the_end(open_store):
    store, study = open_store()
    study.enqueue_trial({"training.learning_rate": 0.1}, user_attrs={"seed": 7, "point": 0})
    asked = []
    while (trial := store.ask()) is not None:
        asked.append(trial.seed)
        store.complete(trial.number, 1.0)
    assert sorted(asked) == [1, 1, 2, 2, 7]
    assert store.finished()


def test_a_larger_budget_adds_only_what_is_missing(open_store):
    store, _ = open_store(trials=1, seeds=(1,))
    store.complete(store.ask().number, 1.0)
    more, study = open_store(trials=4, seeds=(1, 2))
    assert more.ask().seed == 1
    assert len(study.trials) == 4


def test_a_dead_drivers_trial_goes_on_under_its_number(open_store):
    store, _ = open_store()
    first = store.ask()
    store.report(first.number, 5, 0.3)
    reopened, study = open_store()
    revived = reopened.ask()
    assert revived.number == first.number
    assert revived.params == first.params
    assert revived.last_epoch == 5
    reopened.report(revived.number, 5, 0.3)
    reopened.report(revived.number, 10, 0.4)
    reopened.complete(revived.number, 0.4)
    assert study.trials[0].intermediate_values == {5: 0.3, 10: 0.4}
    assert reopened.ask().number == 1


def test_a_trial_that_died_before_its_point_was_drawn_is_drawn_again(open_store):
    _, study = open_store(trials=2, seeds=(1, 2), sampled=True)
    study.ask()
    reopened, study = open_store(trials=2, seeds=(1, 2), sampled=True)
    first, second = reopened.ask(), reopened.ask()
    assert (first.number, first.seed) == (0, 1)
    assert (second.number, second.seed) == (1, 1)
    assert first.params != second.params
    assert reopened.ask() is None


def test_pruned_keeps_its_values_and_has_no_score(open_store):
    store, study = open_store(pruner=ThresholdPruner(lower=0.5))
    number = store.ask().number
    assert not store.report(number, 5, 0.6)
    assert store.report(number, 10, 0.4)
    store.prune(number)
    assert study.trials[number].state is TrialState.PRUNED
    assert study.trials[number].intermediate_values == {5: 0.6, 10: 0.4}
    assert store.leader() is None
    assert store.pruned_epochs() == [10]


def test_an_old_epoch_is_never_judged_again(open_store):
    store, _ = open_store(pruner=ThresholdPruner(lower=0.5))
    number = store.ask().number
    store.report(number, 5, 0.6)
    store.report(number, 10, 0.4)
    assert not store.report(number, 5, 0.6)
    assert store.report(number, 10, 0.4)


def test_failed_trials_are_queued_again_once(open_store):
    store, study = open_store()
    number = store.ask().number
    store.fail(number, "why")
    assert store.failures() == {0: "why"}
    assert store.enqueue_failed() == 1
    assert store.enqueue_failed() == 0
    retry = [store.ask() for _ in range(4)][-1]
    assert retry.retry_of == 0
    assert retry.seed == 1
    assert store.num_planned() == 5
    assert study.trials[0].state is TrialState.FAIL


def test_half_a_line_of_a_crash_does_not_harm_the_journal(open_store, tmp_path):
    store, _ = open_store()
    store.complete(store.ask().number, 1.0)
    with (tmp_path / "study.log").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    reopened, _study = open_store()
    reopened.complete(reopened.ask().number, 0.5)
    assert reopened.counts()["complete"] == 2
    assert (reopened.leader().number, reopened.leader().value) == (0, 1.0)


def test_lists_conditions_and_ratios_come_back_as_they_were(open_store):
    space = SearchSpace(
        name="wide",
        question="?",
        variant="L-DiffRec",
        domains={
            "denoiser.hidden_dims": Choice((200, 600), (1000,)),
            "autoencoder.clustering": Choice("kmeans", "random"),
            "autoencoder.num_clusters": IntUniform(1, 3),
            "diffusion.noise_min": LogUniform(1e-4, 1e-3),
            "diffusion.noise_max": ScaledFrom("diffusion.noise_min", LogUniform(1, 9)),
        },
        conditions={"autoencoder.clustering": Condition("autoencoder.num_clusters", (2, 3))},
        strategy="random",
        trials=12,
    )
    store, study = open_store(space, 12, (1,), sampled=True)
    proposals = [store.ask() for _ in range(12)]
    for proposal in proposals:
        space.resolve(proposal.params, "embedded", seed=proposal.seed)
        is_alone = proposal.params["autoencoder.num_clusters"] == 1
        assert ("autoencoder.clustering" not in proposal.params) == is_alone
        assert isinstance(proposal.params["denoiser.hidden_dims"], tuple)
    assert "diffusion.noise_max / diffusion.noise_min" in study.trials[0].params
    reopened, _ = open_store(space, 12, (1,), sampled=True)
    assert [reopened.ask().params for _ in range(12)] == [p.params for p in proposals]


def families():
    """A space of three families, one of them with nothing to search."""
    return SearchSpace(
        name="families",
        question="?",
        domains={
            "variant": Choice("Popularity", "EASE", "ItemKNN"),
            "regularization": LogUniform(1.0, 1e4),
            "num_neighbours": IntUniform(1, 100),
        },
        conditions={
            "regularization": Condition("variant", ("EASE",)),
            "num_neighbours": Condition("variant", ("ItemKNN",)),
        },
        strategy="random",
        trials=9,
        start_published=True,
        equal_share=True,
    )


def test_sampled_points_are_shared_equally_and_each_family_starts_from_its_usual_values(
    open_store,
):
    space = families()
    starts = [space.published_samples("ml-1m_clean", v) for v in ("Popularity", "EASE", "ItemKNN")]
    proposals = []
    while True:  # a driver that dies after every trial: the shares stay equal
        store, study = open_store(space, trials=9, seeds=(1,), sampled=True)
        study.sampler = RandomSampler(seed=len(proposals))
        store.enqueue_start(starts)
        if (proposal := store.ask()) is None:
            break
        proposals.append(proposal.params)
        store.complete(proposal.number, 1.0)
    variants = [params["variant"] for params in proposals]
    assert variants[:3] == ["Popularity", "EASE", "ItemKNN"]
    assert [variants.count(v) for v in ("Popularity", "EASE", "ItemKNN")] == [1, 4, 4]
    assert proposals[1] == {"variant": "EASE", "regularization": 1000.0}
    assert len({str(params) for params in proposals}) == 9
    assert len(study.trials) == 9


def test_an_equal_share_counts_points_not_their_replicates(open_store):
    space = families()
    store, _ = open_store(space, trials=8, seeds=(1, 2), sampled=True)
    variants = []
    while (proposal := store.ask()) is not None:
        variants.append((proposal.params["variant"], proposal.seed))
        store.complete(proposal.number, 1.0)
    assert sorted(variants) == sorted(2 * [(v, s) for v in ("EASE", "ItemKNN") for s in (1, 2)])


def test_a_sampler_learns_nothing_from_failures(open_store):
    """With twelve results and the same seed, a failure beside them changes no proposal."""
    space = SearchSpace(
        name="rate",
        question="?",
        variant="DiffRec",
        domains={"training.learning_rate": LogUniform(1e-5, 1e-1)},
        strategy="tpe",
        trials=40,
    )
    store, study = open_store(space, 40, (1,), sampled=True)
    study.sampler = RandomSampler(seed=3)
    for number in range(12):
        rate = store.ask().params["training.learning_rate"]
        store.complete(number, -abs(rate - 1e-3))

    def drawn():
        copied = optuna.create_study(direction="maximize", sampler=make_sampler("tpe", space, 7))
        copied.add_trials(study.trials)
        copied_store = StudyStore(copied, space, StudyPlan("tpe", "none", (1,), 40))
        return copied_store.ask().params["training.learning_rate"]

    first = drawn()
    store.fail(store.ask().number, "the loss is not finite in epoch 3")
    assert drawn() == first
    store.complete(store.ask().number, 1.0)  # a result, on the other hand, does
    assert drawn() != first
