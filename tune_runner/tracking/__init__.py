"""The only door to MLflow: tracker (a thread), outbox (on disk), writer, lookup of runs.

Begin with `tracker`. No Ray and no Optuna here.
"""
