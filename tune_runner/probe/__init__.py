"""Measurements before a study: time, memory, the share of a GPU, whether fusing pays.

Begin with `measure`; `estimate` prints, `fusion` and `gpu_share` decide. No trial runs here.
"""
