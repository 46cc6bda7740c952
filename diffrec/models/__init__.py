"""Networks, and the recommenders composed of them.

No training loop, no files and no metrics here.
Begin reading with `recommender`.
"""
