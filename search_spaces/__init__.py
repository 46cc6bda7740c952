"""What to try: search spaces as data, checked against the configuration. No torch, no engines."""

from search_spaces.definition import Condition, Objective
from search_spaces.domains import Choice, FractionOf, IntUniform, LogUniform, ScaledFrom, Uniform
from search_spaces.registry import SPACES, get_space
from search_spaces.space import SearchSpace

__all__ = [
    "SPACES",
    "Choice",
    "Condition",
    "FractionOf",
    "IntUniform",
    "LogUniform",
    "Objective",
    "ScaledFrom",
    "SearchSpace",
    "Uniform",
    "get_space",
]
