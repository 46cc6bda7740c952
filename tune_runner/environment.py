"""Settings that Ray and MLflow read once, from the environment, before they are imported.

A variable that the user has set is left alone. Why each: see the comments, and docs/stack.md.
"""

import os

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints nothing; tune_runner.progress does
    "RAY_USAGE_STATS_ENABLED": "0",  # no call home
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",  # seen: over a minute on a busy machine, then a crash
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay in the user's working directory
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, no TensorBoard: twice the trials a second
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",  # Tune's own snapshots are never read
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # tune_runner.tracking retries, without blocking
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def prepare() -> None:
    """Set what is not set yet. Call before Ray or MLflow is imported.

    `RAY_AUTH_MODE` is left to Ray on purpose. Its ports listen on every interface, whatever the
    dashboard's address, so without Ray's token anyone in the network could run code here.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def for_workers() -> dict[str, str]:
    """Return what the workers of a cluster that was started elsewhere must find set, too."""
    name = "RAY_CHDIR_TO_TRIAL_DIR"
    return {name: os.environ.get(name, _SETTINGS[name])}
