"""Diffusion recommender models: data, diffusion, models, training, evaluation.

This package knows nothing of Ray, Optuna, MLflow or plots. Importing it is cheap: torch is loaded
only by the modules that compute with it.
"""

__version__ = "0.1.0"
