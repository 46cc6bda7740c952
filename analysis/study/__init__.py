"""A study as MLflow recorded it: trials, cells, labels, weight trajectories.

Begin with `model`; `mlflow_reader` is analysis' only door to MLflow.
"""
