"""Tables in several files: columns that only some have, files that lie elsewhere, and tables that lie apart."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest

from conftest import make_events, write_workspace
from toolkit.data import labelled_predictions, open_source
from toolkit.errors import ContractError
from toolkit.windows import Window
from toolkit.workspace import open_workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    return write_workspace(tmp_path / "team", *make_events(requests=400)).workspace.root


def repoint(root, **paths):
    text = (root / "toolkit.toml").read_text()
    for table, path in paths.items():
        text = text.replace(f"data/{table}.parquet", path)
    (root / "toolkit.toml").write_text(text)
    return open_source(open_workspace(root))


@pytest.mark.parametrize("times", [1, 2])
def test_a_column_that_later_files_bring_is_missing_in_earlier_ones(root, monkeypatch, times):
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)
    predictions, _ = make_events(requests=400)
    (root / "data" / "parts").mkdir()
    predictions.head(150).to_parquet(root / "data/parts/a.parquet")
    predictions.iloc[150:].assign(humidity=0.5).to_parquet(root / "data/parts/b.parquet")
    for _ in range(times):  # looked at, then kept
        source = repoint(root, predictions="data/parts")
        rows = source.read("predictions", ["humidity"], as_of=LATER)
        assert (rows.count().execute(), rows.humidity.count().execute()) == (400, 250)


def test_a_column_that_first_comes_in_a_late_row_of_json_lines_is_not_overlooked(root):
    lines = [
        {
            "request_id": f"r{number}",
            "model": "small",
            "version": "1",
            "occurred_at": "2013-03-05T00:00:00Z",
            "unit_id": f"u{number}",
            "error": False,
            "served": True,
        }
        | ({"humidity": 0.5} if number == 29_999 else {})
        for number in range(30_000)
    ]
    (root / "data" / "predictions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = repoint(root, predictions="data/predictions.jsonl")
    assert source.read("predictions", ["humidity"], as_of=LATER).humidity.count().execute() == 1


def test_instants_in_nanoseconds_are_those_in_microseconds(root):
    """pandas before 3 wrote nothing else."""
    predictions, _ = make_events(requests=400)
    window = Window(datetime(2013, 3, 10, tzinfo=UTC), datetime(2013, 3, 20, tzinfo=UTC))
    counts = []
    for unit in ("us", "ns"):
        of_unit = predictions.assign(occurred_at=predictions["occurred_at"].dt.as_unit(unit))
        of_unit.to_parquet(root / "data/predictions.parquet")
        source = open_source(open_workspace(root))
        rows = labelled_predictions(source, ["score"], model="small", window=window, as_of=LATER)
        counts.append((source.complete_through(), rows.count().execute(), rows.score.sum().execute()))
    assert counts[0] == counts[1]
    assert counts[0][1] > 0


def test_files_may_lie_beside_the_workspace(root, monkeypatch):
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)
    shutil.move(root / "data" / "predictions.parquet", root.parent / "elsewhere.parquet")
    for _ in range(2):
        source = repoint(root, predictions="../elsewhere.parquet")
        assert source.facts("predictions", ["score"], as_of=LATER).rows == 400


@pytest.mark.parametrize("path", ["data/parts", "data/parts/*"])
def test_files_of_several_formats_are_refused_as_some_would_be_passed_over(root, path):
    predictions, _ = make_events(requests=400)
    (root / "data" / "parts").mkdir()
    predictions.head(150).to_parquet(root / "data/parts/a.parquet")
    predictions.iloc[150:].to_csv(root / "data/parts/b.csv", index=False)
    with pytest.raises(ContractError) as caught:
        repoint(root, predictions=path).read("predictions", ["score"], as_of=LATER)
    assert str(caught.value) == (
        f"predictions: '{path}' means files of 2 formats, 1 parquet (a.parquet), 1 csv (b.csv), and a table is read "
        "from files of one; move the others away, or let path be a pattern for those that are meant, such as "
        "'folder/**/*.parquet' ([tables.predictions] in toolkit.toml)"
    )


@pytest.mark.parametrize(
    ("given", "shown"), [("oops", "\"oops\" to 'DOUBLE'"), ("z" * 500, '"' + "z" * 174 + "...")], ids=["short", "long"]
)
def test_a_value_of_another_type_in_one_row_of_csv_is_named_with_its_column_line_and_file(root, given, shown):
    predictions, _ = make_events(requests=4000)
    predictions = predictions.astype({"score": object})
    predictions.loc[2990, "score"] = given
    predictions.to_csv(root / "data" / "p.csv", index=False)
    source = repoint(root, predictions="data/p.csv")
    with pytest.raises(ContractError) as caught:
        source.facts("predictions", ["score"], as_of=LATER)
    assert str(caught.value) == (
        "predictions: the data could not be read: Conversion Error: CSV Error on Line: 2992 of data/p.csv: Error when "
        f'converting column "score". Could not convert string {shown}'
    )


def test_tables_that_lie_apart_cannot_be_joined(root):
    import duckdb

    with duckdb.connect(str(root / "own.duckdb")) as own:
        own.execute("SET TimeZone = 'UTC'")
        own.execute(f"CREATE TABLE labels AS FROM '{root}/data/outcomes.parquet'")
    text = (root / "toolkit.toml").read_text()
    text = text.replace('path = "data/outcomes.parquet"', 'source = "own"\ntable = "labels"')
    (root / "toolkit.toml").write_text(text + '\n[sources.own]\nurl = "duckdb://own.duckdb"\n')
    source = open_source(open_workspace(root))
    with pytest.raises(ContractError) as caught:
        labelled_predictions(
            source, ["score", "label"], model="small", window=Window.of("2013-03-01", "2013-04-01"), as_of=LATER
        )
    assert str(caught.value) == (
        "predictions and outcomes: tables that are joined must lie in one source, and these do not "
        "(outcomes: source 'own' (duckdb); predictions: files of the workspace)"
    )
