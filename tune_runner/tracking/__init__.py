"""The only door to MLflow: tracker (a thread), outbox (on disk), writer, lookup of runs.

No Ray and no Optuna here.
Begin reading with `tracker`.
"""
