"""What a study is: its configuration, session, folder, provenance and URLs.

Begin with `config`. No Ray, Optuna or MLflow.
"""
