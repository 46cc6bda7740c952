"""From raw ratings to a dataset one can trust: fetching, preparing, checking."""
