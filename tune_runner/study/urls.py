"""URLs of databases: which are taken, and no password in any that is written down."""

import os
import re

from diffrec.errors import UserError, did_you_mean

DATABASES = ("postgresql", "mysql", "sqlite")
"""What Optuna keeps a study in; PostgreSQL and SQLite are tested here."""


_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):(?!\d+/)[^\s@]*@")
"""Not `host:80/a@b`, where a port and a path come before the @."""


def without_password(text: str) -> str:
    """Return a URL, or a command with URLs in it, without the passwords."""
    return _PASSWORD.sub(r"\1@", text)


def move_password_to_env(url: str) -> str:
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
            f"{without_password(url)!r}{did_you_mean(name, DATABASES)}; leave it out for a "
            "journal file."
        )
    if without_password(url) != url:
        raise UserError("A storage URL is written down, so it holds no password; set PGPASSWORD.")
