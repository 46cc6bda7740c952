"""Handle of a study: how far it is, its tables, its report, its recommendations."""

import math
import os
import signal
import socket
import subprocess
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from diffrec.config.serialization import check_type
from diffrec.errors import UserError
from tune_runner import exit_codes
from tune_runner.api import process
from tune_runner.api.process import StudyError
from tune_runner.monitoring.answers import StatusAnswer
from tune_runner.study.description import FOR_RESUME, read_description
from tune_runner.study.folder import OUTPUT, StudyFolder
from tune_runner.study.options import (
    RESUME_DEFAULTS,
    ResumeOptions,
    complete_options,
    resumed_config,
    shows_options,
)
from tune_runner.tracking_uri import default_tracking_uri

if TYPE_CHECKING:
    import pandas as pd

    from tune_runner.registration import Registration

GROUP = "tune_runner.tables"
"""Entry points of a function that reads a study's tables: `analysis` lies above this package."""

_POLL_SECONDS = 0.2


class StudyHandle:
    """One study: it may run, in a process that was started here or elsewhere, or have ended."""

    def __init__(self, folder: StudyFolder, tracking_uri: str, cwd: Path) -> None:
        """Take the study's places; nothing is read yet.

        Args:
            folder: of the study.
            tracking_uri: of MLflow's record.
            cwd: working directory that the study's relative paths are meant from.
        """
        self._folder, self._uri, self._cwd = folder, tracking_uri, cwd
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"StudyHandle({str(self.folder)!r})"

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._folder.path.name

    @property
    def folder(self) -> Path:
        """Folder of the study's files."""
        return self._folder.path

    @property
    def log(self) -> Path:
        """File with all that the study's processes have written, if Python started them."""
        return self._folder.path / OUTPUT

    def attach(self, driver: "subprocess.Popen[bytes]") -> None:
        """Take the process that runs the study."""
        self._process = driver

    def status(self) -> StatusAnswer:
        """Return how far the study is, as `--status NAME --json` does.

        Raises:
            UserError: the study's database does not answer.
        """
        from tune_runner.monitoring.status import read_status

        return read_status(self._folder)

    def wait(self, timeout: float | None = None) -> StatusAnswer:
        """Wait until nobody runs the study any more, and return its status.

        Args:
            timeout: seconds to wait at most; None: without limit.

        Raises:
            StudyError: it ended by a fault: no trial is complete, something that it needs failed,
                or MLflow has not taken the whole record; the message is its last line.
            TimeoutError: it still runs after `timeout`.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while self._is_running():
            if time.monotonic() >= deadline:
                raise TimeoutError(f"Study {self.name!r} still runs after {timeout:g} seconds.")
            time.sleep(_POLL_SECONDS)
        driver, self._process = self._process, None
        if driver is not None and driver.returncode not in (
            exit_codes.COMPLETE,
            exit_codes.INTERRUPTED,
        ):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            raise StudyError(
                f"Study {self.name!r} ended with exit code {driver.returncode}: "
                f"{lines[-1] if lines else 'no word'}"
            )
        return self.status()

    def stop(self, timeout: float | None = None) -> StatusAnswer:
        """Stop the study as Ctrl-C does, wait for its end, and return its status.

        Running trials keep their last checkpoints, and `resume` continues them. Nothing is done if
        nobody runs it.

        Args:
            timeout: seconds to wait at most; None: without limit.

        Raises:
            UserError: it runs on another machine.
            TimeoutError: it still runs after `timeout`.
        """
        if self._is_running():
            number, host = self._folder.driver()
            if host != socket.gethostname():
                raise UserError(
                    f"Study {self.name!r} is being run on {host or 'an unknown host'}, so it "
                    "cannot be stopped from here; press Ctrl-C there."
                )
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGINT)
        return self.wait(timeout)

    @shows_options(RESUME_DEFAULTS)
    def resume(self, **options: Unpack[ResumeOptions]) -> Self:
        """Resume the study, and return this handle when its first trials start.

        Args:
            **options: the flags that go with `--resume`, by name (`ResumeOptions`), for example
                `add_trials=20`, `retry_failed=True` or `confirm=5`.

        Raises:
            UserError: something about the request is wrong, or the study runs.
            StudyError: the study's process ended before its first trial.
        """
        complete = complete_options(options, RESUME_DEFAULTS)
        config = resumed_config(self.name, str(self.folder.parent), complete)
        variables = (
            {} if self._uri == default_tracking_uri() else {"MLFLOW_TRACKING_URI": self._uri}
        )
        driver = process.start(
            config,
            process.describe_call(f"load_study({self.name!r}).resume", [], options),
            cwd=self._cwd,
            resume=True,
            retry_failed=complete["retry_failed"],
            variables=variables,
        )
        self.attach(driver)
        return self

    def trials(self) -> "pd.DataFrame":
        """Return a row for each trial of the record, by its number.

        Columns: `name`, `state`, `role`, `seed`, `variant`, the searched parameters by path, the
        last value of every metric by its name (`test/recall@20`; test metrics of complete trials
        alone), `pruned_at`, `retry_of`, `error`, `run_id` (of MLflow).

        Raises:
            UserError: MLflow's record cannot be read.
        """
        return self._tables()[0]

    def cells(self) -> "pd.DataFrame":
        """Return a row for each cell of the search: the mean over its seeds of every metric.

        Columns: `cell` (its values), `variant`, `is_control`, the searched parameters by path,
        `seeds` (complete ones), `complete`, `pruned`, `failed`, and each metric with its sample
        standard deviation (`std/test/recall@20`).

        Raises:
            UserError: MLflow's record cannot be read.
        """
        return self._tables()[1]

    def _tables(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        readers = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
        if not readers:
            raise UserError(
                "A study's tables are read by the package analysis, which is not installed; "
                "install this project (pip install .)."
            )
        return readers[0].load()(self.name, self._uri, self._folder.identity())

    def best(self) -> "pd.Series | None":
        """Return the row of the best complete trial by validation; None while there is none.

        It is the one whose checkpoint the study keeps and `recommend` uses.
        """
        status, trials = self.status(), self.trials()
        if status.best is None or status.best.number not in trials.index:
            return None
        return trials.loc[status.best.number]

    def report(self, *, figures: bool = True) -> Path:
        """Make the study's report, as `python -m analysis NAME` does, and return its page.

        Args:
            figures: with figures and the page; otherwise text and tables alone, in a second.

        Returns:
            `index.html`, or `report.md` without figures; both in the study's folder `report`.

        Raises:
            UserError: no trial is complete, or the record cannot be read.
        """
        from tune_runner.monitoring.report import make_report

        return make_report(self._folder, self._uri, figures=figures)

    def recommend(
        self,
        users: Sequence[Any] | None = None,
        *,
        histories: Sequence[Sequence[Any]] | None = None,
        k: int = 20,
        history_from: Literal["train", "all"] = "train",
        include_seen: bool = False,
        device: str = "cpu",
    ) -> "pd.DataFrame":
        """Return the best items of the study's best trial, as `diffrec recommend --run` does.

        Args:
            users: ids of users of the dataset; None: all, unless histories are given.
            histories: lists of item ids, the oldest first, instead of users; each is a user,
                numbered from 0.
            k: items of each user.
            history_from: a user's history: the train list, or all lists.
            include_seen: also recommend items that the user has seen.
            device: cpu or cuda.

        Returns:
            Columns user, item and rank, the best item of a user first.

        Raises:
            UserError: no model was kept, or an id or a history is wrong.
        """
        import pandas as pd

        from diffrec.commands.load_trained import load_tracked
        from diffrec.commands.recommend_table import (
            history_queries,
            recommendations,
            user_queries,
        )
        from tune_runner.tracking.run_lookup import best_run

        if users is not None and histories is not None:
            raise UserError("Recommendations are for users or for histories; give one of the two.")
        if history_from not in ("train", "all"):
            raise UserError(f"`history_from` must be train or all, but got {history_from!r}.")
        check_type(int, k, "k")
        if k < 1:
            raise UserError(f"`k` must be 1 or more, but got {k}; give a larger number.")
        description = read_description(self._folder, FOR_RESUME)
        run = best_run(self._folder, description["dataset"])
        if run.data_dir is not None:  # as it was given, maybe relative
            run = replace(run, data_dir=self._cwd / run.data_dir)
        checkpoint, loaded = load_tracked(
            run, Namespace(dataset=None, data_dir=None, protocol=None)
        )
        if histories is None:
            queries = user_queries(loaded, None if users is None else list(users), history_from)
        else:
            named = [(str(i), list(h), f" at {i}") for i, h in enumerate(histories)]
            queries = history_queries(named, loaded)
        return pd.DataFrame(
            recommendations(
                checkpoint, loaded, queries, k=k, include_seen=include_seen, device=device
            )
        )

    def register(self, name: str) -> "Registration":
        """Register the study's winner as a model that MLflow serves (`tune_runner.register`).

        Args:
            name: of the registered model; a new version if there is one.

        Raises:
            UserError: there is nothing to register, or MLflow does not take it.
        """
        from tune_runner.registration import register

        runs_dir = str(self.folder.parent)
        return register(self.name, name, runs_dir=runs_dir, tracking_uri=self._uri)

    def _is_running(self) -> bool:
        from tune_runner.monitoring.status import has_live_driver

        is_child = self._process is not None and self._process.poll() is None
        return is_child or has_live_driver(self._folder)
