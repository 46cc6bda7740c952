"""Tables of recommendations: read back as they were written, whoever padded their cells."""

import pytest

from diffrec.data.tables import read_table, write_table
from diffrec.errors import UserError

IDS = ["007", "7", "5e5", "12.0", "=x", "'=x", "-3", "a,b", 'q"t', "B 1"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_ids_come_back_as_they_were(name, tmp_path):
    write_table(tmp_path / name, {"user": IDS, "rank": list(map(str, range(len(IDS))))})
    assert read_table(tmp_path / name, ("user", "item"))["user"].to_list() == IDS


@pytest.mark.parametrize(("before", "after"), [(" ", ""), ("", "  "), ("\u00a0", "\u00a0")])
def test_blanks_at_the_ends_are_removed_as_prepare_does(before, after, tmp_path):
    path = tmp_path / "t.csv"
    write_table(path, {"user": IDS[:7]})
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{before}{line}{after}" for line in lines)]) + "\n")
    assert read_table(path, ("user",))["user"].to_list() == IDS[:7]


def test_another_separator_is_named_as_the_cause(tmp_path):
    (tmp_path / "t.csv").write_text("user;item\na;1\na;b,c;2\n")
    with pytest.raises(UserError, match="commas between cells"):
        read_table(tmp_path / "t.csv")
