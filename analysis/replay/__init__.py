"""Replays of recorded studies: which sampler, pruner and number of seeds would have found what.

Recorded curves make a landscape; the simulated studies are `tune_runner.search.replay`'s.
Begin reading with `command`.
"""
