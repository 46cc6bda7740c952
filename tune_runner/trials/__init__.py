"""The life of a trial: controller, groups that train together, retries after a failure.

Begin with `controller`. It speaks to Optuna through `search`; no Ray and no MLflow.
"""
