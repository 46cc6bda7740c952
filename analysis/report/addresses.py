"""Addresses of MLflow's pages: of a run, and of the views that compare a study's trials."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analysis.study.model import Study
from tune_runner import schema
from tune_runner.tracking import views

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LOCAL_UI = "http://127.0.0.1:5000"
"""Address of `mlflow ui` on this machine."""


def server_address(tracking_uri: str) -> str:
    """Return where MLflow's pages are; a database's are shown by `mlflow ui` here."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return LOCAL_UI
    host = parts.hostname or ""  # without the user and password that it may hold
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def run_url(tracking_uri: str, experiment: str, run: str) -> str:
    """Return the address of a run's page."""
    return f"{server_address(tracking_uri)}/#/experiments/{experiment}/runs/{run}"


def view_paths(client: "MlflowClient", study: Study) -> dict[str, str]:
    """Return the paths of the study's saved views by what they show; those alone that exist."""
    identity = study.tags.get(schema.STUDY_ID, "")
    keys = {"trials": views.trials_key(identity), "cells": views.cells_key(identity)}
    tags = client.get_experiment(study.experiment_id).tags
    return {
        shown: views.page_path(study.experiment_id, key)
        for shown, key in keys.items()
        if views.TAG + key in tags
    }
