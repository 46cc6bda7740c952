"""How much does the way items are clustered matter to L-DiffRec, and how many clusters?

Every method with every count, one cluster taken once (then there is nothing to choose), three
seeds: 17 cells, 51 trials. `random` draws clusters of the sizes that k-means found, so it separates
the effect of the grouping from that of splitting the autoencoder. The control is the published
choice, k-means with two clusters.

Nothing is pruned by default. A pruned cell would be compared at fewer epochs than its neighbours,
and since a cell whose first seeds do badly loses its later ones first, the surviving seeds would
flatter exactly the cells that are worst: the table would have holes, and a bias around them.
`--pruner` still works, for a search rather than a comparison.
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice, IntUniform
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="clustering_ablation",
    question=(
        "With equal budget, do the clustering algorithm and the number of item clusters change "
        "L-DiffRec's recommendations, and does a meaningful grouping beat a random one?"
    ),
    variant="L-DiffRec",
    domains={
        "autoencoder.clustering": Choice("kmeans", "gaussian_mixture", "agglomerative", "random"),
        "autoencoder.num_clusters": Choice(1, 2, 3, 4, 5),
    },
    conditions={
        "autoencoder.clustering": Condition("autoencoder.num_clusters", IntUniform(2, 5)),
    },
    replicates=3,
    control={"autoencoder.num_clusters": 2, "autoencoder.clustering": "kmeans"},
)
