"""Preparation: from raw ratings to a checked dataset (fetch, read, split, report).

Streams what is larger than memory (polars); no model and no torch here.
Begin reading with `splitting`; `reading` parses files, `fetching` downloads them.
"""
