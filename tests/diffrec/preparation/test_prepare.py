"""From a raw file to lists: formats, filters, splits, noise, and every fault in one sentence."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from diffrec.__main__ import main
from diffrec.data import load_dataset
from diffrec.errors import UserError
from diffrec.preparation.events import read_events
from diffrec.preparation.folder import prepare_folder, sha256
from diffrec.preparation.reading.options import Columns, ReadOptions
from diffrec.preparation.settings import PrepareSettings

ROWS = [  # user, item, rating, time; not in order
    ("b", 30, 5, 9),
    ("a", 10, 4, 3),
    ("a", 20, 2, 1),
    ("b", 10, 5, 2),
    ("a", 30, 5, 2),
]
LOW = PrepareSettings(min_user_interactions=1, min_item_interactions=1, leave_last=(1, 1))


def write(path: Path, header: str | None, rows=ROWS, separator=",") -> Path:
    lines = [separator.join(map(str, row)) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")
    return path


def as_rows(events) -> list[tuple]:
    users, items = events.user_ids[events.users], events.item_ids[events.items]
    return list(zip(users.tolist(), items.tolist(), events.ratings, events.times, strict=True))


IN_ORDER = [("a", 20, 2, 1), ("a", 30, 5, 2), ("a", 10, 4, 3), ("b", 10, 5, 2), ("b", 30, 5, 9)]


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("r.csv", "userId,movieId,rating,timestamp", ","),
        ("r.csv", "reviewerID,asin,overall,unixReviewTime", ","),
        ("r.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float", "\t"),
        ("r.tsv", "user\titem\tstars\tts", "\t"),
        ("r.csv", "user_id;item_id;score;time", ";"),
        ("ratings.dat", None, "::"),
        ("u.data", None, "\t"),
    ],
)
def test_common_formats_are_recognised(name, header, separator, tmp_path):
    assert as_rows(read_events(write(tmp_path / name, header, ROWS, separator))) == IN_ORDER


def test_parquet_and_named_columns_and_dates(tmp_path):
    path = tmp_path / "r.parquet"
    days = [f"2020-01-0{row[3]}" for row in ROWS]
    columns = {"who": [r[0] for r in ROWS], "what": [r[1] for r in ROWS], "when": days}
    pl.DataFrame(columns).with_columns(pl.col("when").str.to_date()).write_parquet(path)
    events = read_events(path, ReadOptions(columns=Columns(user="who", item="what", time="when")))
    assert events.ratings is None
    assert events.item_ids[events.items].tolist() == [row[1] for row in IN_ORDER]
    days_apart = np.diff(events.times[:3]) / 86_400e6
    assert days_apart.tolist() == [1, 1]
    text = write(
        tmp_path / "r.csv",
        "user,item,rating,date",
        [(*r[:3], d) for r, d in zip(ROWS, days, strict=True)],
    )
    np.testing.assert_array_equal(read_events(text).times, events.times)


def test_ids_that_begin_as_numbers_and_go_on_as_text_are_text(tmp_path):
    rows = [(n, n, 5, n) for n in range(10_001)] + [("ann", "x-1", 5, 1)]
    events = read_events(write(tmp_path / "r.csv", "user,item,rating,time", rows))
    assert "ann" in events.user_ids
    assert "17" in events.user_ids


def test_of_a_repeated_pair_the_latest_row_counts(tmp_path):
    rows = [("a", 1, 5, 3), ("a", 2, 5, 2), ("a", 1, 1, 7), ("a", 1, 4, 1)]
    events = read_events(write(tmp_path / "r.csv", "user,item,rating,time", rows))
    assert as_rows(events) == [("a", 2, 5, 2), ("a", 1, 1, 7)]
    assert (events.rows_read, events.repeated) == (4, 2)


def ratings(path: Path, seed: int = 0, users: int = 90, items: int = 60) -> Path:
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for item in rng.permutation(items)[: rng.integers(20, 35)]:
            rows.append((f"u{user:02d}", int(item) + 500, int(rng.integers(1, 6)), len(rows)))
    rng.shuffle(rows)
    return write(path, "user,item,rating,timestamp", rows)


@pytest.fixture
def source(tmp_path) -> Path:
    return ratings(tmp_path / "ratings.csv")


def lists(folder: Path) -> dict[str, list[tuple]]:
    """Read a prepared folder back into original (user, item, time)."""
    users, items = np.load(folder / "user_ids.npy"), np.load(folder / "item_ids.npy")
    rows = {}
    for name in ("train", "valid", "test"):
        pairs = np.load(folder / f"{name}_list.npy")
        times = np.load(folder / f"{name}_timestamps.npy")
        rows[name] = list(zip(users[pairs[:, 0]], items[pairs[:, 1]], times, strict=True))
    return rows


def true_ratings(source: Path) -> dict[tuple, tuple[int, int]]:
    table = pl.read_csv(source)
    return {(user, item): (rating, time) for user, item, rating, time in table.iter_rows()}


def test_the_ratio_split_cuts_every_history_in_order_of_time(source, tmp_path):
    out = tmp_path / "out"
    prepare_folder(source, out, PrepareSettings(min_user_interactions=5, min_item_interactions=1))
    prepared, truth = lists(out), true_ratings(source)
    prepared_rows = [row for rows in prepared.values() for row in rows]
    liked = {pair for pair, (rating, _) in truth.items() if rating >= 4}
    by_user = {user: [p for p in liked if p[0] == user] for user, _ in liked}
    assert {row[:2] for row in prepared_rows} == {
        p for ps in by_user.values() if len(ps) >= 5 for p in ps
    }
    for user in {row[0] for row in prepared_rows}:
        parts = [
            [row[2] for row in prepared[n] if row[0] == user] for n in ("train", "valid", "test")
        ]
        times = [time for part in parts for time in part]
        assert times == sorted(times)
        n = len(times)
        assert [len(p) for p in parts[1:]] == [int(n * 0.1 + 0.5), int(n * 0.2 + 0.5)]


def test_the_folder_loads_and_its_manifest_vouches_for_every_file(source, tmp_path):
    out = tmp_path / "mine"
    manifest = prepare_folder(source, out, PrepareSettings(min_user_interactions=5))
    dataset = load_dataset("mine", tmp_path)
    assert dataset.train.nnz == manifest["counts"]["train"]
    assert (dataset.num_users, dataset.num_items) == (
        manifest["counts"]["users"],
        manifest["counts"]["items"],
    )
    assert json.loads((out / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    assert manifest["files"] == {name: sha256(out / name) for name in manifest["files"]}
    assert manifest["source"]["sha256"] == sha256(source)


def test_the_same_source_and_settings_give_the_same_files(source, tmp_path):
    settings = PrepareSettings(min_user_interactions=5, noisy=True, random_noise=0.2)
    first = prepare_folder(source, tmp_path / "a", settings)
    assert prepare_folder(source, tmp_path / "b", settings) == first


def test_both_bounds_hold_together_in_the_end(source, tmp_path):
    settings = PrepareSettings(min_user_interactions=9, min_item_interactions=9)
    prepare_folder(source, tmp_path / "out", settings)
    rows = [row for part in lists(tmp_path / "out").values() for row in part]
    for column in (0, 1):
        _, counts = np.unique([str(row[column]) for row in rows], return_counts=True)
        assert counts.min() >= 9


def test_leave_last_holds_out_that_many_of_every_user(source, tmp_path):
    settings = PrepareSettings(min_user_interactions=5, split="leave_last", leave_last=(2, 3))
    prepare_folder(source, tmp_path / "out", settings)
    for name, count in (("valid", 2), ("test", 3)):
        pairs = np.load(tmp_path / "out" / f"{name}_list.npy")
        assert set(np.bincount(pairs[:, 0])) == {count}


def test_the_timestamp_split_parts_all_users_at_the_same_moments(source, tmp_path):
    settings = PrepareSettings(
        min_user_interactions=2, min_item_interactions=1, split="timestamp", moments=("600", "800")
    )
    rows = [(u, i, r, t * 37 % 1000) for (u, i), (r, t) in true_ratings(source).items()]
    prepare_folder(write(source, "user,item,rating,time", rows), tmp_path / "out", settings)
    prepared = lists(tmp_path / "out")
    assert max(row[2] for row in prepared["train"]) < 600
    assert min(row[2] for row in prepared["valid"]) >= 600
    assert max(row[2] for row in prepared["valid"]) < 800 <= min(row[2] for row in prepared["test"])


def test_natural_noise_lies_in_train_and_valid_and_in_its_own_time(source, tmp_path):
    low = PrepareSettings(min_user_interactions=5, min_item_interactions=1)
    noisy = PrepareSettings(min_user_interactions=5, min_item_interactions=1, noisy=True)
    prepare_folder(source, tmp_path / "clean", low)
    manifest = prepare_folder(source, tmp_path / "noisy", noisy)
    clean, dirty, truth = lists(tmp_path / "clean"), lists(tmp_path / "noisy"), true_ratings(source)
    assert dirty["test"] == clean["test"]
    added = 0
    for name in ("train", "valid"):
        disliked = [row for row in dirty[name] if truth[row[:2]][0] < 4]
        added += len(disliked)
        assert [row for row in dirty[name] if row not in disliked] == clean[name]
    assert added == manifest["counts"]["natural noise kept"] > 100
    for user in {row[0] for row in dirty["test"]}:
        times = [row[2] for n in ("train", "valid", "test") for row in dirty[n] if row[0] == user]
        assert times == sorted(times)


def test_random_noise_has_the_stated_share_and_is_never_in_test(source, tmp_path):
    settings = PrepareSettings(min_user_interactions=5, min_item_interactions=1, random_noise=0.25)
    prepare_folder(source, tmp_path / "noisy", settings)
    prepared, truth = lists(tmp_path / "noisy"), true_ratings(source)
    for name in ("train", "valid", "test"):
        real = [row for row in prepared[name] if truth.get(row[:2], (0, -1)) >= (4, row[2])]
        expected = 0 if name == "test" else round(0.25 * len(real))
        assert len(prepared[name]) - len(real) == expected
    load_dataset("noisy", tmp_path)  # no row twice, none in two lists


FAULTS = {
    "an unknown column": ("user,item\n1,2\n", ["--rating-column", "stars"], "no column 'stars'"),
    "no item column": ("user,thing\n1,2\n", [], "must have a column of items"),
    "five columns without a header": ("1,2,3,4,5\n", [], "give their positions"),
    "an empty cell": ("user,item,rating\n1,,3\n", [], "1 cells of its item column"),
    "a rating that is none": ("user,item,rating\n1,2,good\n", [], "of its rating column"),
    "a time that is none": ("user,item,time\n1,2,soon\n", [], "of its time column"),
    "fractions as ids": ("user,item\n1.5,2\n", [], "must be names or whole numbers"),
    "no rows": ("user,item,rating\n", [], "holds none"),
    "nobody left": ("user,item,rating\n1,2,5\n", [], "No user is left"),
    "a wild ratio": ("user,item\n1,2\n", ["--ratio", "7:1"], "--ratio is 3 numbers"),
    "no train share": ("user,item\n1,2\n", ["--ratio", "0:1:2"], "a ratio of three"),
    "moments without the split": ("user,item\n1,2\n", ["--moments", "1:2"], "two moments"),
    "natural noise without ratings": ("user,item\n1,2\n", ["--noisy"], "has no ratings"),
    "a negative noise": ("user,item\n1,2\n", ["--random-noise", "-1"], "random_noise"),
    "a split by absent time": (
        "user,item\n1,2\n",
        ["--split", "timestamp", "--moments", "1:2", "--min-user", "1", "--min-item", "1"],
        "needs timestamps",
    ),
    "an empty list": (
        "user,item\n1,2\n",
        ["--min-user", "1", "--min-item", "1"],
        "valid list would be empty",
    ),
    "bytes": ("\0\1\2\n", [], "it is binary"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_exit_code_2(fault, tmp_path, capsys):
    text, more, words = FAULTS[fault]
    source = tmp_path / "r.csv"
    source.write_text(text)
    assert main(["prepare", str(source), "--out", str(tmp_path / "out"), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_replaced_only_by_force(source, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        prepare_folder(source, tmp_path, LOW)
    prepare_folder(source, tmp_path, LOW, force=True)
    assert (tmp_path / "notes.txt").exists()


def test_a_raw_file_goes_through_prepare_check_train_recommend(source, tmp_path, capsys):
    rows = [(u[1:], i, r, t) for (u, i), (r, t) in true_ratings(source).items()]
    dat = write(tmp_path / "ratings.dat", None, rows, "::")
    shop, model = str(tmp_path / "shop"), str(tmp_path / "model")
    assert main(["prepare", str(dat), "--out", shop, "--min-user", "5", "--min-item", "2"]) == 0
    assert main(["check", shop]) == 0
    assert main(["train", "--variant", "EASE", "--dataset", shop, "--out", model]) == 0
    command = ["recommend", "--checkpoint", model, "--dataset", shop, "--users", "07", "-k", "5"]
    capsys.readouterr()
    assert main(command) == 0
    answer = pl.read_csv(capsys.readouterr().out.encode(), schema_overrides={"user": pl.String})
    assert answer["user"].to_list() == ["07"] * 5
    assert answer["item"].min() >= 500
