"""Governance: what a model lacks is named, what stands still is dated, and what is in order is quiet."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.records import to_document
from toolkit.signals import governance
from toolkit.signals.governance import freshness_days
from toolkit.workspace import open_workspace

GOOD = """\
review_on: "2013-06-01"
features:
  - {name: temp_f, description: d, owner: weather, freshness: hourly}
  - {name: carrier, description: d, owner: schedules, freshness: known when it is scheduled}
"""
VERSION = """\
    features: [temp_f, carrier]
    training_digest: "sha256:0123"
    commit: abcdef1234567
"""
CARRIERS = "  carriers: {name: C, description: d, owner: Ada, kind: proportion, column: carrier = 'A', unit: share, "
CARRIERS += "direction: none, practical_threshold: 0.1, role: input}\n"


def write(root, *, events=None, good=GOOD, version=VERSION, metrics=CARRIERS, deployed="abcdef1"):
    """A workspace in which everything is in order."""
    predictions, outcomes = make_events(requests=6000) if events is None else events
    workspace = write_workspace(root, predictions, outcomes).workspace
    model = (root / "models/small.yml").read_text().replace("    features: []\n", version)
    (root / "models/small.yml").write_text(model.replace("versions:", f"{good}versions:"))
    (root / "metrics.yml").write_text((root / "metrics.yml").read_text() + metrics)
    deployments = pd.DataFrame(
        {
            "occurred_at": pd.to_datetime(["2013-04-01T00:00Z"]).as_unit("us"),
            "model": "small",
            "version": "1",
            "kind": "deploy",
            "commit": deployed,
        }
    )
    deployments.to_parquet(root / "data/deployments.parquet", index=False)
    settings = (root / "toolkit.toml").read_text()
    (root / "toolkit.toml").write_text(f'{settings}\n[tables.deployments]\npath = "data/deployments.parquet"\n')
    return open_workspace(workspace.root)


def look(workspace, *, as_of="2013-05-01"):
    return governance(workspace, open_source(workspace), load_model(workspace, "small"), as_of=as_of)


def still(change):
    """Events of which `change(predictions)` alters a feature."""
    predictions, outcomes = make_events(requests=6000)
    return change(predictions), outcomes


def test_what_is_in_order_is_quiet(tmp_path):
    found = look(write(tmp_path))
    assert found.signals == ()
    assert {check.passed for check in found.checks} == {True}
    assert found.text == "None of 12 rules is broken by Small model."
    assert {row.value for row in found.to_rows()} == {"passed"}


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"good": GOOD.replace("2013-06", "2013-03")}, "review_overdue", "overdue by 61 days, since 2013-03-01"),
        (
            {"good": GOOD.replace('review_on: "2013-06-01"\n', "")},
            "review_overdue",
            "no date is set (review_on in models/small.yml)",
        ),
        ({"good": GOOD.replace("owner: weather", "owner: TBD")}, "feature_owner_missing", "not temp_f"),
        ({"good": GOOD.replace("hourly", "unknown")}, "feature_freshness_missing", "not temp_f"),
        ({"metrics": ""}, "features_unmonitored", "not carrier of version 1"),
        (
            {"version": VERSION.replace('    training_digest: "sha256:0123"\n', "")},
            "lineage_training_digest",
            "not of version 1",
        ),
        ({"version": VERSION.replace("    commit: abcdef1234567\n", "")}, "lineage_commit", "not of version 1"),
        ({"deployed": "9999999"}, "lineage_deployed", "version 1 was deployed from another commit"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_one_thing_that_is_lacking_is_one_signal(tmp_path, changes, key, text):
    found = look(write(tmp_path, **changes))
    (signal,) = found.signals
    assert (signal.kind, signal.family, signal.metric, signal.change) == ("governance", "governance", key, None)
    assert signal.key == f"governance:{key}"
    assert signal.text.endswith(f": {text}")
    assert found.checks[0].passed is False, "what is broken comes first"
    assert found.text.startswith("1 of 12 rules are broken by Small model: ")
    assert signal.requests_per_week > 0


def test_a_model_of_nobody(tmp_path):
    workspace = write(tmp_path)
    model = (workspace.root / "models/small.yml").read_text().replace("owner: Ada\nlabel", 'owner: "-"\nlabel')
    (workspace.root / "models/small.yml").write_text(model)
    (signal,) = look(open_workspace(workspace.root)).signals
    assert signal.text == "owner of the model: nobody (owner: '-')"


def test_a_review_that_is_due_soon_is_said_and_no_signal(tmp_path):
    found = look(write(tmp_path), as_of="2013-05-25")
    review = next(check for check in found.checks if check.key == "review_overdue")
    assert (review.passed, review.found) == (True, "due on 2013-06-01, in 7 days")
    assert look(write(tmp_path / "day"), as_of="2013-06-01").breaches == ()


def test_a_feature_that_predictions_do_not_have(tmp_path):
    more = "  - {name: humidity, description: d, owner: weather, freshness: 1 day}\n"
    found = look(write(tmp_path, good=GOOD + more))
    (signal,) = found.signals
    assert (signal.metric, signal.columns) == ("feature_absent", ("humidity",))


def test_an_input_that_stands_still_is_dated(tmp_path):
    def stand(rows):
        rows.loc[rows["occurred_at"] >= "2013-04-25", "temp_f"] = 51.5
        return rows

    (signal,) = look(write(tmp_path, events=still(stand))).signals
    assert (signal.metric, signal.family, signal.columns) == ("stale.temp_f", "inputs", ("temp_f",))
    assert (signal.first_day, signal.last_day) == (date(2013, 4, 25), date(2013, 4, 30))
    assert signal.text == ("input temp_f: one and the same for 6 days, never before; it may be as old as: hourly")


def test_an_input_that_is_missing_for_days(tmp_path):
    def lose(rows):
        rows.loc[rows["occurred_at"] >= "2013-04-27", "temp_f"] = np.nan
        return rows

    (signal,) = look(write(tmp_path, events=still(lose))).signals
    assert signal.text == "input temp_f: missing for 4 days, never before; it may be as old as: hourly"


def test_spells_as_long_as_before_are_no_fault(tmp_path):
    """Dry for five days at the end, as it was for four in the middle of the month."""

    def rain(rows):
        day = rows["occurred_at"].dt.day
        rows["temp_f"] = np.where(day.between(10, 13) | (day >= 26), 0.0, rows["temp_f"])
        return rows

    assert look(write(tmp_path, events=still(rain))).signals == ()


def test_an_input_may_be_as_old_as_it_is_said(tmp_path):
    def stand(rows):
        rows.loc[rows["occurred_at"] >= "2013-04-25", "temp_f"] = 51.5
        return rows

    assert look(write(tmp_path, events=still(stand), good=GOOD.replace("hourly", "10 days"))).signals == ()


def test_without_a_stated_length_of_time_nothing_is_judged_stale(tmp_path):
    found = look(write(tmp_path, good=GOOD.replace("hourly", "at the decision")))
    stale = next(check for check in found.checks if check.key == "stale")
    assert stale.passed is None
    assert stale.found == "no feature of predictions states its freshness as a length of time, such as 1 day"
    assert found.text.endswith("1 could not be looked at.")


def test_a_version_that_nobody_defined(tmp_path):
    def rename(rows):
        rows.loc[rows["occurred_at"] >= "2013-04-29", "version"] = "9"
        return rows

    (signal,) = look(write(tmp_path, events=still(rename))).signals
    assert signal.text == "versions that served are defined: not 9 (models/small.yml)"


def test_an_expired_exception_is_a_breach(tmp_path):
    workspace = write(tmp_path)
    (workspace.root / "privacy.yml").write_text(
        "exceptions:\n"
        '  - {kind: email, value: "*@example.org", reason: they are made up, owner: Ada, expires: "2013-04-15"}\n'
        '  - {kind: email, value: "*@example.com", reason: they are made up, owner: Ada, expires: "2013-12-15"}\n'
    )
    (signal,) = look(open_workspace(workspace.root)).signals
    assert signal.first_day == date(2013, 4, 15)
    assert signal.text == "exceptions of privacy.yml: 1 of 2 expired, the first on 2013-04-15 (owner: Ada)"


def test_a_model_that_served_nothing_is_still_checked(tmp_path):
    found = look(write(tmp_path, good=GOOD.replace("2013-06", "2033-06")), as_of="2014-05-01")
    assert found.signals == ()
    unknown = {check.key: check.found for check in found.checks if check.passed is None}
    assert unknown == {
        "stale": "no day has enough requests",
        "version_undefined": "nothing was served in 2014-03-06 … 2014-04-30",
    }
    assert found.requests_per_week == 0


def test_the_example_of_a_bare_model(small):
    found = look(small.workspace)
    assert {check.key for check in found.breaches} == {"review_overdue", "lineage_training_digest", "lineage_commit"}
    rows = {row.key: row for row in found.to_rows()}
    assert rows["features_unmonitored"].reason == "version 1 names no features"
    assert to_document({"governance": found}) == to_document({"governance": look(small.workspace)})


def test_empty_as_of_is_the_last_complete_day(small):
    assert look(small.workspace, as_of="").window.label.endswith("2013-04-29")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1 day", 1), ("30 minutes", 1 / 48), ("2 h", 1 / 12), ("weekly", 7), ("daily, at night", 1), ("1.5 days", 1.5),
        ("hourly; for up to 3 more hours", 1 / 24), ("1 month", 30), ("at the decision", None), ("now", None),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_how_old_an_input_may_be(text, days):
    assert freshness_days(text) == (None if days is None else pytest.approx(days))
