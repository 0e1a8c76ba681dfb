"""Bad data, each through the command line: the words, the exit code, and an archive that is as it was."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SUBJECT = "looks/small"
MARCH, APRIL, MAY = (pd.Timestamp(day, tz="UTC") for day in ("2013-03-01", "2013-04-01", "2013-05-01"))


def write_scores(world, changes: dict[int, float]) -> None:
    """Set scores by row number, NaN as NaN: pandas would write it as NULL."""
    file = world.root / "data" / "predictions.parquet"
    table = pq.read_table(file)
    scores = table["score"].to_numpy().copy()
    scores[list(changes)] = list(changes.values())
    place = table.column_names.index("score")
    pq.write_table(table.set_column(place, "score", pa.array(scores, from_pandas=False)), file)


# --- refused before a kernel starts -----------------------------------------------------------------------------------


def test_missing_table(world):
    world.edit("toolkit.toml", '[tables.predictions]\npath = "data/predictions.parquet"', "")
    reason = "table 'predictions' is needed and not configured; add [tables.predictions] with a path to toolkit.toml"
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_missing_file(world):
    (world.root / "data" / "predictions.parquet").unlink()
    reason = "predictions: no file matches 'data/predictions.parquet' ([tables.predictions] in toolkit.toml)"
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_wrong_type_of_the_time(world):
    world.rewrite("predictions", lambda frame: frame.assign(occurred_at=frame["occurred_at"].astype(str)))
    reason = "predictions.occurred_at: is of type string, must be an instant"
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_time_that_is_not_there(world):
    world.rewrite("predictions", lambda frame: frame.rename(columns={"occurred_at": "occured_at"}))
    reason = (
        "predictions: unknown column 'occurred_at'; allowed: carrier, error, latency_ms, model, occured_at, "
        "request_id, score, served, temp_f, unit_id, version. Did you mean 'occured_at'?"
    )
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_timestamps_without_time_zone(world):
    world.rewrite("predictions", lambda frame: frame.assign(occurred_at=frame["occurred_at"].dt.tz_localize(None)))
    reason = (
        "predictions.occurred_at: timestamps have no time zone; "
        "write them in UTC with a time zone (Parquet: isAdjustedToUTC)"
    )
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_an_instant_without_time_zone(world):
    said = "error: as_of == '2013-04-30T06:00' has no time zone; write '2013-04-30T06:00Z' for UTC"
    world.stopped("run", "looks", "-p", "as_of=2013-04-30T06:00", code=2, said=said)


def test_corrupt_parquet(world):
    (world.root / "data" / "predictions.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    before = world.state()
    done = world.call("run", "looks")
    assert (done.code, done.out) == (3, "")
    assert done.said.startswith("refused (ContractError): predictions: the data could not be read: ")
    assert done.said.count("\n") == 1
    assert str(world.root) not in done.said
    after = world.state()
    assert after.files == before.files
    assert [entry["kind"] for entry in after.entries[len(before.entries) :]] == ["report.refused"]


def test_no_rows(world):
    world.rewrite("predictions", lambda frame: frame.head(0))
    reason = "predictions holds no rows yet, so no day is complete"
    world.refused("run", "looks", subject=SUBJECT, kind="NotReady", reason=reason)


# --- found in the kernel, where the rows are read ---------------------------------------------------------------------


def test_wrong_column_type(world):
    world.rewrite("predictions", lambda frame: frame.assign(score=frame["score"].astype(str)))
    reason = "predictions.score: is of type string, must be a number"
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def too_many(table: str, count: int, rows: int) -> str:
    """The last line of a refusal where no row may be left out."""
    return (
        f"\n{table}: {count:,} of {rows:,} rows break the contract, and a share of at most 0 may be left out "
        f"(max_quarantined_share of [tables.{table}] in toolkit.toml)"
    )


def accept_none(world) -> None:
    """From here on a row that breaks its contract is an error."""
    for table in ("predictions", "outcomes"):
        path = f'path = "data/{table}.parquet"'
        world.edit("toolkit.toml", path, f"{path}\nmax_quarantined_share = 0")


def test_duplicate_keys(world):
    accept_none(world)
    april = world.rewrite("predictions", lambda frame: pd.concat([frame, frame[frame["served"]].head(2)]))
    rows = (april["occurred_at"] >= APRIL) & (april["occurred_at"] < MAY - pd.Timedelta(days=2))
    repeated = april[april["served"]].head(2)["request_id"]
    reason = (
        f"predictions.request_id × model × version must not repeat: 2 of {rows.sum():,} rows break this, such as "
        + "; ".join(f"{request_id} × small × 1" for request_id in repeated)
        + too_many("predictions", 2, rows.sum())
    )
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_nan_and_infinite_scores(world):
    accept_none(world)
    predictions = pd.read_parquet(world.root / "data" / "predictions.parquet")
    march = predictions[(predictions["occurred_at"] >= MARCH) & (predictions["occurred_at"] < APRIL)]
    answered, failed = march[~march["error"]].index, march[march["error"]].index
    write_scores(world, {answered[1]: np.nan, answered[3]: np.nan, failed[0]: np.nan, answered[5]: -np.inf})
    rows, names = f"{len(march):,}", [f"r{index:05d} × small × 1" for index in answered]
    reason = (
        "predictions.score must not be NaN unless error is true (NULL says that there is none): "
        f"2 of {rows} rows break this, such as {names[1]}; {names[3]}\n"
        f"predictions.score must be finite: 1 of {rows} rows break this, such as {names[5]}"
    ) + too_many("predictions", 3, len(march))
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_labels_before_predictions(world):
    accept_none(world)
    predictions = pd.read_parquet(world.root / "data" / "predictions.parquet")
    march = predictions[predictions["occurred_at"] < APRIL]
    early = march[(march["occurred_at"] >= MARCH + pd.Timedelta(days=9)) & ~march["error"]].head(2)["request_id"]

    def set_back(outcomes: pd.DataFrame) -> pd.DataFrame:
        chosen = outcomes["request_id"].isin(early)
        outcomes.loc[chosen, "observed_at"] -= pd.Timedelta(days=1)
        return outcomes

    outcomes = world.rewrite("outcomes", set_back)
    rows = outcomes["request_id"].isin(march["request_id"]).sum()
    shown = "; ".join(
        f"{request_id} × {outcomes.set_index('request_id').loc[request_id, 'observed_at']}" for request_id in early
    )
    reason = (
        f"outcomes.observed_at must not be before the prediction's occurred_at: 2 of {rows:,} rows break this, "
        f"such as {shown}"
    ) + too_many("outcomes", 2, rows)
    world.refused("run", "looks", subject=SUBJECT, kind="ContractError", reason=reason)


def test_a_few_bad_rows_are_left_out_of_a_report_that_says_so(world):
    predictions = pd.read_parquet(world.root / "data" / "predictions.parquet")
    march = predictions[(predictions["occurred_at"] >= MARCH) & (predictions["occurred_at"] < APRIL)]
    write_scores(world, {march[~march["error"]].index[5]: np.inf})
    line = (
        f"predictions.score must be finite: 1 of {len(march):,} rows break this, such as "
        f"{march[~march['error']].iloc[5]['request_id']} × small × 1"
    )
    assert world.call("run", "looks").code == 0
    (folder,) = (path for path in (world.root / "reports" / "looks" / "small").iterdir() if path.name == "v0002")
    (noted,) = json.loads((folder / "manifest.json").read_text())["quarantined"]
    assert (noted["table"], noted["rule"], noted["rows"], noted["of_rows"]) == (
        "predictions",
        "score must be finite",
        1,
        len(march),
    )
    assert line in (folder / "report.html").read_text()


def test_empty_window(world):
    reason = "model 'small' served no request in 2013-02-01 … 2013-02-28"
    asked = ("run", "looks", "-p", "as_of=2013-03-02")
    world.refused(*asked, subject=SUBJECT, kind="Skipped", reason=reason)
