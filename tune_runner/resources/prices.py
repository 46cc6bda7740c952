"""Prices of nodes, as `--price` gives them: for an hour of every node, or of each type."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffrec.errors import UserError
from tune_runner.resources.nodes import ClusterNode

PRICE_LIMIT = 1e6
"""Largest price of an hour; more is a slip."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of an hour of a node, in any currency."""

    by_name: tuple[tuple[str, float], ...] = ()
    """Names of node types, labels or resources, with the price of a node that has one."""

    other: float | None = None
    """Price of all other nodes; None: there must be none."""

    def of(self, node: ClusterNode) -> float | None:
        """Return a node's price, by the most specific of its names; None: it has none."""
        known = {name.casefold(): price for name, price in self.by_name}
        named = (known[name.casefold()] for name in node.names if name.casefold() in known)
        return next(named, self.other)

    @property
    def dearest(self) -> float:
        """Highest price, charged for a node that joins later and has no price."""
        return max(price for _, price in (*self.by_name, ("", self.other or 0.0)))

    def describe(self) -> str:
        """Return the prices as a phrase."""
        named = [f"{price:g} of {name}" for name, price in self.by_name]
        other = [] if self.other is None else [f"{self.other:g}"]
        return f"{', '.join([*other, *named])} per node-hour"


def parse_prices(text: str) -> Prices:
    """Return the prices of `0.35`, of `worker=0.35,gpu=2.10`, or of both, the number for the rest.

    Raises:
        UserError: it is none of these.
    """
    by_name: dict[str, float] = {}
    others: list[float] = []
    for part in text.split(","):
        name, mark, number = (word.strip() for word in part.rpartition("="))
        try:
            price = float(number)
        except ValueError:
            price = math.nan
        wrong = (mark and not name) or name in by_name or not 0 <= price <= PRICE_LIMIT
        if wrong or (not mark and others):
            raise UserError(
                "--price must be the price of a node-hour, 0.35 say, or one for each type of node, "
                f"as in worker=0.35,gpu=2.10, but got {text[:80]!r}; correct it."
            )
        if mark:
            by_name[name] = price
        else:
            others.append(price)
    return Prices(tuple(by_name.items()), others[0] if others else None)


def check_priced(prices: Prices, nodes: Sequence[ClusterNode]) -> None:
    """Refuse prices that leave out a node of the cluster.

    Raises:
        UserError: they do.
    """
    for node in nodes:
        if prices.of(node) is None:
            names = ", ".join(node.names)
            raise UserError(
                f"--price must name a price for every node, but names none of {names}, which is "
                f"in the cluster; add {node.type}=PRICE, or a plain number for all other nodes."
            )
