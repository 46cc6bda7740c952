"""Errors of the user: one sentence with the rule, the value as given and the remedy."""

import difflib
from collections.abc import Iterable

_CLOSE, _TIE, _LISTED = 0.5, 0.01, 5
"""Least likeness of a suggestion, largest difference of a tie, most suggestions."""


class UserError(ValueError):
    """The user's input breaks a rule. The message is one sentence; commands print it and exit 2."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest of `candidates`, or an empty string.

    Names that are equally close are all listed: `a, b or c`.
    """
    names = [candidate for candidate in dict.fromkeys(candidates) if candidate != name]
    close = {candidate: _likeness(name, candidate) for candidate in names}
    best = max(close.values(), default=0.0)
    if best < _CLOSE:
        return ""
    closest = [repr(candidate) for candidate in names if close[candidate] >= best - _TIE][:_LISTED]
    listed = " or ".join(filter(None, [", ".join(closest[:-1]), closest[-1]]))
    return f" (did you mean {listed}?)"


def _likeness(name: str, other: str) -> float:
    """Return a number from 0 to 1: 1 for names that differ in case alone."""
    return difflib.SequenceMatcher(None, other.lower(), name.lower()).ratio()
