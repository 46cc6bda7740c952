import numpy as np
import pytest

from diffrec.data import Dataset, Interactions, SyntheticConfig, generate, load_dataset
from diffrec.errors import UserError
from diffrec.preparation import affinity as module
from diffrec.preparation.affinity import item_affinity
from diffrec.preparation.report import check_dataset, check_loaded
from diffrec.preparation.time_order import order_by_items
from real_data import real_data_dir, require_real_data

NUM_USERS, LENGTH = 400, 30


def walks(noise: float = 0.0) -> np.ndarray:
    """Each user walks along a ring of items, a step or two at a time: (users, LENGTH) item ids."""
    rng = np.random.default_rng(5)
    steps = rng.integers(1, 3, (NUM_USERS, LENGTH)).cumsum(axis=1)
    items = (rng.integers(0, 120, (NUM_USERS, 1)) + steps) % 120
    return np.where(rng.random(items.shape) < noise, 120 + items, items)


def cut(items: np.ndarray, start: int, stop: int) -> Interactions:
    users = np.repeat(np.arange(NUM_USERS), stop - start)
    pairs = np.stack([users, items[:, start:stop].ravel()], axis=1)
    return Interactions.from_pairs(pairs, NUM_USERS, 240)


def verdict(train: Interactions, valid: Interactions, test: Interactions) -> str:
    affinity, parts = item_affinity((train, valid, test))
    return order_by_items(affinity, *parts).verdict


@pytest.fixture
def lists() -> tuple[Interactions, Interactions, Interactions]:
    items = walks()
    return cut(items, 0, 20), cut(items, 20, 24), cut(items, 24, 30)


def test_lists_in_order_of_time_are_found_in_order(lists):
    assert verdict(*lists) == "in order"


def test_exchanged_lists_are_found_exchanged(lists):
    train, valid, test = lists
    assert verdict(train, test, valid) == "exchanged"


def test_lists_without_an_order_leave_it_undecided(lists):
    train, valid, test = lists
    mixed = np.random.default_rng(1).permuted(
        np.concatenate([p.indices.reshape(NUM_USERS, -1) for p in (valid, test)], axis=1), axis=1
    )
    assert verdict(train, cut(mixed, 0, 4), cut(mixed, 4, 10)) == "undecided"


def test_noise_in_train_and_valid_alone_is_not_mistaken_for_exchanged_lists():
    clean, noisy = walks(), walks(noise=0.5)
    assert verdict(cut(noisy, 0, 20), cut(noisy, 20, 24), cut(clean, 24, 30)) == "in order"


def arrivals(noise: float = 0.0) -> tuple[Interactions, Interactions, Interactions]:
    """Histories without any order but one: an item is taken up once it is there.

    Two of three items are there from the start, the others come in one after the other.
    """
    rng = np.random.default_rng(9)
    size, parts = 240, (20, 24, 30)
    begins = np.maximum(0, np.arange(size) - 2 * size // 3) / (size / 3)
    items = np.empty((2000, LENGTH), dtype=int)
    for row in items:
        own = rng.permutation(size)
        for place, now in enumerate(np.linspace(0.05, 1, LENGTH)):
            there = own[begins[own] <= now]
            row[place], own = there[0], own[own != there[0]]
    strange = rng.random((2000, 4)) < noise
    items[:, 20:24] = np.where(strange, rng.integers(240, 480, strange.shape), items[:, 20:24])
    users = np.arange(2000).repeat(LENGTH).reshape(-1, LENGTH)
    bounds = zip((0, *parts), parts, strict=False)
    pairs = [np.stack([users[:, a:b].ravel(), items[:, a:b].ravel()], 1) for a, b in bounds]
    train, valid, test = (Interactions.from_pairs(part, 2000, 480) for part in pairs)
    return train, valid, test


def test_new_items_tell_the_order_where_users_do_not():
    train, valid, test = arrivals()
    assert verdict(train, valid, test) == "in order"
    assert verdict(train, test, valid) == "exchanged"


def test_noise_in_one_list_is_not_mistaken_for_new_items():
    train, valid, test = arrivals(noise=0.3)
    assert verdict(train, valid, test) != "exchanged"
    assert verdict(train, test, valid) != "in order"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_embedded_recipe_is_never_called_exchanged(seed):
    report = check_loaded(generate(SyntheticConfig(seed=seed)))
    assert not report.is_exchanged


def test_rare_items_beyond_the_limit_are_left_out(lists, monkeypatch):
    monkeypatch.setattr(module, "MAX_ITEMS", 100)
    affinity, parts = item_affinity(lists)
    assert affinity.shape == (100, 100)
    assert sum(p.nnz for p in parts) < sum(p.nnz for p in lists)
    np.testing.assert_array_equal(affinity, affinity.T)


def test_users_without_a_held_out_row_have_no_say():
    train = Interactions.from_pairs([[0, 0], [1, 1]], 2, 3)
    valid = Interactions.from_pairs([[0, 2]], 2, 3)
    test = Interactions.from_pairs([[1, 2]], 2, 3)
    affinity, parts = item_affinity((train, valid, test))
    evidence = order_by_items(affinity, *parts)
    assert (evidence.users, evidence.verdict) == (0, "undecided")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ml-1m_clean", "ml-1m_noisy"])
def test_the_released_ml_1m_lists_are_found_exchanged(name):
    require_real_data(name)
    report = check_dataset(name, real_data_dir())
    assert report.is_exchanged
    assert report.order is not None
    seams = report.order.seams
    assert seams["last test -> first valid"] > 1.4 * seams["last valid -> first test"]


@pytest.mark.real_data
def test_under_the_chronological_protocol_they_are_in_order():
    require_real_data("ml-1m_clean")
    dataset: Dataset = load_dataset("ml-1m_clean", real_data_dir(), "chronological")
    order = check_loaded(dataset).order
    assert order is not None
    assert order.verdict == "in order"


@pytest.mark.parametrize("exchange", [False, True])
def test_the_verdict_names_its_error_rate_and_holds_to_it(exchange, lists):
    train, valid, test = lists
    pair = (test, valid) if exchange else (valid, test)
    affinity, cut_lists = item_affinity((train, *pair))
    evidence = order_by_items(affinity, *cut_lists)
    assert evidence.verdict == ("exchanged" if exchange else "in order")
    assert evidence.error_rate < 0.01
    assert evidence.score_in_order == -evidence.score_exchanged > 0


@pytest.mark.parametrize("seed", range(6))
def test_where_the_train_histories_show_no_order_nothing_is_said(seed):
    items = np.random.default_rng(seed).permuted(walks(), axis=1)
    lists = (cut(items, 0, 20), cut(items, 20, 24), cut(items, 24, 30))
    assert verdict(*lists) == "undecided"


def test_lists_of_one_item_are_told_by_the_direction_of_other_histories():
    items = walks()
    lists = (cut(items, 0, 28), cut(items, 28, 29), cut(items, 29, 30))
    assert verdict(*lists) == "in order"
    assert verdict(lists[0], lists[2], lists[1]) == "exchanged"


@pytest.mark.parametrize("exchange", [False, True])
def test_timestamps_decide_where_there_are_any(exchange, tmp_path):
    items = np.random.default_rng(3).permuted(walks(), axis=1)  # the items say nothing
    bounds = {"train": (0, 20), "valid": (20, 24), "test": (24, 30)}
    if exchange:
        bounds["valid"], bounds["test"] = bounds["test"], bounds["valid"]
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, (start, stop) in bounds.items():
        pairs = np.stack(
            [np.repeat(np.arange(NUM_USERS), stop - start), items[:, start:stop].ravel()], axis=1
        )
        _, first = np.unique(pairs, axis=0, return_index=True)
        np.save(folder / f"{name}_list.npy", pairs[np.sort(first)])
        times = np.tile(np.arange(start, stop), NUM_USERS)
        np.save(folder / f"{name}_timestamps.npy", times[np.sort(first)])
    drop_overlap(folder)
    order = check_dataset("shop", tmp_path).order
    assert order is not None
    assert (order.basis, order.verdict) == ("timestamps", "exchanged" if exchange else "in order")
    assert order.earlier_valid == (0.0 if exchange else 1.0)


def drop_overlap(folder):
    """Remove held-out rows that an earlier list has: a walk meets an item twice."""
    seen = set()
    for name in ("train", "valid", "test"):
        pairs = np.load(folder / f"{name}_list.npy")
        times = np.load(folder / f"{name}_timestamps.npy")
        fresh = np.array([tuple(pair) not in seen for pair in pairs.tolist()])
        seen |= set(map(tuple, pairs.tolist()))
        np.save(folder / f"{name}_list.npy", pairs[fresh])
        np.save(folder / f"{name}_timestamps.npy", times[fresh])


def test_timestamps_that_do_not_fit_the_lists_are_refused(tmp_path):
    for name, rows in (("train", [[0, 0]]), ("valid", [[0, 1]]), ("test", [[0, 2]])):
        np.save(tmp_path / f"{name}_list.npy", np.array(rows))
        np.save(tmp_path / f"{name}_timestamps.npy", np.arange(2))
    with pytest.raises(UserError, match="a number for each of the 1 rows"):
        check_dataset(tmp_path.name, tmp_path.parent)
