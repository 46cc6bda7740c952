"""Devices, memory, precision and random seeds of a process.

Independent of every model and dataset.
Begin reading with `devices`.
"""
