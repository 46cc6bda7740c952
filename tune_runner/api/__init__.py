"""Studies from Python: `run_study` and `load_study`, and the handle that both return.

A study runs in a child process, as the command would run it, so Ray, signals and the study's end do
not touch the caller's process. Begin reading with `launch`.
"""
