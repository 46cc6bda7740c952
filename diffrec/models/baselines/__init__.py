"""Baselines with the interface of every recommender: `scores(history, users)`.

Trained by `training.closed_form_run` and `training.run`, not here.
Begin reading with `closed_form`.
"""
