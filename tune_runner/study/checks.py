"""Checks of single values of a study's settings."""

from diffrec.errors import UserError, did_you_mean

_DIGITS = 20
"""Digits shown of a number that is refused."""


def check_choice(kind: str, value: str | None, names: tuple[str, ...]) -> None:
    """Refuse a name that is none of `names`; None is accepted."""
    if value is not None and value not in names:
        raise UserError(
            f"No {kind} named {value!r}{did_you_mean(value, names)}; known: {', '.join(names)}."
        )


def check_count(flag: str, value: int | None, limit: int) -> None:
    """Refuse a count below 1 or above `limit`; None is accepted."""
    if value is not None and value < 1:
        raise UserError(f"{flag} must be 1 or more, but got {value}; give a larger number.")
    if value is not None and value > limit:
        raise UserError(f"{flag} must be at most {limit:,}, but got {shortened(value)}; give less.")


def shortened(value: int) -> str:
    """Return a number's digits, the first ones if there are many."""
    text = str(value)
    return text if len(text) <= _DIGITS else f"{text[:_DIGITS]}..."
