"""What people see of a running study: `progress` (live), `status` (from outside), `messages`.

No decision about a trial is made here. Optuna is read in `status` alone.
"""
