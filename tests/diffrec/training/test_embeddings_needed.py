"""Item embeddings are made for models that cluster the items, and for no other."""

import numpy as np
import pytest

from diffrec.config.presets import preset
from diffrec.data import embeddings, load_dataset, with_embeddings
from diffrec.models import clustered
from diffrec.models.clustering import cluster_items
from diffrec.training import factory
from diffrec.training.runs import build_run

ONE_CLUSTER = {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}


@pytest.fixture
def computed(monkeypatch):
    """Sizes of the train lists from which embeddings were made."""
    num_rows: list[int] = []

    def watched(train, dim=embeddings.DEFAULT_DIM):
        num_rows.append(train.nnz)
        return embeddings.svd_item_embeddings(train, dim)

    monkeypatch.setattr(clustered, "svd_item_embeddings", watched)
    return num_rows


@pytest.mark.parametrize("variant", ["DiffRec", "T-DiffRec", "F-DiffRec", "MultVAE", "EASE"])
def test_models_without_clusters_are_built_without_embeddings(variant, computed):
    split = load_dataset("embedded").tuning_split()
    build_run(preset(variant, "embedded").config, split)
    assert (split.item_embeddings, computed) == (None, [])


@pytest.mark.parametrize("variant", ["L-DiffRec", "LF-DiffRec"])
def test_clusters_are_those_of_the_embeddings_that_are_made(variant, computed):
    dataset = load_dataset("embedded")
    config = preset(variant, "embedded").config
    latent = config.autoencoder
    expected = cluster_items(
        with_embeddings(dataset).item_embeddings,
        latent.clustering,
        latent.num_clusters,
        config.seed,
    )
    cluster_ids = factory.build_model(config, dataset.tuning_split()).autoencoder.cluster_ids
    np.testing.assert_array_equal(cluster_ids, expected)
    assert computed == [dataset.train.nnz]
    factory.build_model(config, with_embeddings(dataset).tuning_split())
    factory.build_model(config.replace_values(ONE_CLUSTER), dataset.tuning_split())
    assert computed == [dataset.train.nnz]
