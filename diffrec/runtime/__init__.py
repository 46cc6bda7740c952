"""Devices, memory, precision and random seeds of a process.

Independent of every model, dataset and configuration.
Begin reading with `devices`.
"""
