"""Faults of the channel that were planted are found with their exact counts; everything else agrees with pandas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import SETTINGS, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.data.writer import EventWriter
from toolkit.errors import ArgumentError, NotReady
from toolkit.metrics.health import ChannelHealth, channel_health
from toolkit.workspace import JOURNAL, Workspace, open_workspace

AS_OF = "2013-05-01"
START, END = pd.Timestamp("2013-04-03", tz="UTC"), pd.Timestamp("2013-05-01", tz="UTC")
LATE_AFTER_S = 3600.0


@dataclass(frozen=True)
class Channel:
    """Events as they arrived, and where they lie."""

    workspace: Workspace
    predictions: pd.DataFrame
    outcomes: pd.DataFrame

    @property
    def window(self) -> pd.DataFrame:
        """The predictions of the window of four weeks, as far as they had arrived by its end."""
        rows = self.predictions
        return rows[(rows["occurred_at"] >= START) & (rows["occurred_at"] < END) & (rows["received_at"] <= END)]


def received(predictions: pd.DataFrame, seed: int = 3) -> pd.DataFrame:
    """The predictions with arrival times: a second and more later, in the order in which they occurred."""
    rng = np.random.default_rng(seed)
    delays = pd.to_timedelta(1.0 + 0.001 * rng.integers(0, 500, len(predictions)), unit="s").as_unit("us")
    predictions = predictions.sort_values("occurred_at", ignore_index=True)
    return predictions.assign(received_at=(predictions["occurred_at"] + delays).astype("datetime64[us, UTC]"))


def look(workspace: Workspace, **options: object) -> ChannelHealth:
    return channel_health(open_source(workspace), load_model(workspace, "small"), **{"as_of": AS_OF, **options})


def values(health: ChannelHealth) -> dict[str, float | None]:
    return {each.statistic: each.value for each in health.numbers}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    predictions, outcomes = make_events()
    predictions = received(predictions)
    workspace = write_workspace(tmp_path_factory.mktemp("sound"), predictions, outcomes).workspace
    return Channel(workspace, predictions, outcomes)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """A gap of two days, 5 rows twice, one 4 times, 40 late rows, 7 skewed, 6 early labels, 3 labels twice."""
    predictions, outcomes = make_events()
    predictions = received(predictions)
    days = predictions["occurred_at"].dt.strftime("%Y-%m-%d")
    predictions = predictions[~days.isin(["2013-04-10", "2013-04-11"])].reset_index(drop=True)
    last = END - pd.Timedelta(hours=6)  # what is late by five hours has arrived by the end
    inside = predictions.index[(predictions["occurred_at"] >= START) & (predictions["occurred_at"] < last)]
    picked = np.random.default_rng(5).permutation(inside)
    late, skewed, twice, often, early = np.split(picked[:59], [40, 47, 52, 53])
    predictions.loc[late, "received_at"] += pd.Timedelta(hours=5)
    predictions.loc[skewed, "received_at"] = predictions.loc[skewed, "occurred_at"] - pd.Timedelta(seconds=2)
    repeats = [predictions.loc[twice], *[predictions.loc[often]] * 3]
    predictions = pd.concat([predictions, *repeats], ignore_index=True)
    early_ids = predictions.loc[early, "request_id"]
    is_early = outcomes["request_id"].isin(early_ids)
    times = predictions.drop_duplicates("request_id").set_index("request_id")["occurred_at"]
    outcomes.loc[is_early, "observed_at"] = outcomes["request_id"].map(times) - pd.Timedelta(minutes=1)
    labelled = outcomes[(outcomes["observed_at"] >= START) & (outcomes["observed_at"] < END) & ~is_early]
    outcomes = pd.concat([outcomes, labelled.head(3)], ignore_index=True)
    workspace = write_workspace(tmp_path_factory.mktemp("faulty"), predictions, outcomes).workspace
    assert is_early.sum() == 6
    return Channel(workspace, predictions, outcomes)


def test_a_sound_channel_has_no_fault(sound: Channel) -> None:
    health = look(sound.workspace)
    assert health.faults == ()
    assert "; nothing is wrong with them. Not known: predictions that their writer dropped." in health.text
    assert values(health)["rows"] == len(sound.window)
    assert values(health)["days_without_rows"] == 0


def test_planted_faults_are_found_with_their_counts(faulty: Channel) -> None:
    found = values(look(faulty.workspace))
    assert found["days_without_rows"] == 2
    assert found["least_expected_share"] == 0
    assert found["repeated_rows"] == 5 + 3
    assert found["late_rows"] == 40
    assert found["skewed_rows"] == 7
    assert found["early_outcomes"] == 6
    assert found["repeated_outcomes"] == 3
    assert found["rows"] == len(faulty.window)


@pytest.mark.parametrize("which", ["sound", "faulty"])
def test_every_number_agrees_with_pandas(which: str, request: pytest.FixtureRequest) -> None:
    channel: Channel = request.getfixturevalue(which)
    rows, found = channel.window, values(look(channel.workspace))
    delay_s = (rows["received_at"] - rows["occurred_at"]).dt.total_seconds()
    order = rows.sort_values("received_at")
    newest = order.groupby("received_at")["occurred_at"].max()
    newest = newest.groupby(newest.index.floor("D")).transform(lambda day: day.cummax().shift())
    behind = order["occurred_at"] < order["received_at"].map(newest)
    made = channel.predictions.groupby("request_id")["occurred_at"].max()
    made = made[(made >= START) & (made < END)]
    outcomes = channel.outcomes[channel.outcomes["observed_at"] >= START]
    seen = outcomes[outcomes["request_id"].isin(made.index)]
    expected = {
        "repeated_rows": rows.duplicated(["request_id", "model", "version"]).sum(),
        "repeated_share": rows.duplicated(["request_id", "model", "version"]).mean(),
        "late_rows": (delay_s > LATE_AFTER_S).sum(),
        "late_share": (delay_s > LATE_AFTER_S).mean(),
        "skewed_rows": (delay_s < 0).sum(),
        "skewed_share": (delay_s < 0).mean(),
        "delay_median_s": delay_s.median(),
        "delay_p95_s": delay_s.quantile(0.95),
        "delay_longest_s": delay_s.max(),
        "near_threshold_share": ((rows["score"] - 0.5).abs() <= 0.05).mean(),
        "repeated_outcomes": outcomes.duplicated(["request_id", "observed_at"]).sum(),
        "out_of_order_rows": behind.sum(),
        "early_outcomes": (seen["observed_at"] < seen["request_id"].map(made)).sum(),
    }
    assert found | {name: pytest.approx(value, abs=1e-9) for name, value in expected.items()} == found
    assert (found["out_of_order_rows"] > 0) is (which == "faulty")


def test_the_expected_rows_are_the_median_of_the_same_weekday(sound: Channel) -> None:
    by_day = sound.predictions.groupby(sound.predictions["occurred_at"].dt.strftime("%Y-%m-%d")).size()
    day = next(day for day in look(sound.workspace).days if day.counts.day == "2013-04-12")
    before = [by_day[each] for each in ("2013-04-05", "2013-03-29", "2013-03-22", "2013-03-15")]
    assert day.expected_rows == np.median(before)
    assert day.expected_share == by_day["2013-04-12"] / np.median(before)


def test_labels_arrive_with_age(faulty: Channel) -> None:
    health = look(faulty.workspace)
    answered = faulty.predictions[~faulty.predictions["error"] & (faulty.predictions["occurred_at"] < END)]
    made = answered[answered["occurred_at"] >= START - pd.Timedelta(weeks=4)].groupby("request_id")["occurred_at"].min()
    known = faulty.outcomes[faulty.outcomes["observed_at"] < END]
    first = known.groupby("request_id")["observed_at"].min().reindex(made.index)
    assert [each.age_days for each in health.labels] == [1, 2, 7, 14, 28]
    for each in health.labels:
        then = made + pd.Timedelta(days=each.age_days)
        old = then <= END
        assert (each.requests, each.labelled) == (old.sum(), (old & (first <= then)).sum())


def test_nothing_that_came_after_as_of_is_known(faulty: Channel) -> None:
    as_of = "2013-04-20T00:30:00Z"
    moment = pd.Timestamp(as_of)
    rows = faulty.predictions
    rows = rows[(rows["occurred_at"] >= pd.Timestamp("2013-03-23", tz="UTC")) & (rows["received_at"] <= moment)]
    health = look(faulty.workspace, as_of=as_of)
    inside = rows[rows["occurred_at"] < pd.Timestamp("2013-04-20", tz="UTC")]
    assert values(health)["rows"] == len(inside)
    assert health.window.label == "2013-03-23 … 2013-04-19"


def test_what_a_workspace_does_not_have_is_absent_with_the_reason(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    workspace = write_workspace(tmp_path, predictions.drop(columns="score"), outcomes).workspace
    (tmp_path / "toolkit.toml").write_text(SETTINGS.split("[tables.outcomes]")[0])
    health = look(open_workspace(workspace.root))
    reasons = {each.statistic: each.reason for each in health.numbers if each.value is None}
    no_received = "predictions have no column received_at: when a row arrived is not known"
    received_ones = (
        "late_rows",
        "out_of_order_rows",
        "skewed_rows",
        "delay_median_s",
        "delay_p95_s",
        "delay_longest_s",
    )
    assert reasons == {
        "dropped_events": "no table deliveries is configured: what services dropped is not known",
        **dict.fromkeys(received_ones, no_received),
        "near_threshold_share": "no prediction has a score",
        "repeated_outcomes": "no table outcomes is configured",
        "early_outcomes": "no table outcomes is configured",
    }
    assert health.labels == ()
    assert {row.statistic: row.reason for row in health.to_rows() if row.status == "absent"} == reasons
    assert "Not known: predictions that their writer dropped; received more than 3600 s later;" in health.text


def test_rows_that_do_not_say_when_they_were_received_have_no_delay(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    predictions = received(predictions)
    predictions.loc[predictions["occurred_at"] >= START, "received_at"] = pd.NaT
    health = look(write_workspace(tmp_path, predictions, outcomes).workspace)
    reasons = {each.statistic: each.reason for each in health.numbers if each.value is None}
    assert reasons["delay_median_s"] == "no row of the window says when it was received"
    assert reasons["late_share"] == reasons["skewed_share"] == "there are no rows"
    assert (values(health)["late_rows"], values(health)["rows"]) == (0, (predictions["occurred_at"] >= START).sum())


def test_a_table_that_begins_in_the_window_expects_nothing_before(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    workspace = write_workspace(tmp_path, predictions[predictions["occurred_at"] >= START], outcomes).workspace
    health = look(workspace)
    assert [day.expected_rows is None for day in health.days] == [True] * 7 + [False] * 21
    rows = [row for row in health.to_rows() if row.statistic == "expected_rows"]
    assert rows[0].reason == "the table does not reach back to the same weekday of an earlier week"


def test_what_the_writers_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    now = datetime.now(UTC)
    with EventWriter(tmp_path / "events", exit_s=60) as events:
        for number in range(10):
            events.predictions(
                request_id=f"r{number}", model="small", version="1", occurred_at=now, unit_id="u",
                score=0.5 if number < 7 else 2.0, error=False, served=True,
            )  # fmt: skip  # its lines group what belongs together
        events.outcomes(request_id="r1")
    settings = SETTINGS + '[tables.deliveries]\npath = "events/deliveries"\n'
    (tmp_path / "toolkit.toml").write_text(settings)
    source = open_source(open_workspace(workspace.root))
    as_of = pd.Timestamp(now).ceil("D") + pd.Timedelta(days=1)
    found = values(channel_health(source, load_model(workspace, "small"), as_of=as_of.isoformat(), window_days=3))
    dropped = {name: value for name, value in found.items() if name.startswith("dropped")}
    assert dropped == {"dropped_events": 3, "dropped_events_invalid": 3}
    assert (found["rows"], found["days_without_rows"]) == (0, 3)


def test_rows_that_break_their_contract_are_counted_all_the_same(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    repeated = pd.concat([predictions, predictions[predictions["occurred_at"] >= START]])
    workspace = write_workspace(tmp_path, repeated, outcomes).workspace
    found = values(look(workspace))
    assert found["repeated_share"] == 0.5


def test_the_threshold_of_the_request_comes_before_that_of_the_model(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    predictions["threshold"] = predictions["score"] + np.where(predictions.index % 4 == 0, 0.04, 0.2)
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    window = predictions[(predictions["occurred_at"] >= START)]
    assert values(look(workspace))["near_threshold_share"] == (window.index % 4 == 0).mean()


def test_it_shows_itself(faulty: Channel) -> None:
    health = look(faulty.workspace)
    assert health.text.startswith(
        f"{len(faulty.window):,} predictions of Small model arrived for 2013-04-03 … 2013-04-30, as known on "
        "2013-05-01T00:00:00Z; days without predictions: 2; predictions that repeat a key: 8; "
    )
    table = {row["what"]: row for row in health.to_table()}
    assert table["days without predictions"] == {
        "what": "days without predictions",
        "value": "2",
        "of": "28",
        "share": "",
    }
    assert table["predictions that repeat a key"]["share"] == f"{100 * 8 / len(faulty.window):.3f} %"
    assert table["delay, median"]["value"].endswith(" s")
    (picture,) = health.to_pictures()
    assert picture.alt.startswith("Predictions by day, 2013-04-03 … 2013-04-30: from 0 (2013-04-10) to ")
    assert health._repr_html_().count("<tr") == len(table) + 1


def test_the_read_is_in_the_journal_with_its_fingerprint(faulty: Channel) -> None:
    look(faulty.workspace)
    first = {read.table: (read.rows, read.fingerprint) for read in JOURNAL.reads}
    assert set(first) == {"predictions", "outcomes"}
    assert first["predictions"][0] > len(faulty.window)
    JOURNAL.reads.clear()
    look(faulty.workspace)
    assert {read.table: (read.rows, read.fingerprint) for read in JOURNAL.reads} == first


def test_what_cannot_be_is_refused(sound: Channel, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="within == 1, must be a number above 0 and below 1"):
        look(sound.workspace, within=1)
    with pytest.raises(ArgumentError, match="late_after_s == -1, must be a number of at least 0"):
        look(sound.workspace, late_after_s=-1)
    predictions, outcomes = make_events()
    workspace = write_workspace(tmp_path, predictions.head(0), outcomes).workspace
    with pytest.raises(NotReady, match="predictions holds no rows yet, so no day is complete"):
        look(workspace, as_of="")
