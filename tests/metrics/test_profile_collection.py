"""Profiles that the engine counts are those that counting the very rows in Python gives, whatever is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import UnknownNameError
from toolkit.metrics.profiles import (
    ColumnCounts,
    ColumnEdges,
    Profile,
    Profiles,
    collect_profiles,
    collection,
    reference,
    reference_edges,
    streaming,
)
from toolkit.metrics.query import Population
from toolkit.windows import Window
from toolkit.workspace import Workspace, open_workspace

REFERENCE, CURRENT = POPULATIONS
COLUMNS = ("temp_f", "rain", "stops", "carrier", "tail_number", "wet", "seen_at", "only_later", "whole", "label")


def widen(predictions: pd.DataFrame) -> pd.DataFrame:
    """A column of every kind: spikes, NaN, missing values, few and many texts, truths, instants, a late one."""
    rng = np.random.default_rng(8)
    count = len(predictions)
    current = np.asarray(predictions["occurred_at"] >= CURRENT.window.start)
    rain = np.where(rng.random(count) < 0.6, 0.0, rng.exponential(2, count))
    rain[rng.random(count) < 0.1] = np.nan
    stops = pd.Series(rng.integers(0, 4 + current), dtype="Int32")
    stops[rng.random(count) < 0.2] = pd.NA
    tail = np.array([f"N{number:04d}" for number in rng.zipf(1.3, count) % 900], dtype=object)
    tail[rng.random(count) < 0.05] = None
    wet = pd.array(rain > 0, dtype="boolean")
    wet[np.isnan(rain)] = pd.NA
    return predictions.assign(
        rain=rain,
        stops=stops.to_numpy(),
        tail_number=tail,
        wet=wet,
        seen_at=predictions["occurred_at"] - pd.Timedelta("1h"),
        only_later=pd.array(np.where(current, 1.5, np.nan)),
        whole=rng.integers(0, 500, count),
        served=current | (np.arange(count) % 5 > 0),
        version=np.where(np.arange(count) % 7 == 0, "2", "1"),
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[pd.DataFrame, pd.DataFrame], Workspace]:
    return lambda predictions, outcomes: write_workspace(tmp_path, predictions, outcomes).workspace


@pytest.fixture(scope="module")
def events() -> tuple[pd.DataFrame, pd.DataFrame]:
    predictions, outcomes = make_events(requests=2_000)
    return widen(predictions), outcomes


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, events: tuple[pd.DataFrame, pd.DataFrame]) -> Workspace:
    return write_workspace(tmp_path_factory.mktemp("profiles"), *events).workspace


def edges_of(workspace: Workspace, columns: Sequence[str] = COLUMNS, **options: Any) -> dict[str, ColumnEdges]:
    source = open_source(workspace)
    return reference_edges(source, load_model(workspace, "small"), REFERENCE, columns, as_of=LATER, **options)


def collect(workspace: Workspace, edges: Mapping[str, ColumnEdges], **options: Any) -> Profiles:
    workspace = open_workspace(workspace.root)
    source, model = open_source(workspace), load_model(workspace, "small")
    return collect_profiles(source, model, (REFERENCE, CURRENT), edges, as_of=LATER, **options)


def own_rows(events: tuple[pd.DataFrame, pd.DataFrame], population: Population) -> pd.DataFrame:
    """The requests of a population, with their labels."""
    rows = events[0].merge(events[1][["request_id", "label"]], on="request_id", how="left")
    inside = (rows["occurred_at"] >= population.window.start) & (rows["occurred_at"] < population.window.end)
    return rows[inside & (rows["version"] == "1") & (rows["served"] | (not population.served_only))]


def counted(edges: Mapping[str, ColumnEdges], rows: pd.DataFrame) -> dict[str, ColumnCounts]:
    return {name: ColumnCounts.of(edges[name], rows[name].tolist()) for name in sorted(edges)}


def test_edges_are_those_that_the_reference_s_own_values_lay_down(workspace, events) -> None:
    found, rows = edges_of(workspace), own_rows(events, REFERENCE)
    assert list(found) == sorted(COLUMNS)
    kinds = {name: (edges.kind, edges.type) for name, edges in found.items()}
    assert kinds == {
        "carrier": ("category", "text"),
        "label": ("discrete", "number"),
        "only_later": ("number", "number"),
        "rain": ("number", "number"),
        "seen_at": ("presence", "instant"),
        "stops": ("discrete", "number"),
        "tail_number": ("category", "text"),
        "temp_f": ("number", "number"),
        "wet": ("category", "boolean"),
        "whole": ("number", "number"),
    }
    for name in ("carrier", "label", "rain", "stops", "tail_number", "temp_f", "wet", "whole"):
        own = ColumnEdges.of(name, rows[name].tolist())
        assert found[name].values == own.values
        assert (found[name].tail, found[name].novelty) == (own.tail, own.novelty)
        assert found[name].edges == pytest.approx(own.edges, rel=1e-12)
        assert found[name].scale == (own.scale and pytest.approx(own.scale))
        assert found[name].n == own.n
    assert found["rain"].point_masses == (0.0,)
    assert found["only_later"].edges == ()


def test_what_the_engine_counts_is_what_counting_each_row_gives(workspace, events) -> None:
    edges = edges_of(workspace)
    profiles = collect(workspace, edges, segments=["carrier"])
    for population in (REFERENCE, CURRENT):
        rows, own = own_rows(events, population), profiles.population(population.name)
        assert own.total.rows == len(rows)
        assert own.total.columns == counted(edges, rows)
        for day, of_day in rows.groupby(rows["occurred_at"].dt.date):
            assert own.by_day[day].columns == counted(edges, of_day)
        for carrier, part in rows.groupby("carrier"):
            assert own.segment("carrier", carrier).total.columns == counted(edges, part)
    current = profiles.population("current").total.columns
    assert current["stops"].unseen > 0
    assert current["only_later"].missing == 0
    assert profiles.population("reference").total.columns["only_later"].n == 0
    assert current["tail_number"].unseen > 0


@pytest.mark.slow
def test_days_counted_together_or_in_short_runs_and_in_small_batches_give_the_same(
    workspace, monkeypatch, tmp_path
) -> None:
    edges = edges_of(workspace)
    together = collect(workspace, edges)
    monkeypatch.setattr(streaming, "BATCH_ROWS", 2_048)
    alone = copy_of(workspace, tmp_path)
    assert collect(alone, edges, run_rows=300).cells == together.cells


def copy_of(workspace: Workspace, folder: Path) -> Workspace:
    """Another workspace over the same data, with nothing kept."""
    shutil.copytree(workspace.root, folder / "copy", ignore=shutil.ignore_patterns("cache"))
    return open_workspace(folder / "copy")


def test_a_sample_draws_the_same_requests_in_every_run_and_its_bins_are_nearly_even(
    workspace, events, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(reference, "SAMPLE_ROWS", 300)
    copy = copy_of(workspace, tmp_path)
    edges = edges_of(copy, ["temp_f", "stops"])
    assert edges["temp_f"].n < 400
    assert edges["stops"].values == edges_of(workspace, ["stops"])["stops"].values  # asked of all
    (copy.root / "cache").rename(copy.root / "other")
    assert edges_of(copy, ["temp_f", "stops"]) == edges
    shares = np.asarray(counted(edges, own_rows(events, REFERENCE))["temp_f"].counts) / 900
    assert abs(shares - 0.05).max() < 0.06


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The runs of days that were counted."""
    seen: list[list[str]] = []
    count = collection._count

    def note(question: Any, edges: Any, run: Sequence[str], types: Any) -> Any:
        seen.append([*run])
        return count(question, edges, run, types)

    monkeypatch.setattr(collection, "_count", note)
    return seen


def test_the_same_question_counts_nothing_and_a_new_day_that_day(write, asked) -> None:
    predictions, outcomes = make_events(requests=800)
    columns = ["temp_f", "carrier"]
    known = predictions["occurred_at"] < pd.Timestamp("2013-04-20", tz="UTC")
    workspace = write(predictions[known], outcomes)
    edges = edges_of(workspace, columns)
    first = collect(workspace, edges)
    assert [run[0] for run in asked] == ["2013-03-01", "2013-04-01"]
    assert collect(workspace, edges).cells == first.cells
    assert len(asked) == 2
    known = predictions["occurred_at"] < pd.Timestamp("2013-04-21", tz="UTC")
    predictions[known].to_parquet(workspace.root / "data" / "predictions.parquet", index=False)
    assert edges_of(workspace, columns) == edges
    later = collect(workspace, edges)
    assert asked[2:] == [["2013-04-20"]]
    assert first.cells.items() <= later.cells.items()


def test_other_edges_are_counted_again_and_other_bins_are_other_edges(workspace, asked) -> None:
    edges, coarse = edges_of(workspace, ["temp_f"]), edges_of(workspace, ["temp_f"], bins=4)
    assert (edges["temp_f"].size, coarse["temp_f"].size) == (20, 4)
    fine = collect(workspace, edges).population("current").total.columns["temp_f"]
    asked.clear()
    few = collect(workspace, coarse).population("current").total.columns["temp_f"]
    assert len(asked) == 2
    assert fine.n == few.n
    assert few.counts == tuple(sum(fine.counts[at : at + 5]) for at in range(0, 20, 5))


def test_the_kept_edges_of_a_reference_are_not_sought_again(workspace, monkeypatch) -> None:
    edges = edges_of(workspace)
    monkeypatch.setattr(reference, "_find", None)
    assert edges_of(workspace) == edges


def test_a_column_that_is_not_there_has_no_edges_and_no_counts(workspace) -> None:
    edges = edges_of(workspace, ["temp_f", "humidity"])
    assert list(edges) == ["temp_f"]
    profile = collect(workspace, edges | {"humidity": ColumnEdges.of("humidity", [1.0, 2.0])}).population("current")
    assert list(profile.total.columns) == ["temp_f"]
    assert list(profile.total.types) == ["temp_f"]
    assert edges_of(workspace, ["humidity"]) == {}


def test_a_column_that_is_all_missing_now_is_counted_as_missing(write) -> None:
    predictions, outcomes = make_events(requests=400)
    current = predictions["occurred_at"] >= CURRENT.window.start
    predictions.loc[current, "temp_f"] = np.nan
    predictions.loc[current, "carrier"] = None
    workspace = write(predictions, outcomes)
    total = collect(workspace, edges_of(workspace, ["temp_f", "carrier"])).population("current").total
    for name in ("temp_f", "carrier"):
        assert (total.columns[name].n, total.columns[name].missing) == (0, total.rows)


def test_a_type_that_does_not_fit_the_edges_any_more_is_told_and_not_counted(workspace) -> None:
    edges = {"temp_f": ColumnEdges.of("temp_f", ["50", "60"]), "carrier": ColumnEdges.of("carrier", [1.0, 2.0])}
    total = collect(workspace, edges).population("current").total
    assert total.rows > 0
    assert total.columns == {}
    assert total.types == {"carrier": "text", "temp_f": "number"}


SETTINGS = """\
schema_version = 2
name = "parts"

[tables.predictions]
path = "data/predictions"
columns = {gate = "own_gate"}

[tables.outcomes]
path = "data/outcomes.parquet"
"""


def test_files_that_differ_say_what_each_day_s_columns_were(tmp_path) -> None:
    """One file has a column as number and a later one as text; a third lacks another."""
    predictions, outcomes = make_events(requests=600)
    predictions = predictions.assign(own_gate=np.arange(len(predictions)) % 30, stops=1)
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    folder = tmp_path / "data" / "predictions"
    folder.mkdir()
    day = predictions["occurred_at"].dt.strftime("%Y-%m-%d")
    first, second, third = (day < "2013-04-01"), (day >= "2013-04-01") & (day < "2013-04-20"), (day >= "2013-04-20")
    predictions[first].to_parquet(folder / "a.parquet", index=False)
    texts = predictions[second].assign(own_gate=predictions[second]["own_gate"].astype(str), temp_f=None)
    texts.to_parquet(folder / "b.parquet", index=False)
    predictions[third].drop(columns=["stops", "own_gate"]).astype({"temp_f": "float32"}).to_parquet(
        folder / "c.parquet", index=False
    )
    (tmp_path / "toolkit.toml").write_text(SETTINGS)
    workspace = open_workspace(tmp_path)
    profiles = collect(workspace, edges_of(workspace, ["gate", "stops", "temp_f"]))
    types = {key.day: profile.types for key, profile in profiles.cells.items()}
    assert types[date(2013, 3, 10)] == {"gate": "number", "stops": "number", "temp_f": "number"}
    assert types[date(2013, 4, 10)] == {"gate": "text", "stops": "number", "temp_f": "number"}
    assert types[date(2013, 4, 25)] == {"temp_f": "number"}
    current = profiles.population("current").total
    assert current.types["gate"] == "text"
    rows = int((second | third).sum())
    assert (current.rows, current.columns["stops"].total) == (rows, int(second.sum()))
    assert (current.columns["temp_f"].missing, current.columns["temp_f"].total) == (int(second.sum()), rows)


def test_many_texts_are_known_by_name_and_counted_as_a_tail(write) -> None:
    """A hundred thousand texts, none of them frequent; those of the next month that are new are unseen."""
    predictions, outcomes = make_events(requests=200)
    count = 110_000
    rng = np.random.default_rng(4)
    rows = predictions.iloc[np.arange(count) % 200].reset_index(drop=True)
    rows = rows.assign(request_id=[f"r{number}" for number in range(count)], served=True)
    rows["user"] = [f"u{number}" for number in range(count)]
    late = np.asarray(rows["occurred_at"] >= CURRENT.window.start)
    rows.loc[late, "user"] = [f"u{number}" for number in rng.permutation(count)[: late.sum()]]
    workspace = write(rows, outcomes)
    edges = edges_of(workspace, ["user"])["user"]
    assert (edges.values, edges.tail_size, edges.knows_all, edges.novelty) == ((), int((~late).sum()), True, 1.0)
    own = collect(workspace, {"user": edges})
    before, now = (own.population(name).total.columns["user"] for name in ("reference", "current"))
    assert (before.counts, before.unseen) == ((int((~late).sum()),), 0)
    known = set(rows.loc[~late, "user"])
    assert now.unseen == int((~rows.loc[late, "user"].isin(known)).sum())
    assert now.n == int(late.sum())


def test_more_texts_than_can_be_named_are_one_tail(write, monkeypatch) -> None:
    monkeypatch.setattr(reference, "MOST_KNOWN", 50)
    predictions, outcomes = make_events(requests=900)
    workspace = write(widen(predictions), outcomes)
    edges = edges_of(workspace, ["tail_number"])["tail_number"]
    whole = ColumnEdges.of("tail_number", own_rows((widen(predictions), outcomes), REFERENCE)["tail_number"].tolist())
    assert (edges.n, edges.novelty) == (whole.n, whole.novelty)
    assert len(edges.values) + edges.tail_size == len(whole.values) + whole.tail_size
    assert (edges.knows_all, edges.has_tail) == (False, True)
    total = collect(workspace, {"tail_number": edges}).population("current").total
    assert total.columns["tail_number"].unseen == 0
    assert total.columns["tail_number"].total == total.rows


def test_named_segments_split_profiles_and_unknown_ones_are_refused(workspace) -> None:
    metrics = (workspace.root / "metrics.yml").read_text()
    (workspace.root / "metrics.yml").write_text(f"{metrics}segments:\n  heat: {{column: temp_f, edges: [50]}}\n")
    profiles = collect(workspace, edges_of(workspace, ["stops"]), segments=["heat"]).population("current")
    assert profiles.values("heat") == ("50 and above", "below 50")
    parts = [profiles.segment("heat", value).total for value in profiles.values("heat")]
    assert Profile.sum(parts) == profiles.total
    with pytest.raises(UnknownNameError, match="segment 'haet'"):
        collect(workspace, edges_of(workspace, ["stops"]), segments=["haet"])


def test_a_model_s_own_version_is_counted_alone(workspace, events) -> None:
    source, model = open_source(workspace), load_model(workspace, "small")
    window = Window.of("2013-03-01", "2013-05-01")
    populations = [Population(name, name or None, window, served_only=False) for name in ("1", "2", "")]
    edges = edges_of(workspace, ["temp_f"])
    profiles = collect_profiles(source, model, populations, edges, as_of=LATER)
    parts = [profiles.population(name).total for name in ("1", "2")]
    assert parts[0] + parts[1] == profiles.population("").total
    assert parts[1].rows == int((events[0]["version"] == "2").sum())
