"""Baselines with the interface of every recommender: `scores(history, users)`."""
