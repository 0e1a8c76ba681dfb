"""Recurring errors: what is new, back or more is found and dated, what is steady is quiet, few users are hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.privacy import scan_outputs
from toolkit.records import to_document
from toolkit.signals import observe, recurring_errors
from toolkit.workspace import open_workspace

DEPLOYED = "2013-04-20T03:00:00Z"


def day(text):
    return pd.Timestamp(text, tz="UTC")


def write(root, plant, *, requests=12_000, deployments=(DEPLOYED,), seed=1):
    """A workspace whose served requests begin on 1 April; `plant(rows, rng)` gives each its message or None."""
    predictions, outcomes = make_events(requests=requests)
    rng = np.random.default_rng(seed)
    predictions["unit_id"] = [f"u{unit}" for unit in rng.integers(0, 900, len(predictions))]
    texts = pd.Series(plant(predictions, rng), index=predictions.index, dtype="object")
    predictions["error"] = texts.notna()
    predictions.loc[texts.notna(), "score"] = np.nan
    predictions["error_text"] = texts
    outcomes = outcomes[~outcomes["request_id"].isin(predictions.loc[texts.notna(), "request_id"])]
    workspace = write_workspace(root, predictions, outcomes).workspace
    deployed = pd.DataFrame(
        {
            "occurred_at": pd.to_datetime(list(deployments)).as_unit("us"),
            "model": "small",
            "version": "1",
            "kind": "deploy",
        }
    )
    deployed.to_parquet(root / "data/deployments.parquet", index=False)
    settings = (root / "toolkit.toml").read_text()
    (root / "toolkit.toml").write_text(f'{settings}\n[tables.deployments]\npath = "data/deployments.parquet"\n')
    return open_workspace(workspace.root)


def look(workspace, *, as_of="2013-04-28", window_days=7, history_days=19):
    source = open_source(workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of=as_of, window_days=window_days)
    return recurring_errors(source, observed, history_days=history_days)


def some(rows, rng, share, text, *, since="2013-01-01", until="2014-01-01"):
    """The message for a share of the requests of a time."""
    at = rows["occurred_at"]
    chosen = (rng.random(len(rows)) < share) & (at >= day(since)) & (at < day(until))
    numbers = rng.integers(1000, 99_999, len(rows))
    return np.where(chosen, [text.format(number) for number in numbers], None)


def first_of(*texts):
    """Of several messages of each request the first that there is."""
    found = texts[0]
    for more in texts[1:]:
        found = np.where(pd.isna(found), more, found)
    return found


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A steady timeout, and from the day after the deployment a message that was never there before."""

    def plant(rows, rng):
        return first_of(
            some(rows, rng, 0.04, "KeyError: 'temp_f' in row {}", since="2013-04-22T05:00"),
            some(rows, rng, 0.03, "timeout after {} ms"),
        )

    return write(tmp_path_factory.mktemp("broken"), plant, deployments=("2013-04-22T03:00:00Z",))


def test_a_new_message_is_one_signal_dated_and_sized(broken):
    found = look(broken)
    (signal,) = found.signals
    assert (signal.kind, signal.family, signal.verdict, signal.segment) == ("error", "service", "worse", "")
    assert signal.name == "KeyError: <quoted> in row <value>"
    assert signal.key.startswith("error:error-")
    assert (signal.first_day, signal.last_day) == (date(2013, 4, 22), date(2013, 4, 27))
    assert signal.change.ci_lower < 0.04 * 6 / 7 < signal.change.ci_upper
    assert signal.times_threshold == pytest.approx(signal.change.value / 0.01)
    assert signal.p_adjusted < 1e-6
    assert 40 < signal.requests_per_week < 90
    assert 30 < signal.units_per_week <= signal.requests_per_week
    assert signal.excess_loss_per_week is None
    assert signal.no_loss_reason == "a failed request has no label, so its loss is not known"


def test_the_deployment_that_came_before_is_named_as_a_hint(broken):
    found = look(broken)
    new = found.errors[0]
    assert new.course == "new"
    assert new.after.endswith("after deploy of version 1")
    assert new.since.startswith("new since 2013-04-22 0")
    steady = found.errors[1]
    assert (steady.course, steady.onset_at, steady.after) == ("steady", None, "")


def test_what_made_the_fingerprint_is_shown(broken):
    line = look(broken).to_table()[0]
    assert line["message"] == "KeyError: <quoted> in row <value>"
    assert line["masked"] == "1 × quoted value, 1 × number or identifier"
    assert line["example"].startswith("KeyError: <quoted> in row ")


def test_the_text_says_what_happened(broken):
    found = look(broken)
    error = found.errors[0]
    assert found.text == (
        f"{found.failed} of {found.requests:,} served requests failed in 2013-04-21 … 2013-04-27, with 2 different "
        f"messages. {error.requests} requests ({100 * error.requests / found.requests:.3g} %) of {error.users} users "
        f"failed with “KeyError: <quoted> in row <value>”: {error.since}."
    )


def test_the_window_does_not_wait_for_labels(broken):
    assert look(broken).window.label == "2013-04-21 … 2013-04-27"


def test_nothing_but_patterns_comes_through_the_gate(broken):
    found = look(broken)
    assert scan_outputs({"cells": [], "metadata": {}}, to_document({"errors": found})) == ()


def test_pictures_show_the_signal_and_the_deployment(broken):
    (picture,) = look(broken).to_pictures()
    assert picture.name == "errors"
    assert "KeyError: <quoted> in row <value>" in picture.alt
    assert picture.alt.endswith("Deployments: deploy of version 1, 2013-04-22")


def test_the_same_events_give_the_same_rows(broken):
    assert to_document({"errors": look(broken)}) == to_document({"errors": look(broken)})


def test_what_had_gone_and_comes_back_after_a_deployment_is_a_regression(tmp_path):
    def plant(rows, rng):
        gone = some(rows, rng, 0.04, "no route {}", until="2013-04-08")
        return first_of(gone, some(rows, rng, 0.015, "no route {}", since="2013-04-25T01:00"))

    found = look(write(tmp_path, plant, deployments=("2013-04-24T22:00:00Z",)), as_of="2013-04-30")
    (error,) = found.alarming
    assert error.course == "back"
    assert error.onset_at.date() == date(2013, 4, 25)
    assert error.after.endswith("after deploy of version 1")
    assert error.first_at < datetime(2013, 4, 12, tzinfo=UTC)
    assert error.change.value > 0, "it is compared with the time in which it was gone"


def test_a_message_that_is_rare_anyhow_has_not_come_back(tmp_path):
    def plant(rows, rng):
        return first_of(some(rows, rng, 0.002, "odd thing {}"), some(rows, rng, 0.02, "timeout after {} ms"))

    found = look(write(tmp_path, plant))
    assert {error.course for error in found.errors} == {"steady"}
    assert found.signals == ()


def test_more_of_the_same_is_a_signal_too(tmp_path):
    def plant(rows, rng):
        more = some(rows, rng, 0.05, "timeout after {} ms", since="2013-04-21")
        return first_of(some(rows, rng, 0.01, "timeout after {} ms"), more)

    found = look(write(tmp_path, plant))
    (error,) = found.alarming
    assert (error.course, error.onset_at) == ("more", None)
    assert found.signals[0].first_day == date(2013, 4, 21)


def test_fewer_errors_are_no_signal(tmp_path):
    def plant(rows, rng):
        return some(rows, rng, 0.06, "timeout after {} ms", until="2013-04-22")

    found = look(write(tmp_path, plant))
    assert [error.course for error in found.errors] == ["fewer"]
    assert found.signals == ()


def test_a_practical_threshold_is_met_before_a_signal_is(tmp_path):
    def plant(rows, rng):
        return some(rows, rng, 0.006, "new thing {}", since="2013-04-21")

    workspace = write(tmp_path, plant)
    found = look(workspace)
    assert found.errors[0].p_adjusted < 0.05
    assert found.signals == ()
    assert "by 1 % of the requests (the practical threshold of error_rate)" in found.text
    metrics = (workspace.root / "metrics.yml").read_text().replace("column: error, unit", "column: served, unit")
    (workspace.root / "metrics.yml").write_text(metrics)
    found = look(open_workspace(workspace.root))
    assert found.threshold_of == "no metric of the error rate says what matters"
    assert found.threshold == 0.001
    assert len(found.signals) == 1


def test_what_few_users_met_is_not_shown(tmp_path):
    def plant(rows, rng):
        rare = some(rows, rng, 1.0, "ada lovelace has no account", since="2013-04-22T05:00", until="2013-04-22T05:50")
        return first_of(np.where(np.cumsum(~pd.isna(rare)) <= 3, rare, None), some(rows, rng, 0.02, "timeout {}"))

    found = look(write(tmp_path, plant))
    (hidden,) = [error for error in found.errors if error.fingerprint is None]
    assert hidden.reason == "suppressed: fewer than 5 users"
    assert hidden.name == f"{hidden.key} (suppressed: fewer than 5 users)"
    assert (hidden.example, hidden.request_id, hidden.parts) == (None, None, {})
    assert "lovelace" not in str(to_document({"errors": found})) + found.text + str(found.to_table())
    assert found.text.endswith("Not shown: 1 message (suppressed: fewer than 5 users).")
    assert "users failed" not in found._sentence(hidden)
    rows = {row.statistic: row for row in found.to_rows() if row.key == hidden.key}
    assert (rows["users"].status, rows["users"].reason) == ("absent", "suppressed: fewer than 5 users")
    assert rows["requests"].value == hidden.requests


def test_each_reason_for_not_showing_is_said(broken):
    found = look(broken)
    one, other = (
        replace(error, fingerprint=None, reason=reason)
        for error, reason in zip(found.errors, ("withheld: why", "suppressed: few"), strict=True)
    )
    text = replace(found, errors=(one, other, one)).text
    assert text.endswith("Not shown: 2 messages (withheld: why), 1 message (suppressed: few).")


def test_the_workspace_says_how_few_are_few(tmp_path):
    def plant(rows, rng):
        return some(rows, rng, 0.02, "timeout {}")

    workspace = write(tmp_path, plant)
    (workspace.root / "privacy.yml").write_text("smallest_cell: 1000\n")
    found = look(open_workspace(workspace.root))
    assert [error.reason for error in found.errors] == ["suppressed: fewer than 1000 users"]


def test_errors_that_say_nothing_are_counted(tmp_path):
    def plant(rows, rng):
        return first_of(some(rows, rng, 0.01, " "), some(rows, rng, 0.01, "timeout {}"))

    found = look(write(tmp_path, plant))
    assert 0 < found.unsaid < found.failed
    assert f", with 1 different message; {found.unsaid} of them did not say why." in found.text


def test_too_short_a_history_makes_nothing_new(tmp_path):
    def plant(rows, rng):
        return some(rows, rng, 0.03, "timeout {}", since="2013-04-05")

    found = look(write(tmp_path, plant), as_of="2013-04-10", window_days=5, history_days=30)
    assert [error.course for error in found.errors] == ["unclear"]
    assert found.errors[0].change.reason == "there was no request before to compare with"
    assert found.signals == ()


def test_without_the_column_it_says_so(small):
    found = look(small.workspace)
    assert found.text == (
        "Errors by message are absent: predictions have no column error_text: what the service said is not known."
    )
    assert found.signals == ()
    assert found.to_pictures() == ()
    assert {row.status for row in found.to_rows()} == {"absent", "ok"}
    assert found.plot().alt == "no failed request said why"


def test_without_deployments_there_are_no_hints(tmp_path):
    workspace = write(tmp_path, lambda rows, rng: some(rows, rng, 0.04, "new {}", since="2013-04-22"))
    settings = (workspace.root / "toolkit.toml").read_text().partition("\n[tables.deployments]")[0]
    (workspace.root / "toolkit.toml").write_text(settings)
    found = look(open_workspace(workspace.root))
    assert found.deployments == ()
    assert found.alarming[0].since.startswith("new since 2013-04-22")
    assert "," not in found.alarming[0].since


@pytest.mark.slow
def test_steady_errors_ring_rarely(tmp_path):
    """Forty weeks of messages that do not change, one of them in bursts: 5 % explain five that ring and no more."""
    rung = 0
    for seed in range(40):

        def plant(rows, rng):
            bursty = np.isin(rows["occurred_at"].dt.day, rng.integers(1, 29, 6))
            return first_of(
                *(
                    some(rows, rng, share, f"kind {letter} {{}}")
                    for letter, share in zip("abcd", (0.02, 0.01, 0.004, 0.001), strict=True)
                ),
                np.where(bursty, some(rows, rng, 0.03, "burst {}"), None),
            )

        metrics = write(tmp_path / str(seed), plant, requests=6000, seed=seed)
        text = (
            (metrics.root / "metrics.yml")
            .read_text()
            .replace("practical_threshold: 0.01, role: operation", "practical_threshold: 0.000001, role: operation")
        )
        (metrics.root / "metrics.yml").write_text(text)
        rung += bool(look(open_workspace(metrics.root)).signals)
    assert rung <= 5
