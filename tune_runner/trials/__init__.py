"""The life of a trial: controller, groups that are trained together, retries after a failure.

Speaks to Optuna through `search` alone; no Ray and no MLflow here.
Begin reading with `controller`.
"""
