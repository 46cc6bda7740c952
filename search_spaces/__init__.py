"""Search spaces as data, checked against the configuration when they are made.

No torch, Ray, Optuna or MLflow here.
Begin reading with `space`; `catalog` has the shipped ones.
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice, FractionOf, IntUniform, LogUniform, ScaledFrom, Uniform
from search_spaces.objectives import Objective
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
