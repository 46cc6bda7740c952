"""The only door to Optuna: the study, its storage, samplers, pruners and confirmation.

Begin with `study_store`. No Ray and no MLflow here.
"""
