"""A study as MLflow has recorded it: trials, cells, labels, weight trajectories.

No statistics here; `mlflow_reader` is the only door to MLflow in `analysis`.
Begin reading with `model`.
"""
