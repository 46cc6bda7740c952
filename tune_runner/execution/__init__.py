"""The driver's side of Ray: cluster, preflight checks, Tune's run and its adapters.

Together with `worker` the only door to Ray; no Optuna and no MLflow here.
Begin reading with `tune_run`.
"""
