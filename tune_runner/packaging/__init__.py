"""Code and requirements that a served recommender carries; no Ray, Optuna or MLflow.

A model in MLflow's registry must load where neither this repository nor the user's files are.
Begin reading with `carried_code`, then `requirements`.
"""
