"""Environment variables that Ray and MLflow read once, when they are imported.

A variable that the user has set is left alone. Why each: see the comments, and
`docs/development/decisions.md`.
"""

import os

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints nothing; tune_runner.monitoring.progress does
    "RAY_USAGE_STATS_ENABLED": "0",  # no call home
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",  # seen: over a minute on a busy machine, then a crash
    # Ray's dashboard starts processes by `python -c`, which would put the working directory first:
    # a user's own random.py there would be imported by Ray, which then never starts.
    "PYTHONSAFEPATH": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay in the user's working directory
    # Ray would start workers at nice 15: beside any other job of the machine they would get a
    # thirtieth of a core each, and a study would starve. To give way to other jobs, start the
    # command with `nice -n 19`: Ray never raises a priority, so 0 means "as the command". Ray's own
    # processes are asleep most of the time and are scheduled promptly.
    "RAY_worker_niceness": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, no TensorBoard: twice the trials a second
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",  # Tune's own snapshots are never read
    # Its client would repeat even "create a run" after an answer that was lost, and make two.
    # tune_runner.tracking.tracker repeats, and looks first for what was made.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # only a thread waits
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def prepare() -> None:
    """Set the variables that are not set yet; call it before Ray or MLflow is imported.

    `RAY_AUTH_MODE` is left to Ray on purpose. Its ports listen on every interface, whatever the
    dashboard's address, so without Ray's token anyone in the network could run code here.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def for_workers() -> dict[str, str]:
    """Return the variables that workers of a cluster started elsewhere need, too."""
    name = "RAY_CHDIR_TO_TRIAL_DIR"
    return {name: os.environ.get(name, _SETTINGS[name])}
