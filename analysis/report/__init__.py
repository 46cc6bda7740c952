"""The report of a study: its content, sentences, tables, page and files.

Begin with `build`. Numbers come from `comparisons` and `diagnostics`.
"""
