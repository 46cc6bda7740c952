"""Checkpoints of trials: where they lie, who may write them, when they are deleted.

Begin with `store`. Folders and object stores only; no Ray, Optuna or MLflow.
"""
