"""MLflow may be away, late, or told twice: nothing is lost and nothing is doubled."""

import threading

import pytest

from tune_runner.events import TrialRecord, TrialReport, TrialResult
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

    def kinds(self):
        return [message["what"] for message in self.taken]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def tracker(tmp_path, server):
    return Tracker(Outbox(tmp_path / "tracking.jsonl"), lambda: server)


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
    told = [next(iter(m["epochs"])) for m in server.taken if m["what"] == "metrics"]
    assert told == [1, 2, 3]


def test_an_outage_delays_the_record_and_not_the_study(tracker, server):
    server.away.set()
    tracker.start({})
    tell(tracker)
    threading.Timer(0.8, server.away.clear).start()
    assert tracker.close("complete", patience_seconds=20) == 0
    assert server.kinds() == ["study", "start", "metrics", "metrics", "end", "close"]


def test_what_was_never_taken_is_sent_by_the_next_driver(tmp_path, tracker, server):
    server.away.set()
    tracker.start({})
    tell(tracker)
    assert tracker.close("interrupted", patience_seconds=0.1) == 6
    assert tracker.problem == "Connection refused"
    server.away.clear()
    later = Tracker(Outbox(tmp_path / "tracking.jsonl"), lambda: server)
    later.start({})
    tell(later)
    assert later.close("complete") == 0
    assert server.kinds().count("metrics") == 2
    assert server.kinds()[-1] == "close"


def test_a_torn_line_is_cut_and_a_wrong_mark_sends_all_again(tmp_path):
    path = tmp_path / "tracking.jsonl"
    box = Outbox(path)
    box.append({"what": "a"})
    end = box.append({"what": "b"})
    box.mark_delivered(end)
    box.close()
    with path.open("ab") as file:
        file.write(b'{"what": "to')
    again = Outbox(path)
    assert list(again.messages(again.delivered())) == []
    assert [m["what"] for m, _ in again.messages()] == ["a", "b"]
    path.with_suffix(".mark").write_text("no number")
    assert again.delivered() == 0
    again.close()
