"""Every file of ../shared/cases: read with these counts, or refused with these words.

Files as people have them: 3,000 rows, 120 users, 60 items in each (23-dups has every row twice).
"""

from pathlib import Path

import pytest

from diffrec.errors import UserError
from diffrec.preparation.folder import prepare_folder
from diffrec.preparation.reading.options import Columns, ReadOptions
from diffrec.preparation.reading.source import read_source
from diffrec.preparation.settings import PrepareSettings
from real_data import real_data_dir, require_real_data

CASES = Path(__file__).parents[4] / "shared" / "cases"

READ = {
    "01-recbole-inter/toy.inter": "user item rating time",
    "02-spaces/ratings.txt": "user item rating",
    "03-lightgcn/train.txt": "user item",
    "04-jsonl/reviews.json": "user item rating time",
    "05-gzip/ratings.csv.gz": "user item rating time",
    "06-leading-zeros/ratings.csv": "user item rating time",
    "07-amazon-headerless/ratings_Toys.csv": "user item rating time",
    "08-bookcrossing/latin.csv": "user item rating",
    "08-bookcrossing/ratings.csv": "user item rating",
    "09-bom-crlf/ratings.csv": "user item rating time",
    "10-pandas-index/ratings.csv": "user item rating time",
    "10b-float-ids/ratings.csv": "user item rating time",
    "11-space-after-comma/ratings.csv": "user item rating time",
    "12-times/date_only.csv": "user item rating time",
    "12-times/eu_dates.csv": "user item rating time",
    "12-times/iso_z.csv": "user item rating time",
    "12-times/millis_float_exp.csv": "user item rating time",
    "12-times/mixed_fraction.csv": "user item rating time",
    "12-times/mixed_offset.csv": "user item rating time",
    "12-times/normalised.csv": "user item rating time",
    "12-times/yyyymmdd.csv": "user item rating time",
    "13-ids/comma_in_id.csv": "user item rating time",
    "13-ids/huge.csv": "user item rating time",
    "13-ids/negative.csv": "user item rating time",
    "13-ids/unicode.csv": "user item rating time",
    "13-ids/uuid.csv": "user item rating time",
    "14-ratings/binary.csv": "user item rating time",
    "14-ratings/half.csv": "user item rating time",
    "14-ratings/percent.csv": "user item rating time",
    "15-lastfm-hetrec/user_artists.dat": "user item",
    "17-retailrocket/events.csv": "user item time",
    "18-preamble/blank.csv": "user item rating time",
    "18-preamble/comment.csv": "user item rating time",
    "18-preamble/excel.csv": "user item rating time",
    "19-utf16/ratings.csv": "user item rating time",
    "20-glob-path/ratings (copy) ü.csv": "user item rating time",
    "20-glob-path/ratings[1].csv": "user item rating time",
    "21-bad-rows/double_header.csv": "user item rating time",
    "21-bad-rows/trailing_blank.csv": "user item rating time",
    "23-dups/all.csv": "user item rating time",
    "24-implicit/pairs.csv": "user item",
    "24-implicit/pairs_nohdr.tsv": "user item",
    "26-headers/camel.csv": "user item rating time",
    "26-headers/date_and_time.csv": "user item rating time",
    "26-headers/spaces.csv": "user item rating time",
    "26-headers/two_candidates.csv": "user item rating time",
    "28-cr-only/ratings.csv": "user item rating time",
    "29-parquet/bool.parquet": "user item rating time",
    "29-parquet/date32.parquet": "user item rating time",
    "29-parquet/decimal.parquet": "user item rating time",
    "29-parquet/dict.parquet": "user item rating time",
    "29-parquet/duration.parquet": "user item rating time",
    "29-parquet/floatids.parquet": "user item rating time",
    "29-parquet/large.parquet": "user item rating time",
    "29-parquet/pandas_cat.parquet": "user item rating time",
    "29-parquet/spark.parquet": "user item rating time",
    "29-parquet/strrating.parquet": "user item rating time",
    "29-parquet/uint64.parquet": "user item rating time",
    "29-parquet/unicode.parquet": "user item rating time",
    "29-parquet/upper.PARQUET": "user item rating time",
    "30-id-roundtrip/isbn.csv": "user item rating time",
    "30-id-roundtrip/isbn_x.csv": "user item rating time",
}

REFUSED = {
    "12-times/us_ambiguous.csv": "can be read in two ways (08/01/2016)",
    "14-ratings/nan.csv": "60 cells of its rating column (rating) are empty or cannot be read "
    "(line 2: empty, line 52: empty",
    "14-ratings/nan_word.csv": "line 2: 'NaN', line 52: 'NaN'",
    "14-ratings/null_word.csv": "line 2: 'NULL', line 52: 'NULL'",
    "14-ratings/text.csv": "line 2: '5 stars'",
    "21-bad-rows/empty.csv": "it is empty (0 bytes)",
    "21-bad-rows/header_only.csv": "it holds none",
    "21-bad-rows/quote.csv": "the first in line 2), which would swallow lines; correct them, or "
    "give --no-quotes",
    "21-bad-rows/ragged.csv": "the first is line 1502 with 6: '1,2,3,4,5,6'",
    "21-bad-rows/short.csv": "the first is line 3002 with 2: '17,2'",
    "26-headers/dup.csv": "2 columns named 'user_id' (columns 1, 3)",
    "29-parquet/binary.parquet": "its column 'user_id' is binary",
    "29-parquet/dictbytes.parquet": "its column 'user_id' is binary",
    "29-parquet/fake.parquet": "must be a Parquet file by its name",
    "29-parquet/floattime.parquet": "line 6: 'nan'",
    "29-parquet/nulls.parquet": "1 cells of its user column (user_id) are empty",
    "29-parquet/time64.parquet": "is times of day without a date",
    "29-parquet/uuidbin.parquet": "its column 'user_id' is binary",
    "29-parquet/uuidreal.parquet": "its column 'user_id' is binary",
}

WAYS_OUT = {
    "12-times/us_ambiguous.csv": (ReadOptions(time_format="%d/%m/%Y"), 3000),
    "14-ratings/nan.csv": (ReadOptions(drop_bad_rows=True), 2940),
    "14-ratings/nan_word.csv": (ReadOptions(drop_bad_rows=True), 2940),
    "14-ratings/null_word.csv": (ReadOptions(drop_bad_rows=True), 2940),
    "14-ratings/text.csv": (ReadOptions(columns=Columns(rating="none")), 3000),
    "21-bad-rows/quote.csv": (ReadOptions(quotes=False), 3000),
    "21-bad-rows/ragged.csv": (ReadOptions(drop_bad_rows=True), 3000),
    "21-bad-rows/short.csv": (ReadOptions(drop_bad_rows=True), 3000),
    "26-headers/dup.csv": (ReadOptions(columns=Columns(user="1", rating="3")), 3000),
    "29-parquet/floattime.parquet": (ReadOptions(drop_bad_rows=True), 2999),
    "29-parquet/nulls.parquet": (ReadOptions(drop_bad_rows=True), 2999),
    "29-parquet/time64.parquet": (ReadOptions(columns=Columns(time="none")), 3000),
}


def case(name: str) -> Path:
    if not CASES.is_dir():
        pytest.skip(f"the files as people have them are not at {CASES}")
    return CASES / name


def check_lines(report) -> None:
    """Hold that every line of the source is accounted for."""
    if report.lines and "lines of users" not in report.lines:
        lines = dict(report.lines)
        assert lines.pop("lines") == sum(lines.values()) + sum(report.rows.values())


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_whole(name):
    source = read_source(case(name))
    rows = 6000 if name.startswith("23") else 3000
    assert source.report.rows["rows read"] == len(source.users) == rows
    assert (len(source.user_ids), len(source.item_ids)) == (120, 60)
    assert list(source.report.columns) == READ[name].split()
    check_lines(source.report)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_for_what_it_is(name):
    with pytest.raises(UserError) as refusal:
        read_source(case(name))
    assert REFUSED[name] in str(refusal.value)


@pytest.mark.parametrize("name", WAYS_OUT)
def test_the_way_out_that_a_refusal_names_leads_out(name):
    options, rows = WAYS_OUT[name]
    source = read_source(case(name), options)
    assert source.report.rows["rows read"] == rows
    check_lines(source.report)


def test_every_file_of_the_folder_has_a_verdict():
    listed = {case(name) for name in (*READ, *REFUSED)}
    present = {
        path for folder in CASES.iterdir() if folder.name != "spaces" for path in folder.iterdir()
    }
    assert listed == present


RAW = {"ml-100k.inter.gz": "ml-100k", "s3_Yelp.txt.gz": "yelp", "Video.txt.gz": "games"}
"""Sources as found (RecBole, S3Rec, SASRec), and the datasets that a converter and prepare made."""


@pytest.mark.real_data
@pytest.mark.parametrize("name", RAW)
def test_raw_files_give_the_same_lists_as_through_a_converter(name, tmp_path):
    expected = require_real_data(RAW[name])
    prepare_folder(real_data_dir() / "raw" / name, tmp_path / "out", PrepareSettings())
    for part in ("train", "valid", "test"):
        file = f"{part}_list.npy"
        assert (tmp_path / "out" / file).read_bytes() == (expected / file).read_bytes()
