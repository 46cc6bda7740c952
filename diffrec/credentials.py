"""Passwords in URLs: found in every place that clients read them from, refused or removed.

A URL is written down (study.json, MLflow's tags, messages, the list of processes), so a password in
one is read by others. What cannot be parsed for sure counts as a password.
"""

import re
from urllib.parse import unquote

from diffrec.errors import UserError

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"<>]+")
_SECRET_KEY = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|api_?key|access_?key|account_?key|signature",
    re.IGNORECASE,
)
_PAIR = re.compile(r"(?P<mark>[?&;#])(?P<key>[^=?&;#]*)=(?P<value>[^?&;#]*)")


def without_password(url: str) -> str:
    """Return one URL without its password, whether it stands before the host or in the query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    user, at, host = rest.rpartition("@")
    if at and ":" in user and not rest.startswith("/"):  # `sqlite:///a:b@c.db` has no host
        rest = f"{user.partition(':')[0]}@{host}"
    return f"{scheme}://{_without_secret_pairs(rest)}"


def without_secrets(text: str) -> str:
    """Return a text without the passwords of the URLs in it."""
    return _URL.sub(lambda found: without_password(found[0]), text)


def refuse_password(url: str, option: str, remedy: str) -> None:
    """Refuse a URL that holds a password, or may hold one.

    Args:
        url: as the user gave it.
        option: how the user named it, for the message: `--storage`.
        remedy: where the password belongs instead.

    Raises:
        UserError: it does.
    """
    plain = without_password(url)
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise UserError(f"{option} must hold no blanks, but got {plain!r}; write them as %20.")
    if plain != url:
        raise UserError(
            f"{option} must hold no password, since others can read it in study.json and in the "
            f"list of processes, but {plain!r} was given with one; {remedy}. A sign such as @ or "
            ": that belongs to a name is written in percent code (%40, %3A)."
        )


def _without_secret_pairs(rest: str) -> str:
    """Return what follows `://` without `password=...` and its kind."""

    def keep(pair: re.Match[str]) -> str:
        return "" if _SECRET_KEY.search(unquote(pair["key"])) else pair[0]

    clean = _PAIR.sub(keep, rest)
    if "?" in rest and "?" not in clean:  # the first pair went, and others follow it
        clean = clean.replace("&", "?", 1)
    return clean
