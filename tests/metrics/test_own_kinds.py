"""A team's own kinds of metric: from a file of the workspace, or an installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from toolkit.digests import digest_file
from toolkit.errors import DefinitionError
from toolkit.metrics import load_metrics
from toolkit.workspace import JOURNAL

OVERBOOKED = '''\
"""Kinds of metric of this team."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from toolkit.metrics import Parts, RatioKind, number


class Overbooked(RatioKind):
    """Share of the requests that asked for more items than there were."""

    kind: Literal["overbooked"]
    capacity: float = Field(gt=0, description="how many items there are")

    def columns(self):
        return ["items"]

    def parts(self, table):
        return Parts(number(table, "items") > self.capacity)
'''
OWN = {"own": "kind: overbooked, capacity: 2", "mean": "kind: mean, column: items, filter: items > 2"}
HEAD = "kinds: [kinds/booking.py:Overbooked]\n"


@pytest.fixture
def booking(write_wide):
    wide = write_wide()
    file = wide.workspace.root / "kinds" / "booking.py"
    file.parent.mkdir()
    file.write_text(OVERBOOKED)
    return wide


def error(wide, *, head=HEAD, metrics=None) -> str:
    with pytest.raises(DefinitionError) as caught:
        wide.measure(metrics or OWN, head=head)
    return str(caught.value)


def test_a_kind_of_twenty_lines_has_value_interval_segments_and_filter(booking):
    cells = booking.measure(
        OWN | {"some": "kind: overbooked, capacity: 1, filter: carrier = 'A'"}, head=HEAD, segments=["carrier"]
    )
    rows = booking.rows()
    estimate = cells.estimate("own", "current")
    assert estimate.value == pytest.approx((rows["items"] > 2).mean(), rel=1e-12)
    assert estimate.ci_lower < estimate.value < estimate.ci_upper
    mine = rows[rows["carrier"] == "A"]
    assert cells.estimate("some", "current").value == pytest.approx((mine["items"] > 1).mean(), rel=1e-12)
    in_segment = cells.estimate("own", "current", segment="carrier", value="A")
    assert in_segment.value == pytest.approx((mine["items"] > 2).mean(), rel=1e-12)


def test_its_parameters_are_checked_like_those_of_any_kind(booking):
    assert error(booking, metrics={"own": "kind: overbooked, capacity: 0"}) == (
        "metrics.yml:3: metrics.own.capacity is 0: input should be greater than 0"
    )
    assert "metrics.own.kind is 'overboked'" in error(booking, metrics={"own": "kind: overboked"})
    assert "Did you mean 'overbooked'?" in error(booking, metrics={"own": "kind: overboked"})


def test_its_file_is_part_of_what_a_report_was_made_of(booking):
    booking.measure(OWN, head=HEAD)
    path = booking.workspace.root / "kinds" / "booking.py"
    assert JOURNAL.definitions["kinds/booking.py"] == digest_file(path)


def test_a_changed_file_is_read_again(booking):
    before = booking.measure(OWN, head=HEAD).estimate("own", "current").value
    path = booking.workspace.root / "kinds" / "booking.py"
    path.write_text(OVERBOOKED.replace("> self.capacity", "<= self.capacity"))
    assert booking.measure(OWN, head=HEAD).estimate("own", "current").value == pytest.approx(1 - before, rel=1e-12)


def test_its_arithmetic_never_brings_a_number_that_is_none(booking):
    """items is 0 in a quarter of the requests: 0 / 0 is no number, and anything else over 0 infinite."""
    path = booking.workspace.root / "kinds" / "booking.py"
    path.write_text(
        OVERBOOKED.replace('number(table, "items") > self.capacity', 'number(table, "items") / self._all(table)')
    )
    text = path.read_text() + "\n    def _all(self, table):\n        return number(table, 'items') * self.capacity\n"
    path.write_text(text)
    rows = booking.rows()
    estimate = booking.measure({"own": "kind: overbooked, capacity: 2"}, head=HEAD).estimate("own", "current")
    assert (estimate.value, estimate.n) == (0.5, (rows["items"] > 0).sum())
    path.write_text(text.replace('number(table, "items") /', "1.0 /"))
    absent = booking.measure({"own": "kind: overbooked, capacity: 2"}, head=HEAD).estimate("own", "current")
    infinite = (rows["items"] == 0).sum()
    assert absent.reason == f"infinite: {infinite} requests have a value that is not finite"
    some = booking.measure({"own": "kind: overbooked, capacity: 2, filter: items > 0"}, head=HEAD)
    expected = (0.5 / rows.loc[rows["items"] > 0, "items"]).mean()
    assert some.estimate("own", "current").value == pytest.approx(expected, rel=1e-12)


def test_a_kind_of_an_installed_package(booking, tmp_path, monkeypatch):
    (tmp_path / "site" / "bookings").mkdir(parents=True)
    (tmp_path / "site" / "bookings" / "__init__.py").write_text("")
    (tmp_path / "site" / "bookings" / "kinds.py").write_text(OVERBOOKED)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    try:
        cells = booking.measure(OWN, head="kinds: ['bookings.kinds:Overbooked']\n")
    finally:
        for name in ("bookings.kinds", "bookings"):
            sys.modules.pop(name, None)
    assert cells.estimate("own", "current").status == "ok"


def test_nothing_is_imported_that_is_not_named(booking):
    (booking.workspace.root / "kinds" / "booking.py").write_text("raise RuntimeError('imported')")
    assert "metrics.own.kind is 'overbooked'" in error(booking, head="")


@pytest.mark.parametrize(
    ("named", "text", "message"),
    [
        (
            "kinds/booking.py",
            OVERBOOKED,
            "a kind is named as kinds/gini.py:Gini (a file of the workspace) or my_package.kinds:Gini "
            "(an installed package)",
        ),
        (
            "kinds/bookings.py:Overbooked",
            OVERBOOKED,
            "kinds/bookings.py cannot be imported: FileNotFoundError: there is no such file in the workspace",
        ),
        (
            "../booking.py:Overbooked",
            OVERBOOKED,
            "../booking.py cannot be imported: FileNotFoundError: there is no such file in the workspace",
        ),
        (
            "no.such.kinds:Overbooked",
            OVERBOOKED,
            "no.such.kinds cannot be imported: ModuleNotFoundError: No module named 'no'",
        ),
        (
            "kinds/booking.py:Overbooked",
            "1 / 0",
            "kinds/booking.py cannot be imported: ZeroDivisionError: division by zero",
        ),
        (
            "kinds/booking.py:Overboked",
            OVERBOOKED,
            "kinds/booking.py has no 'Overboked'; it has Overbooked",
        ),
        (
            "kinds/booking.py:number",
            OVERBOOKED,
            "kinds/booking.py: number is no kind of metric; a kind is a class below RatioKind, TimeKind or RankKind",
        ),
        (
            "kinds/booking.py:Overbooked",
            OVERBOOKED.replace('Literal["overbooked"]', "str"),
            'Overbooked does not say what it is called; add kind: Literal["overbooked"]',
        ),
        (
            "kinds/booking.py:Overbooked",
            OVERBOOKED.replace('Literal["overbooked"]', 'Literal["mean"]'),
            "there is a kind 'mean' already; give Overbooked another name",
        ),
    ],
)
def test_what_is_wrong_with_a_kind_is_said_where_it_is_named(booking, named: str, text: str, message: str):
    (booking.workspace.root / "kinds" / "booking.py").write_text(text)
    found = error(booking, head=f"kinds:\n  - {named}\n")
    assert found == f"metrics.yml:2: kinds.0 is {named!r}: {message}"


def test_a_kind_is_there_once(booking):
    head = "kinds:\n  - kinds/booking.py:Overbooked\n  - kinds/booking.py:Overbooked\n"
    assert error(booking, head=head) == (
        "metrics.yml:3: kinds.1 is 'kinds/booking.py:Overbooked': there is a kind 'overbooked' already; "
        "give Overbooked another name"
    )


def test_kinds_are_a_list(booking):
    assert error(booking, head="kinds: kinds/booking.py:Overbooked\n").startswith(
        "metrics.yml:1: kinds is 'kinds/booking.py:Overbooked': input should be a valid tuple"
    )


def test_reading_definitions_alone_finds_the_kind(booking):
    (booking.workspace.root / "metrics.yml").write_text(
        HEAD
        + "metrics:\n  own: {name: Own, description: d, owner: Ada, kind: overbooked, capacity: 2, direction: none, "
        "practical_threshold: 1, role: input}\n"
    )
    own = load_metrics(booking.workspace)["own"]
    assert own.estimand == "Share of the requests that asked for more items than there were."
    assert Path(sys.modules[type(own).__module__].__file__).name == "booking.py"
