"""The only door to Optuna: the study, its storage, samplers, pruners and confirmation.

No Ray and no MLflow here.
Begin reading with `study_store`.
"""
