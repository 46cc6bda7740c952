"""Checkpoints of trials: their locations, the claims of workers on them, their deletion.

Folders and object stores only; no Ray, Optuna or MLflow here.
Begin reading with `store`; `blobs` below it writes every file whole.
"""
