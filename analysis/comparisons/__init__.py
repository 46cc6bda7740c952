"""Comparisons between cells, studies and published numbers, with their intervals.

No figure and no page here.
Begin reading with `ablation`.
"""
