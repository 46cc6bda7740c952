"""Training runs: epochs, validation, early stopping, the best state, resuming.

Metrics come from `evaluation`, networks from `models`; no command line and no tracker here.
Begin reading with `run`; `runs` builds one from a configuration.
"""
