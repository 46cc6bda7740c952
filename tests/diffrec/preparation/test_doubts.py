"""Sources that can be read without an error but not as they are meant: mended, told or refused."""

import json
import os

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from diffrec.errors import UserError
from diffrec.preparation.reading.options import Columns, ReadOptions
from diffrec.preparation.reading.source import Source, read_source
from small_tables import PAIRS, ROWS, check_accounts, pairs, table

NUMBERS = [(user[1:], item[1:], rating, time) for user, item, rating, time in ROWS]
TRIPLES = [row[:3] for row in ROWS]
MARK = "\ufeff"


def with_values(write, column=3) -> str:
    return table([(*row[:column], write(row[column]), *row[column + 1 :]) for row in ROWS])


def read(tmp_path, content, **options) -> Source:
    path = tmp_path / "ratings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(path, ReadOptions(**options))


def quoted(rows, gap=" ") -> str:
    return "".join(
        gap.join(f'"{c}"' if isinstance(c, str) else f"{c}" for c in r) + "\n" for r in rows
    )


MENDED = {
    "R's table": quoted([("user", "item", "rating"), *TRIPLES]),
    "R's table with row names": quoted(
        [("user", "item", "rating"), *((str(n + 1), *row) for n, row in enumerate(TRIPLES))]
    ),
    "quotes between colons": quoted([("user", "item", "rating"), *TRIPLES], "::"),
    "a byte order mark before a second header": table(ROWS[:9]) + MARK + table(ROWS[9:]),
    "a byte order mark before a second header of pairs": (
        table(PAIRS[:9], header="user,item") + MARK + table(PAIRS[9:], header="user,item")
    ),
    "a second header in other capitals": (
        table(PAIRS[:9], header="user_id,item_id") + table(PAIRS[9:], header='"User ID", Item-Id')
    ),
    "a byte order mark between rows": (
        table(PAIRS[:9], header=None) + MARK + table(PAIRS[9:], header=None)
    ),
    "carriage returns twice": table(end="\r\r\n"),
    "both line ends": table(ROWS[:9], end="\r\n") + table(ROWS[9:], header=None),
    "pandas' split JSON": json.dumps(
        {"columns": ["user", "item", "rating"], "index": [1] * len(ROWS), "data": TRIPLES}
    ),
    "two frames of zstd": (
        pa.compress(table(ROWS[:9]).encode(), codec="zstd", asbytes=True)
        + pa.compress(table(ROWS[9:], header=None).encode(), codec="zstd", asbytes=True)
    ),
}


@pytest.mark.parametrize("kind", MENDED)
def test_a_form_that_a_program_writes_is_read_as_it_is_meant(kind, tmp_path):
    source = read(tmp_path, MENDED[kind])
    assert pairs(source) == PAIRS
    check_accounts(source)


def test_blanks_inside_quotes_are_part_of_an_id(tmp_path):
    rows = [(f"{user} x", item, rating) for user, item, rating in TRIPLES]
    source = read(tmp_path, quoted([("user", "item", "rating"), *rows]))
    assert pairs(source) == [(f"{user} x", item) for user, item in PAIRS]


@pytest.mark.parametrize("character", ["\x0b", "\u00a0", "\u2028", "\u0085"])
@pytest.mark.parametrize("separator", [",", " ", "\t"])
def test_blanks_of_other_kinds_are_part_of_an_id(character, separator, tmp_path):
    rows = [(user.replace("u", f"u{character}"), *rest) for user, *rest in ROWS]
    source = read(tmp_path, table(rows, separator=separator, header=None))
    assert pairs(source) == [(user, item) for user, item, _, _ in rows]


WORDS = {
    "an item called book": ("u0,book,4\n" + table(TRIPLES, header=None), {}),
    "the same, with positions": (
        "u0,book,4\n" + table(TRIPLES, header=None),
        {"columns": Columns(user="1", item="2", rating="3")},
    ),
    "a user called user": ("user,i1,4,1400000001\n" + table(header=None), {}),
    "a user called date": ("date,i1,4,1400000001\n" + table(header=None), {}),
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_first_row_with_the_word_of_a_column_stays_a_row(kind, tmp_path):
    content, options = WORDS[kind]
    source = read(tmp_path, content, **options)
    assert source.report.rows["rows read"] == len(ROWS) + 1
    assert source.ratings is not None


def test_words_that_every_row_has_are_no_header(tmp_path):
    rows = [(user, "name of", item, "track of", time) for user, item, _, time in ROWS]
    columns = Columns(user="1", item="3", time="5")
    source = read(tmp_path, table(rows, "\t", None), columns=columns)
    assert pairs(source) == PAIRS


def test_a_row_whose_ids_are_the_names_of_their_columns_stays_a_row(tmp_path):
    content = table([("user", "item", 3, 1_400_000_000), *ROWS])
    assert read(tmp_path, content).report.rows["rows read"] == len(ROWS) + 1


def test_ratings_and_times_are_found_beside_given_positions(tmp_path):
    rows = [(item, user, rating, time) for user, item, rating, time in ROWS]
    source = read(tmp_path, table(rows, header=None), columns=Columns(user="2", item="1"))
    assert pairs(source) == PAIRS
    assert source.ratings is not None
    assert source.times is not None
    assert source.times.tolist() == [row[3] for row in ROWS]


TOLD = {
    "a comment of as many cells": (
        table(PAIRS, header="user,item") + "# end, of it\n",
        "a comment",
    ),
    "a rule below the header": (
        "| user | item |\n|---|---|\n" + "".join(f"| {u} | {i} |\n" for u, i in PAIRS),
        "'---': a comment",
    ),
    "pandas' numbers of columns": (
        table([row[:3] for row in NUMBERS], header="0,1,2"),
        "the first row is 0, 1, 2: if pandas wrote it",
    ),
    "equal times": (with_values(lambda _: 1_400_000_000), "all times are equal"),
    "equal days": (with_values(lambda _: "2020-01-01"), "all times are equal"),
    "-1 as a time": (
        with_values(lambda t: t if t // 60 % 3 else -1),
        "times are before 1970 (down to -1)",
    ),
    "mixed units with fractions": (
        with_values(lambda t: f"{t * (1 if t // 60 % 3 else 1000)}.5"),
        "a change of unit",
    ),
    "times of Excel": (with_values(lambda t: f"{t:.2E}"), "times like 1.40E+09 are rounded"),
    "ids of Excel": (
        table([(f"1.2345{user}E+12", *rest) for user, *rest in NUMBERS]),
        "4 user ids are written like '1.23450E+12', as Excel rounds",
    ),
    "ids with lost bytes": (
        table([(f"{user}\ufffd", *rest) for user, *rest in ROWS]),
        "of lost bytes",
    ),
    "a column from a later record on": (
        "\n".join(json.dumps({"user": f"u{n % 9}", "item": f"i{n}"}) for n in range(1000))
        + '\n{"user": "u1", "item": "i1", "rating": 4}\n',
        "'rating' first comes up in line 1001",
    ),
    "a time in place of a user": (
        table([(time, user, rating) for user, _, rating, time in NUMBERS], header=None),
        "column 1, taken as the user, reads like a time",
    ),
}


@pytest.mark.parametrize("kind", TOLD)
def test_what_may_not_be_meant_is_told(kind, tmp_path):
    content, words = TOLD[kind]
    source = read(tmp_path, content)
    assert any(words in note for note in source.report.notes), source.report.notes
    check_accounts(source)


ITEMS = "i0 i1 i2 i3"
REFUSED = {
    "a zero character in an id": (table() + "u\0,i1,5,1\n" * 1, {}, "zero"),
    "one far behind": (table(ROWS * 300) + "u1\0,i1,5,1\n", {}, "zero characters, but 1 have one"),
    "one in JSON": ('{"user": "u\\u0000", "item": 1}\n{"user": "u", "item": 2}', {}, "zero char"),
    "half a character in JSON": ('{"user": "\\ud800", "item": 1}\n', {}, "line 1 holds half"),
    "half a character in JSON's lists": ('{"u": ["\\ud800", "i"]}', {}, "user 'u' has half"),
    "sequences in Latin-1": ("1 2 3 4 5\n2 é 3\n".encode("latin-1"), {}, "line 2 is not"),
    "counts with thousands": (
        table([(u, i, f"{r * 250:,}") for u, i, r in TRIPLES], "\t", "user,item,rating"),
        {},
        "(1,000) can be read in two ways",
    ),
    "times beyond 64 bits": (with_values(lambda t: t * 10**12), {}, "below 2^63"),
    "a time format without a date": (table(), {"time_format": "%H:%M:%S"}, "is that of dates"),
    "Amazon's order of 2018": (
        table(
            [(f"B00000000{i[1:]}", f"A00000000000{u[1:]}", r, t) for u, i, r, t in ROWS],
            header=None,
        ),
        {},
        "--user-column 2 --item-column 1",
    ),
    "a number that is a name and a position": (
        table(header="2,1,rating,timestamp"),
        {"columns": Columns(user="1", item="2")},
        "may mean two columns",
    ),
    "items in one cell": (
        "".join(f"u{n}\t{ITEMS}\n" for n in range(9)),
        {},
        "a row for each item of a user",
    ),
    "a list in one cell": (
        "user,item\n" + "".join(f'u{n},"{ITEMS.split()}"\n' for n in range(9)),
        {},
        "a row for each item of a user",
    ),
    "a web page with a mark": (f"{MARK}<!DOCTYPE html><p>a, b</p>\n<p>c, d</p>", {}, "HTML page"),
    "a web page in UTF-16": ("<html><p>a</p></html>".encode("utf-16"), {}, "HTML page"),
    "a table of a web page": ("<table><tr><td>1</td></tr></table>", {}, "HTML page"),
    "XML without a head": ("<ratings><r u='1'/>\n<r u='2'/></ratings>", {}, "an XML document"),
    "an SQL dump": ("-- by hand\nINSERT INTO r VALUES (1,2);\n", {}, "an SQL dump"),
    "lz4": (b"\x04\x22\x4d\x18abc", {}, "lz4"),
    "two lines of a user": ("1 2 3 4 5 6\n2 3\n1 7 8 9 4 5\n", {}, "--format sequences"),
    "JSON of five thousand levels": ("[" * 5000 + "]" * 5000, {}, "begins like JSON"),
    "no records": ("[]", {}, "has no columns"),
    "a separator that is not there": (table(), {"separator": ";"}, "';' does not cut"),
    "blanks that are not there": (table(), {"separator": " "}, "' ' does not cut"),
    "comments alone": ("# a, b\n# c, d\n", {}, "it holds none"),
    "a stray quote between blanks": (
        table(TRIPLES, " ", None) + 'u1 i"1 5\n',
        {},
        "--no-quotes",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_read_wrongly_is_refused(kind, tmp_path):
    content, options, words = REFUSED[kind]
    with pytest.raises(UserError) as refusal:
        read(tmp_path, content, **options)
    assert words in str(refusal.value)


TWO_SEPARATORS = {
    "colons in ids": [(f"a::{user}", f"b::{item}") for user, item in PAIRS],
    "a bar and a number in ids": [(f"{user}|3", f"{item}|4") for user, item in PAIRS],
    "semicolons in ids, a rating": [(f"a;{u}", f"b;{i}", rating) for u, i, rating in TRIPLES],
}


@pytest.mark.parametrize("kind", TWO_SEPARATORS)
def test_two_separators_that_cut_alike_are_asked_about(kind, tmp_path):
    """The bar would make a user of `u0` and a rating of 4 without a word."""
    rows = TWO_SEPARATORS[kind]
    with pytest.raises(UserError, match="cut its lines evenly; give --separator"):
        read(tmp_path, table(rows, header=None))
    expected = [(str(user), str(item)) for user, item, *_ in rows]
    assert pairs(read(tmp_path, table(rows, header=None), separator=",")) == expected
    named = "user,item,rating"[: 9 if len(rows[0]) == 2 else None]
    assert pairs(read(tmp_path, table(rows, header=named))) == expected
    bars = read(tmp_path, quoted([tuple(map(str, row)) for row in rows], ","), separator=None)
    assert pairs(bars) == expected


def test_a_comma_of_a_date_is_no_separator(tmp_path):
    rows = [(user, item, rating, "Nov 21, 2016") for user, item, rating in TRIPLES]
    source = read(tmp_path, table(rows, ";", header=None))
    assert pairs(source) == PAIRS
    assert source.times is not None


def test_a_file_whose_name_is_no_text_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"r\xff.csv")
    path.write_text(table())
    for source in (path, tmp_path):
        with pytest.raises(UserError, match="rename it"):
            read_source(source)


def test_ids_that_a_short_float_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "r.parquet"
    users = np.array([2**24 + 2, 2**24 + 4], np.float32)
    pl.DataFrame({"user": users, "item": [1, 2]}).write_parquet(path)
    with pytest.raises(UserError, match="Float32, which holds whole numbers up to 16,777,216"):
        read_source(path)


def test_a_zero_character_in_parquet_is_refused(tmp_path):
    pl.DataFrame({"user": ["u", "u\0"], "item": [1, 2]}).write_parquet(tmp_path / "r.parquet")
    with pytest.raises(UserError, match="zero characters"):
        read_source(tmp_path / "r.parquet")


def write_folder(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            frame = pl.DataFrame(content, schema=["user", "item", "rating"], orient="row")
            frame.write_parquet(path)
        else:
            path.write_text(content)
    return folder


TRAIN, VALID, TEST = TRIPLES[::2], TRIPLES[1::4], TRIPLES[3::4]
FOLDERS = {
    "a folder for each list": {"train/0.parquet": TRAIN, "test/0.parquet": TEST},
    "lists as partitions": {"set=train/0.parquet": TRAIN, "set=test/0.parquet": TEST},
    "parts of Hugging Face": {
        "train-00000-of-00002.parquet": TRAIN[:4],
        "train-00001-of-00002.parquet": TRAIN[4:],
        "test-00000-of-00001.parquet": TEST,
    },
    "parts in folders": {
        "train/part-0.csv": table(TRAIN[:4], header="user,item,rating"),
        "train/part-1.csv": table(TRAIN[4:], header="user,item,rating"),
        "test/part-0.csv": table(TEST, header="user,item,rating"),
    },
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_lists_in_several_files_stay_lists(kind, tmp_path):
    source = read_source(write_folder(tmp_path, FOLDERS[kind]))
    assert source.parts is not None
    assert np.bincount(source.parts, minlength=3).tolist() == [len(TRAIN), 0, len(TEST)]
    assert sorted(pairs(source)) == sorted((u, i) for u, i, _ in [*TRAIN, *TEST])


FOLDERS_REFUSED = {
    "no test": ({"train.parquet": TRAIN, "valid.parquet": VALID}, "no test file"),
    "no train": (
        {"valid.csv": table(VALID, header=None), "test.csv": table(TEST, header=None)},
        "no train file",
    ),
    "a part that lacks": (
        {
            "train-00001-of-00003.parquet": TRAIN,
            "train-0-of-3.parquet": TRAIN,
            "test.parquet": TEST,
        },
        "must have",
    ),
    "two train files": (
        {name: table(TRAIN, header=None) for name in ("train.csv", "train_small.csv", "test.csv")},
        "must have one train file",
    ),
    "a header in the first part alone": (
        {
            "part-0.csv": table([(i, u) for u, i in PAIRS[:9]], header="item,user"),
            "part-1.csv": table([(i, u) for u, i in PAIRS[9:]], header=None),
        },
        "part-1.csv has no header and",
    ),
    "a header in train alone": (
        {
            "train.csv": table(TRAIN, header="user,item,rating"),
            "test.csv": table(TEST, header=None),
        },
        "test.csv has no header",
    ),
    "lines of users beside rows of three": (
        {"train.txt": "0 1 2 3\n1 2 3\n2 4 5 6\n", "test.txt": "0 5 6\n1 6 7\n2 8 9\n"},
        "give --format sequences",
    ),
}


@pytest.mark.parametrize("kind", FOLDERS_REFUSED)
def test_files_that_do_not_make_one_source_are_refused(kind, tmp_path):
    files, words = FOLDERS_REFUSED[kind]
    with pytest.raises(UserError) as refusal:
        read_source(write_folder(tmp_path, files))
    assert words in str(refusal.value)


def test_lines_of_users_and_of_pairs_are_alike(tmp_path):
    files = {"train.txt": "0 1 2 3\n1 2 3\n2 4 5 6\n", "test.txt": "0 5\n1 6\n2 8\n"}
    source = read_source(write_folder(tmp_path, files))
    assert source.parts is not None
    assert np.bincount(source.parts, minlength=3).tolist() == [8, 0, 3]


def test_files_that_are_not_read_are_named(tmp_path):
    files = {
        "train.csv": table(TRAIN, header="user,item,rating"),
        "test.csv": table(TEST, header="user,item,rating"),
        "movies.csv": "movieId,title\n1,x\n",
    }
    assert "not read: movies.csv" in read_source(write_folder(tmp_path, files)).report.notes


def test_an_empty_part_is_counted(tmp_path):
    source = read_source(write_folder(tmp_path, {"part-0.csv": table(), "part-1.csv": ""}))
    assert pairs(source) == PAIRS
    assert "1 parts are empty" in source.report.notes
