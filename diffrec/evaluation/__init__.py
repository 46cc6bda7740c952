"""Full-ranking evaluation: rankings with seen items masked, and their metrics.

No training here, and no knowledge of a model but its scores.
Begin reading with `ranking`.
"""
