"""Diagnostics of a study: cost, pruning, importance of parameters, movement of weights.

No figure and no page here.
Begin reading with `cost`.
"""
