"""A study as plain data: its configuration, session, folder, provenance and URLs.

No Ray, Optuna or MLflow here.
Begin reading with `config`.
"""
