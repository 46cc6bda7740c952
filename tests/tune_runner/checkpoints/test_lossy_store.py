"""Checkpoints in an object store behind a bad network: errors, hang-ups, half responses, delays.

A real server that speaks S3, and a proxy before it that spoils two of five requests.
"""

import re
from random import Random

import pytest
import torch

from lossy import FAULTS, lossy_network
from servers import s3
from tune_runner.checkpoints import files, patience
from tune_runner.checkpoints.locations import join_location, trial_location
from tune_runner.checkpoints.patience import ShortReadError, retry_store
from tune_runner.checkpoints.store import CheckpointStore, ClaimLostError


@pytest.fixture(scope="module")
def network():
    """Yield (URL over the bad network, URL of the server itself, the faults)."""
    with pytest.MonkeyPatch.context() as patch, s3() as url:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.01)
        port = int(re.search(r"127\.0\.0\.1:(\d+)", url)[1])
        with lossy_network(port, rate=0.4) as (proxy, faults):
            yield url.replace(f":{port}&", f":{proxy}&"), url, faults


@pytest.mark.slow
def test_over_a_bad_network_no_checkpoint_is_lost_torn_or_taken_from_its_worker(network):
    lossy, plain, faults = network
    chance, epochs = Random(1), dict.fromkeys(range(4), 0)
    tokens = {n: CheckpointStore(trial_location(lossy, n)).claim() for n in epochs}
    for _ in range(14):
        number = chance.choice(list(epochs))
        store, epoch = CheckpointStore(trial_location(lossy, number)), epochs[number] + 1
        state = {"epoch": epoch, "weights": torch.full((30_000,), float(epoch))}
        files.save(store, state, token=tokens[number])
        epochs[number] = epoch
        if chance.random() < 0.3:  # its worker is lost: another one continues
            old, tokens[number] = tokens[number], store.claim()
            with pytest.raises(ClaimLostError):
                files.save(store, {"epoch": -1}, token=old)
        loaded = files.load(store)
        assert loaded["epoch"] == epoch
        assert torch.equal(loaded["weights"], state["weights"])
    assert set(FAULTS) <= {fault for fault, count in faults.counts.items() if count}
    for number, epoch in epochs.items():
        there = files.load(CheckpointStore(trial_location(plain, number)))
        assert (there or {}).get("epoch", 0) == epoch


def test_a_trial_without_a_checkpoint_is_told_from_a_store_that_fails(network):
    lossy, _, _ = network
    assert files.load(CheckpointStore(join_location(lossy, "trial_0099"))) is None


class Store:
    """Fails a number of times, on a clock of its own."""

    def __init__(self, failures, error):
        self.failures, self.error, self.now, self.calls = failures, error, 0.0, 0

    def act(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "there"

    def retry(self, seconds):
        return retry_store(self.act, seconds, clock=lambda: self.now, pause=self._pause)

    def _pause(self, seconds):
        self.now += seconds


def test_a_store_that_comes_back_in_time_is_waited_for():
    store = Store(20, ShortReadError("half"))
    assert store.retry(300.0) == "there"
    assert store.now < 300.0


@pytest.mark.parametrize(
    ("error", "seconds", "calls"),
    [
        (OSError("SlowDown"), 0.0, 1),
        (FileNotFoundError("none"), 300.0, 1),
        (OSError(28, "No space left on device"), 300.0, 1),
    ],
)
def test_what_would_be_the_same_again_is_not_tried_again(error, seconds, calls):
    store = Store(10**9, error)
    with pytest.raises(type(error)):
        store.retry(seconds)
    assert store.calls == calls


def test_patience_ends():
    store = Store(10**9, OSError("SlowDown"))
    with pytest.raises(OSError, match="SlowDown"):
        store.retry(300.0)
    assert 300.0 <= store.now < 320.0
