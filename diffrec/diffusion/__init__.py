"""Gaussian diffusion: noise schedules, forward and reverse process, timestep samplers.

Tensors only; no network, no data and no training loop here.
Begin reading with `process`.
"""
