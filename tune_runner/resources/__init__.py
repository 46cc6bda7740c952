"""CPUs, GPUs, memory and energy: what a trial asks for, gets and uses.

Begin with `allocation`. No Ray, Optuna or MLflow.
"""
