"""The served recommender answers what `diffrec recommend` answers, for any family and any ids."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from diffrec.data.idmaps import IdMap
from diffrec.errors import UserError
from diffrec.serving import _load_pyfunc, save_served
from diffrec.training.checkpoint import load_checkpoint
from planted_study import histories, recommended, train

QUICK = ("training.max_epochs=1", "training.eval_every=1")
STOCHASTIC = ("diffusion.noise_scale=0.5", "diffusion.stochastic_sampling=true")


def served(folder, checkpoint, ids=None):
    loaded = load_checkpoint(checkpoint)
    save_served(folder, loaded, IdMap("item", loaded.dataset["num_items"], ids))
    return _load_pyfunc(str(folder))


@pytest.fixture(scope="module")
def ease(tmp_path_factory):
    """A served EASE, and its checkpoint."""
    folder = tmp_path_factory.mktemp("ease")
    checkpoint = train(folder / "trained", "EASE")
    return served(folder / "served", checkpoint), checkpoint


def asked(lists):
    return pd.DataFrame({"history": lists})


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("L-DiffRec", QUICK),
        ("T-DiffRec", (*QUICK, *STOCHASTIC, "diffusion.num_inference_noise_steps=2")),
        ("F-DiffRec", QUICK),
        ("ItemKNN", ()),
        ("Popularity", ()),
    ],
)
def test_lists_are_those_of_recommend(variant, settings, tmp_path):
    checkpoint = train(tmp_path / "trained", variant, *settings)
    model = served(tmp_path / "served", checkpoint)
    lists = histories(
        80, load_checkpoint(checkpoint).dataset["num_items"], np.random.default_rng(3)
    )
    found = model.predict(asked(lists), {"k": 11})
    assert [[str(i) for i in row] for row in found["items"]] == recommended(
        checkpoint, lists, tmp_path / "asked", 11
    )
    for scores in found["scores"]:
        assert scores == sorted(scores, reverse=True)


def test_nothing_that_was_seen_comes_back_and_short_lists_end(ease):
    model, _ = ease
    num_items = model._items.size
    lists = [list(range(num_items - 3)), [0]]
    found = model.predict(asked(lists), {"k": 5})
    assert set(found["items"][0]) == set(range(num_items - 3, num_items))
    assert [len(row) for row in found["scores"]] == [3, 5]
    assert model.predict(asked([])).empty


def test_ids_are_the_users_own_text_or_numbers(ease, tmp_path):
    plain, checkpoint = ease
    num_items = plain._items.size
    numbers = plain.predict(asked([[3, 5, 3], [7]]))
    for name, ids in {
        "text": np.array([f"film {n}, the" for n in range(num_items)]),
        "large": np.arange(num_items) * 10**15 + 7,
    }.items():
        model = served(tmp_path / name, checkpoint, ids)
        found = model.predict(asked([[ids[3], ids[5], ids[3]], [ids[7]]]))
        expected = [ids[row].tolist() for row in numbers["items"]]
        assert found["items"].tolist() == expected
        assert found["scores"].tolist() == numbers["scores"].tolist()


def test_rows_keep_their_index_and_threads_get_their_own_answers(ease):
    model, _ = ease
    frames = [asked([[n, n + 1]]).set_index(pd.Index([f"user {n}"])) for n in range(40)]
    alone = [model.predict(frame) for frame in frames]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(model.predict, frames))
    for one, other, frame in zip(alone, together, frames, strict=True):
        assert one.equals(other)
        assert one.index.tolist() == frame.index.tolist()


@pytest.mark.parametrize(
    ("lists", "params", "words"),
    [
        ([[]], {}, "in row 0 is empty"),
        ([[1], [10**9]], {}, "in row 1 must be one of"),
        ([["1; --"]], {}, "but got '1; --'"),
        ([7], {}, "must be a list of item ids, but that in row 0 is 7"),
        (["17"], {}, "but that in row 0 is '17'"),
        ([None], {}, "but that in row 0 is None"),
        ([[1]], {"k": 0}, "`k` must be 1 to"),
        ([[1]], {"k": 2.0}, "`k` must be a whole number"),
        ([[1]], {"k": True}, "`k` must be a whole number"),
    ],
)
def test_a_bad_request_is_one_sentence(ease, lists, params, words):
    with pytest.raises(UserError) as raised:
        ease[0].predict(asked(lists), params)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_frame_without_histories_is_refused(ease):
    with pytest.raises(UserError, match=r"must have a column 'history'.* but has 'items'"):
        ease[0].predict(pd.DataFrame({"items": [[1]]}))


def test_the_loader_imports_neither_mlflow_nor_pandas_at_first(ease, tmp_path):
    code = (
        "import json, sys, diffrec.serving\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "json.dump(sorted(names & {'mlflow', 'pandas', 'polars', 'ray', 'optuna'}), sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
