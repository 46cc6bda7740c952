"""Readers of ratings and events as people have them: one `read_source` for every format.

Content decides, never the file's ending; every line is counted; ids stay text. Splitting into
lists is not done here (`preparation.splitting`). Begin with `source.py`.
"""
