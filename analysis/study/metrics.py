"""Test metrics of a report, and their headings."""

from tune_runner.schema import COMPARED_METRIC

TEST_METRICS = ("test/recall@10", "test/recall@20", "test/ndcg@10", "test/ndcg@20")

BEYOND_METRICS = tuple(
    f"test/{name}@20"
    for name in (
        *("coverage", "gini", "arp", "aplt", "novelty", "ild"),
        *("recall_short", "recall_middle", "recall_long"),
    )
)
"""Test metrics beyond accuracy of a report, as far as trials recorded them."""

METRIC = COMPARED_METRIC
"""Test metric that comparisons and figures use."""


def title(metric: str) -> str:
    """Return a metric's heading: `test/recall@20` is `R@20`, a validation value `valid R@20`."""
    *_, split, name = metric.split("/")
    short = name.replace("recall_", "R ").replace("recall", "R").replace("ndcg", "N")
    return short if split == "test" else f"{split} {short}"
