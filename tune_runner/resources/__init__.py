"""CPUs, GPUs, memory and energy that a trial requests, gets and uses.

Arithmetic and measurements of this process alone; no Ray, Optuna or MLflow here.
Begin reading with `allocation`.
"""
