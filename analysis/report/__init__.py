"""Report of a study: its content, sentences, tables, page and files.

Formatting only: numbers come from `comparisons` and `diagnostics`.
Begin reading with `build`.
"""
