"""Draws a value of a domain with NumPy, apart from the samplers that studies use."""

import math

from search_spaces import Choice, IntUniform, LogUniform


def sample(domain, rng):
    """Draw one value; a rounded exponential is clipped back into the interval."""
    if isinstance(domain, Choice):
        return domain.values[int(rng.integers(len(domain.values)))]
    low, high = domain.low, domain.high
    if isinstance(domain, IntUniform):
        if not domain.log:
            return int(rng.integers(low, high, endpoint=True))
        value = round(math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5))))
    elif isinstance(domain, LogUniform):
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        value = float(rng.uniform(low, high))
    return min(high, max(low, value))
