"""The worker's side of Ray: a trainable, the trials in it, and the torch backend.

Begin with `trainable`. Nothing here imports Optuna or MLflow; torch is imported here alone.
"""
