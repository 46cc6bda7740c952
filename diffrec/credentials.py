"""Passwords in URLs: found wherever clients read them from, refused or removed.

A URL is written down (study.json, MLflow's tags, messages, the list of processes), so a password in
one is read by others. Text that cannot be parsed unambiguously counts as a password.
"""

import re
from urllib.parse import unquote

from diffrec.errors import UserError

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")
_SECRET_KEY = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|signature|odbc_connect"
    r"|(api|access|account|private|session|shared)[_-]?key|^(pass|pw|sig|sas|key|auth)$",
    re.IGNORECASE,
)
_PAIR = re.compile(r"(?P<mark>[?&;#])(?P<key>[^=?&;#]*)=(?P<value>[^?&;#]*)")


_UNAMBIGUOUS_URL = re.compile(
    r"""(?P<scheme>[A-Za-z][\w+.-]*)://
    ((?P<user>[^\s@:/?\#'"<>\[\]]*)(:(?P<password>[^\s@:/?\#'"<>\[\]]*))?@)?
    (?P<host>[^\s@:/?\#'"<>\[\]]*|\[[0-9a-fA-F:.]+\])(:\d*)?
    (?P<rest>([/?\#][^\s@]*)?)""",
    re.VERBOSE,
)
"""A URL that every client takes apart in the same way: the password's end cannot be mistaken."""

_HIDDEN = "***"


def without_password(url: str) -> str:
    """Return one URL without its password, whether it stands before the host or in the query.

    Of a text that clients may take apart in different ways, all that may be a password is hidden.
    """
    scheme, mark, location = url.partition("://")
    if not mark:
        prefix, at, host = url.rpartition("@")
        return f"{_HIDDEN}@{host}" if at and ":" in prefix else url
    if not location.startswith("/"):  # `sqlite:///a:b@c.db` has no host
        match, (prefix, at, host) = _UNAMBIGUOUS_URL.fullmatch(url), location.rpartition("@")
        if match is None and at:
            location = f"{_HIDDEN}@{host}"
        elif match is not None and match["password"] is not None:
            location = f"{match['user']}@{host}"
    return f"{scheme}://{_without_secret_pairs(location)}"


def without_secrets(text: str) -> str:
    """Return a text without the passwords of the URLs in it."""
    return _URL.sub(lambda match: without_password(match[0]), text)


def refuse_password(url: str, option: str, remedy: str) -> None:
    """Refuse a URL that holds a password, or may hold one.

    Args:
        url: as the user gave it.
        option: how the user named it, for the message: `--storage`.
        remedy: the right place for the password, for the message.

    Raises:
        UserError: it holds one, or blanks.
    """
    redacted = without_password(url)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UserError(f"{option} must hold no blanks, but got {redacted!r}; write them as %20.")
    if redacted != url:
        raise UserError(
            f"{option} must hold no password, since others can read it in study.json and in the "
            f"list of processes, but {redacted!r} was given with one; {remedy}. A character such "
            "as @ or : that belongs to a name is written in percent code (%40, %3A)."
        )


def refuse_unsure(url: str, option: str) -> None:
    """Refuse a URL whose password, if it has one, does not end where all clients see its end.

    Args:
        url: as the user gave it, of a database or server.
        option: how the user named it, for the message: `MLFLOW_TRACKING_URI`.

    Raises:
        UserError: so it is.
    """
    if not _UNAMBIGUOUS_URL.fullmatch(url):
        raise UserError(
            f"{option} must be a URL that can be read in one way alone, but got "
            f"{without_password(url)!r}; correct it, and write @ : / ? # in a user's name or "
            "password in percent code (%40 %3A %2F %3F %23)."
        )


def _without_secret_pairs(location: str) -> str:
    """Return the part after `://` without `password=...` and similar pairs."""

    def replacement(pair: re.Match[str]) -> str:
        return "" if _SECRET_KEY.search(unquote(pair["key"])) else pair[0]

    redacted = _PAIR.sub(replacement, location)
    if "?" in location and "?" not in redacted:  # the first pair went, and others follow it
        redacted = redacted.replace("&", "?", 1)
    return redacted
