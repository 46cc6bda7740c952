import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from diffrec.data import available_datasets, fingerprint, load_dataset, with_embeddings
from diffrec.errors import UserError
from real_data import require_real_data


@pytest.fixture(autouse=True)
def nowhere(tmp_path_factory, monkeypatch) -> Path:
    """An empty working directory and no DIFFREC_DATA: nothing is found by accident."""
    folder = tmp_path_factory.mktemp("outer") / "inner"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DIFFREC_DATA", raising=False)
    return folder


def test_a_folder_is_found_by_its_parent(folder):
    dataset = load_dataset("tiny", folder.parent)
    assert (dataset.name, dataset.embeddings_source, dataset.notes) == ("tiny", "file", ())
    assert dataset.protocol == "published"
    assert dataset.train.to_pairs().tolist()[0] == [0, 2]


def test_a_folder_may_be_named_itself(folder):
    assert load_dataset("mine", folder).sha256 == load_dataset("tiny", folder.parent).sha256


def test_the_environment_names_the_data_directory(folder, monkeypatch):
    monkeypatch.setenv("DIFFREC_DATA", str(folder.parent))
    assert load_dataset("tiny").num_users == 3


@pytest.mark.parametrize("data_dir", ["data", "datasets", "../shared/datasets"])
def test_the_usual_places_are_searched(folder, nowhere, data_dir):
    shutil.copytree(folder, nowhere / data_dir / "tiny")
    assert load_dataset("tiny").num_users == 3
    assert available_datasets() == ("embedded", "tiny")


def test_every_usual_place_is_searched_not_only_the_first_there_is(folder, nowhere):
    (nowhere / "data").mkdir()
    shutil.copytree(folder, nowhere / "datasets" / "tiny")
    assert load_dataset("tiny").num_users == 3


def test_an_argument_wins_over_the_environment(folder, monkeypatch):
    monkeypatch.setenv("DIFFREC_DATA", os.devnull)
    assert load_dataset("tiny", folder.parent).num_users == 3


def test_embedded_needs_no_folder():
    assert load_dataset("embedded", Path("absent")).name == "embedded"


def test_missing_embeddings_are_made_when_needed_and_that_is_said(folder):
    tiny = load_dataset("tiny", folder.parent)
    assert with_embeddings(tiny) is tiny
    (folder / "item_emb.npy").unlink()
    loaded = load_dataset("tiny", folder.parent)
    assert (loaded.embeddings_source, loaded.item_embeddings, loaded.notes) == ("none", None, ())
    dataset = with_embeddings(loaded)
    assert dataset.sha256 == loaded.sha256
    assert dataset.embeddings_source == "svd"
    assert dataset.item_embeddings.shape == (4, 3)
    assert dataset.notes == (
        "Item embeddings were made from the train interactions (truncated SVD, 3 dimensions), "
        "because the dataset has none.",
    )


def test_chronological_exchanges_valid_and_test_and_says_so(folder):
    published = load_dataset("tiny", folder.parent)
    chronological = load_dataset("tiny", folder.parent, protocol="chronological")
    assert chronological.valid.to_pairs().tolist() == published.test.to_pairs().tolist()
    assert chronological.test.to_pairs().tolist() == published.valid.to_pairs().tolist()
    assert chronological.protocol == "chronological"
    assert "exchanged" in chronological.notes[-1]
    assert chronological.sha256 == published.sha256  # the same data, read in another order


def test_chronological_leaves_the_embedded_data_which_is_in_order():
    published, chronological = (load_dataset("embedded", protocol=p) for p in _PROTOCOLS)
    np.testing.assert_array_equal(chronological.test.indices, published.test.indices)
    assert "in time order" in chronological.notes[-1]


_PROTOCOLS = ("published", "chronological")


def test_the_fingerprint_is_of_the_contents(folder):
    original = load_dataset("tiny", folder.parent).sha256
    train = np.load(folder / "train_list.npy")

    np.save(folder / "train_list.npy", train.astype(np.int32))
    assert load_dataset("tiny", folder.parent).sha256 == original

    np.save(folder / "train_list.npy", train[[1, 0, 2, 3, 4]])  # another order in time
    assert load_dataset("tiny", folder.parent).sha256 != original

    np.save(folder / "train_list.npy", train)
    np.save(folder / "item_emb.npy", np.zeros((4, 2), np.float32))
    assert load_dataset("tiny", folder.parent).sha256 != original


def test_the_fingerprint_tells_the_lists_apart(folder):
    dataset = load_dataset("tiny", folder.parent)
    lists = (dataset.train, dataset.valid, dataset.test)
    assert fingerprint(*lists) != fingerprint(lists[0], lists[2], lists[1])
    assert fingerprint(*lists) != fingerprint(*lists, dataset.item_embeddings)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tyni",
            "was not found in {parent}; known are embedded, tiny (did you mean 'tiny'?).",
        ),
        ("embeded", "known are embedded, tiny (did you mean 'embedded'?)."),
        ("ml-1m-clean", "known are embedded, tiny (did you mean 'ml-1m_clean'?)."),
        ("qqq", "'qqq' was not found in {parent}; known are embedded, tiny."),
        (
            "yelp_clean",
            "'yelp_clean' was not found in {parent}; put its folder there, or say",
        ),
        ("../tiny", "must be the plain name of a folder, but got '../tiny'"),
        ("", "must be the plain name of a folder, but got ''"),
        ("..", "must be the plain name of a folder, but got '..'"),
    ],
)
def test_an_unknown_dataset_is_refused_with_what_is_known(folder, name, message):
    with pytest.raises(UserError) as refusal:
        load_dataset(name, folder.parent)
    assert message.format(parent=folder.parent) in str(refusal.value)


def test_without_any_data_directory_the_places_searched_are_named():
    with pytest.raises(UserError, match=r"in data, datasets, \.\./shared/datasets; known are"):
        load_dataset("mine")


def test_a_data_directory_must_exist():
    with pytest.raises(UserError, match="--data-dir must be a folder, but absent is not"):
        load_dataset("mine", Path("absent"))


def test_a_released_dataset_is_not_taken_for_another(folder):
    clean = folder.rename(folder.parent / "ml-1m_clean")
    with pytest.raises(UserError, match=r"'ml-1m_noisy' was requested, but .* holds 'ml-1m_clean'"):
        load_dataset("ml-1m_noisy", clean)


def test_an_incomplete_folder_is_told_what_it_lacks(folder):
    (folder / "train_list.npy").unlink()
    with pytest.raises(UserError, match=r"train_list\.npy is missing"):
        load_dataset("tiny", folder.parent)


def test_an_unknown_protocol_is_refused(folder):
    with pytest.raises(UserError, match=r"got 'chronologic' \(did you mean 'chronological'\?\)\."):
        load_dataset("tiny", folder.parent, protocol="chronologic")  # pyright: ignore


@pytest.mark.real_data
def test_ml_1m_loads_in_a_fraction_of_a_second():
    folder = require_real_data()
    start = time.perf_counter()
    dataset = load_dataset("ml-1m_clean", folder.parent)
    assert time.perf_counter() - start < 1.0  # 0.05 s where nothing else runs
    assert dataset.embeddings_source == "file"


def test_a_folder_of_the_name_is_offered_as_a_path(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"the folder here is given as \./mine"):
        load_dataset("mine")
