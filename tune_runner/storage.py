"""A study in a database that a whole team can reach: its URL, its password, its outages.

The default, a journal file in the study's folder, needs none of this (see ledger).
"""

import logging
import os
import re
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from diffrec.errors import UserError, nearest

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

logger = logging.getLogger(__name__)

DATABASES = ("postgresql", "mysql", "sqlite")
"""What Optuna keeps a study in; PostgreSQL and SQLite are tested here."""

PATIENCE_SECONDS = 300.0
"""How long a running study waits for its database to come back."""

_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):(?!\d+/)[^\s@]*@")
"""Not `host:80/a@b`, where a port and a path come before the @."""


def without_password(text: str) -> str:
    """Return a URL, or a command with URLs in it, without the passwords."""
    return _PASSWORD.sub(r"\1@", text)


def take_password(url: str) -> str:
    """Return the URL without its password, which moves to `PGPASSWORD` for this process.

    There PostgreSQL's own client library looks for it, and nothing of ours writes it down.

    Raises:
        UserError: there is a password, and the database is not PostgreSQL.
    """
    from urllib.parse import unquote, urlsplit

    plain = without_password(url)
    if plain == url:
        return url
    if not url.startswith("postgresql"):
        raise UserError(
            f"--storage takes a password for PostgreSQL only, but got {plain!r} with one; name a "
            "file of client options in the URL instead."
        )
    os.environ["PGPASSWORD"] = unquote(urlsplit(url).password or "")
    return plain


def check_url(url: str) -> None:
    """Refuse what is no database's URL, or has a password in it.

    Raises:
        UserError: it is one of these.
    """
    dialect = re.match(r"(\w+)(\+\w+)?://", url)
    if dialect is None or dialect[1] not in DATABASES:
        name = dialect[1] if dialect else url
        raise UserError(
            f"--storage must be the URL of a database ({', '.join(DATABASES)}), but got "
            f"{without_password(url)!r}{nearest(name, DATABASES)}; leave it out for a journal file."
        )
    if without_password(url) != url:
        raise UserError("A storage URL is written down, so it holds no password; set PGPASSWORD.")


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


def claim(url: str, name: str, direction: Literal["maximize", "minimize"], *, new: bool) -> None:
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
    return patiently(lambda: dialect.connect(*arguments, **settings), dialect.dbapi.Error)


def patiently(
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
