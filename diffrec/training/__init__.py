"""The training run: epochs that are yielded, validation, patience, the best state, resuming."""
