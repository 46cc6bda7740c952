"""Runs that are trained as one computation (torch.func), equal to running alone.

Stays empty, so that the driver imports `compatibility` without torch.
Begin reading with `runs`.
"""
