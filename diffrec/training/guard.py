"""Guard of weighted queries: validation chooses the query that a recommender uses."""

from collections.abc import Callable

from diffrec.models.query_choice import QueryChoice

SELECTED_BY = "recall@20"


def best_query(choice: QueryChoice, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Validate with every query, choose the best, and return its validation metrics.

    `query_weighted` (1 or 0) and `query_scale` say which it is, and `unweighted_recall@20` what the
    plain history at scale 1 has; it is the first option, and an equal one does not replace it.

    Args:
        choice: queries of the recommender that `evaluate` validates.
        evaluate: validates the recommender with the chosen query.
    """
    results: list[dict[str, float]] = []
    for query in choice.options:
        choice.choose(query)
        results.append(evaluate())
    best = max(range(len(results)), key=lambda i: (results[i][SELECTED_BY], -i))
    query = choice.options[best]
    choice.choose(query)
    return results[best] | {
        "query_weighted": float(query.is_weighted),
        "query_scale": query.scale,
        f"unweighted_{SELECTED_BY}": results[0][SELECTED_BY],
    }
