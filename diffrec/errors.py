"""What a user may get wrong, how it is said: one sentence with rule, value, remedy."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user's input breaks a rule. The message is one sentence; commands print it and exit 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest of `known`, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""
