"""Training runs: they yield epochs, validate, stop by patience, keep the best state and resume."""
