"""The shipped search spaces, one `SPACE` a file. Data only."""
