from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import write_workspace
from toolkit.data import open_source
from toolkit.errors import ContractError, NotReady
from toolkit.workspace import JOURNAL

LATER = datetime(2014, 1, 1, tzinfo=UTC)


def read_error(tmp_path, predictions, outcomes, *, table="predictions", columns=("score", "error", "served")) -> str:
    """What a reader is told who accepts no row that breaks the contract."""
    source = open_source(write_workspace(tmp_path, predictions, outcomes, max_quarantined_share=0).workspace)
    with pytest.raises(ContractError) as caught:
        source.read(table, columns, as_of=LATER)
    assert not JOURNAL.reads, "a part that broke its contract must not count as read"
    *broken, limit = str(caught.value).splitlines()
    if not broken:
        return limit
    assert re.fullmatch(
        rf"{table}: [\d,]+ of [\d,]+ rows break the contract, and a share of at most 0 may be left out "
        rf"\(max_quarantined_share of \[tables.{table}\] in toolkit.toml\)",
        limit,
    )
    return "\n".join(broken)


def test_complete_through_is_the_start_of_the_last_day(small):
    assert open_source(small.workspace).complete_through() == datetime(2013, 4, 30, tzinfo=UTC)


def test_no_rows_is_not_ready(tmp_path, events):
    predictions, outcomes = events
    source = open_source(write_workspace(tmp_path, predictions.head(0), outcomes).workspace)
    with pytest.raises(NotReady, match="predictions holds no rows yet, so no day is complete"):
        source.complete_through()


def test_nothing_after_as_of_exists(small):
    as_of = datetime(2013, 3, 10, tzinfo=UTC)
    rows = open_source(small.workspace).read("predictions", ["score"], as_of=as_of)
    expected = (small.predictions["occurred_at"] <= as_of).sum()
    assert rows.count().execute() == expected > 0


def write_nan(file: Path, **columns: list[bool]) -> None:
    """Set NaN where the masks say so; pandas itself would write NULL."""
    table = pq.read_table(file)
    for name, mask in columns.items():
        values = np.where(mask, np.nan, table[name].to_numpy())
        table = table.set_column(table.column_names.index(name), name, pa.array(values, from_pandas=False))
    pq.write_table(table, file)


def test_nan_becomes_missing_and_is_counted(tmp_path, events):
    predictions, outcomes = events
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    failed = predictions["error"]
    write_nan(tmp_path / "data" / "predictions.parquet", score=failed, temp_f=predictions.index < 10)
    rows = open_source(workspace).read("predictions", ["score", "temp_f", "latency_ms"], as_of=LATER)
    assert rows.temp_f.isnull().sum().execute() == 10
    assert rows.temp_f.isnan().sum().execute() == 0
    assert rows.score.isnull().sum().execute() == failed.sum() > 0
    (read,) = JOURNAL.reads
    assert read.nan_as_missing == (("score", failed.sum()), ("temp_f", 10))
    (source,) = JOURNAL.to_dict()["sources"]
    assert source["nan_as_missing"] == {"score": failed.sum(), "temp_f": 10}


def test_only_columns_of_files_in_which_nan_were_seen_are_looked_at_again(tmp_path, events):
    predictions, outcomes = events
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    write_nan(tmp_path / "data" / "predictions.parquet", temp_f=predictions.index < 10)
    for reading in ("first", "again, from what is kept"):
        rows = open_source(workspace).read("predictions", ["temp_f", "latency_ms"], as_of=LATER)
        asked = ibis.to_sql(rows, dialect="duckdb")
        assert re.findall(r'ISNAN\("t\d"."(\w+)"\)', asked) == ["temp_f"], reading
        assert rows.temp_f.isnull().sum().execute() == 10
        assert rows.latency_ms.mean().execute() == pytest.approx(predictions["latency_ms"].mean())


def test_a_score_that_is_nan_without_an_error_breaks_the_contract(tmp_path, events):
    predictions, outcomes = events
    workspace = write_workspace(tmp_path, predictions, outcomes, max_quarantined_share=0).workspace
    answered = predictions.index[~predictions["error"]][0]
    write_nan(tmp_path / "data" / "predictions.parquet", score=predictions["error"] | (predictions.index == answered))
    with pytest.raises(ContractError) as caught:
        open_source(workspace).read("predictions", ["score"], as_of=LATER)
    assert str(caught.value).splitlines()[0] == (
        "predictions.score must not be NaN unless error is true (NULL says that there is none): "
        f"1 of 3,000 rows break this, such as r{answered:05d} × small × 1"
    )


def test_a_label_that_is_nan_is_a_missing_label(tmp_path, events):
    predictions, outcomes = events
    outcomes["label"] = outcomes["label"].astype("float64")
    workspace = write_workspace(tmp_path, predictions, outcomes, max_quarantined_share=0).workspace
    write_nan(tmp_path / "data" / "outcomes.parquet", label=outcomes.index == 4)
    with pytest.raises(ContractError) as caught:
        open_source(workspace).read("outcomes", ["label"], as_of=LATER)
    row = outcomes.loc[4]
    assert str(caught.value).splitlines()[0] == (
        f"outcomes.label must not be missing: 1 of {len(outcomes):,} rows break this, such as "
        f"{row['request_id']} × {row['observed_at']}"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda frame: frame.assign(occurred_at=frame["occurred_at"].dt.tz_localize(None)),
            (
                "predictions.occurred_at: timestamps have no time zone; "
                "write them in UTC with a time zone (Parquet: isAdjustedToUTC)"
            ),
        ),
        (
            lambda frame: frame.assign(occurred_at=frame["occurred_at"].astype(str)),
            "predictions.occurred_at: is of type string, must be an instant",
        ),
        (
            lambda frame: frame[["model", "version", "occurred_at"]],
            "predictions: unknown column 'request_id'; allowed: model, occurred_at, version.",
        ),
    ],
)
def test_the_last_complete_day_needs_times_with_a_zone(tmp_path, events, change, message):
    predictions, outcomes = events
    source = open_source(write_workspace(tmp_path, change(predictions), outcomes).workspace)
    with pytest.raises(ContractError) as caught:
        source.complete_through()
    assert str(caught.value) == message


def test_duplicate_keys(tmp_path, events):
    predictions, outcomes = events
    repeated = pd.concat([predictions, predictions.head(2)])
    assert read_error(tmp_path, repeated, outcomes) == (
        "predictions.request_id × model × version must not repeat: 2 of 3,002 rows break this, such as "
        "r00000 × small × 1; r00001 × small × 1"
    )


def test_scores_outside_their_range_or_infinite(tmp_path, events):
    predictions, outcomes = events
    predictions.loc[4, "score"] = 1.5
    predictions.loc[7, "score"] = float("inf")
    assert read_error(tmp_path, predictions, outcomes) == (
        "predictions.score must be finite: 1 of 3,000 rows break this, such as r00007 × small × 1\n"
        "predictions.score must be from 0 to 1: 1 of 3,000 rows break this, such as r00004 × small × 1"
    )


def test_missing_key(tmp_path, events):
    predictions, outcomes = events
    outcomes.loc[3, "request_id"] = None
    assert read_error(tmp_path, predictions, outcomes, table="outcomes", columns=["label"]) == (
        f"outcomes.request_id must not be missing: 1 of {len(outcomes):,} rows break this, such as "
        f"missing × {outcomes.loc[3, 'observed_at']}"
    )


def test_naive_timestamps(tmp_path, events):
    predictions, outcomes = events
    predictions["occurred_at"] = predictions["occurred_at"].dt.tz_localize(None)
    assert read_error(tmp_path, predictions, outcomes) == (
        "predictions.occurred_at: timestamps have no time zone; "
        "write them in UTC with a time zone (Parquet: isAdjustedToUTC)"
    )


def test_wrong_type(tmp_path, events):
    predictions, outcomes = events
    predictions["score"] = predictions["score"].astype(str)
    assert read_error(tmp_path, predictions, outcomes) == "predictions.score: is of type string, must be a number"


def test_unknown_column_suggests_the_nearest(tmp_path, events):
    message = read_error(tmp_path, *events, columns=["temp_c"])
    assert message.startswith("predictions: unknown column 'temp_c'; allowed: carrier, error, ")
    assert message.endswith("Did you mean 'temp_f'?")


def test_table_that_is_not_configured(small):
    with pytest.raises(ContractError) as caught:
        open_source(small.workspace).read("exposures", ["variant"], as_of=LATER)
    assert str(caught.value) == (
        "table 'exposures' is needed and not configured; add [tables.exposures] with a path to toolkit.toml"
    )


def test_files_that_are_not_there(tmp_path, events):
    small = write_workspace(tmp_path, *events)
    (tmp_path / "data" / "outcomes.parquet").unlink()
    with pytest.raises(ContractError) as caught:
        open_source(small.workspace).read("outcomes", ["label"], as_of=LATER)
    assert str(caught.value) == (
        "outcomes: no file matches 'data/outcomes.parquet' ([tables.outcomes] in toolkit.toml)"
    )


def test_corrupt_file(tmp_path, events):
    small = write_workspace(tmp_path, *events)
    (tmp_path / "data" / "outcomes.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    with pytest.raises(ContractError, match=r"^outcomes: the data could not be read: .*") as caught:
        open_source(small.workspace).read("outcomes", ["label"], as_of=LATER)
    assert str(tmp_path) not in str(caught.value)


def test_own_column_names_are_mapped(tmp_path, events):
    predictions, outcomes = events
    write_workspace(tmp_path, predictions.rename(columns={"score": "p_late"}), outcomes)
    settings = (tmp_path / "toolkit.toml").read_text()
    (tmp_path / "toolkit.toml").write_text(
        settings.replace('predictions.parquet"', 'predictions.parquet"\ncolumns = { score = "p_late" }')
    )
    from toolkit.workspace import open_workspace

    rows = open_source(open_workspace(tmp_path)).read("predictions", ["score"], as_of=LATER)
    assert rows.score.sum().execute() == pytest.approx(predictions["score"].sum())


def fingerprint(tmp_path, predictions, outcomes, name) -> str:
    JOURNAL.reads.clear()
    source = open_source(write_workspace(tmp_path / name, predictions, outcomes).workspace)
    source.read("predictions", ["score"], as_of=LATER, end=datetime(2013, 4, 1, tzinfo=UTC))
    (read,) = JOURNAL.reads
    return read.fingerprint


def test_fingerprint_changes_with_a_row_it_covers_and_only_then(tmp_path, events):
    predictions, outcomes = events
    first = fingerprint(tmp_path, predictions, outcomes, "same")
    assert fingerprint(tmp_path, predictions.sample(frac=1, random_state=1), outcomes, "shuffled") == first

    inside, outside, unread = predictions.copy(), predictions.copy(), predictions.copy()
    inside.loc[0, "score"] += 1e-9
    outside.loc[len(outside) - 1, "score"] += 1e-9
    unread["temp_f"] += 1
    assert fingerprint(tmp_path, inside, outcomes, "inside") != first
    assert fingerprint(tmp_path, predictions.drop(index=0), outcomes, "dropped") != first
    assert fingerprint(tmp_path, outside, outcomes, "outside") == first
    assert fingerprint(tmp_path, unread, outcomes, "unread") == first


def test_a_read_is_noted_with_what_was_read(small):
    start = datetime(2013, 4, 1, tzinfo=UTC)
    open_source(small.workspace).read("outcomes", ["label"], as_of=LATER, start=start)
    (read,) = JOURNAL.reads
    assert (read.table, read.columns, read.start, read.end, read.as_of) == (
        "outcomes",
        ("request_id", "observed_at", "label"),
        "2013-04-01T00:00:00Z",
        None,
        "2014-01-01T00:00:00Z",
    )
    assert read.rows == (small.outcomes["observed_at"] >= start).sum()
