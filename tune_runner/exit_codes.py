"""Exit codes of `python -m tune_runner`."""

COMPLETE = 0
"""The study is complete, or one of its budgets (--max-...) is spent; the record is whole."""

FAILED = 1
"""No trial is complete, or the study was stopped by a fault that the last line names."""

REFUSED = 2
"""The request, or what it needs, is at fault; nothing was started and nothing is left behind. With
--register also at a study's end: the study is kept, and nothing was registered."""

RECORD_INCOMPLETE = 3
"""The trials ran, but MLflow has not taken all of their record; --resume sends the rest."""

INTERRUPTED = 130
"""Ctrl-C or SIGTERM; the study can be resumed."""

HELP = (
    "exit codes: 0 complete, or a budget (--max-...) is spent; 1 no trial complete, or stopped by "
    "a fault; 2 refused, nothing was started; 3 MLflow has not taken the whole record, which "
    "--resume sends; 130 interrupted"
)
