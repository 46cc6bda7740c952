"""Measurements before a study: time, memory, the share of a GPU, the speed-up of fused trials.

No trial of a study runs here, and nothing is recorded.
Begin reading with `measure`; `fusion` and `gpu_share` decide, `estimate` prints.
"""
