"""Full-ranking evaluation: rankings with seen items masked, and the metrics of them."""
