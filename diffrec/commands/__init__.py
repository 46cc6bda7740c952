"""Commands of `python -m diffrec`, one module each: `add_arguments(parser)`, `run(args)`.

At import they load neither torch nor NumPy: `--help` answers at once.
Begin reading with `train`.
"""
