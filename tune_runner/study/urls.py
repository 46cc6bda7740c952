"""URLs of databases: which are taken, and no password in any that is written down."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from diffrec.credentials import refuse_password, without_password
from diffrec.errors import UserError, did_you_mean

__all__ = ["DATABASES", "check_url", "without_password"]

DATABASES = ("postgresql", "mysql", "sqlite")
"""Databases that Optuna keeps a study in; PostgreSQL and SQLite are tested here."""


def check_url(url: str) -> None:
    """Refuse a text that is no URL of a database, or has a password in it.

    Raises:
        UserError: it is one of these.
    """
    dialect = re.match(r"(\w+)(\+\w+)?://", url)
    if dialect is None or dialect[1] not in DATABASES:
        name = dialect[1] if dialect else url.partition(":")[0]
        raise UserError(
            f"--storage must be the URL of a database ({', '.join(DATABASES)}), but got "
            f"{without_password(url)!r}{did_you_mean(name, DATABASES)}; leave it out for a "
            "journal file."
        )
    refuse_password(
        url,
        "--storage",
        "leave it out and set PGPASSWORD, which is for PostgreSQL only; for another database name "
        "a file of client options",
    )
    if dialect[1] == "sqlite":
        _check_sqlite(url)
        return
    try:
        name, _ = urlsplit(url).path.removeprefix("/"), urlsplit(url).port
    except ValueError as error:  # a port that is no number, half an IPv6 address
        raise UserError(
            f"--storage must be {dialect[0]}USER@HOST:PORT/NAME, but got {url!r} ({error}); "
            "correct it."
        ) from None
    if not name:
        raise UserError(
            f"--storage must name a database, {dialect[0]}USER@HOST/NAME, but got {url!r}; add it."
        )


def _check_sqlite(url: str) -> None:
    """Refuse a SQLite URL without a file, or with one that SQLite cannot make."""
    host, _, name = url.partition("://")[2].partition("?")[0].partition("/")
    if host or not name or name.startswith(":"):
        raise UserError(
            f"--storage must name a file as sqlite:///FILE or sqlite:////ABSOLUTE/FILE, but got "
            f"{url!r}; count the slashes."
        )
    path = Path(unquote(name))
    if path.exists() and not path.is_file():
        raise UserError(f"--storage must be a file, but {path} is none; choose another.")
    if not path.parent.is_dir():
        raise UserError(
            f"The database {url!r} does not answer ({path.parent} is no folder); make it, or "
            "correct --storage."
        )
