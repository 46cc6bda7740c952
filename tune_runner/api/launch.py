"""Starts a study from Python, or opens one that exists; both give a `StudyHandle`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.api import process
from tune_runner.api.handle import StudyHandle
from tune_runner.execution.cluster import check_address
from tune_runner.execution.remote_driver import SCHEME
from tune_runner.study.folder import StudyFolder
from tune_runner.study.names import check_name
from tune_runner.study.options import (
    STUDY_DEFAULTS,
    StudyOptions,
    complete_options,
    new_config,
    shows_options,
)
from tune_runner.study.spaces import space_setting
from tune_runner.tracking_uri import default_tracking_uri


@shows_options(STUDY_DEFAULTS)
def run_study(
    space: SearchSpace | Mapping[str, Any] | str | os.PathLike[str],
    **options: Unpack[StudyOptions],
) -> StudyHandle:
    """Start a study and return its handle once the first trials start.

    It runs in a process of its own, which continues when this one ends; `load_study` finds it
    again. Ray runs there, too, so a Ray session of this process is left alone; with its address as
    `address` the trials run in it.

    Args:
        space: a `SearchSpace`, its fields as a dict, the name of a shipped one, or the path of a
            `.py`, `.json` or `.yaml` file.
        **options: the command's flags by name (`StudyOptions`), for example `dataset="mine"`,
            `data_dir="."`, `trials=20`, `seeds=3`, `max_concurrent=2`; what is left out is as in
            the command.

    Returns:
        The handle of the running study.

    Raises:
        UserError: something about the request is wrong, in the sentence of the command; nothing
            was started and nothing is left behind.
        StudyError: the study's process ended before its first trial.
    """
    complete = complete_options(options, STUDY_DEFAULTS)
    _check_address(complete["address"])
    setting = space_setting(os.fspath(space) if isinstance(space, os.PathLike) else space)
    config = new_config(setting, complete)
    handle = StudyHandle(
        StudyFolder(Path(config.runs_dir), config.name), default_tracking_uri(), Path.cwd()
    )
    shown = setting if isinstance(setting, str) else setting["name"]
    call = process.describe_call("run_study", [shown], options)
    handle.attach(process.start(config, call, cwd=Path.cwd()))
    return handle


def _check_address(address: str | None) -> None:
    """Refuse an address that is none, or that only the command can use."""
    if address is None:
        return
    check_address(address)
    if address.startswith(SCHEME):
        raise UserError(
            f"From Python a study runs on the machine of the call, but got {address!r}; give auto "
            "or HOST:PORT on a node of the cluster, or use the command."
        )


def load_study(
    study: str | os.PathLike[str], *, runs_dir: str = "runs", tracking_uri: str | None = None
) -> StudyHandle:
    """Open a study that was started before, by the command or from Python.

    Args:
        study: its name, or its folder.
        runs_dir: folder of the studies, for a name.
        tracking_uri: MLflow's database or server; None: `MLFLOW_TRACKING_URI`, or `mlflow.db` in
            the working directory.

    Returns:
        Its handle; the study may run, or have ended.

    Raises:
        UserError: there is no such study.
    """
    text = os.fspath(study)
    if not isinstance(text, str):
        raise UserError(f"A study is given by its name or folder, but got {study!r}; give a text.")
    if "/" in text or isinstance(study, os.PathLike):
        path = Path(text).resolve()
        folder = StudyFolder(path.parent, path.name)
    else:
        check_name(text)
        folder = StudyFolder(Path(runs_dir), text)
    folder.read()
    return StudyHandle(folder, tracking_uri or default_tracking_uri(), Path.cwd())
