"""The stage: budgets, watches of the channel and silence over a workspace, as an analyst sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import METRICS, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError
from toolkit.records import to_document
from toolkit.signals import ErrorBudgets, error_budgets

OBJECTIVES = """\
objectives:
  answered:
    metric: error_rate
    model: small
    business_outcome: People get an answer.
    target: {at_most: 0.05}
    budget: {period_days: 28}
    owner: Ada
  close:
    metric: brier
    model: small
    business_outcome: People can rely on it.
    target: {at_most: 0.2}
    owner: Ada
  awake:
    watch: freshness
    model: small
    business_outcome: Somebody is served at all times.
    target: {at_most: 6}
    owner: Bo
  labelled:
    watch: label_arrival
    model: small
    business_outcome: What it is measured by comes.
    target: {at_least: 0.95}
    owner: Bo
"""

Change = Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]


def unchanged(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return predictions, outcomes


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def lay(root: Path, change: Change = unchanged, *, objectives: str = OBJECTIVES) -> Any:
    """Two months of served requests, about eight an hour."""
    predictions, outcomes = make_events(requests=12_000)
    small = write_workspace(root, *change(predictions.assign(served=True), outcomes))
    (root / "objectives.yml").write_text(objectives)
    return small.workspace


def look(workspace: Any, *, as_of: str = "2013-05-01", **options: Any) -> ErrorBudgets:
    return error_budgets(open_source(workspace), load_model(workspace, "small"), as_of=as_of, **options)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> ErrorBudgets:
    return look(lay(tmp_path_factory.mktemp("quiet")))


def failing(start: str, end: str, *, share: float = 1.0) -> Change:
    """Requests fail between two instants."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        during = (predictions["occurred_at"] >= at(start)) & (predictions["occurred_at"] < at(end))
        hit = during & (np.random.default_rng(5).random(len(predictions)) < share)
        kept = ~outcomes["request_id"].isin(predictions.loc[hit, "request_id"])
        return predictions.assign(error=predictions["error"] | hit), outcomes[kept].reset_index(drop=True)

    return change


def silent(start: str, end: str) -> Change:
    """No request between two instants."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        during = (predictions["occurred_at"] >= at(start)) & (predictions["occurred_at"] < at(end))
        kept = predictions[~during].reset_index(drop=True)
        return kept, outcomes[outcomes["request_id"].isin(kept["request_id"])].reset_index(drop=True)

    return change


def budget(found: ErrorBudgets, key: str = "answered") -> Any:
    return next(each for each in found.budgets if each.key == key)


def watch(found: ErrorBudgets, key: str) -> Any:
    return next(each for each in found.channel if each.key == key)


# --- a quiet service ---


def test_a_quiet_service_keeps_its_objectives_and_signals_nothing(quiet: ErrorBudgets) -> None:
    assert {each.key: each.state for each in (*quiet.budgets, *quiet.channel)} == {
        "answered": "within budget",
        "awake": "met",
        "labelled": "met",
    }
    assert quiet.signals == ()
    assert quiet.pages == ()


def test_what_is_spent_is_what_failed_over_what_may(quiet: ErrorBudgets) -> None:
    predictions, _ = make_events(requests=12_000)
    rows = predictions[predictions["occurred_at"] >= at("2013-04-03")]
    reading = budget(quiet)
    assert reading.period.label == "2013-04-03 … 2013-04-30"
    assert reading.counted == (rows["error"].sum(), len(rows))
    assert reading.consumed_share == pytest.approx(rows["error"].mean() / 0.05)
    assert reading.course[-1].consumed_share == pytest.approx(reading.consumed_share)


def test_the_text_says_how_things_stand(quiet: ErrorBudgets) -> None:
    newest = quiet.newest.strftime("%Y-%m-%dT%H:%M:%SZ")
    requests, usual = quiet.silence.requests, quiet.silence.expected
    assert quiet.text == (
        f"{requests} requests in the last 1d, where {usual:g} are usual (newest {newest}, looked at "
        "2013-05-01T00:00:00Z). 1 budget, within budget: answered. 2 watches of the channel, met: awake, labelled. "
        "Rules that rang in the last 7 days: none."
    )


def test_the_same_numbers_stand_in_rows_table_and_picture(quiet: ErrorBudgets) -> None:
    rows = {(row.key, row.statistic): row for row in quiet.to_rows()}
    reading = budget(quiet)
    assert rows["answered", "consumed_share"].value == reading.consumed_share
    assert rows["answered", "state"].value == "within budget"
    assert rows["answered", "burn_rate_3d"].value == reading.windows[-1].rate.value
    assert rows["requests", "state"].value == "as usual"
    assert rows["labelled", "label_arrival"].value == 1.0
    assert rows["awake", "freshness"].unit == "h"
    assert [line["objective"] for line in quiet.to_table()] == ["answered", "awake", "labelled"]
    (picture,) = quiet.to_pictures()
    assert picture.alt.startswith("What is left of each error budget: answered ")
    assert to_document({"budgets": quiet}) == to_document({"budgets": quiet})


def test_an_objective_without_budget_is_none_of_ours(quiet: ErrorBudgets) -> None:
    assert [each.key for each in quiet.budgets] == ["answered"]


# --- an outage ---


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> ErrorBudgets:
    return look(lay(tmp_path_factory.mktemp("outage"), failing("2013-04-27T10:00", "2013-04-28T04:00")))


def test_an_outage_is_one_signal_with_its_dates_and_size(outage: ErrorBudgets) -> None:
    (signal,) = outage.signals
    reading = budget(outage)
    assert (signal.kind, signal.metric, signal.family, signal.key) == (
        "budget",
        "answered",
        "service",
        "budget:answered",
    )
    assert signal.columns == ("error",)
    assert (signal.first_day, signal.last_day) == (date(2013, 4, 27), date(2013, 4, 30))
    assert signal.p_adjusted < 0.001
    recent = reading.counted_recently
    assert signal.requests_per_week == recent.bad
    assert signal.budget_share == pytest.approx(recent.bad / (0.05 * reading.counted.n))
    assert signal.change.value == pytest.approx(1 - 0.05, abs=0.02)
    assert signal.excess_loss_per_week is None
    assert signal.text.startswith("Error rate: ")
    assert "page from 2013-04-27 1" in signal.text


def test_its_rules_rang_and_are_over(outage: ErrorBudgets) -> None:
    reading = budget(outage)
    assert {alarm.rule.severity for alarm in reading.recent_alarms} == {"page", "ticket"}
    pages = [alarm for alarm in reading.recent_alarms if alarm.rule.severity == "page"]
    assert all(alarm.ended_at is not None for alarm in pages)
    assert outage.pages == ()
    assert reading.rang.startswith(f"{len(pages)} page")


def test_while_it_lasts_a_page_is_on(tmp_path: Path) -> None:
    workspace = lay(tmp_path, failing("2013-04-27T10:00", "2013-04-28T04:00"))
    during = look(workspace, as_of="2013-04-27T18:02Z")
    assert during.end.isoformat() == "2013-04-27T18:00:00+00:00"
    assert during.pages == ("answered",)
    assert "still on" in budget(during).rang
    before = look(workspace, as_of="2013-04-27T10:00Z")
    assert (before.pages, before.signals) == ((), ())


def test_what_is_long_over_is_no_signal(tmp_path: Path) -> None:
    workspace = lay(tmp_path, failing("2013-04-10T10:00", "2013-04-10T16:00"))
    found = look(workspace)
    assert budget(found).alarms
    assert budget(found).recent_alarms == ()
    assert found.signals == ()
    assert look(workspace, recent_days=28).signals[0].first_day == date(2013, 4, 10)


def test_a_budget_that_is_overdrawn_slowly_is_a_signal_from_the_day_it_was_spent(tmp_path: Path) -> None:
    found = look(lay(tmp_path, failing("2013-04-01", "2013-05-01", share=0.045)))
    reading = budget(found)
    assert (reading.state, reading.exhaustion) == ("spent", (0.0, "it is spent"))
    signal = found.signals[0]
    spent = next(each for each in reading.course if each.consumed_share >= 1)
    assert signal.first_day == min([spent.at.date(), *(each.started_at.date() for each in reading.recent_alarms)])
    assert reading.exhausted_on is None
    assert reading.outlook == f"since {spent.at.date()}"


def test_when_a_budget_will_be_gone(tmp_path: Path) -> None:
    found = look(lay(tmp_path, failing("2013-04-28", "2013-05-01", share=0.1)))
    reading = budget(found)
    rate = reading.windows[-1].rate.value
    assert reading.exhaustion.hours == pytest.approx((1 - reading.consumed_share) * 28 * 24 / rate)
    assert date(2013, 5, 1) <= reading.exhausted_on < date(2013, 5, 10)
    assert reading.outlook == f"{reading.exhausted_on} (in {reading.exhaustion.hours / 24:.1f} days)"


# --- nothing, and requests that stopped ---


def test_an_objective_over_no_data_is_never_met(tmp_path: Path) -> None:
    """Requests are known, but none of them was served: no error, no gap, no label missing."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        return predictions.assign(served=False), outcomes.head(0)

    found = look(lay(tmp_path, change))
    states = {each.key: each.state for each in (*found.budgets, *found.channel)}
    assert states["answered"] == "no data"
    assert states["awake"] == "no data"
    assert states["labelled"] == "missed"  # labels of requests that were only scored are due too
    assert budget(found).consumed_share is None
    assert found.text.startswith("Small model served no request that is known on 2013-05-01T00:00:00Z. ")
    assert budget(found).evidence == "no request of 2013-04-03 … 2013-04-30 counts for Error rate"
    assert found.plot().name == "notice"


def test_requests_that_stopped_are_a_signal_and_the_budget_is_not_kept(tmp_path: Path) -> None:
    found = look(lay(tmp_path, silent("2013-04-29T12:00", "2013-05-02")))
    assert budget(found).state == "no data"
    assert watch(found, "awake").state == "missed"
    absent, late = found.signals
    assert (absent.key, absent.kind, absent.family) == ("absent_data:requests", "absent_data", "service")
    assert absent.first_day == date(2013, 4, 29)
    assert late.key == "absent_data:awake"
    assert found.text.startswith("Requests have stopped: 0 requests in the last ")


def test_requests_that_no_longer_count_for_one_objective_are_its_own_signal(tmp_path: Path) -> None:
    """All requests come, but those that a metric counts have gone: its share would read 100 % for ever."""
    metrics = METRICS.replace("column: error,", "column: error, filter: \"carrier = 'A'\",")
    assert metrics != METRICS

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        late = predictions["occurred_at"] >= at("2013-04-29")
        return predictions.assign(carrier=predictions["carrier"].where(~late, "B")), outcomes

    workspace = lay(tmp_path, change)
    (workspace.root / "metrics.yml").write_text(metrics)
    found = look(workspace)
    assert not found.silence.alarms
    assert budget(found).state == "no data"
    assert [signal.key for signal in found.signals] == ["absent_data:answered"]


def test_before_its_first_day_an_objective_is_not_in_force(tmp_path: Path) -> None:
    text = OBJECTIVES.replace("    owner: Ada\n", "    owner: Ada\n    since: 2013-06-01\n", 1)
    found = look(lay(tmp_path, failing("2013-04-29", "2013-05-01"), objectives=text))
    reading = budget(found)
    assert (reading.state, reading.alarms, reading.p_adjusted) == ("not in force", (), None)
    assert reading.evidence == "it holds since 2013-06-01"
    assert not [signal for signal in found.signals if signal.kind == "budget"]


def test_days_before_an_objective_held_are_not_counted(tmp_path: Path) -> None:
    """An outage that ended the evening before rings nothing, though the rules' windows reach back to it."""
    text = OBJECTIVES.replace("    owner: Ada\n", "    owner: Ada\n    since: 2013-04-25\n", 1)
    reading = budget(look(lay(tmp_path, failing("2013-04-24", "2013-04-25"), objectives=text)))
    assert reading.period.label == "2013-04-25 … 2013-04-30"
    assert (reading.state, reading.alarms) == ("within budget", ())


# --- the channel ---


def test_a_gap_within_the_period_misses_freshness_and_is_dated(tmp_path: Path) -> None:
    workspace = lay(tmp_path, silent("2013-04-26T02:00", "2013-04-26T12:00"))
    reading = watch(look(workspace), "awake")
    assert reading.state == "missed"
    assert reading.number.value == pytest.approx(10, abs=0.7)
    assert (reading.wrong_since, reading.wrong_until) == (date(2013, 4, 26), date(2013, 4, 26))
    assert "; once there was none for more than 6 h, longest 10" in reading.evidence
    assert watch(look(workspace, recent_days=2), "awake").signal is None


def test_labels_that_stop_are_missed_whatever_the_month_says(tmp_path: Path) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        return predictions, outcomes[outcomes["observed_at"] < at("2013-04-29")].reset_index(drop=True)

    found = look(lay(tmp_path, change))
    reading = watch(found, "labelled")
    assert reading.state == "missed"
    (signal,) = found.signals
    assert (signal.key, signal.family, signal.kind) == ("absent_data:labelled", "labels", "absent_data")
    assert signal.first_day == date(2013, 4, 30)  # those of the 29th were due at the end of the 30th
    assert "; of those of 2013-04-29 and later fewer than half" in signal.text


def test_labels_that_come_late_were_not_there_when_due(tmp_path: Path) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        late = outcomes.index % 5 == 0
        return predictions, outcomes.assign(
            observed_at=outcomes["observed_at"].where(~late, outcomes["observed_at"] + pd.Timedelta(days=4))
        )

    reading = watch(look(lay(tmp_path, change)), "labelled")
    assert reading.state == "missed"
    assert reading.number.value == pytest.approx(0.8, abs=0.01)
    assert reading.signal.change.value == pytest.approx(-0.15, abs=0.01)


def test_without_outcomes_label_arrival_has_no_data(tmp_path: Path) -> None:
    workspace = lay(tmp_path)
    settings = workspace.root / "toolkit.toml"
    settings.write_text(settings.read_text().partition("[tables.outcomes]")[0])
    from toolkit.workspace import open_workspace

    reading = watch(look(open_workspace(workspace.root)), "labelled")
    assert (reading.state, reading.evidence) == ("no data", "no table outcomes is configured")


def test_a_workspace_without_objectives_is_told_whether_requests_come(tmp_path: Path) -> None:
    workspace = lay(tmp_path)
    (workspace.root / "objectives.yml").unlink()
    found = look(workspace)
    assert (found.budgets, found.channel, found.signals) == ((), (), ())
    assert found.text.endswith("objectives.yml states no budget of Small model and watches nothing of its channel.")


def test_a_target_of_at_least_has_the_others_as_its_bad_requests(tmp_path: Path) -> None:
    text = OBJECTIVES.replace("metric: error_rate", "metric: answered").replace("{at_most: 0.05}", "{at_least: 0.95}")
    workspace = lay(tmp_path, objectives=text)
    words = (
        "name: Answered, description: d, owner: Ada, direction: increase, practical_threshold: 0.01, role: operation"
    )
    coverage = f"  answered: {{{words}, kind: coverage, column: unit_id}}\n"
    (workspace.root / "metrics.yml").write_text(METRICS + coverage)
    reading = budget(look(workspace))
    predictions, _ = make_events(requests=12_000)
    rows = predictions[predictions["occurred_at"] >= at("2013-04-03")]
    assert reading.counted == (rows["error"].sum(), len(rows))
    assert reading.allowed_share == pytest.approx(0.05)


def test_the_empty_as_of_is_the_last_complete_day(tmp_path: Path) -> None:
    assert look(lay(tmp_path), as_of="").end.isoformat() == "2013-04-30T00:00:00+00:00"


def test_the_last_days_are_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        look(lay(tmp_path), recent_days=0)
    assert str(caught.value) == "recent_days == 0, must be a number of at least 1"
