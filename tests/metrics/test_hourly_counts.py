"""Requests by the clock: what the engine counts is what pandas counts, and stretches without requests are exact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pandas as pd
import pytest

from conftest import SmallWorkspace, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics import HourlyCounts, RatioKind, count_by_hour, load_metrics
from toolkit.windows import Window, parse_instant

WINDOW = Window.of("2013-04-03", "2013-04-30T17:35Z")
FINE_FROM = parse_instant("2013-04-20")
WORDS = "name: Metric, description: d, owner: Ada, direction: none, practical_threshold: 1, role: operation"
KINDS = {
    "errors": "kind: error_rate",
    "slow": "kind: share_over_budget, budget_ms: 15",
    "warm": 'kind: proportion, column: "temp_f > 50", filter: "carrier = \'A\'"',
}


def count(small: SmallWorkspace, kinds: Mapping[str, str] = KINDS, **options: object) -> HourlyCounts:
    lines = [f"  {key}: {{{WORDS}, {own}}}\n" for key, own in kinds.items()]
    (small.workspace.root / "metrics.yml").write_text("metrics:\n" + "".join(lines))
    metrics = {key: each for key, each in load_metrics(small.workspace).items() if isinstance(each, RatioKind)}
    given = {"window": WINDOW, "fine_from": FINE_FROM, "as_of": WINDOW.end} | options
    return count_by_hour(open_source(small.workspace), load_model(small.workspace, "small"), metrics, **given)


@pytest.fixture
def clocked(tmp_path) -> SmallWorkspace:
    return write_workspace(tmp_path, *make_events(requests=6000))


def test_every_slot_is_what_pandas_counts(clocked: SmallWorkspace) -> None:
    counts = count(clocked)
    rows = clocked.predictions
    at = rows["occurred_at"]
    rows = rows[(at >= WINDOW.start) & (at < WINDOW.end) & rows["served"]]
    at = rows["occurred_at"]
    starts = at.dt.floor("h").where(at < pd.Timestamp(FINE_FROM), at.dt.floor("5min"))
    a = rows["carrier"] == "A"
    expected = (
        rows.assign(start=starts, slow=rows["latency_ms"] > 15, warm=a & (rows["temp_f"] > 50), a=a)
        .groupby("start")
        .agg(n=("error", "size"), errors=("error", "sum"), slow=("slow", "sum"), warm=("warm", "sum"), a=("a", "sum"))
    )
    found = pd.DataFrame(
        {
            "start": [slot.start for slot in counts.slots],
            "n": [slot.requests for slot in counts.slots],
            "errors": [slot.shares["errors"].bad for slot in counts.slots],
            "slow": [slot.shares["slow"].bad for slot in counts.slots],
            "warm": [slot.shares["warm"].bad for slot in counts.slots],
            "a": [slot.shares["warm"].n for slot in counts.slots],
        }
    ).set_index("start")
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()
    assert [str(start) for start in found.index] == [str(start) for start in expected.index]
    assert counts.requests == len(rows)
    assert counts.newest == rows["occurred_at"].max().floor("s").to_pydatetime()
    lengths = {slot.end - slot.start for slot in counts.slots if slot.start < FINE_FROM}
    assert lengths == {timedelta(hours=1)}


def test_what_is_not_served_and_what_is_not_yet_known_does_not_count(clocked: SmallWorkspace) -> None:
    early = count(clocked, window=Window.of("2013-03-20", "2013-04-02"), fine_from=parse_instant("2013-03-25"))
    assert early.slots[0].start >= parse_instant("2013-04-01")
    known = count(clocked, as_of=parse_instant("2013-04-25T12:00Z"))
    assert known.newest is not None
    assert known.newest <= parse_instant("2013-04-25T12:00Z")


def test_any_stretch_is_a_difference_of_totals(clocked: SmallWorkspace) -> None:
    counts, rows = count(clocked), clocked.predictions
    start, end = parse_instant("2013-04-22T10:05Z"), parse_instant("2013-04-24T03:40Z")
    inside = rows[(rows["occurred_at"] >= start) & (rows["occurred_at"] < end) & rows["served"]]
    assert counts.totals("errors").share(start, end) == (inside["error"].sum(), len(inside))
    good = counts.totals("errors", bad=False).share(start, end)
    assert good == ((~inside["error"]).sum(), len(inside))
    assert counts.request_totals().share(start, end).n == len(inside)


def test_without_any_metric_requests_are_counted(clocked: SmallWorkspace) -> None:
    given = {"window": WINDOW, "fine_from": FINE_FROM, "as_of": WINDOW.end}
    counts = count_by_hour(open_source(clocked.workspace), load_model(clocked.workspace, "small"), {}, **given)
    assert counts.requests == count(clocked).requests


def test_a_window_without_requests_has_no_slots_and_one_gap(clocked: SmallWorkspace) -> None:
    window = Window.of("2014-01-01", "2014-01-03")
    counts = count(clocked, window=window, fine_from=parse_instant("2014-01-02"), as_of=window.end)
    assert (counts.slots, counts.newest, counts.requests) == ((), None, 0)
    assert counts.gaps() == (window,)
    assert counts.totals("errors").share(window.start, window.end) == (0, 0)


def test_stretches_without_requests_are_exact_to_the_second(tmp_path) -> None:
    """Also one that begins within an hour's slot and ends within another."""
    predictions, outcomes = make_events(requests=20_000)
    silent = pd.Timestamp("2013-04-10T09:17:23Z"), pd.Timestamp("2013-04-10T16:41:05Z")
    kept = predictions[(predictions["occurred_at"] <= silent[0]) | (predictions["occurred_at"] >= silent[1])]
    edges = kept.iloc[[0, 0]].assign(request_id=["before", "after"], served=True)
    edges["occurred_at"] = pd.Series(silent, index=edges.index).astype("datetime64[us, UTC]")
    small = write_workspace(tmp_path, pd.concat([kept, edges], ignore_index=True), outcomes)
    (gap,) = [each for each in count(small).gaps() if each.start.day == 10]
    assert (gap.start, gap.end) == tuple(datetime.fromisoformat(str(each)) for each in silent)
