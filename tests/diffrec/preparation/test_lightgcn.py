import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diffrec.__main__ import main
from diffrec.data import Interactions, SyntheticConfig, load_dataset, plant
from diffrec.errors import UserError
from diffrec.preparation.lightgcn import (
    LightGCNSettings,
    lightgcn_item_embeddings,
    normalised_adjacency,
    propagate,
)

SMALL = LightGCNSettings(dim=16, epochs=8, learning_rate=3e-2)


def test_the_graph_is_symmetric_and_normalised_by_both_degrees():
    train = Interactions.from_pairs([[0, 0], [0, 1], [1, 1]], 2, 3)
    expected = np.zeros((5, 5))
    for user, item, weight in ((0, 0, 2), (0, 1, 4), (1, 1, 2)):
        expected[user, 2 + item] = expected[2 + item, user] = 1 / np.sqrt(weight)
    np.testing.assert_allclose(normalised_adjacency(train).to_dense(), expected, rtol=1e-6)


def test_spreading_is_the_mean_of_the_powers_of_the_graph():
    train = Interactions.from_pairs([[0, 0], [0, 1], [1, 1], [2, 3]], 3, 4)
    adjacency = normalised_adjacency(train)
    free = torch.randn(7, 2)
    A = adjacency.to_dense()
    expected = (free + A @ free + A @ A @ free) / 3
    torch.testing.assert_close(propagate(free, adjacency, 2), expected)


def test_embeddings_find_the_planted_communities():
    planted = plant(SyntheticConfig())
    embeddings = lightgcn_item_embeddings(planted.train, SMALL)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    nearness = unit @ unit.T
    np.fill_diagonal(nearness, -np.inf)
    communities = planted.item_communities
    # Chance alone would give about one in four.
    assert (communities[nearness.argmax(axis=1)] == communities).mean() > 0.9


def test_the_same_seed_gives_the_same_embeddings_and_another_seed_others():
    train = load_dataset("embedded").train
    quick = LightGCNSettings(dim=4, epochs=1)
    first = lightgcn_item_embeddings(train, quick)
    np.testing.assert_array_equal(first, lightgcn_item_embeddings(train, quick))
    other = lightgcn_item_embeddings(train, LightGCNSettings(dim=4, epochs=1, seed=2))
    assert not np.allclose(first, other)


def test_no_epochs_are_refused():
    with pytest.raises(UserError, match="epochs >= 1"):
        LightGCNSettings(epochs=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = load_dataset("embedded")
    for name in ("train", "valid", "test"):
        np.save(tmp_path / f"{name}_list.npy", getattr(data, name).to_pairs())
    (tmp_path / "manifest.json").write_text('{"files": {}}')
    return tmp_path


@pytest.mark.parametrize("method", ["svd", "lightgcn"])
def test_a_folder_gets_its_embeddings_and_the_manifest_knows(method, folder, capsys):
    assert main(["embed", str(folder), "--method", method, "--epochs", "1"]) == 0
    assert load_dataset(folder.name, folder.parent).embeddings_source == "file"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["item_embeddings"]["method"] == method
    assert "item_emb.npy" in manifest["files"]
    assert main(["embed", str(folder)]) == 2
    assert "--force" in capsys.readouterr().err
