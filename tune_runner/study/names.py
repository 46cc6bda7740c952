"""Names of studies and registered models: text on a terminal, in databases, paths and URIs."""

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
    _refuse_unprintable("A study's name", name)
    if len(name.encode()) > NAME_BYTES:
        raise UserError(
            f"A study's name must have {NAME_BYTES} bytes at most, since it is the name of a "
            f"folder, but {name[:20]!r}... has {len(name.encode())}; choose a shorter --name."
        )


_IN_URIS = "/:?@"
"""Signs that end a name in `models:/NAME@champion` or `models:/NAME/2`; MLflow refuses two."""

_MODEL_CHARACTERS = 256
"""Longest name of a registered model: the width of MLflow's column."""


def check_model_name(name: str) -> None:
    """Refuse a name that MLflow's registry cannot hold, or that no `models:/` URI can name.

    Raises:
        UserError: it has signs of URIs, control characters or bytes that are no UTF-8, is blank,
            begins with two dots, or is too long.
    """
    if not name.strip() or name.strip() != name or any(sign in _INVISIBLE for sign in name):
        raise UserError(
            f"A registered model's name must be seen as it is, but got {name!r}: it is blank, or "
            "has blanks at an end or signs without a width; leave them out."
        )
    _refuse_unprintable("A registered model's name", name)
    if any(sign in name for sign in _IN_URIS) or name == "." or name.startswith(".."):
        raise UserError(
            "A registered model's name must fit into models:/NAME@champion, without "
            f"{' '.join(_IN_URIS)} and not ., nor with .. at its beginning, but got {name!r}; "
            "choose another."
        )
    if len(name) > _MODEL_CHARACTERS:
        raise UserError(
            f"A registered model's name must have {_MODEL_CHARACTERS} characters at most, but "
            f"{name[:20]!r}... has {len(name)}; choose a shorter one."
        )


def _refuse_unprintable(kind: str, name: str) -> None:
    if any(unicodedata.category(sign) in _UNPRINTABLE for sign in name):
        raise UserError(
            f"{kind} must hold no control characters, line breaks or bytes that are not UTF-8, but "
            f"got {name!r}; leave them out."
        )
