"""Saved views of MLflow's page of runs: a study's trials, its cells, and all studies.

MLflow 3.17 keeps a view as a tag of the experiment: JSON that its page reads
(`mlflow.sharedViewState.KEY`), and opens it at `?viewStateShareKey=KEY`. The menu "Views" lists
them. An older or newer page that does not know them opens its plain list instead.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tune_runner import schema

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TAG = "mlflow.sharedViewState."
_OURS = "diffrec-"
"""Beginning of the key of each of our views; those of people have others."""

_KEY = 12
"""Characters of a study's identity in a key: a link is to be short."""

_CHARACTER = 7
_PADDING = 18
"""Pixels of a column's head: one character, and what is beside the text."""

_WIDTHS = (60, 165)
"""Narrowest and widest column, in pixels; a metric's number needs 105."""

STUDIES_KEY = f"{_OURS}studies"

MAX_VIEWS = 25
"""Views of studies that are kept, the newest: the page takes 40 in all, so people's own fit."""


def trials_key(identity: str) -> str:
    """Return the key of the view of a study's trials."""
    return f"{_OURS}{identity[:_KEY]}"


def cells_key(identity: str) -> str:
    """Return the key of the view of a study's cells."""
    return f"{trials_key(identity)}-cells"


def page_path(experiment: str, key: str) -> str:
    """Return the path, on an MLflow server, of the page that opens a view."""
    return f"/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={key}"


def study_views(
    name: str, identity: str, paths: Sequence[str], objective: str, *, maximize: bool, seeds: int
) -> dict[str, dict[str, Any]]:
    """Return the views of a study by key: its trials and, of several seeds, its cells.

    Args:
        name: of the study.
        identity: its id.
        paths: searched parameters.
        objective: metric that is searched by, by its own name.
        maximize: whether more of it is better.
        seeds: of every cell.
    """
    own = f"tags.{schema.STUDY_ID} = '{identity}'"
    metrics = _headline(objective)
    order = {"orderByKey": _column("metrics", metrics[0]), "orderByAsc": not maximize}
    trials = (
        order
        | {
            "searchFilter": f"{own} and tags.{schema.KIND} = 'trial'",
            "selectedColumns": [
                *(_column("metrics", metric) for metric in metrics[:2]),  # seen without scrolling
                *(_column("params", path) for path in (*paths, schema.SEED)),
                *(_column("metrics", metric) for metric in metrics[2:]),
                _column("tags", schema.STATE),
            ],
            **_charts(paths, metrics, schema.mlflow_name(objective)),
        }
    )
    views = {trials_key(identity): {"name": name, "state": _with_defaults(trials)}}
    if seeds > 1:
        deviations = [f"{schema.DEVIATION}/{metric}" for metric in metrics[:2]]
        cells = order | {
            "searchFilter": f"{own} and tags.{schema.KIND} = 'cell'",
            "selectedColumns": [
                *(_column("metrics", m) for m in (*metrics[:2], *deviations[1:])),
                *(_column("params", path) for path in paths),
                *(_column("metrics", m) for m in (schema.NUM_SEEDS, *metrics[2:], *deviations[:1])),
            ],
            **_charts(paths, metrics, None),
        }
        views[cells_key(identity)] = {
            "name": f"{name}: means over seeds",
            "state": _with_defaults(cells),
        }
    return views


def studies_view(objective: str) -> dict[str, Any]:
    """Return the view of all studies, a row each, the newest first."""
    counts = [f"{schema.TRIALS}/{state}" for state in ("complete", "pruned", "failed")]
    params = (schema.SPACE, schema.DATASET, schema.PROTOCOL, schema.SAMPLER, schema.SEEDS)
    state = {
        "searchFilter": f"tags.{schema.KIND} = 'study'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": [
            *(_column("metrics", metric) for metric in _headline(objective)[:2]),
            *(_column("params", name) for name in params),
            *(_column("metrics", metric) for metric in (*counts, schema.COST_SECONDS)),
            _column("tags", schema.STATE),
        ],
    }
    return {"name": "all studies", "state": _with_defaults(state)}


def save_views(
    client: "MlflowClient", experiment: str, views: Mapping[str, Any], millis: int
) -> None:
    """Save views by key, and remove those of the oldest studies above `MAX_VIEWS`.

    Args:
        client: of the store.
        experiment: its id.
        views: name and state of each.
        millis: when they were made, in milliseconds since the epoch.
    """
    if not views:
        return
    for key, view in views.items():
        content = {"name": view["name"], "createdAt": millis, "updatedAt": millis}
        text = json.dumps(content | {"state": json.dumps(view["state"])})
        client.set_experiment_tag(experiment, TAG + key, text)
    tags = client.get_experiment(experiment).tags
    ours = [key for key in tags if key.startswith(TAG + _OURS) and key != TAG + STUDIES_KEY]
    oldest = sorted(ours, key=lambda key: json.loads(tags[key])["createdAt"])
    for key in oldest[: max(0, len(ours) - MAX_VIEWS)]:
        client.delete_experiment_tag(experiment, key)


def _headline(objective: str) -> list[str]:
    """Return the five metrics that matter, by MLflow's names."""
    return [schema.mlflow_name(n) for n in (f"best/{objective}", *schema.HEADLINE_METRICS)]


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _with_defaults(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a view's state with what all views share: the selected columns come first."""
    columns = state["selectedColumns"]
    order = ["attributes.`Run Name`", *columns, "duration", "runDateAndNestInfo"]
    return {
        "lifecycleFilter": "Active",
        "startTime": "ALL",
        "runsHiddenMode": "SHOW_ALL",
        "columnOrder": order,
        "columnWidths": {column: _width(column) for column in columns},
        **state,
    }


def _width(column: str) -> int:
    """Return the pixels that show the name of a column whole, as far as it is not too long."""
    kind, _, name = column.partition(".")
    if kind == "metrics":
        return 105
    return min(max(_CHARACTER * len(name.strip("`")) + _PADDING, _WIDTHS[0]), _WIDTHS[1])


def _charts(paths: Sequence[str], metrics: Sequence[str], curve: str | None) -> dict[str, Any]:
    """Return the first section of the chart page: parallel coordinates, and curves of trials."""
    section = "diffrec"
    common = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    charts: list[dict[str, Any]] = [
        {
            **common,
            "uuid": f"{section}-parallel",
            "type": "PARALLEL",
            "runsCountToCompare": 100,
            "selectedParams": list(paths),
            "selectedMetrics": list(metrics[:2]),
            "showAllRuns": True,
        }
    ]
    if curve is not None:
        charts.append(
            {
                **common,
                "uuid": f"{section}-curve",
                "type": "LINE",
                "runsCountToCompare": 100,
                "metricKey": curve,
                "selectedMetricKeys": [curve],
                "lineSmoothness": 0,
                "scaleType": "linear",
                "xAxisScaleType": "linear",
                "range": {},
                "xAxisKey": "step",
                "selectedXAxisMetricKey": "",
                "yAxisKey": "metric",
                "yAxisExpressions": [],
                "ignoreOutliers": False,
                "useGlobalXaxisKey": True,
                "useGlobalLineSmoothing": True,
            }
        )
    sections = [{"uuid": section, "name": "comparison", "display": True, "isReordered": True}]
    return {
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }
