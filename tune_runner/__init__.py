"""How to try it: runs a search space as a study (Optuna proposes, Ray runs, MLflow records).

Importing this package imports no engine; each is loaded when a study starts.
"""
