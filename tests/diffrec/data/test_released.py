import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffrec.data import read_released
from diffrec.errors import UserError
from real_data import require_real_data


def test_a_sound_folder_is_read_in_time_order(folder):
    released = read_released(folder)
    assert released.train.to_pairs().tolist() == [[0, 2], [0, 0], [1, 1], [1, 3], [2, 0]]
    assert released.test.lengths.tolist() == [1, 0, 1]  # user 1 has no test row: legal
    assert (released.train.num_users, released.train.num_items) == (3, 4)
    np.testing.assert_array_equal(
        released.item_embeddings, np.arange(8, dtype=np.float32).reshape(4, 2)
    )


def test_sizes_are_the_maxima_over_all_lists(folder):
    (folder / "item_emb.npy").unlink()
    np.save(folder / "test_list.npy", np.array([[1, 9]]))
    released = read_released(folder)
    assert released.item_embeddings is None
    for interactions in (released.train, released.valid, released.test):
        assert (interactions.num_users, interactions.num_items) == (3, 10)


def test_embeddings_may_know_more_items_than_the_lists(folder):
    np.save(folder / "item_emb.npy", np.ones((6, 2)))
    released = read_released(folder)
    assert released.train.num_items == 6
    assert released.item_embeddings is not None
    assert released.item_embeddings.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, ">i8"])
def test_any_integer_dtype_reads_alike(folder, dtype):
    expected = read_released(folder).train.to_pairs()
    np.save(folder / "train_list.npy", expected.astype(dtype))
    np.testing.assert_array_equal(read_released(folder).train.to_pairs(), expected)


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, np.ones(2))
    return file.getvalue()


TRAIN = [[0, 2], [0, 0], [1, 1], [1, 3], [2, 0]]
HUGE = _saved(np.ones((2, 2), int)).replace(b"(2, 2)", b"(2, 9)")  # the header promises more

BROKEN = {
    # what is wrong: (file, its new content or None for a missing file, the sentence)
    "train missing": ("train_list.npy", None, "train_list.npy is missing; a dataset needs it"),
    "valid missing": ("valid_list.npy", None, "valid_list.npy is missing"),
    "test missing": ("test_list.npy", None, "test_list.npy is missing"),
    "not npy": ("train_list.npy", b"user,item\n0,1\n", "does not begin like one"),
    "empty file": ("train_list.npy", b"", "does not begin like one"),
    "npz": ("train_list.npy", _zipped(), "does not begin like one"),
    "bare pickle": ("train_list.npy", b"\x80\x04K\x01.", "does not begin like one"),
    "cut header": ("train_list.npy", _saved(np.ones((2, 2), int))[:40], "valid .npy header"),
    "cut data": (
        "train_list.npy",
        _saved(np.ones((2, 2), int))[:-5],
        "holds 27; the file is trunc",
    ),
    "false header": ("train_list.npy", HUGE, "must hold 144 bytes of data by its own header"),
    "objects": (
        "train_list.npy",
        np.array([[0, "a"]], object),
        "pickled Python objects, which are",
    ),
    "float ids": ("train_list.npy", np.array([[0.0, 1.0]]), "its dtype is float64; save it as int"),
    "bool ids": ("train_list.npy", np.array([[True, False]]), "its dtype is bool"),
    "text ids": ("train_list.npy", np.array([["0", "1"]]), "its dtype is <U1"),
    "one axis": ("valid_list.npy", np.array([0, 1]), r"shape (n, 2), but its shape is (2,)"),
    "three columns": ("valid_list.npy", np.array([[0, 1, 5]]), "its shape is (1, 3)"),
    "empty list": ("test_list.npy", np.zeros((0, 2), int), "but it is empty"),
    "negative id": ("test_list.npy", np.array([[0, -3]]), "but its smallest is -3"),
    "huge id": ("test_list.npy", np.array([[0, 2**40]]), "below 2^31, but its largest is 1099511"),
    "repeated row": (
        "train_list.npy",
        [*TRAIN, [1, 3]],
        "must not repeat a row, but 1 [user, item]",
    ),
    "train in valid": (
        "valid_list.npy",
        np.array([[0, 1], [1, 3]]),
        "(the first is [1, 3]); remove",
    ),
    "train in test": (
        "test_list.npy",
        np.array([[0, 2]]),
        "train_list.npy and test_list.npy share 1",
    ),
    "valid in test": (
        "test_list.npy",
        np.array([[0, 1]]),
        "valid_list.npy and test_list.npy share",
    ),
    "unknown user": (
        "test_list.npy",
        np.array([[7, 1]]),
        "but 5 of 8 have none (the first is user 3)",
    ),
    "user gap": ("train_list.npy", np.array([[0, 2], [2, 0]]), "the first is user 1"),
    "unknown item": (
        "valid_list.npy",
        np.array([[0, 9]]),
        "it has 4 and valid_list.npy names item 9",
    ),
    "embedding 1-D": ("item_emb.npy", np.ones(4), "must have shape (num_items, dim)"),
    "embedding 3-D": ("item_emb.npy", np.ones((4, 1, 1)), "its shape is (4, 1, 1)"),
    "embedding width 0": ("item_emb.npy", np.ones((4, 0)), "its shape is (4, 0)"),
    "embedding short": ("item_emb.npy", np.ones((3, 2)), "must have a row for every item"),
    "embedding ints": (
        "item_emb.npy",
        np.ones((4, 2), int),
        "must hold floats, but its dtype is int",
    ),
    "embedding NaN": (
        "item_emb.npy",
        np.full((4, 2), np.nan),
        "4 of 4 rows do not (the first is row 0",
    ),
    "embedding beyond float32": ("item_emb.npy", np.full((4, 2), 1e300), "finite float32 numbers"),
    "embedding objects": ("item_emb.npy", np.full((4, 2), None, object), "pickled Python objects"),
}


@pytest.mark.parametrize(("file", "content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_is_refused_in_one_sentence(folder, file, content, message):
    (folder / file).unlink()
    if isinstance(content, bytes):
        (folder / file).write_bytes(content)
    elif content is not None:
        (folder / file).write_bytes(_saved(np.asarray(content)))
    with pytest.raises(UserError) as refusal:
        read_released(folder)
    sentence = str(refusal.value)
    assert message in sentence
    assert str(folder) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_sparse_item_ids_are_refused_before_memory_is_asked_for(folder):
    (folder / "item_emb.npy").unlink()
    np.save(folder / "test_list.npy", np.array([[0, 2_000_000_000]]))
    with pytest.raises(UserError, match="names item 2000000000 in a dataset of 9 rows; renumber"):
        read_released(folder)


def test_sparse_user_ids_are_refused_before_memory_is_asked_for(folder):
    np.save(folder / "test_list.npy", np.array([[2_000_000_000, 0]]))
    with pytest.raises(UserError, match="1999999998 of 2000000001 have none"):
        read_released(folder)


def test_a_folder_must_be_a_folder(folder):
    with pytest.raises(UserError, match=r"must be a folder, but .*train_list\.npy is not"):
        read_released(folder / "train_list.npy")
    with pytest.raises(UserError, match=r"must be a folder, but .*absent is not"):
        read_released(folder / "absent")


def test_a_directory_in_place_of_a_file_is_refused(folder):
    (folder / "test_list.npy").unlink()
    (folder / "test_list.npy").mkdir()
    with pytest.raises(UserError, match="must be readable, but it is not"):
        read_released(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.integers(0, 200), byte=st.integers(0, 255), keep=st.integers(0, 210))
def test_no_corruption_escapes_as_another_error(folder, position, byte, keep):
    content = bytearray(_saved(np.array(TRAIN)))
    content[position] = byte
    (folder / "train_list.npy").write_bytes(content[:keep])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's parser comments on some mutilated headers
        with contextlib.suppress(UserError):
            read_released(folder)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "sizes", "rows"),
    [  # FIELD.md, section 4
        ("ml-1m_clean", (5949, 2810), (403_277, 110_722, 57_532)),
        ("ml-1m_noisy", (5949, 3494), (429_993, 130_772, 57_532)),
    ],
)
def test_the_released_ml_1m_is_read_whole(name, sizes, rows):
    released = read_released(require_real_data(name))
    assert (released.train.num_users, released.train.num_items) == sizes
    assert (released.train.nnz, released.valid.nnz, released.test.nnz) == rows
    assert released.item_embeddings is not None
    assert released.item_embeddings.shape == (sizes[1], 64)
