"""Runs trained as one computation. Empty, so that `compatibility` is imported without torch."""
