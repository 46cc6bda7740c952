"""Shipped search spaces, one `SPACE` in each file.

Data only; no machinery here.
Begin reading with `clustering_ablation`.
"""
