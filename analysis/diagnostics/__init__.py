"""Diagnostics of a study: cost, pruning, importance of parameters, movement of weights.

Begin with `cost`. No figure and no page here.
"""
