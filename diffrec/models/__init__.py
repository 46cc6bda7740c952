"""The networks and the recommenders composed of them."""
