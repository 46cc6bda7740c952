"""The worker's side of Ray: a trainable, the trials in it, and the torch backend.

Nothing here imports Optuna or MLflow; torch is imported inside the methods, since the driver
imports these modules too. Begin reading with `trainable`.
"""
