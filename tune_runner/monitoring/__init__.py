"""Views of a study for people: live progress, messages before and after, state from outside.

Text only: nothing here decides about a trial. Optuna is read in `status`, and nowhere else.
Begin reading with `progress`.
"""
