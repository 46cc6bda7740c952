"""Storage of the Optuna study: a journal file, or a database that a whole team can reach.

The default, a journal file in the study's folder, needs none of this (see store).
"""

import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from diffrec.command_line import first_line
from diffrec.errors import UserError
from search_spaces.objectives import Direction
from tune_runner.events import NOTHING_RECORDED, RecordedTrials
from tune_runner.tracking_uri import database_path

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

logger = logging.getLogger(__name__)

IDENTITY = "study_id"
"""Attribute of a study in Optuna: tells it from others of its name."""

_JOURNAL = "journal://"
_RECORDED = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

PATIENCE_SECONDS = 300.0
"""How long a running study waits for its database to come back."""


def open_database(url: str, *, make_tables: bool = True) -> "RDBStorage":
    """Open the database, which must answer now; later outages are waited for.

    Args:
        url: of the database.
        make_tables: make Optuna's tables if there are none.

    Raises:
        UserError: its driver is not installed, or it does not answer.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # A connection that the server has dropped meanwhile is replaced, not used.
        storage = RDBStorage(
            url, engine_kwargs={"pool_pre_ping": True}, skip_table_creation=not make_tables
        )
    except ImportError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise UserError(
            f"The driver of {url!r} is not installed ({reason}); for PostgreSQL: "
            "pip install 'diffrec-tune[cluster]', and postgresql+psycopg:// in the URL."
        ) from None
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(
            f"The database {url!r} does not answer ({reason}); start it, or correct --storage "
            "or PGPASSWORD."
        ) from None
    event.listen(storage.engine, "do_connect", _connect_patiently)
    # Optuna leaves the pool's connections open for the garbage collector, which complains.
    weakref.finalize(storage, storage.engine.dispose)
    return storage


def check_name_is_free(url: str, name: str) -> None:
    """Refuse a new study's name that the database holds already.

    Raises:
        UserError: it does.
    """
    if name in optuna.get_all_study_names(open_database(url)):
        raise UserError(
            f"The database {url!r} holds a study {name!r} already; choose another --name."
        )


def _connect_patiently(
    dialect: Any, record: Any, arguments: list[Any], settings: dict[str, Any]
) -> Any:
    """Connect for SQLAlchemy; retry while the server does not answer."""
    return retry_connect(lambda: dialect.connect(*arguments, **settings), dialect.dbapi.Error)


def retry_connect(
    connect: Callable[[], Any],
    failures: type[Exception],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = 1.0,
) -> Any:
    """Return what `connect` returns, retried until it succeeds or `patience_seconds` are over."""
    deadline, is_warned = time.monotonic() + patience_seconds, False
    while True:
        try:
            return connect()
        except failures as error:
            if time.monotonic() >= deadline:
                raise
            if not is_warned:
                logger.warning("The study's database does not answer; waiting: %s", error)
                is_warned = True
            time.sleep(pause_seconds)


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open `journal:///path` (an append-only file) or any RDB URL.

    A crash in the middle of a write leaves half a line, after which every later write would fail;
    it is cut off first. The caller holds the study's lock, so a lock of the file itself is stale.
    """
    if not url.startswith(_JOURNAL):
        return open_database(url)
    path = Path(url.removeprefix(_JOURNAL))
    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.exists():
        with path.open("rb+") as file:
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)
            os.fsync(file.fileno())
    return _open_journal(path)


def read_trials(url: str, name: str) -> list[FrozenTrial]:
    """Return the trials of a study without any write: nothing is made or repaired."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not exists(url):
        return []
    try:
        storage = read_storage(url)
        return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    except KeyError:  # described, but not begun
        return []


def read_storage(url: str) -> optuna.storages.BaseStorage:
    """Open a study's storage to read, leaving alone what its driver may be writing.

    Raises:
        UserError: the journal cannot be read, or the database does not answer.
    """
    if not url.startswith(_JOURNAL):
        return open_database(url, make_tables=False)
    return _open_journal(Path(url.removeprefix(_JOURNAL)))


def exists(url: str) -> bool:
    """Return whether the file of a journal or of a SQLite database is there; else True."""
    path = Path(url.removeprefix(_JOURNAL)) if url.startswith(_JOURNAL) else database_path(url)
    return path is None or path.exists()


def _open_journal(path: Path) -> optuna.storages.BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - Optuna replays whatever the file holds
        raise UserError(
            f"The study's journal {path} is damaged ({first_line(error)}); restore it from a copy, "
            "or start again under another --name."
        ) from None


def open_study(
    url: str,
    name: str,
    direction: Direction | Sequence[Direction],
    pruner: optuna.pruners.BasePruner,
    *,
    identity: str,
    recorded: RecordedTrials = NOTHING_RECORDED,
) -> optuna.Study:
    """Open the study `name`, new or known.

    Args:
        url: of its storage.
        name: of the study.
        direction: of its objective, or of each of several.
        pruner: judges its trials.
        identity: tells it from others of that name.
        recorded: trials that it must hold.

    Raises:
        UserError: the storage holds another study, or not all of this one.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    location = url.removeprefix(_JOURNAL)
    if not exists(url):
        check_history([], recorded, location)
    storage = open_storage(url)
    try:
        stored = optuna.load_study(study_name=name, storage=storage)
        owner, trials = stored.user_attrs.get(IDENTITY), stored.get_trials(deepcopy=False)
    except KeyError:
        names = optuna.get_all_study_names(storage) if url.startswith(_JOURNAL) else []
        owner, trials = (names or [None])[0], []
    if owner not in (None, identity) or (owner is None and trials):
        raise UserError(
            f"{location} holds another study ({owner or name!r}), not the {name!r} of this folder; "
            "restore it from a copy, or start again under another --name."
        )
    check_history(trials, recorded, location)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[direction] if isinstance(direction, str) else list(direction),
        pruner=pruner,
        load_if_exists=True,
    )
    if owner is None:
        study.set_user_attr(IDENTITY, identity)
    return study


def check_history(trials: Sequence[FrozenTrial], recorded: RecordedTrials, location: str) -> None:
    """Refuse a storage that has lost trials: they would be run again over their MLflow runs.

    Args:
        trials: of the study, as its storage has them.
        recorded: trials as the record has them.
        location: the storage, for the message.

    Raises:
        UserError: a recorded trial is missing, or has not ended as recorded.
    """
    states = {trial.number: _RECORDED.get(trial.state, "running") for trial in trials}
    missing = [number for number in recorded.started if number not in states]
    for number, state in recorded.ended.items():
        is_open = states.get(number) == "running" and number in recorded.unsettled
        if states.get(number) != state and not is_open:
            missing.append(number)
    if missing:
        shown = ", ".join(f"{number:04d}" for number in sorted(set(missing))[:5])
        more = " ..." if len(set(missing)) > 5 else ""
        raise UserError(
            f"{location} does not hold all of the study: MLflow's record has more about trials "
            f"{shown}{more}; restore it from a copy, or start again under another --name."
        )
