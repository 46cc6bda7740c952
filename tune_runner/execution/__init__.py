"""The driver's side of Ray: cluster, preflight checks, Tune's run and its adapters.

Begin with `tune_run`. Together with `worker` the only door to Ray.
"""
