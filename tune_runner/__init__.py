"""Runs a search space as a study: Optuna samples, Ray runs the trials, MLflow records them.

Importing this package imports none of the three; each is loaded when a study starts.
Begin reading with `runner`, then `trials.controller`.
"""
