"""Facts by day: what they hold, and that only what changed on disk is read again."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_events, write_workspace
from toolkit.data import label_arrivals, open_source
from toolkit.data.facts import DayFacts, Facts
from toolkit.windows import Window
from toolkit.workspace import open_workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)
MARCH = Window.of("2013-03-01", "2013-04-01")


@pytest.fixture
def by_day(tmp_path):
    """A workspace whose predictions and outcomes lie in one file per day, written a while ago."""
    predictions, outcomes = make_events()
    root = write_workspace(tmp_path, predictions, outcomes).workspace.root
    for name, frame, time in (("predictions", predictions, "occurred_at"), ("outcomes", outcomes, "observed_at")):
        (root / "data" / f"{name}.parquet").unlink()
        for day, rows in frame.groupby(frame[time].dt.strftime("%Y-%m-%d")):
            folder = root / "data" / name
            folder.mkdir(exist_ok=True)
            rows.to_parquet(folder / f"{day}.parquet", index=False)
            age(folder / f"{day}.parquet")
    settings = (root / "toolkit.toml").read_text()
    (root / "toolkit.toml").write_text(settings.replace(".parquet", "/*.parquet"))
    return open_workspace(root), predictions, outcomes


def age(file):
    """As if written an hour ago; the time of the inode's change cannot be set, so the cache is told to be less wary."""
    past = file.stat().st_mtime - 3600
    os.utime(file, (past, past))


@pytest.fixture(autouse=True)
def trusting(monkeypatch):
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)


class Counting:
    """An open source that counts the queries that read, by table."""

    def __init__(self, workspace):
        self.source, self.queries = open_source(workspace), []
        connection = self.source.opened("predictions").connection
        run = connection.run

        def counted(reading, query):
            self.queries.append(reading)
            return run(reading, query)

        object.__setattr__(connection, "run", counted)  # frozen, and all that reads goes through it

    def facts(self, **options):
        return self.source.facts("predictions", ["score"], **({"as_of": LATER} | options))


def test_facts_are_those_of_the_rows(by_day):
    workspace, predictions, _ = by_day
    facts = open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    counts = predictions["occurred_at"].dt.strftime("%Y-%m-%d").value_counts()
    assert {day.day: day.rows for day in facts.days} == counts.to_dict()
    assert len(facts.by_day()) == 61


@pytest.mark.parametrize(
    ("start", "end", "as_of"),
    [
        (None, None, LATER),
        pytest.param(MARCH.start, MARCH.end, LATER, marks=pytest.mark.slow),
        (MARCH.start + timedelta(hours=5), MARCH.end - timedelta(minutes=1), LATER),
        pytest.param(MARCH.start + timedelta(hours=5), MARCH.start + timedelta(hours=9), LATER, marks=pytest.mark.slow),
        (None, MARCH.end, MARCH.end - timedelta(days=2, hours=3)),
        pytest.param(MARCH.start, None, MARCH.end, marks=pytest.mark.slow),
        (LATER, None, LATER + timedelta(days=3)),
    ],
)
def test_the_days_of_files_and_their_ends_add_up_to_the_part(by_day, start, end, as_of):
    workspace, predictions, _ = by_day
    instants = predictions["occurred_at"]
    inside = instants <= as_of
    if start is not None:
        inside &= instants >= start
    if end is not None:
        inside &= instants < end
    source = open_source(workspace)
    facts = source.facts("predictions", ["score"], as_of=as_of, start=start, end=end)
    assert facts.rows == inside.sum()
    assert source.read("predictions", ["score"], as_of=as_of, start=start, end=end).count().execute() == inside.sum()
    assert open_source(workspace).facts("predictions", ["score"], as_of=as_of, start=start, end=end) == facts


def test_nothing_is_read_twice_and_a_new_day_reads_only_the_new_day(by_day):
    workspace, predictions, _ = by_day
    last = max((workspace.root / "data" / "predictions").iterdir())
    kept = workspace.root / "kept.parquet"
    shutil.move(last, kept)
    first = Counting(workspace)
    before = first.facts()
    assert first.queries == ["predictions"] * 3  # the days of the files, the end of the part, repeated keys
    again = Counting(workspace)
    assert again.facts() == before
    assert again.queries == []
    shutil.move(kept, last)
    more = Counting(workspace)
    asked = []
    only = type(more.source.opened("predictions")).only
    more.source._opened["predictions"] = Spy(more.source._opened["predictions"], asked, only)
    after = more.facts()
    assert asked == [[f"data/predictions/{last.name}"]]
    assert after.rows == len(predictions) > before.rows
    assert {day: after.by_day()[day] for day in before.by_day()} == before.by_day()


class Spy:
    """An opened table that remembers which files it was asked for."""

    def __init__(self, opened, asked, only):
        self._opened, self._asked, self._only = opened, asked, only

    def __getattr__(self, name):
        return getattr(self._opened, name)

    def only(self, files):
        self._asked.append(list(files))
        return self._only(self._opened, files)


def test_a_rewritten_file_is_read_again_even_when_its_times_are_set_back(by_day):
    workspace, predictions, _ = by_day
    before = open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    day = "2013-03-05"
    file = workspace.root / "data" / "predictions" / f"{day}.parquet"
    state = file.stat()
    rows = predictions[predictions["occurred_at"].dt.strftime("%Y-%m-%d") == day].copy()
    rows.iloc[0, rows.columns.get_loc("score")] += 1e-9
    rows.to_parquet(file, index=False)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    after = open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    changed = {each for each in before.by_day() if before.by_day()[each] != after.by_day()[each]}
    assert changed == {day}


def test_a_file_written_just_now_is_not_kept(by_day, monkeypatch):
    workspace, _, _ = by_day
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 3600 * 10**9)
    open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    assert not list((workspace.root / "cache").glob("facts/**/*.json"))


def test_the_cache_may_be_deleted_at_any_time(by_day):
    workspace, _, _ = by_day
    before = open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    shutil.rmtree(workspace.root / "cache")
    assert open_source(workspace).facts("predictions", ["score"], as_of=LATER) == before


def test_a_folder_that_cannot_be_written_costs_work_and_no_number(by_day, caplog):
    workspace, predictions, _ = by_day
    (workspace.root / "cache").write_text("in the way")
    facts = open_source(workspace).facts("predictions", ["score"], as_of=LATER)
    assert facts.rows == len(predictions)
    assert "what was derived is not kept, so it will be derived again: " in caplog.text


def test_labels_are_counted_by_arrival_and_request_day(by_day):
    workspace, predictions, outcomes = by_day
    source = open_source(workspace)
    found = label_arrivals(source, model="small", columns=["score"], window=MARCH, as_of=LATER)
    pairs = outcomes.merge(predictions[["request_id", "occurred_at"]], on="request_id")
    pairs = pairs[pairs["occurred_at"] < MARCH.end]
    days = [pairs[name].dt.strftime("%Y-%m-%d") for name in ("observed_at", "occurred_at")]
    expected = pairs.groupby(days).size()
    assert {(cell.arrival_day, cell.request_day): cell.rows for cell in found.cells} == expected.to_dict()


def test_a_new_day_of_labels_touches_the_days_that_it_is_about(by_day):
    workspace, _, _ = by_day
    last = workspace.root / "data" / "outcomes" / "2013-03-20.parquet"
    kept = workspace.root / "kept.parquet"
    shutil.move(last, kept)

    def days():
        source = open_source(workspace)
        return label_arrivals(source, model="small", columns=["score"], window=MARCH, as_of=LATER).by_request_day()

    before = days()
    shutil.move(kept, last)
    after = days()
    assert {day for day in after if after[day] != before.get(day)} == {"2013-03-19", "2013-03-20"}


COUNTS = st.integers(0, 50)
DAYS = st.builds(
    DayFacts,
    st.sampled_from(["", "2030-01-01", "2030-01-02"]),
    COUNTS,
    st.integers(-(2**70), 2**70),
    COUNTS,
    st.dictionaries(st.sampled_from("ab"), COUNTS).map(lambda counts: tuple(sorted(counts.items()))),
)


@given(st.lists(DAYS), st.randoms(use_true_random=False))
def test_facts_add_up_in_any_order_and_survive_storage(parts, random):
    facts = Facts.of(parts)
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert Facts.of(shuffled) == facts
    assert Facts.of(Facts.of(parts[: len(parts) // 2]).days + Facts.of(parts[len(parts) // 2 :]).days) == facts
    assert facts.rows == sum(part.rows for part in parts)
    assert Facts.of(DayFacts.from_dict(day.to_dict()) for day in facts.days) == facts
