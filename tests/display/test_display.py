from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

from toolkit.display import format_interval, format_number, picture, table_html
from toolkit.errors import ArgumentError
from toolkit.records import ResultRow, Shown, number_row, to_document


@pytest.mark.parametrize(
    ("name", "value", "unit", "text"),
    [
        ("value", 0.000123456, "", "0.0001235"),
        ("value", 123456.789, "", "123,457"),
        ("value", 0.0, "", "0"),
        ("value", -0.5, "share", "-50 %"),
        ("rel_lift", 0.0123, "", "1.23 %"),
        ("effort_days", 3.0, "", "3 days"),
        ("p_value", 0.04567, "", "0.0457"),
        ("p_value", 0.0, "", "< 0.0001"),
        ("passed", True, "", "yes"),
        ("n", None, "", "absent"),
    ],
)
def test_numbers(name, value, unit, text):
    assert format_number(name, value, unit=unit) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_four_digits_are_kept(value):
    shown = float(format_number("value", value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=1e-3, abs_tol=1e-11)


def test_intervals():
    assert format_interval("x", None, None) == "absent"
    assert format_interval("x", None, 2.0) == "unbounded to 2"


def test_tables_escape_and_have_a_fixed_id():
    rows = [{"name": "<script>alert(1)</script>", "n": 3}]
    html = table_html(rows, name="My table", text="a < b")
    assert "<script>" not in html
    assert 'id="my-table"' in html
    assert html == table_html(rows, name="My table", text="a < b")
    assert table_html([], name="x") == "<p>No rows.</p>"


def test_pictures_carry_words():
    drawn = picture(lambda figure: figure.subplots().plot([1, 2]), name="line", alt="A rising line.")
    data, metadata = drawn._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "A rising line."


def test_dollars_in_a_picture_are_no_mathematics():
    plain = picture(lambda figure: figure.text(0.1, 0.5, r"US$ \y A$"), name="line", alt="")
    assert plain.png != picture(lambda figure: figure.text(0.1, 0.5, r"US \y A"), name="line", alt="").png


class One(Shown):
    def to_rows(self):
        return [ResultRow(key="a", statistic="mean", value=1.0), number_row(None, "no data", key="b", statistic="mean")]


def test_records_show_their_filled_columns():
    assert list(One().to_table()[0]) == ["key", "statistic", "value", "reason"]
    assert list(One().to_frame()["status"]) == ["ok", "absent"]
    assert "no data" in One()._repr_html_()


@dataclass(frozen=True)
class Long(One):
    parts: tuple[int, ...] = tuple(range(1000))


def test_a_notebook_keeps_a_results_words_not_its_repr():
    shown, _ = DisplayFormatter().format(Long())
    assert shown["text/plain"] == "Long of 2 rows"
    assert "no data" in shown["text/html"]


def test_document_names_the_record_and_refuses_what_is_none():
    document = to_document({"one": One()})
    assert document["schema_version"] == 1
    assert [row["record"] for row in document["rows"]] == ["one", "one"]
    with pytest.raises(ArgumentError, match=r"^two is a int; reports.save takes results of the toolkit"):
        to_document({"two": 2})
