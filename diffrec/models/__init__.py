"""Networks, and the recommenders composed of them."""
