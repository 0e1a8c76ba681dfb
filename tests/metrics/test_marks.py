from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest
from served_months import look_at

from conftest import make_events, write_workspace
from toolkit.data import open_source
from toolkit.metrics.marks import Mark, list_deployments, list_marks
from toolkit.windows import Window, parse_instant
from toolkit.workspace import open_workspace

WINDOW = Window.of("2013-04-01", "2013-10-01")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return look_at(tmp_path_factory.mktemp("marked"), marks=True).source


def listed(source, *, as_of="2013-10-01"):
    return list_marks(source, model="small", window=WINDOW, as_of=parse_instant(as_of))


def test_the_models_deployments_and_incidents_come_in_their_order(source):
    found = listed(source)
    assert [mark.text for mark in found.marks] == [
        "incident slow, 2013-06-30",
        "deploy of version 1, 2013-07-01",
        "incident open, 2013-07-02",
    ]
    assert found.absent == ()


def test_an_incident_lasts_until_it_is_resolved(source):
    slow, deployed, still_open = listed(source).marks
    assert (slow.day, slow.last_day) == (date(2013, 6, 30), date(2013, 7, 2))
    assert slow.until == datetime(2013, 7, 2, 6, tzinfo=UTC)
    assert deployed.until is None
    assert still_open.last_day == date(2013, 7, 2)


def test_an_incident_resolved_later_was_open(source):
    slow = listed(source, as_of="2013-07-01T00:00Z").marks[0]
    assert (slow.name, slow.until) == ("incident slow", None)


def test_near_counts_what_lasts_into_the_days(source):
    found = listed(source)
    assert [mark.name for mark in found.near(date(2013, 7, 2), date(2013, 7, 5))] == ["incident slow", "incident open"]
    assert found.near(date(2013, 8, 1), date(2013, 8, 5)) == ()


def test_tables_that_are_not_there_are_named(small):
    found = list_marks(open_source(small.workspace), model="small", window=WINDOW, as_of=parse_instant("2013-05-01"))
    assert (found.marks, found.absent) == ((), ("deployments", "incidents"))


def test_another_models_deployments_are_not_listed_and_incidents_say_how_severe_they_were(tmp_path):
    write_workspace(tmp_path, *make_events())
    at = pd.to_datetime(["2013-04-10T08:00Z", "2013-04-20T08:00Z"]).astype("datetime64[us, UTC]")
    pd.DataFrame({"occurred_at": at, "model": ["small", "other"], "version": "2", "kind": "deploy"}).to_parquet(
        tmp_path / "data" / "deployments.parquet"
    )
    pd.DataFrame(
        {
            "incident_id": ["I1", "I2"],
            "opened_at": pd.to_datetime(["2013-04-01T00:00Z", "2013-04-12T00:00Z"]).astype("datetime64[us, UTC]"),
            "resolved_at": pd.to_datetime(["2013-04-11T00:00Z", None]).astype("datetime64[us, UTC]"),
            "model": "small",
            "severity": "major",
        }
    ).to_parquet(tmp_path / "data" / "incidents.parquet")
    with (tmp_path / "toolkit.toml").open("a") as file:
        for table in ("deployments", "incidents"):
            file.write(f'\n[tables.{table}]\npath = "data/{table}.parquet"\n')
    source = open_source(open_workspace(tmp_path))
    found = list_marks(source, model="small", window=WINDOW, as_of=parse_instant("2013-05-01"))
    assert found.marks == (
        Mark("incident", parse_instant("2013-04-01"), parse_instant("2013-04-11"), "incident I1", "major"),
        Mark("deployment", parse_instant("2013-04-10T08:00Z"), None, "deploy of version 2"),
        Mark("incident", parse_instant("2013-04-12"), None, "incident I2", "major"),
    )
    assert list_deployments(source, model="small", window=WINDOW, as_of=parse_instant("2013-05-01")) == found.marks[1:2]
