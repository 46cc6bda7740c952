"""What a run is fed is every user once, in the order drawn, wherever batches are cut."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config.presets import preset
from diffrec.data import dense_rows
from diffrec.data.sources import load_dataset
from diffrec.training.batching import BatchLoader
from diffrec.training.run import TrainingRun
from strategies import small_interactions

CPU = torch.device("cpu")


@st.composite
def cases(draw):
    """Interactions of up to 8 users, an order of some of them, inputs and targets, a batch size."""
    interactions = draw(small_interactions())
    num_users = interactions.num_users
    order = np.array(draw(st.permutations(range(num_users))), dtype=int)
    inputs, targets = np.random.default_rng(0).random((2, interactions.nnz), dtype=np.float32)
    weights = draw(
        st.sampled_from([(None, None), (inputs, inputs), (inputs, None), (None, targets)])
    )
    return interactions, order[: draw(st.integers(0, num_users))], weights, draw(st.integers(1, 4))


@given(cases(), st.booleans())
def test_batches_are_the_users_rows_in_order(case, cuts_on_device):
    interactions, users, weights, size = case
    loader = BatchLoader(interactions, weights, CPU, cuts_on_device=cuts_on_device)
    batches = list(loader.batches(users, size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert sum(len(batch) for batch in batches) == len(users)
    rows = [loader.rows(batch) for batch in batches]
    assert loader.row_kinds == ((0,) if weights[0] is weights[1] else (0, 1))
    for kind in loader.row_kinds:
        actual = np.concatenate([row[kind] for row in rows]) if rows else np.empty((0,))
        expected = dense_rows(interactions, users, weights[kind])
        np.testing.assert_array_equal(actual, expected.reshape(actual.shape))


@given(cases(), st.booleans())
def test_a_used_buffer_is_overwritten(case, cuts_on_device):
    interactions, users, weights, size = case
    loader = BatchLoader(interactions, weights, CPU, cuts_on_device=cuts_on_device)
    for batch in loader.batches(users, size):
        out = torch.full((len(batch), interactions.num_items), torch.nan)
        assert batch.write(0, out) is out
        assert torch.equal(out, loader.rows(batch)[0])


def test_an_epoch_is_every_user_once_in_an_order_of_its_own():
    split = load_dataset("embedded").tuning_split()

    def run(seed=1):
        values = {"seed": seed, "training.batch_size": 7}
        return TrainingRun(preset("DiffRec", "embedded").config.replace_values(values), split)

    def fed(run):
        return np.concatenate([rows for b in run.batches() for rows in run.loader.rows(b)])

    first, again, other = run(), run(), run(seed=2)
    epoch = fed(first)
    assert len(epoch) == len(first.users)
    expected = dense_rows(split.train, first.users)
    assert sorted(map(bytes, epoch)) == sorted(map(bytes, expected))
    np.testing.assert_array_equal(epoch, fed(again))
    assert (epoch != fed(other)).any()
    first.epoch = 1
    assert (epoch != fed(first)).any()
