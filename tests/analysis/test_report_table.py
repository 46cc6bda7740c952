"""Names of users in tables: no formula is run, no comment and no Markdown is broken."""

import csv
import io
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.report.files import safe_name
from analysis.report_table import (
    ReportTable,
    csv_cell,
    csv_text,
    latex_tabular,
    markdown_text,
    to_csv,
    to_latex,
    to_markdown,
)

NASTY = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'=1", "=", "-"]


@pytest.mark.parametrize("text", NASTY)
def test_a_cell_that_a_spreadsheet_would_run_is_text_and_comes_back(text):
    lines = io.StringIO(to_csv(ReportTable("x", "h", ("a",), ((text,),))), newline="")
    _, (cell,) = csv.reader(lines)
    assert cell == f"'{text}"
    assert csv_cell(text).removeprefix("'") == text


CELLS = st.text(st.sampled_from("a1,\"'\r\n\t;=| \u2028é"), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=4))
def test_every_cell_is_read_back_whatever_line_breaks_it_holds(rows):
    lines = io.StringIO(csv_text(rows), newline="")
    assert list(csv.reader(lines)) == [[csv_cell(cell) for cell in row] for row in rows]


@pytest.mark.parametrize("text", ["-0.0400", "+7.1%", "1e-05", "-1e-05", "0", "", "kmeans", "a=1"])
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert csv_cell(text) == text


def test_a_name_with_line_breaks_stays_within_the_latex_comment():
    text = latex_tabular("study\n\\input{/etc/passwd}\u2028%", ("a",), (("b\nc",),))
    assert [line for line in text.splitlines() if "input" in line] == [text.splitlines()[0]]
    assert text.startswith("% study ")
    assert "b c" in to_latex(ReportTable("x", "h", ("a",), (("b\nc",),)))


@pytest.mark.parametrize(
    "name", ["a|b", "# x\n# y", "<script>", "[x](http://y)", "**x**", "`x`", "_x_", "a\\", "&lt;"]
)
def test_a_name_is_shown_by_markdown_as_it_is(name):
    table = to_markdown(ReportTable("x", name, ("a", name), ((name, "1"),)))
    html = MarkdownIt().enable("table").render(table)
    plain = " ".join(name.split())
    html_cells = re.findall("<t[dh].*?>(.*?)</t[dh]>", html)
    cells = [unescape(re.sub("<[^>]+>", "", cell)) for cell in html_cells]
    assert cells == ["a", plain, plain, "1"]
    assert unescape(re.findall("<h2>(.*?)</h2>", html)[0]) == plain
    assert len(re.findall("<h", html)) == 1


def test_words_with_underscores_stay_readable_in_markdown():
    assert markdown_text("gaussian_mixture·2 of clustering_ablation") == (
        "gaussian_mixture·2 of clustering_ablation"
    )


def test_a_tables_file_stays_in_its_folder():
    assert safe_name("shared_../../x y\n") == "shared_.._.._x_y_"
