"""Feedback, attributions, incidents and business: what their contracts refuse, and what was known when."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import CONTRACTS, business_values, open_source, window_incidents
from toolkit.errors import ContractError, UnknownNameError
from toolkit.windows import Window, parse_instant
from toolkit.workspace import open_workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)
APRIL = Window.of("2013-04-01", "2013-05-01")


def at(*texts):
    return pd.Series(pd.to_datetime(list(texts), utc=True, format="ISO8601")).astype("datetime64[us, UTC]")


TABLES = {
    "feedback": pd.DataFrame(
        {
            "feedback_id": ["f1", "f2", "f3"],
            "occurred_at": at("2013-04-02", "2013-04-03", "2013-04-04"),
            "request_id": ["r1", None, "r3"],
            "unit_id": [None, "u2", "u3"],
            "rating": [1.0, None, 5.0],
            "category": ["wrong", "late", None],
            "text": [None, "a text", None],
        }
    ),
    "attributions": pd.DataFrame(
        {
            "request_id": ["r1", "r1"],
            "version": "1",
            "feature": ["base", "carrier"],
            "occurred_at": at("2013-04-02", "2013-04-02"),
            "value": [-1.5, 0.25],
        }
    ),
    "incidents": pd.DataFrame(
        {
            "incident_id": ["early", "long", "open", "later"],
            "opened_at": at("2013-03-02", "2013-03-30", "2013-04-20", "2013-05-02"),
            "resolved_at": at("2013-03-03", "2013-04-02", None, "2013-05-03"),
            "model": "small",
            "severity": ["minor", "major", "minor", "minor"],
            "caused_by": [None, "deploy", None, None],
        }
    ),
    "business": pd.DataFrame(
        {
            "unit_id": ["u1", "u1", "u2", "u2"],
            "occurred_at": at("2013-04-02", "2013-04-02", "2013-04-30T23:59", "2013-05-01"),
            "measure": ["delay_min", "cost", "delay_min", "delay_min"],
            "value": [3.0, 100.0, -2.0, 7.0],
        }
    ),
}


@pytest.fixture
def open_with(tmp_path):
    """Opens a workspace that has one table more."""

    def go(name, table):
        root = write_workspace(tmp_path, *make_events(requests=50)).workspace.root
        table.to_parquet(root / "data" / f"{name}.parquet", index=False)
        with (root / "toolkit.toml").open("a") as settings:
            settings.write(f'\n[tables.{name}]\npath = "data/{name}.parquet"\n')
        return open_source(open_workspace(root))

    return go


@pytest.mark.parametrize("name", TABLES)
def test_every_column_of_a_contract_is_read(open_with, name):
    rows = open_with(name, TABLES[name]).read(name, CONTRACTS[name].columns, as_of=LATER).execute()
    assert set(rows.columns) == set(TABLES[name].columns) == set(CONTRACTS[name].columns)
    assert len(rows) == len(TABLES[name])


def changed(name, row, **values):
    table = TABLES[name].copy()
    for column, value in values.items():
        table.loc[row, column] = value
    return table


BREACHES = {
    "report on nobody": (
        "feedback",
        changed("feedback", 1, unit_id=None),
        "feedback.unit_id must not be missing where request_id is: 1 of 3 rows break this, such as f2",
    ),
    "report without request and unit columns": (
        "feedback",
        TABLES["feedback"].drop(columns="request_id"),
        "feedback.unit_id must not be missing where request_id is: 1 of 3 rows break this, such as f1",
    ),
    "report twice": (
        "feedback",
        changed("feedback", 1, feedback_id="f1"),
        "feedback.feedback_id must not repeat: 1 of 3 rows break this, such as f1",
    ),
    "infinite rating": (
        "feedback",
        changed("feedback", 0, rating=float("inf")),
        "feedback.rating must be finite: 1 of 3 rows break this, such as f1",
    ),
    "attribution without value": (
        "attributions",
        changed("attributions", 1, value=None),
        "attributions.value must not be missing: 1 of 2 rows break this, such as r1 × 1 × carrier",
    ),
    "attribution twice": (
        "attributions",
        changed("attributions", 1, feature="base"),
        "attributions.request_id × version × feature must not repeat: 1 of 2 rows break this, such as r1 × 1 × base",
    ),
    "resolved before opened": (
        "incidents",
        changed("incidents", 0, resolved_at=pd.Timestamp("2013-03-01", tz="UTC")),
        "incidents.resolved_at must not be before opened_at: 1 of 4 rows break this, such as early",
    ),
    "without severity": (
        "incidents",
        changed("incidents", 3, severity=None),
        "incidents.severity must not be missing: 1 of 4 rows break this, such as later",
    ),
    "business text": (
        "business",
        TABLES["business"].assign(value="much"),
        "business.value: is of type string, must be a number",
    ),
    "measured twice": (
        "business",
        changed("business", 1, measure="delay_min"),
        "business.unit_id × occurred_at × measure must not repeat: 1 of 4 rows break this, such as "
        "u1 × 2013-04-02 00:00:00+00:00 × delay_min",
    ),
}


@pytest.mark.parametrize(("name", "table", "message"), BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_says_which_rule_which_rows(open_with, name, table, message):
    columns = [column for column in CONTRACTS[name].columns if column in table]
    with pytest.raises(ContractError) as caught:
        open_with(name, table).read(name, columns, as_of=LATER)
    assert str(caught.value).splitlines()[0] == message


def test_an_incident_is_of_a_window_when_it_was_open_in_it(open_with):
    source = open_with("incidents", TABLES["incidents"])
    rows = window_incidents(source, model="small", window=APRIL, as_of=LATER).execute()
    assert rows["incident_id"].tolist() == ["long", "open"]
    assert rows["caused_by"].fillna("").tolist() == ["deploy", ""]
    assert rows["resolved_at"].isna().tolist() == [False, True]
    assert window_incidents(source, model="other", window=APRIL, as_of=LATER).execute().empty


@pytest.mark.parametrize(
    ("as_of", "known"),
    [
        ("2013-03-29", []),
        ("2013-04-01", [("long", True)]),
        ("2013-04-02", [("long", False)]),
        ("2013-04-30", [("long", False), ("open", True)]),
    ],
)
def test_what_became_known_later_is_not_there(open_with, as_of, known):
    source = open_with("incidents", TABLES["incidents"])
    rows = window_incidents(source, model="small", window=APRIL, as_of=parse_instant(as_of)).execute()
    assert list(zip(rows["incident_id"], rows["resolved_at"].isna(), strict=True)) == known


def test_an_incident_that_ended_as_the_window_began_is_not_of_it(open_with):
    source = open_with("incidents", TABLES["incidents"])
    window = Window.of("2013-04-02", "2013-04-03")
    assert window_incidents(source, model="small", window=window, as_of=LATER).execute().empty


def test_incidents_without_the_optional_columns_are_open_and_of_unknown_cause(open_with):
    source = open_with("incidents", TABLES["incidents"].drop(columns=["resolved_at", "caused_by"]))
    rows = window_incidents(source, model="small", window=APRIL, as_of=LATER).execute()
    assert rows["incident_id"].tolist() == ["early", "long", "open"]
    assert rows[["resolved_at", "caused_by"]].isna().all(axis=None)


def test_business_values_are_those_of_one_measure_in_the_window(open_with):
    source = open_with("business", TABLES["business"])
    rows = business_values(source, "delay_min", window=APRIL, as_of=LATER).execute()
    assert sorted(zip(rows["unit_id"], rows["value"], strict=True)) == [("u1", 3.0), ("u2", -2.0)]
    early = business_values(source, "delay_min", window=APRIL, as_of=parse_instant("2013-04-10")).execute()
    assert early["value"].tolist() == [3.0]


def test_an_unknown_business_measure_is_answered_with_the_nearest(open_with):
    source = open_with("business", TABLES["business"])
    with pytest.raises(UnknownNameError) as caught:
        business_values(source, "delay_mn", window=APRIL, as_of=LATER)
    assert str(caught.value) == (
        "unknown business measure 'delay_mn'; allowed: cost, delay_min. Did you mean 'delay_min'?"
    )


def test_a_window_without_business_rows_has_no_values(open_with):
    source = open_with("business", TABLES["business"])
    march = Window.of("2013-03-01", "2013-04-01")
    assert business_values(source, "delay_min", window=march, as_of=LATER).execute().empty
