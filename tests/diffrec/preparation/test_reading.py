"""Readers on small files of every kind: what is read, what is refused, and that no line is lost."""

import bz2
import gzip
import json
import lzma
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffrec.errors import UserError
from diffrec.preparation.reading.options import Columns, ReadOptions
from diffrec.preparation.reading.source import read_source
from small_tables import PAIRS, ROWS, check_accounts, pairs, table


def numbered(rows=ROWS):
    return [(user[1:], item[1:], rating, time) for user, item, rating, time in rows]


def with_time(write) -> str:
    return table([(u, i, r, write(t)) for u, i, r, t in ROWS])


def day(time: int, layout: str) -> str:
    return np.datetime64(time, "s").astype(object).strftime(layout)


def spread(time: int) -> int:
    return time + 86_400 * ((time // 60) % 40)


TEXTS = {
    "comma": (table(), {}),
    "semicolon": (table(separator=";"), {}),
    "tab": (table(separator="\t"), {}),
    "pipe": (table(separator="|"), {}),
    "double colon": (table(separator="::", header=None), {}),
    "blanks": (table(separator=" ", header=None), {}),
    "runs of blanks": (table(separator="   ", header=None), {}),
    "blanks at the ends of lines": (table(separator=" ", header=None).replace("\n", "  \n"), {}),
    "no last line feed": (table().rstrip("\n"), {}),
    "carriage returns and line feeds": (table(end="\r\n"), {}),
    "carriage returns alone": (table(end="\r"), {}),
    "a byte order mark": ("\ufeff" + table(), {}),
    "a byte order mark without a header": ("\ufeff" + table(header=None), {}),
    "blank lines before, between, after": (
        "\n\n" + table().replace("\nu2", "\n\nu2", 1) + "\n\n",
        {},
    ),
    "lines of blanks": (table().replace("\nu2", "\n   \nu2", 1), {}),
    "rows of separators": (table() + ",,,\n,,,\n", {}),
    "a comment before": ("# exported in 2024\n# by hand\n" + table(), {}),
    "a commented header": (table(header="# user,item,rating,timestamp"), {}),
    "KONECT's head": ("% bip weighted\n" + table(separator=" ", header=None), {}),
    "sep=": ("sep=;\n" + table(separator=";"), {}),
    "lines to skip": ("Ratings of 2024, all of them\n" + table(), {"skip_lines": 1}),
    "a separator that is given": (table(separator="^"), {"separator": "^"}),
    "headers between rows": (table(ROWS[:9]) + table(ROWS[9:]), {}),
    "quoted cells": (
        table(
            [[f'"{c}"' for c in row] for row in ROWS], header='"user","item","rating","timestamp"'
        ),
        {},
    ),
    "blanks after commas": (table(separator=", "), {}),
    "blanks before quotes": (table([[f'"{c}"' for c in row] for row in ROWS], separator=", "), {}),
    "a column of pandas' index": (
        table([(n, *r) for n, r in enumerate(ROWS)], header=",user,item,rating,timestamp"),
        {},
    ),
    "R's row names": (table([(n + 1, *r) for n, r in enumerate(ROWS)]), {}),
    "a separator at each line's end": (table([(*r, "") for r in ROWS]), {}),
    "names in capitals": (table(header="USER_ID,Item-Id,Rating,Time Stamp"), {}),
    "Amazon's names": (table(header="reviewerID,asin,overall,unixReviewTime"), {}),
    "RecBole's names": (
        table(header="user_id:token,item_id:token,rating:float,timestamp:float", separator="\t"),
        {},
    ),
    "a separator inside the header": (
        table(header='"user",item,"rating; of 5",timestamp'),
        {"columns": Columns(rating="rating; of 5")},
    ),
    "names that are given": (
        table(header="who,what,how,when"),
        {"columns": Columns(user="who", item="what", rating="how", time="when")},
    ),
    "names given in other capitals": (
        table(header="Who,What,How,When"),
        {"columns": Columns(user="who", item="what", rating="how", time="when")},
    ),
    "places": (
        table(header="a,b,c,d"),
        {"columns": Columns(user="1", item="2", rating="3", time="4")},
    ),
    "places without a header": (
        table([(n, *r) for n, r in enumerate(ROWS)], header=None),
        {"columns": Columns(user="2", item="3", rating="4", time="5")},
    ),
    "columns in another order": (
        table([(t, r, i, u) for u, i, r, t in ROWS], header="timestamp,rating,item,user"),
        {},
    ),
    "time before rating, without a header": (
        table([(u, i, t, r) for u, i, r, t in ROWS], header=None),
        {},
    ),
    "quotes that are characters": (
        table(
            [(u, i, r, t, 'a 12" disc') for u, i, r, t in ROWS],
            header="user,item,rating,timestamp,text",
        ),
        {"quotes": False},
    ),
    "line breaks in quotes": (
        table(
            [(u, i, r, t, '"one\ntwo, ""three"""') for u, i, r, t in ROWS],
            header="user,item,rating,timestamp,text",
        ),
        {},
    ),
    "row-like lines in quotes": (
        table(
            [(u, i, r, t, '"a,b,c,d\ne,f,g,h,i"') for u, i, r, t in ROWS],
            header="user,item,rating,timestamp,text",
        ),
        {"quotes": True},
    ),
    "bytes of Latin-1 beside": (
        table(
            [(u, i, r, t, "M\u00e1laga") for u, i, r, t in ROWS],
            header="user,item,rating,timestamp,town",
        ).encode("latin-1"),
        {},
    ),
    "Latin-1 that is said": (
        table(
            [(u, i, r, t, "M\u00e1laga") for u, i, r, t in ROWS],
            header="user,item,rating,timestamp,town",
        ).encode("latin-1"),
        {"encoding": "latin-1"},
    ),
    "UTF-16": (table().encode("utf-16"), {}),
    "UTF-16 without a mark": (table().encode("utf-16-le"), {"encoding": "utf-16-le"}),
    "UTF-32": (table().encode("utf-32"), {}),
    "gzip": (gzip.compress(table().encode()), {}),
    "two gzip members": (
        gzip.compress(table(ROWS[:5]).encode())
        + gzip.compress(table(ROWS[5:], header=None).encode()),
        {},
    ),
    "bzip2": (bz2.compress(table().encode()), {}),
    "xz": (lzma.compress(table().encode()), {}),
    "zstd": (pa.compress(table().encode(), codec="zstd", asbytes=True), {}),
    "gzip of UTF-16": (gzip.compress(table().encode("utf-16")), {}),
    "JSON lines": (
        "\n".join(
            json.dumps(dict(zip(("user", "item", "rating", "timestamp"), r, strict=True)))
            for r in ROWS
        ),
        {},
    ),
    "JSON lines with blank lines": (
        "\n\n".join(
            json.dumps(dict(zip(("user", "item", "rating", "timestamp"), r, strict=True)))
            for r in ROWS
        ),
        {},
    ),
    "JSON lines with more in some": (
        "\n".join(
            json.dumps(
                dict(zip(("user", "item", "rating", "timestamp"), r, strict=True))
                | ({"votes": [1, 2]} if n % 2 else {})
            )
            for n, r in enumerate(ROWS)
        ),
        {},
    ),
    "a JSON array": (
        json.dumps(
            [dict(zip(("user", "item", "rating", "timestamp"), r, strict=True)) for r in ROWS],
            indent=1,
        ),
        {},
    ),
    "Python literals": (
        "\n".join(
            str(dict(zip(("user", "item", "rating", "timestamp"), r, strict=True))) for r in ROWS
        ),
        {},
    ),
    "a rating that is not wanted": (
        table([(u, i, "good", t) for u, i, _, t in ROWS]),
        {"columns": Columns(rating="none")},
    ),
    "rows that are bad": (table() + "u1\nu1,i1,5,1,7,8\n", {"drop_bad_rows": True}),
    "cells that are bad": (table() + "u1,,5,1\nu9,i9,x,1\nu9,i9,5,soon\n", {"drop_bad_rows": True}),
    "true and false": (table([(u, i, str(r > 3).lower(), t) for u, i, r, t in ROWS]), {}),
    "decimal commas": (table([(u, i, f"{r},5", t) for u, i, r, t in ROWS], separator=";"), {}),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_is_read_whole_and_every_line_is_accounted_for(kind, tmp_path):
    content, options = TEXTS[kind]
    path = tmp_path / "ratings [1]#~.CSV"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = read_source(path, ReadOptions(**options))
    assert pairs(source) == PAIRS
    assert source.report.rows["rows read"] == len(ROWS)
    assert source.times is not None
    assert np.argsort(source.times, kind="stable").tolist() == sorted(
        range(len(ROWS)), key=lambda n: ROWS[n][3]
    )
    check_accounts(source)


WITHOUT_TIME = {
    "pairs": table(PAIRS, header="user,item"),
    "pairs without a header": table(PAIRS, header=None, separator="\t"),
    "a line per user": "\n".join(
        " ".join((f"u{u}", *(f"i{i}" for i in range(5)))) for u in range(4)
    ),
    "lines of different length": "u0 i0 i1\nu1 i0 i1 i2 i3\nu2 i4\nu3\n",
    "lines that end in commas": "u0,i0,i1,\nu1,i0,i1,i2,i3,\nu2,i4,\n",
    "commas in lines of different length": "u0,i0,i1\nu1,i0,i1,i2,i3\nu2,i4\n",
    "users with items in JSON": json.dumps(
        {f"u{u}": [f"i{i}" for i in range(5)] for u in range(4)}
    ),
    "users with baskets in JSON": json.dumps({f"u{u}": [["i0", "i1"], ["i2"]] for u in range(4)}),
}


@pytest.mark.parametrize("kind", WITHOUT_TIME)
def test_pairs_and_sequences_have_neither_rating_nor_time(kind, tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(WITHOUT_TIME[kind])
    source = read_source(path)
    assert source.times is None
    assert source.ratings is None
    numbers = {
        "lines of different length": 7,
        "lines that end in commas": 7,
        "commas in lines of different length": 7,
        "users with baskets in JSON": 12,
    }
    assert len(source.users) == numbers.get(kind, len(ROWS))
    assert pairs(source)[:2] == PAIRS[:2]


IDS = {
    "zeros in front": (["007", "7", "07"], ["007", "07", "7"]),
    "numbers alone": (["10", "9", "-3"], ["-3", "9", "10"]),
    "one text among numbers": (["10", "9", "B000"], ["10", "9", "B000"]),
    "numbers of pandas": (["12.0", "7.0", "7.0"], ["7", "12"]),
    "an exponent": (["5e5", "500000", "1"], ["1", "500000", "5e5"]),
    "twenty digits": (
        ["12345678901234567890", "12345678901234567891", "1"],
        ["1", "12345678901234567890", "12345678901234567891"],
    ),
    "a plus": (["+7", "7", "8"], ["+7", "7", "8"]),
    "versions": (["1.0", "x", "1"], ["1", "1.0", "x"]),
    "blanks at the ends": (["a ", " b", "c"], ["a", "b", "c"]),
    "capitals": (["a", "A", "b"], ["A", "a", "b"]),
    "other scripts": (["用戶", "ユーザー", "Þ"], ["Þ", "ユーザー", "用戶"]),
    "hash signs": (["#one", "x", "#two"], ["#one", "#two", "x"]),
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
def test_ids_are_names_as_written(kind, format, tmp_path):
    written, expected = IDS[kind]
    path = tmp_path / f"r.{format}"
    frame = pl.DataFrame({"user": written, "item": ["i", "j", "k"]})
    if format == "csv":
        path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in frame.rows()))
    elif format == "parquet":
        frame.write_parquet(path)
    else:
        path.write_text("\n".join(json.dumps({"user": u, "item": i}) for u, i in frame.rows()))
    source = read_source(path)
    assert [str(name) for name in source.user_ids.tolist()] == expected
    stripped = [user.strip() for user in written]
    if kind != "numbers of pandas":
        assert [str(source.user_ids[n]) for n in source.users] == stripped
    else:
        assert any("written with a fraction" in note for note in source.report.notes)


def test_ten_thousand_numbers_before_a_text_change_nothing(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item\n" + "".join(f"{n},0{n}\n" for n in range(10_001)) + "B000,9\n")
    source = read_source(path)
    assert pairs(source)[-2:] == [("10000", "010000"), ("B000", "9")]


def test_ids_that_become_the_same_are_told(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("user,item\na,1\na ,2\n")
    notes = read_source(path).report.notes
    assert any("1 became the same as another" in note for note in notes)


TIMES = {
    "seconds": lambda t: t,
    "milliseconds": lambda t: t * 1000,
    "nanoseconds": lambda t: t * 1_000_000_000,
    "fractions of seconds": lambda t: f"{t}.25",
    "fractions of the whole": lambda t: f"{(t - 1_399_000_000) / 1e7:.9f}",
    "exponents": lambda t: f"{t:.10e}",
    "dates": lambda t: day(t, "%Y-%m-%d"),
    "dates and times": lambda t: day(t, "%Y-%m-%d %H:%M:%S"),
    "ISO with T": lambda t: day(t, "%Y-%m-%dT%H:%M:%S"),
    "ISO with Z": lambda t: day(t, "%Y-%m-%dT%H:%M:%SZ"),
    "UTC behind": lambda t: day(t, "%Y-%m-%d %H:%M:%S UTC"),
    "two zones": lambda t: (
        day(t, "%Y-%m-%dT%H:%M:%S+00:00") if t % 120 else day(t + 7200, "%Y-%m-%dT%H:%M:%S+02:00")
    ),
    "fractions on some": lambda t: day(t, "%Y-%m-%d %H:%M:%S") + (".5" if t % 120 else ""),
    "slashes, year first": lambda t: day(t, "%Y/%m/%d %H:%M"),
    "day first": lambda t: day(t, "%d/%m/%Y %H:%M"),
    "month first": lambda t: day(t, "%m/%d/%Y %I:%M:%S %p"),
    "dots": lambda t: day(t, "%d.%m.%Y %H:%M:%S"),
    "names of months": lambda t: f'"{day(t, "%b %d, %Y")}"',
    "Twitter": lambda t: day(t, "%a %b %d %H:%M:%S +0000 %Y"),
    "mail": lambda t: f'"{day(t, "%a, %d %b %Y %H:%M:%S GMT")}"',
    "days without dashes": lambda t: day(t, "%Y%m%d"),
    "seconds without dashes": lambda t: day(t, "%Y%m%d%H%M%S"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_keep_their_order(kind, tmp_path):
    rows = [(u, i, r, spread(t)) for u, i, r, t in ROWS]
    path = tmp_path / "r.csv"
    path.write_text(table([(u, i, r, TIMES[kind](t)) for u, i, r, t in rows]))
    times = read_source(path).times
    assert times is not None
    true = np.array([row[3] for row in rows])
    earlier = true[:, None] < true[None, :]
    assert np.all((times[:, None] <= times[None, :])[earlier])
    if kind not in ("dates", "days without dashes", "names of months"):
        assert np.all(
            (times[:, None] < times[None, :])[earlier & (true[:, None] // 60 < true // 60)]
        )


REFUSED = {
    "nothing": ("", {}, "it is empty"),
    "blanks": ("  \n \n", {}, "it holds none"),
    "a web page": ("<!DOCTYPE html><html><body>Sign in</body></html>", {}, "an HTML page"),
    "XML": ("<?xml version='1.0'?><r/>", {}, "an XML document"),
    "a workbook": (b"PK\x03\x04", {}, "cannot be decompressed"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(600), {}, "an Excel workbook"),
    "a PDF": (b"%PDF-1.7\n", {}, "a PDF document"),
    "an array": (b"\x93NUMPY\x01\x00", {}, "a NumPy array"),
    "a database": (b"SQLite format 3\x00", {}, "an SQLite database"),
    "an Arrow file": (b"ARROW1\x00\x00", {}, "an Arrow (Feather) file"),
    "a pickle": (b"\x80\x04\x95", {}, "a Python pickle"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\n", {}, "a Git LFS pointer"),
    "a matrix": ("%%MatrixMarket matrix coordinate\n3 3 1\n1 1 1\n", {}, "Matrix Market"),
    "half a gzip": (gzip.compress(table().encode() * 50)[:-20], {}, "cannot be decompressed whole"),
    "UTF-16 without a mark": (table().encode("utf-16-le"), {}, "--encoding utf-16-le"),
    "other bytes in ids": (
        "user,item\nM\u00e1,1\nM\u00f3,2\n".encode("latin-1"),
        {},
        "user ids are not (line 2)",
    ),
    "a wrong encoding": (
        "user,item\nM\u00e1,1\n".encode("latin-1"),
        {"encoding": "utf-8"},
        "must be text in",
    ),
    "a stray quote": (table() + 'u1,"i1,5,1\nu2,i2,4,1\n', {}, "--no-quotes"),
    "a quote inside a cell": (table() + 'u1,12" disc,5,1\nu2,i2,4,1\n', {}, "the first in line 22"),
    "quotes that swallow rows": (
        table() + 'u1,"i1,5,1\nu2,i2,4,1\nu3,i3,4",5,1\n',
        {},
        "look like rows of their own (the first is line 23)",
    ),
    "a row too long": (table() + "u1,i1,5,1,7\n", {}, "the first is line 22 with 5"),
    "a row too short": (table() + "u1,i1\n", {}, "the first is line 22 with 2"),
    "a comment between rows": (table() + "# the end\n", {}, "(a comment?)"),
    "an empty id": (table() + "u1,,5,1\n", {}, "line 22: empty"),
    "a blank id": (table() + "u1,  ,5,1\n", {}, "line 22: empty"),
    "a rating in words": (table() + "u1,i1,good,1\n", {}, "line 22: 'good'"),
    "an infinite rating": (table() + "u1,i1,inf,1\n", {}, "line 22: 'inf'"),
    "a time in words": (table() + "u1,i1,5,soon\n", {}, "line 22: 'soon'"),
    "times of day": (with_time(lambda t: day(t, "%H:%M:%S")), {}, "times of day without a date"),
    "dates in two ways": (
        with_time(lambda t: day(t, "%d/%m/%Y").replace("13/", "07/").replace("14/", "08/")),
        {},
        "can be read in two ways",
    ),
    "days and months mixed": (
        table([*ROWS[:0], ("a", "b", 1, "13/05/2014"), ("a", "c", 1, "05/13/2014")]),
        {},
        "the day first and with the month first",
    ),
    "short years": (with_time(lambda t: day(t, "%d.%m.%y")), {}, "two digits for the year"),
    "fractions as ids": ("user,item\n1.5,2\n2.5,3\n", {}, "but are fractions (1.5)"),
    "three colons": ("1::a\n2:::b\n", {}, "3 colons in a row"),
    "no separator": ("abc\ndef\n", {}, "give --separator"),
    "a long separator": (table(), {"separator": ";;"}, "must be one character"),
    "five columns without a header": ("1,2,3,4,5\n6,7,8,9,10\n", {}, "--user-column 1"),
    "a place in a history": (
        table([(u, i, n % 5) for n, (u, i) in enumerate(PAIRS)], header=None),
        {},
        "may be a rating, a time or neither",
    ),
    "counts without a header": (
        table([(u, i, 500 + n) for n, (u, i) in enumerate(PAIRS)], header=None),
        {},
        "may be a rating",
    ),
    "a name without a header": (
        table(header=None),
        {"columns": Columns(user="who")},
        "has no header",
    ),
    "a place outside": (
        table(header=None),
        {"columns": Columns(user="9")},
        "given by position, 1 to 4",
    ),
    "a name that is not there": (table(), {"columns": Columns(item="itm")}, "did you mean 'item'"),
    "one column for two": (table(), {"columns": Columns(user="item", item="item")}, "was given as"),
    "two columns of one name": (
        table(header="user,user,rating,timestamp"),
        {},
        "2 columns named 'user'",
    ),
    "no known name": (table(header="who,what,rating,timestamp"), {}, "--user-column"),
    "a short header": (table(header="user,item"), {}, "its header has 2"),
    "a JSON line that is none": ('{"user": 1, "item": 2}\n{"user": 1,\n', {}, "line 2 is none"),
    "nested JSON": ('{"user": {"id": 1}, "item": 2}\n', {}, "is nested"),
    "other JSON": ("[1, 2, 3]", {}, "holds other JSON"),
    "a user with two lines": (
        "1 2 3 4 5 6\n2 3 4 5 6\n1 7 8\n",
        {"format": "sequences"},
        "a second in line 3",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_named_for_what_it_is(kind, tmp_path):
    content, options, words = REFUSED[kind]
    path = tmp_path / "ratings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as refusal:
        read_source(path, ReadOptions(**options))
    assert words in str(refusal.value)
    assert str(path) in str(refusal.value) or kind == "a long separator"


def test_mixed_units_and_missing_times_are_told(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        table(
            [(u, i, r, t * (1000 if u == "u3" else 1)) for u, i, r, t in ROWS]
            + [("u1", "i9", 1, 0)]
        )
    )
    notes = " ".join(read_source(path).report.notes)
    assert "more than a hundred years or a change of unit" in notes
    assert "1 times are 0" in notes


def test_of_two_columns_that_could_be_meant_the_other_is_told(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(table([(*r, 3) for r in ROWS], header="user,product_id,rating,timestamp,asin"))
    report = read_source(path).report
    assert report.columns["item"] == "asin"
    assert "'product_id' could be the item as well" in " ".join(report.notes)
    assert report.unused == ["product_id"]


def test_a_zip_of_one_file_is_read_and_of_two_refused(tmp_path):
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml/ratings.csv", table())
    assert pairs(read_source(path)) == PAIRS
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("ml/movies.csv", "1,2")
    with pytest.raises(UserError, match="it holds 2"):
        read_source(path)


PARQUET_REFUSED = {
    "binary": ([b"a", b"b"], "is binary"),
    "list": ([["a"], ["b"]], "is a list"),
    "struct": ([{"id": 1}, {"id": 2}], "is a struct"),
    "bool": ([True, False], "of type Boolean"),
    "fractions": ([1.5, 2.5], "but are fractions"),
}


@pytest.mark.parametrize("kind", PARQUET_REFUSED)
def test_ids_without_one_plain_writing_are_refused(kind, tmp_path):
    values, words = PARQUET_REFUSED[kind]
    path = tmp_path / "r.parquet"
    pl.DataFrame({"user": values, "item": [1, 2]}).write_parquet(path)
    with pytest.raises(UserError, match=words):
        read_source(path)


def test_parts_in_a_folder_are_one_table(tmp_path):
    frame = pl.DataFrame(ROWS, schema=["user", "item", "rating", "timestamp"], orient="row")
    for name, subfolder in (("parquet", "a"), ("csv", "b")):
        folder = tmp_path / subfolder
        folder.mkdir()
        (folder / "_SUCCESS").touch()
        (folder / ".part-0.crc").write_bytes(b"\0")
        for number, part in enumerate((frame[:7], frame[7:])):
            write = part.write_parquet if name == "parquet" else part.write_csv
            write(folder / f"part-0000{number}.{name}")
        assert pairs(read_source(folder)) == PAIRS


JSON_OF_PAIRS = {
    "records below a name": {
        "count": 2,
        "data": [{"user": "007", "item": 7}, {"user": 7, "item": 8}],
    },
    "a list for each column": {"user": ["007", 7], "item": [7, 8], "rating": [1, 2]},
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("kind", JSON_OF_PAIRS)
def test_one_json_object_is_read_for_what_it_is(kind, indent, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(JSON_OF_PAIRS[kind], indent=indent))
    assert pairs(read_source(tmp_path / "r.json")) == [("007", "7"), ("7", "8")]


JSON_REFUSED = {
    "a name twice": ('{"user": 1, "user": 2, "item": 3}\n{"user": 2, "item": 3}\n', "'user' twice"),
    "a user twice": ('{"1": [2, 3], "1": [4], "2": [5]}', "'1' twice"),
    "columns of other lengths": ('{"user": [1, 2], "item": [3]}', "user 2, item 1"),
    "two lists of records": (
        '{"a": [{"user": 1, "item": 2}], "b": [{"user": 3, "item": 4}]}',
        "none of a, b is known|holds other JSON",
    ),
    "records among items": ('{"1": [2, {"item": 3}], "2": [4]}', "none of 1, 2 is known|JSON"),
}


@pytest.mark.parametrize("kind", JSON_REFUSED)
def test_json_in_which_a_value_would_be_lost_is_refused(kind, tmp_path):
    text, words = JSON_REFUSED[kind]
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read_source(tmp_path / "r.json")


@pytest.mark.parametrize("row", [0, 1, 50, 99])
@pytest.mark.parametrize("column", [0, 1])
def test_a_quote_that_never_closes_is_named_with_its_line(row, column, tmp_path):
    lines = ["user,item,rating"]
    for number in range(100):
        cells = [f"u{number}", f"i{number % 9}", "3"]
        cells[column] = '"' * (number == row) + cells[column]
        lines.append(",".join(cells))
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"in line {row + 2}\).*--no-quotes"):
        read_source(tmp_path / "r.csv")


def write_partitions(folder, parts):
    """Write a Parquet file for each (path of its folder, columns)."""
    for path, columns in parts:
        (folder / path).mkdir(parents=True)
        pl.DataFrame(columns).write_parquet(folder / path / "part-0.parquet")
    return folder


def test_the_names_of_folders_are_columns(tmp_path):
    parts = [
        ("user_id=007/day=2024-01-02", {"item": ["a", "b"], "rating": [4.0, 5.0]}),
        ("user_id=7/day=2024-01-03", {"item": ["c"], "rating": [3.0]}),
        ("user_id=x%2Fy%20z/day=2024-01-01", {"item": ["a"], "rating": [1.0]}),
    ]
    source = read_source(write_partitions(tmp_path / "year=1999" / "events", parts))
    assert pairs(source) == [("007", "a"), ("007", "b"), ("7", "c"), ("x/y z", "a")]
    assert source.ratings.tolist() == [4.0, 5.0, 3.0, 1.0]
    assert np.diff(source.times).tolist() == [0, 86_400_000_000, -2 * 86_400_000_000]
    assert source.report.columns["user"] == "user_id"
    assert "read from the names of folders: user_id, day" in source.report.notes


def test_a_partition_without_a_user_is_counted_as_empty_cells(tmp_path):
    none = "user=__HIVE_DEFAULT_PARTITION__"
    folder = write_partitions(tmp_path / "t", [("user=1", {"item": [5, 6]}), (none, {"item": [5]})])
    with pytest.raises(UserError, match=r"--bad-rows|empty"):
        read_source(folder)


def test_folders_that_repeat_a_column_of_the_files_do_not_replace_it(tmp_path):
    parts = [("user=1", {"user": [1, 1], "item": [5, 6]}), ("user=2", {"user": [2], "item": [5]})]
    source = read_source(write_partitions(tmp_path / "t", parts))
    assert pairs(source) == [("1", "5"), ("1", "6"), ("2", "5")]
    assert any("'user' is read from the files" in note for note in source.report.notes)


PARTITIONS_REFUSED = {
    "keys in one folder alone": (
        [("user=1", {"item": [5]}), ("more", {"item": [6]})],
        "must hold the same columns, but those of .*user=1.* hold user and .*more.* none",
    ),
    "a column that one file lacks": (
        [("user=1", {"item": [5], "rating": [1.0]}), ("user=2", {"item": [6]})],
        "must have the same columns of the same types.*'rating'",
    ),
    "a column of another type": (
        [("user=1", {"item": [5]}), ("user=2", {"item": ["6"]})],
        "differ in 'item'",
    ),
}


@pytest.mark.parametrize("kind", PARTITIONS_REFUSED)
def test_parts_that_do_not_belong_together_are_refused_by_the_true_cause(kind, tmp_path):
    parts, words = PARTITIONS_REFUSED[kind]
    with pytest.raises(UserError, match=words):
        read_source(write_partitions(tmp_path / "t", parts))


@pytest.mark.parametrize("name", ["part-0.csv", "part-0.json"])
def test_folders_with_columns_of_text_files_are_refused(name, tmp_path):
    for user in (1, 2):
        folder = tmp_path / f"user={user}"
        folder.mkdir()
        frame = pl.DataFrame({"item": [5, 6], "rating": [1.0, 2.0]})
        frame.write_csv(folder / name) if name.endswith("csv") else frame.write_ndjson(
            folder / name
        )
    with pytest.raises(UserError, match=r"hold columns \(user\)"):
        read_source(tmp_path)


def test_a_folder_that_does_not_say_which_file_counts_is_refused(tmp_path):
    for name in ("ratings.dat", "movies.dat", "users.dat"):
        (tmp_path / name).write_text("1::2::3::4\n")
    with pytest.raises(UserError, match="a folder of 3 files"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "valid.csv", "test.csv"),
        ("toy.train.inter", "toy.valid.inter", "toy.test.inter"),
        ("train.txt", "val.txt", "test.txt"),
    ],
)
def test_ready_made_splits_are_kept(names, tmp_path):
    for name, rows in zip(names, (ROWS[:10], ROWS[10:15], ROWS[15:]), strict=True):
        (tmp_path / name).write_text(table(rows))
    source = read_source(tmp_path)
    assert pairs(source) == PAIRS
    assert source.parts is not None
    assert np.bincount(source.parts).tolist() == [10, 5, 5]


CELL = (
    st.text(
        st.characters(
            codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0\r\x1f\ufffd"
        ),
        min_size=1,
        max_size=8,
    )
    .map(str.strip)
    .filter(bool)
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_whatever_a_csv_writer_writes_is_read_back(rows, tmp_path):
    """Quotes, line breaks, separators, other scripts: the csv module's own writing, as written."""
    import csv

    path = Path(tmp_path, "r.csv")
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(("user", "item"))
        writer.writerows(rows)
    source = read_source(path, ReadOptions(quotes=True, separator=","))
    read_back = pairs(source)
    as_numbers = [tuple(cell.strip() for cell in row) for row in rows]
    assert [tuple(str(c) for c in row) for row in read_back] == as_numbers or any(
        "written with a fraction" in note for note in source.report.notes
    )
    check_accounts(source)
