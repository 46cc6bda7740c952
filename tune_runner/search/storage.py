"""A study in a database that a whole team can reach: its URL, its password, its outages.

The default, a journal file in the study's folder, needs none of this (see store).
"""

import logging
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna

from diffrec.errors import UserError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

logger = logging.getLogger(__name__)


PATIENCE_SECONDS = 300.0
"""How long a running study waits for its database to come back."""


def open_database(url: str) -> "RDBStorage":
    """Open the database, which must answer now; later a study waits for it for a while.

    Raises:
        UserError: its driver is not installed, or it does not answer.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # A connection that the server has dropped meanwhile is replaced, not used.
        storage = RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
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


def register_study(
    url: str, name: str, direction: Literal["maximize", "minimize"], *, new: bool
) -> None:
    """Make the study in the database, or see that it is there: never join another's by its name.

    Raises:
        UserError: a new study's name is taken, or a known study is missing.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_database(url)
    try:
        if new:
            optuna.create_study(study_name=name, storage=storage, direction=direction)
        else:
            optuna.load_study(study_name=name, storage=storage)
    except optuna.exceptions.DuplicatedStudyError:
        raise UserError(
            f"The database {url!r} holds a study {name!r} already; choose another --name."
        ) from None
    except KeyError:
        raise UserError(
            f"The database {url!r} holds no study {name!r}; give the one that does with --storage."
        ) from None


def _connect_patiently(
    dialect: Any, record: Any, arguments: list[Any], settings: dict[str, Any]
) -> Any:
    """Connect for SQLAlchemy, again and again while the server is away."""
    return retry_connect(lambda: dialect.connect(*arguments, **settings), dialect.dbapi.Error)


def retry_connect(
    connect: Callable[[], Any],
    failures: type[Exception],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = 1.0,
) -> Any:
    """Return what `connect` returns, tried until it succeeds or the patience is used up."""
    deadline, said = time.monotonic() + patience_seconds, False
    while True:
        try:
            return connect()
        except failures as error:
            if time.monotonic() >= deadline:
                raise
            if not said:
                logger.warning("The study's database does not answer; waiting: %s", error)
                said = True
            time.sleep(pause_seconds)


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open `journal:///path` (an append-only file) or any RDB URL.

    A crash in the middle of a write leaves half a line, after which every later write would fail;
    it is cut off first. The caller holds the study's lock, so a lock of the file itself is stale.
    """
    if not url.startswith("journal://"):
        return open_database(url)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = Path(url.removeprefix("journal://"))
    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.exists():
        with path.open("rb+") as file:
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)
            os.fsync(file.fileno())
    return JournalStorage(JournalFileBackend(str(path)))


def read_storage(url: str) -> optuna.storages.BaseStorage:
    """Open a study's storage to read, leaving alone what its driver may be writing."""
    if not url.startswith("journal://"):
        return open_database(url)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(url.removeprefix("journal://")))


def open_study(
    url: str,
    name: str,
    direction: Literal["maximize", "minimize"],
    pruner: optuna.pruners.BasePruner,
) -> optuna.Study:
    """Open the study `name`, new or known."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=name,
        storage=open_storage(url),
        direction=direction,
        pruner=pruner,
        load_if_exists=True,
    )
