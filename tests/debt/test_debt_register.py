from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.debt import DebtItem, Register, review
from toolkit.errors import ArgumentError
from toolkit.records import ResultRow

REFERENCE = Path(__file__).parents[1] / "reference" / "debt_cases.json"
AS_OF = "2013-06-01"


def item(key: str, **given: Any) -> DebtItem:
    facts = {"title": key.title(), "kind": "code", "owner": "Ada", "team": "flow", "description": "d"}
    return DebtItem(key=key, **facts | {"opened_on": date(2013, 1, 1)} | given)


def days(low: float, likely: float, high: float) -> dict[str, float]:
    return {"low": low, "likely": likely, "high": high}


def register(*items: DebtItem, as_of: str = AS_OF) -> Register:
    return review({item.key: item for item in items}, as_of=as_of)


def value(found: Register, key: str, statistic: str) -> ResultRow:
    (row,) = [row for row in found.to_rows() if (row.key, row.statistic) == (key, statistic)]
    return row


LATE = item(
    "late",
    due_on=date(2013, 5, 20),
    principal_days=days(2, 8, 12),
    interest_days_per_month=days(0.5, 1, 4),
    evidence=("triage/delay@1",),
    model="delay",
)
SOON = item("soon", due_on=date(2013, 6, 1), principal_days=days(1, 2, 3))
VAGUE = item("vague")
LIVED_WITH = item("lived-with", due_on=date(2013, 2, 1), status="accepted", principal_days=days(50, 60, 70))
PAID = item("paid", due_on=date(2013, 2, 1), status="paid", closed_on=date(2013, 3, 1))


@pytest.fixture(scope="module")
def owed() -> Register:
    return register(VAGUE, LIVED_WITH, PAID, SOON, LATE, item("later", opened_on=date(2013, 6, 2)))


def test_the_whole_text(owed: Register) -> None:
    assert owed.text == (
        "On 2013-06-01T00:00:00Z: 3 items open, 1 accepted, 1 paid. Overdue: late by 12 days. 1 item without a due "
        "date. Principal: 10 (3 to 15) days over the 2 items with an estimate; 1 item without. Interest: 1 (0.5 to 4) "
        "days per month over the 1 item with an estimate; 2 items without. Estimates are the owners'; what nobody "
        "estimated is absent. 1 item opened later and left out."
    )


def test_open_items_come_first_by_due_date(owed: Register) -> None:
    assert [line["item"] for line in owed.to_table()] == ["late", "soon", "vague", "lived-with", "paid"]
    assert owed.to_table()[2]["principal_days"] == "absent"
    assert owed.to_table()[0]["interest_days_per_month"] == "1 (0.5 to 4)"


def test_an_item_is_overdue_from_the_day_after(owed: Register) -> None:
    assert [(line["item"], line["overdue_days"]) for line in owed.overdue.to_table()] == [("late", 12)]
    assert value(owed, "soon", "overdue_days").value == 0
    assert value(register(SOON, as_of="2013-06-02"), "soon", "overdue_days").value == 1
    assert value(register(SOON, as_of="2013-06-01T23:59Z"), "soon", "overdue_days").value == 0
    vague = value(owed, "vague", "overdue_days")
    assert (vague.value, vague.status, vague.reason) == (None, "absent", "nobody has promised a day")


def test_what_was_paid_later_was_open() -> None:
    found = register(PAID, as_of="2013-02-28")
    assert [entry.status for entry in found.open] == ["open"]
    assert value(found, "paid", "overdue_days").value == 27
    assert register(PAID, as_of="2013-03-01").open == ()


def test_totals_are_over_the_open_items_that_have_them(owed: Register) -> None:
    principal = value(owed, "all", "principal_days")
    assert (principal.value, principal.ci_lower, principal.ci_upper, principal.n) == (10, 3, 15, 2)
    assert principal.method == "sum of the owners' ranges of open items; 1 without one"
    nothing = value(register(VAGUE), "all", "principal_days")
    assert (nothing.value, nothing.status, nothing.reason) == (None, "absent", "nobody has estimated it")
    counts = {row.statistic: row.value for row in owed.to_rows() if row.key == "all"}
    assert {name: count for name, count in counts.items() if name.endswith("_items")} == {
        "open_items": 3, "accepted_items": 1, "paid_items": 1, "later_items": 1, "overdue_items": 1, "undated_items": 1,
    }  # fmt: skip  # its lines group what belongs together


def test_break_even_is_principal_over_interest(owed: Register) -> None:
    row = value(owed, "late", "break_even_months")
    assert (row.value, row.ci_lower, row.ci_upper, row.unit) == (8, 0.5, 24, "months")
    reasons = {key: value(owed, key, "break_even_months").reason for key in ("soon", "vague")}
    assert reasons == {
        "soon": "nobody has estimated the interest",
        "vague": "nobody has estimated the principal and the interest",
    }
    assert owed.waiting.to_table()[0]["months_until_interest_exceeds_principal"] == "8.0 (0.5 to 24.0)"
    assert owed.waiting.text.endswith(
        "Months until the interest exceeds the principal, counted from 2013-06-01T00:00:00Z, can be said for 1 of 3 "
        "items."
    )


def test_simple_payback_of_the_reference_case() -> None:
    case = next(case for case in json.loads(REFERENCE.read_text()) if case["id"] == "interest-npv-8")
    principal, interest = case["inputs"]["principal"], case["inputs"]["interest_per_month"]
    found = register(item("a", principal_days=days(*[principal] * 3), interest_days_per_month=days(*[interest] * 3)))
    assert value(found, "a", "break_even_months").value == case["inputs"]["months"]


def test_interest_that_may_be_nothing_may_never_exceed_the_principal() -> None:
    perhaps = item("perhaps", principal_days=days(1, 2, 3), interest_days_per_month=days(0, 1, 2))
    row = value(register(perhaps), "perhaps", "break_even_months")
    assert (row.value, row.ci_lower, row.ci_upper) == (2, 0.5, None)
    hardly = item("hardly", principal_days=days(1, 2, 3), interest_days_per_month=days(0, 0, 2))
    row = value(register(hardly), "hardly", "break_even_months")
    assert (row.value, row.status, row.reason) == (None, "absent", "the likely interest is 0")
    shown = register(hardly).waiting.to_table()[0]["months_until_interest_exceeds_principal"]
    assert shown == "never (0.5 to never)"


def test_the_figure_names_what_is_overdue(owed: Register) -> None:
    (picture,) = owed.to_pictures()
    assert picture.alt == (
        "Interest per month against principal, in person-days: late 1 (0.5 to 4) against 8 (2 to 12), overdue"
    )
    assert picture.png == owed.waiting.plot().png
    assert register(VAGUE).to_pictures() == ()
    assert "no open item has both principal and interest" in register(VAGUE).waiting.plot().alt


def test_nothing_owed() -> None:
    found = register()
    assert found.text == "No debt was written down by 2013-06-01T00:00:00Z."
    assert found.overdue.text == "Nothing is open, so nothing is overdue."
    assert found.waiting.text == "Nothing is open, so waiting costs nothing that is written down."
    assert found.to_table() == []


def test_nothing_overdue() -> None:
    assert register(SOON).overdue.text == "Nothing is overdue."


def test_evidence_and_owner_are_rows(owed: Register) -> None:
    assert value(owed, "late", "evidence").value == "triage/delay@1"
    assert value(owed, "late", "owner").value == "Ada"
    assert value(owed, "late", "model").value == "delay"
    assert value(owed, "soon", "model").reason == "it concerns no single model"
    assert value(owed, "late", "age_days").value == 151


def test_an_as_of_that_is_no_instant() -> None:
    with pytest.raises(ArgumentError, match=r"as_of == 'June', must be an ISO date or instant in UTC"):
        register(as_of="June")


def test_an_instant_is_taken_as_it_is() -> None:
    assert review({}, as_of=datetime(2013, 6, 1, tzinfo=UTC)) == register()


RANGES = st.none() | st.lists(st.integers(1, 1000), min_size=3, max_size=3).map(lambda ends: days(*sorted(ends)))


@given(st.lists(st.tuples(RANGES, RANGES, st.none() | st.integers(0, 400)), max_size=6), st.integers(0, 500))
def test_totals_and_overdue_agree_with_the_items(drawn: list[tuple[Any, Any, int | None]], day: int) -> None:
    opened = date(2013, 1, 1)
    items = [
        item(
            f"i{number}",
            principal_days=principal,
            interest_days_per_month=interest,
            due_on=None if due is None else opened + timedelta(days=due),
        )
        for number, (principal, interest, due) in enumerate(drawn)
    ]
    found = register(*items, as_of=(opened + timedelta(days=day)).isoformat())
    likely = [principal["likely"] for principal, _, _ in drawn if principal]
    assert value(found, "all", "principal_days").value == (sum(likely) if likely else None)
    assert value(found, "all", "principal_days").n == len(likely)
    assert len(found.overdue.entries) == sum(due is not None and due < day for _, _, due in drawn)
    both = sum(bool(principal and interest) for principal, interest, _ in drawn)
    assert sum(row.value is not None for row in found.to_rows() if row.statistic == "break_even_months") == both
