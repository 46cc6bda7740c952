"""Names of studies: each is a folder, a row of two databases, and text on a terminal."""

import unicodedata
from pathlib import Path

from diffrec.errors import UserError
from diffrec.files import NAME_BYTES

_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Signs that make one name look like another; joiners (U+200D) belong to emoji."""

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, surrogates, and separators of lines."""


def check_name(name: str) -> None:
    """Refuse a study's name that cannot be a folder, or that a terminal or MLflow cannot show.

    Raises:
        UserError: it has slashes, control characters or bytes that are no UTF-8, begins with a
            dot, or is too long.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise UserError(
            f"A study's name must be a plain folder name, but got {name!r}; "
            "leave out slashes and leading dots."
        )
    if not name.strip() or any(sign in _INVISIBLE for sign in name):
        raise UserError(
            f"A study's name must be seen as it is, but got {name!r}: it is blank, or holds signs "
            "without a width or of the writing direction; leave them out."
        )
    if any(unicodedata.category(sign) in _UNPRINTABLE for sign in name):
        raise UserError(
            f"A study's name must hold no control characters, line breaks or bytes that are not "
            f"UTF-8, but got {name!r}; leave them out."
        )
    if len(name.encode()) > NAME_BYTES:
        raise UserError(
            f"A study's name must have {NAME_BYTES} bytes at most, since it is the name of a "
            f"folder, but {name[:20]!r}... has {len(name.encode())}; choose a shorter --name."
        )
