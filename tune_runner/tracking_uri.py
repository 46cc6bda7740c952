"""URI of MLflow's store: which kinds are taken; path of a local database to its URL and back."""

import os
import re
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from diffrec.credentials import refuse_unsure, without_password
from diffrec.errors import UserError
from tune_runner.schema import EXPERIMENT

DATABASE = "mlflow.db"
"""Name of the database in the working directory, which a bare `mlflow ui` opens, too."""

_SCHEMES = ("postgresql", "mysql", "mssql", "http://", "https://", "databricks://", "uc:")
_DATABASES = ("postgresql", "mysql", "mssql")
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "http": 80, "https": 443}
_CONNECT_SECONDS = 5

_MODEL_LOCATIONS = (
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns in which MLflow keeps where a model lies."""

_SPECIAL = re.compile(r"[#?%]")
"""Characters of a path that are special in a URL. SQLAlchemy decodes them, MLflow does not."""


def default_tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or the URL of the database that `mlflow ui` opens here."""
    return os.environ.get("MLFLOW_TRACKING_URI") or database_url(Path(DATABASE))


def _source(uri: str) -> str:
    """Return how the user named the store: by the variable, or by the flag of `analysis`."""
    is_variable = uri == os.environ.get("MLFLOW_TRACKING_URI")
    return "MLFLOW_TRACKING_URI" if is_variable else "--tracking-uri"


def database_url(path: Path) -> str:
    """Return the SQLite URL of a file.

    A path with `#`, `?` or `%` in it is written relative to the working directory, since MLflow and
    SQLAlchemy would read percent codes in different ways.

    Raises:
        UserError: the relative path contains one of them, too.
    """
    absolute = str(path.absolute())
    if not _SPECIAL.search(absolute):
        return f"sqlite:///{absolute}"
    relative = os.path.relpath(absolute)
    if _SPECIAL.search(relative):
        raise UserError(
            f"MLflow's database must have a path without #, ? and %, but got {absolute!r}; "
            "give the command from its folder."
        )
    return f"sqlite:///{relative}"


def database_path(uri: str) -> Path | None:
    """Return the file of a SQLite URL as an absolute path; None for a server or another database.

    Inverse of `database_url`.

    Raises:
        UserError: the URL is malformed, or its database would end with the process.
    """
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        url = None
    name = None if url is None or url.host else url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise UserError(
            f"A SQLite database is given as sqlite:/// and the path of a file, but got {uri!r}; "
            f"for one in this folder: sqlite:///{DATABASE}."
        )
    return Path(name).absolute()


def check_tracking_uri(uri: str) -> None:
    """Refuse what MLflow cannot keep a record in.

    Raises:
        UserError: it is a folder, or a malformed URL.
    """
    if uri.startswith("sqlite"):
        database_path(uri)
    elif not uri.startswith(_SCHEMES) and uri != "databricks":
        raise UserError(
            f"{_source(uri)} must be a database or a server, since MLflow no longer writes to "
            f"folders, but got {without_password(uri)!r}; for a file: sqlite:///{DATABASE}."
        )
    elif not uri.startswith(("databricks", "uc:")):  # names of secrets, kept elsewhere
        refuse_unsure(uri, _source(uri))


def check_readable(uri: str, remedy: str) -> None:
    """Refuse a store that cannot be read now: MLflow would make one, or try for minutes.

    Args:
        uri: of the store.
        remedy: what to do if there is none, for the message.

    Raises:
        UserError: no database is there, it is not MLflow's, or nothing answers.
    """
    check_tracking_uri(uri)
    path = database_path(uri)
    if path is not None:
        _check_database(path, remedy)
    elif uri.partition("+")[0].partition(":")[0] in _DATABASES:
        _check_server(uri)
    else:
        check_listening(uri)


def _check_database(path: Path, remedy: str) -> None:
    if not path.is_file():
        fault = "but that is no file" if path.exists() else "since there is no such file"
        raise UserError(f"No MLflow database at {path}, {fault}; {remedy}.")
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)
        ) as connection:
            connection.execute("SELECT 1 FROM experiments LIMIT 1")
    except sqlite3.Error as error:
        raise UserError(f"No MLflow database at {path} ({error}); {remedy}.") from None


def _check_server(uri: str) -> None:
    """Connect to a database once, which shows a wrong name, user or password as well."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    check_listening(uri)
    try:
        create_engine(
            uri, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}
        ).connect().close()
    except (SQLAlchemyError, ImportError, TypeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(
            f"MLflow's store {without_password(uri)} cannot be used ({reason}); start it, or "
            f"correct {_source(uri)}. A PostgreSQL is named postgresql+psycopg://USER@HOST/NAME."
        ) from None


def check_listening(uri: str) -> None:
    """Refuse a host that nothing answers on: MLflow would try for minutes.

    Raises:
        UserError: nothing does.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname and port:
            socket.create_connection((parts.hostname, port), _CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"MLflow's store {without_password(uri)} does not answer ({error}); start it, or "
            f"correct {_source(uri)}."
        ) from None


def artifact_location(database: Path) -> str:
    """Return the URI of the folder in which a local database keeps the experiment's files."""
    return (database.resolve().parent / "mlruns" / EXPERIMENT).as_uri()


def update_artifact_locations(database: Path) -> None:
    """Point MLflow to the artifacts beside a database that was moved or copied with them.

    MLflow keeps absolute paths, and has no call to change them. A database that cannot be written,
    or is not MLflow's, stays as it is.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=20)) as connection:
        row = connection.execute(
            "SELECT experiment_id, artifact_location FROM experiments WHERE name = ?",
            (EXPERIMENT,),
        ).fetchone()
        new, folder = artifact_location(database), database.parent / "mlruns" / EXPERIMENT
        if row is None or row[1] == new or not row[1].endswith(f"/mlruns/{EXPERIMENT}"):
            return
        experiment, old = row
        if not folder.is_dir() and Path(unquote(urlsplit(old).path)).is_dir():
            return  # moved without them
        with connection:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (new, experiment),
            )
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (new, len(old) + 1, experiment, len(old) + 1, f"{old}/"),
            )
            for table, column in _MODEL_LOCATIONS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )


def path_beside(database: Path | None, path: Path) -> str:
    """Return a path as it is recorded: relative to a local database's folder if it lies there.

    So a project that is moved or copied as a whole finds its own files.
    """
    if database is not None and path.resolve().is_relative_to(database.resolve().parent):
        return str(path.resolve().relative_to(database.resolve().parent))
    return str(path)
