"""Display of a worker in Ray's dashboard: the title of its process, and lines in its log.

Ray asks an actor for its repr once, so a reused worker would keep the name of its first trial; the
title changes with each epoch. The log is the worker's standard output, which Ray keeps as a file.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress

import ray

from tune_runner.events import TrialReport
from tune_runner.schema import TRAIN_LOSS

TITLE_BYTES = 120
"""Longest title: Ray's agents read it with each report of the node."""


def process_title(name: str, epoch: int) -> str:
    """Return the title of a process that trains an epoch of a trial or group."""
    end = f" epoch {epoch}"
    start = f"ray::{name}".encode()[: TITLE_BYTES - len(end)].decode(errors="ignore")
    return start + end


def show_title(name: str, epoch: int) -> None:
    """Make what is trained the title of this process, if it is a worker of Ray's."""
    if ray.is_initialized():
        # Ray has no public call.
        ray._raylet.setproctitle(process_title(name, epoch))  # type: ignore[attr-defined]


def log_reports(
    reports: Mapping[int, TrialReport], names: Mapping[int, str], objective: str
) -> None:
    """Write a line for each report to the worker's log; a log that takes none stops no trial.

    Args:
        reports: by number of the trial.
        names: of the trials, by number.
        objective: name of the metric that is searched by.
    """
    for number, report in reports.items():
        line = f"{time.strftime('%H:%M:%S')} {names[number]}  {describe(report, objective)}\n"
        encoding = sys.stdout.encoding or "utf-8"
        with suppress(OSError, ValueError):  # the disk is full; the stream is closed
            sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding))
            sys.stdout.flush()


def describe(report: TrialReport, objective: str) -> str:
    """Return a report in words, as in `epoch 5: valid/recall@20 0.1356, loss 0.5012; complete`."""
    parts = [] if report.objective is None else [f"{objective} {report.objective:.4f}"]
    loss = report.epochs.get(report.epoch, {}).get(TRAIN_LOSS)
    parts += [] if loss is None else [f"loss {loss:.4g}"]
    values = f": {', '.join(parts)}" if parts else ""
    end = ""
    if report.outcome is not None:
        failure = report.outcome.failure
        end = "; complete" if failure is None else f"; failed: {failure}"
    return f"epoch {report.epoch}{values}{end}"
