"""MLflow may be away, late, or told twice: nothing is lost and nothing is doubled."""

import threading
import time

import pytest

from diffrec.errors import UserError
from tune_runner.events import RecordedTrials, TrialRecord, TrialReport, TrialResult
from tune_runner.tracking.outbox import Outbox
from tune_runner.tracking.tracker import Tracker

TRIAL = TrialRecord(0, "0000 x", {}, 1, {}, "DiffRec")


class Server:
    """A tracking server that can be away."""

    def __init__(self):
        self.taken = []
        self.away = threading.Event()

    def apply(self, messages):
        if self.away.is_set():
            raise ConnectionError("Connection refused")
        self.taken += messages

    def has_study(self):
        return "study" in self.kinds()

    def kinds(self):
        return [message["what"] for message in self.taken]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def tracker(tmp_path, server):
    return Tracker(Outbox(tmp_path / "tracking.jsonl"), server)


def tell(tracker, epochs=(1, 2)):
    """A whole trial."""
    tracker.on_trial_start(TRIAL)
    for epoch in epochs:
        tracker.on_trial_report(TRIAL, TrialReport(epoch, 0.5, {epoch: {"train/loss": 1.0}}))
    tracker.on_trial_end(TRIAL, TrialResult("complete", 2, 0.5, {"test/recall@20": 0.4}))


def test_everything_arrives_in_order(tracker, server):
    tracker.start({"tags": {"git_commit": "c0ffee"}})
    tell(tracker)
    assert tracker.close("complete") == 0
    assert server.kinds() == ["study", "start", "metrics", "metrics", "end", "close"]
    assert server.taken[1]["commit"] == "c0ffee"


def test_repeated_epochs_are_told_once(tracker, server):
    tracker.start({})
    tell(tracker, epochs=(1, 2, 1, 2, 3))
    tracker.close("complete")
    sent = [next(iter(m["epochs"])) for m in server.taken if m["what"] == "metrics"]
    assert sent == [1, 2, 3]


def test_an_outage_delays_the_record_and_not_the_study(tracker, server):
    tracker.start({})
    server.away.set()
    tell(tracker)
    threading.Timer(0.8, server.away.clear).start()
    assert tracker.close("complete", patience_seconds=20) == 0
    assert server.kinds() == ["study", "start", "metrics", "metrics", "end", "close"]


def test_what_was_never_taken_is_sent_by_the_next_driver(tmp_path, tracker, server):
    tracker.start({})
    server.away.set()
    tell(tracker)
    assert tracker.close("interrupted", patience_seconds=0.1) == 5
    assert tracker.problem == "Connection refused"
    server.away.clear()
    later = Tracker(Outbox(tmp_path / "tracking.jsonl"), server)
    later.start({})
    tell(later)
    assert later.close("complete") == 0
    assert server.kinds().count("metrics") == 2
    assert server.kinds()[-1] == "close"


def test_a_study_does_not_begin_without_a_record(tmp_path, tracker, server):
    server.away.set()
    with pytest.raises(UserError, match=r"does not accept the study.s record .Connection refused"):
        tracker.start({})


def test_a_fault_of_our_own_keeps_its_traceback(tmp_path):
    class Broken(Server):
        def apply(self, messages):
            raise TypeError("ours")

    with pytest.raises(TypeError, match="ours"):
        Tracker(Outbox(tmp_path / "tracking.jsonl"), Broken()).start({})


def test_a_server_that_lost_the_study_is_sent_all_of_it(tmp_path, tracker, server):
    tracker.start({})
    tell(tracker)
    assert tracker.close("interrupted") == 0
    server.taken.clear()  # another database
    later = Tracker(Outbox(tmp_path / "tracking.jsonl"), server)
    later.start({})
    assert later.close("complete") == 0
    first = ["study", "start", "metrics", "metrics", "end", "close"]
    assert server.kinds() == [*first, "study", "close"]


def test_a_slow_server_is_waited_for_as_long_as_it_takes_something(tmp_path):
    class Slow(Server):
        def apply(self, messages):
            time.sleep(0.05)
            super().apply(messages)

    slow = Slow()
    tracker = Tracker(Outbox(tmp_path / "tracking.jsonl"), slow)
    tracker.start({})
    for _ in range(500):  # five times the patience, and each batch within it
        tell(tracker, epochs=())
    assert tracker.close("complete", patience_seconds=0.4) == 0
    assert len(slow.taken) == 1002


def test_what_drivers_recorded_of_trials_is_known(tmp_path, server):
    box = Outbox(tmp_path / "tracking.jsonl")

    def say(kind, *trials, **content):
        for trial in trials:
            box.append({"what": kind, "trial": trial, **content})

    say("study", None)
    say("start", 0, 1, 2, 3)
    say("end", 0, 1, state="complete")
    say("study", None)  # the driver was killed: the study may not know the end of 1
    say("start", 1, 2, 3)
    say("end", 2, state="pruned")
    recorded = box.recorded_trials()
    assert recorded == RecordedTrials(
        frozenset(range(4)), {0: "complete", 2: "pruned"}, frozenset({1, 2})
    )
    both = recorded.with_states({0: "complete", 3: "running", 4: "failed"})
    assert both.started == frozenset(range(5))
    assert both.ended == {0: "complete", 2: "pruned", 4: "failed"}
    box.close()


def test_a_torn_line_is_cut_and_a_wrong_mark_sends_all_again(tmp_path):
    path = tmp_path / "tracking.jsonl"
    box = Outbox(path)
    box.append({"what": "a"})
    end = box.append({"what": "b"})
    box.mark_delivered(end)
    box.close()
    with path.open("ab") as file:
        file.write(b'{"what": "to')
    reopened = Outbox(path)
    assert list(reopened.messages(reopened.delivered())) == []
    assert [m["what"] for m, _ in reopened.messages()] == ["a", "b"]
    path.with_suffix(".mark").write_text("no number")
    assert reopened.delivered() == 0
    reopened.close()
