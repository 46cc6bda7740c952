"""Budgets of a study in money and energy, over all runs of the command."""

import math
from dataclasses import dataclass

from diffrec.errors import UserError
from tune_runner.resources.prices import Prices, parse_prices
from tune_runner.resources.spending import Spent

BUDGETS = ("price", "max_cost", "max_kwh")
"""Settings of a study that a resumed one keeps unless it is given others."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of what a study may spend, and the prices of its nodes; None: none."""

    price: str | None = None
    max_cost: float | None = None
    max_kwh: float | None = None

    def __post_init__(self) -> None:
        for flag, amount in (("--max-cost", self.max_cost), ("--max-kwh", self.max_kwh)):
            if amount is not None and not 0 < amount < math.inf:
                raise UserError(
                    f"{flag} must be a number above 0, but got {amount:g}; give another."
                )
        prices = self.prices
        if self.max_cost is not None and prices is None:
            raise UserError(
                f"--max-cost {self.max_cost:g} needs --price, the price of a node-hour, for "
                "example --price 0.35; add it, or leave --max-cost out."
            )
        if self.max_cost is not None and prices is not None and prices.dearest == 0:
            raise UserError(
                f"--max-cost {self.max_cost:g} would never be reached at --price {self.price!r}; "
                "give a price above 0, or leave --max-cost out."
            )

    @property
    def prices(self) -> Prices | None:
        """Prices of the nodes; None: none was given."""
        return None if self.price is None else parse_prices(self.price)

    @property
    def are_given(self) -> bool:
        """True if there is a price or a budget."""
        return self != Budgets()

    def check_left(self, spent: Spent) -> None:
        """Refuse budgets that the study has spent already.

        Raises:
            UserError: it has.
        """
        amounts = (
            ("--max-cost", self.max_cost, spent.cost),
            ("--max-kwh", self.max_kwh, spent.kwh),
        )
        for flag, budget, used in amounts:
            if budget is not None and used is not None and used >= budget:
                raise UserError(
                    f"{flag} must be more than the {used:.4g} that the study has spent, but got "
                    f"{budget:g}; give more."
                )

    def overspent(self, spent: Spent) -> str | None:
        """Return why the study is stopped; None while there is some left."""
        if self.max_cost is not None and spent.cost is not None and spent.cost >= self.max_cost:
            return (
                f"the budget of {self.max_cost:g} (--max-cost) is spent, {spent.cost:.4g} for "
                f"{spent.total_seconds / 3600:.4g} node-hours; a larger one continues the study"
            )
        if self.max_kwh is not None and spent.kwh >= self.max_kwh:
            return (
                f"the budget of {self.max_kwh:g} kWh (--max-kwh) is spent; a larger one continues "
                "the study"
            )
        return None

    def describe(self) -> str:
        """Return prices and budgets as a phrase; "" if there are none."""
        prices = self.prices
        priced = "" if prices is None else f"at {prices.describe()}"
        parts = [priced] if self.max_cost is None else [f"at most {self.max_cost:g} {priced}"]
        if self.max_kwh is not None:
            parts.append(f"at most {self.max_kwh:g} kWh, assumed where none is measured")
        return "; ".join(filter(None, parts))


def describe_spent(spent: Spent) -> str:
    """Return what was spent as a phrase."""
    cost = "" if spent.cost is None else f"{spent.cost:.4g} for "
    hours = f"{spent.total_seconds / 3600:.4g} node-hours"
    if spent.room_seconds:
        hours += f" ({spent.used_seconds / spent.room_seconds:.0%} held by trials)"
    if not spent.measured_kwh:
        how = "assumed: no power was measured"
    else:
        how = f"{spent.measured_kwh:.4g} of it measured, the rest assumed"
    return f"{cost}{hours}; {spent.kwh:.4g} kWh ({how})"
