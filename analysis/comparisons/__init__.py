"""Comparisons between cells, studies and published numbers, with their intervals.

Begin with `ablation`. No figure and no page here.
"""
