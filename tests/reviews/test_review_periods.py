"""Which days a period is, and which come just before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError
from toolkit.reviews import parse_period


@pytest.mark.parametrize(
    ("text", "days", "before"),
    [
        ("2013-04", "2013-04-01 … 2013-04-30", "2013-03-01 … 2013-03-31"),
        ("2013-01", "2013-01-01 … 2013-01-31", "2012-12-01 … 2012-12-31"),
        ("2013-12", "2013-12-01 … 2013-12-31", "2013-11-01 … 2013-11-30"),
        ("2012-02", "2012-02-01 … 2012-02-29", "2012-01-01 … 2012-01-31"),
        ("2013-Q1", "2013-01-01 … 2013-03-31", "2012-10-01 … 2012-12-31"),
        ("2013-Q4", "2013-10-01 … 2013-12-31", "2013-07-01 … 2013-09-30"),
        ("2013-W17", "2013-04-22 … 2013-04-28", "2013-04-15 … 2013-04-21"),
        ("2013-W01", "2012-12-31 … 2013-01-06", "2012-12-24 … 2012-12-30"),
        ("2013-04-01/2013-05-01", "2013-04-01 … 2013-04-30", "2013-03-02 … 2013-03-31"),
    ],
)
def test_periods_and_the_ones_before(text, days, before):
    period = parse_period(text)
    assert (period.text, period.window.label, period.previous.label) == (text, days, before)


@given(st.dates(), st.integers(1, 10_000))
def test_days_have_equally_many_before_them(first, count):
    try:
        end = first + timedelta(days=count)
        before = first - timedelta(days=count)
    except OverflowError:
        return
    period = parse_period(f"{first}/{end}")
    assert period.previous.days == period.window.days == count
    assert (period.previous.start.date(), period.previous.end) == (before, period.window.start)


@pytest.mark.parametrize(
    "text",
    ["", "2013", "2013-4", "2013-13", "2013-00", "2013-Q5", "2013-W54", "0000-04", "0001-01", "9999-12", "april",
     "2013-04-01", "2013-04-31/2013-05-01", "2013-04-01/", "0001-01-02/0001-02-01", "2013-04 "],
)  # fmt: skip  # its lines group what belongs together
def test_what_is_no_period_is_told_what_is(text):
    with pytest.raises(ArgumentError) as caught:
        parse_period(text)
    assert str(caught.value) == (
        f"period == {text!r}, must be a month such as 2013-04, a quarter such as 2013-Q2, a week such as 2013-W17, or "
        "two dates such as 2013-04-01/2013-05-01, the second one the first day after the period"
    )


@pytest.mark.parametrize("text", ["2013-05-01/2013-04-01", "2013-05-01/2013-05-01"])
def test_days_in_the_wrong_order(text):
    with pytest.raises(ArgumentError) as caught:
        parse_period(text)
    assert str(caught.value) == f"period == {text!r}, its first day must come before the first day after it"
