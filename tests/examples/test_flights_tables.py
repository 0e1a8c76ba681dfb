from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from built_flights import Built, at

from toolkit.data import CONTRACTS, load_model
from toolkit.digests import assign_variant
from toolkit.examples.flights import SCHEMAS
from toolkit.workspace import open_workspace

MONTHS = [f"2013-{month:02}.parquet" for month in range(3, 13)] + ["2014-01.parquet"]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_table_keeps_its_contract(built: Built, name: str) -> None:
    contract = CONTRACTS[name]
    table = getattr(built, name)
    columns = set(table.columns)
    assert {column for column, rule in contract.columns.items() if rule.required} <= columns
    assert contract.open or columns <= set(contract.columns)
    assert not table.duplicated(list(contract.key)).any()
    for column, rule in contract.columns.items():
        if rule.required:
            assert table[column].notna().all(), column


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_files_are_one_per_utc_month_in_order_with_utc_instants_and_nulls_for_what_is_absent(
    built: Built, name: str
) -> None:
    time = CONTRACTS[name].time
    keys = ("request_id", "unit_id", "version", "feature", "incident_id")
    order = [time, *(column for column in keys if column in SCHEMAS[name])]
    for path in sorted((built.root / "data" / name).iterdir()):
        file = pq.ParquetFile(path)
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        assert file.schema_arrow.metadata is None
        assert file.schema_arrow.names == list(SCHEMAS[name])
        table = file.read()
        for field, column in zip(table.schema, table.columns, strict=True):
            if pa.types.is_timestamp(field.type):
                assert field.type == pa.timestamp("us", tz="UTC")
            if pa.types.is_floating(field.type):
                assert not pa.compute.any(pa.compute.is_nan(column)).as_py(), (path, field.name)
        frame = table.to_pandas()
        assert set(frame[time].dt.strftime("%Y-%m")) == {path.stem}
        assert frame.equals(frame.sort_values(order, ignore_index=True))


def test_predictions_have_a_file_for_each_month_from_march(built: Built) -> None:
    assert sorted(path.name for path in (built.root / "data" / "predictions").iterdir()) == MONTHS


def test_every_flight_from_march_is_scored_by_both_versions(built: Built, flights: pd.DataFrame) -> None:
    expected = flights.loc[flights["occurred_at"] >= at("2013-03-01"), "request_id"]
    for version in ("1", "2"):
        scored = built.predictions.loc[built.predictions["version"] == version, "request_id"]
        assert sorted(scored) == sorted(expected)


def test_scores_are_strictly_between_0_and_1_and_decide_by_the_threshold(built: Built) -> None:
    table = built.predictions
    assert ((table["score"] > 0) & (table["score"] < 1)).all()
    assert set(table["threshold"]) == {0.32}
    assert (table["decision"] == (table["score"] >= 0.32)).all()
    assert (table["latency_ms"] > 0).all()


def test_flights_of_one_hour_share_the_time_of_their_batch(built: Built) -> None:
    table = built.predictions
    batches = table.groupby([table["version"], table["occurred_at"].dt.floor("h")])["latency_ms"]
    assert (batches.nunique() == 1).all()
    assert batches.ngroups == 2 * table["occurred_at"].dt.floor("h").nunique()


def test_version_1_shows_no_feature_that_it_does_not_read(built: Built) -> None:
    recent = built.predictions.groupby("version")[["recent_departure_delay_min", "recent_late_share"]].count()
    assert recent.loc["1"].tolist() == [0, 0]
    assert (recent.loc["2"] > 250_000).all()


def test_the_unit_is_the_flight_and_a_flight_without_tail_number_is_its_own_cluster(
    built: Built, flights: pd.DataFrame
) -> None:
    table = built.predictions
    assert (table["unit_id"] == table["request_id"]).all()
    alone = table[table["cluster_id"] == table["request_id"]]
    assert len(alone) == 2 * 1911
    assert alone["error"].all()
    assert table["cluster_id"].nunique() < 6_000


def test_labels_come_after_the_predictions_and_never_for_cancelled_flights(built: Built) -> None:
    first = built.predictions[built.predictions["version"] == "1"]
    joined = first.merge(built.outcomes, on="request_id", how="outer", indicator=True)
    assert set(joined["_merge"]) == {"both", "left_only"}
    arrived = joined[joined["_merge"] == "both"]
    assert (arrived["observed_at"] > arrived["occurred_at"]).all()
    assert not arrived["error"].any()
    assert set(arrived["label"]) == {0, 1}
    # The definition says a day; its comment says that one label of the year takes longer.
    assert (arrived["observed_at"] - arrived["occurred_at"] > pd.Timedelta(days=1)).sum() == 1


@pytest.mark.parametrize(
    ("experiment", "weights", "start", "end"),
    [
        ("delay-v2", {"control": 50, "treatment": 50}, "2013-06-01", "2013-10-01"),
        ("delay-v2-holdout", {"launched": 90, "holdout": 10}, "2013-10-01", "2014-01-02"),
    ],
)
def test_exposures_are_the_recomputed_hash_assignment_of_every_flight_of_the_experiment(
    built: Built, experiment: str, weights: dict[str, int], start: str, end: str
) -> None:
    table = built.exposures[built.exposures["experiment"] == experiment]
    assert table["variant"].tolist() == [assign_variant(unit, weights, key=experiment) for unit in table["unit_id"]]
    inside = built.predictions[
        (built.predictions["version"] == "1")
        & (built.predictions["occurred_at"] >= at(start))
        & (built.predictions["occurred_at"] < at(end))
    ]
    assert table[["unit_id", "exposed_at"]].to_numpy().tolist() == (
        inside[["unit_id", "occurred_at"]].to_numpy().tolist()
    )


def test_a_flight_is_in_one_experiment_at_most(built: Built) -> None:
    assert built.exposures["unit_id"].is_unique
    assert set(built.exposures["experiment"]) == {"delay-v2", "delay-v2-holdout"}


def test_service_follows_the_deployments_and_the_assignment(built: Built) -> None:
    table = built.predictions.merge(built.exposures[["unit_id", "variant"]], on="unit_id", how="left")
    served = table.pivot(index="request_id", columns="version", values="served")
    first = table[table["version"] == "1"].set_index("request_id").loc[served.index]
    when = first["occurred_at"]
    march = when < at("2013-04-01")
    test = (when >= at("2013-06-01")) & (when < at("2013-10-01"))
    later = when >= at("2013-10-01")
    assert not served[march].any(axis=None)
    assert (served["1"] ^ served["2"])[~march].all()
    assert served.loc[~march & ~test & ~later, "1"].all()
    assert (served.loc[test, "2"] == (first.loc[test, "variant"] == "treatment")).all()
    assert (served.loc[later, "2"] == (first.loc[later, "variant"] == "launched")).all()
    assert served.loc[later, "1"].mean() == pytest.approx(0.1, abs=0.005)


def test_deployments_say_when_each_version_began_to_serve(built: Built) -> None:
    rows = [(row.occurred_at, row.model, row.version, row.kind) for row in built.deployments.itertuples()]
    assert rows == [
        (at("2013-04-01"), "delay", "1", "deploy"),
        (at("2013-06-01"), "delay", "2", "deploy"),
        (at("2013-10-01"), "delay", "2", "deploy"),
    ]
    assert built.deployments[["commit", "committed_at"]].isna().all(axis=None)
    served = built.predictions[built.predictions["served"]]
    for row in built.deployments.itertuples():
        after = served[(served["version"] == row.version) & (served["occurred_at"] >= row.occurred_at)]
        assert after["occurred_at"].min() < row.occurred_at + pd.Timedelta(days=1)
    assert (
        served.groupby("version")["occurred_at"].min() >= built.deployments.groupby("version")["occurred_at"].min()
    ).all()


def test_business_is_the_observed_delay_of_every_flight_that_arrived(built: Built, flights: pd.DataFrame) -> None:
    table = built.business
    assert set(table["measure"]) == {"arrival_delay_min"}
    assert table[["unit_id", "occurred_at"]].to_numpy().tolist() == (
        built.outcomes[["request_id", "observed_at"]].to_numpy().tolist()
    )
    assert ((table["value"] > 15) == (built.outcomes["label"] == 1)).all()
    observed = flights.set_index("request_id").loc[table["unit_id"], "arrival_delay_min"]
    assert (table["value"].to_numpy() == observed.to_numpy()).all()


def test_attributions_add_up_to_the_score_of_the_version_that_served(built: Built) -> None:
    log_odds = built.attributions.groupby(["request_id", "version"], as_index=False)["value"].sum()
    scored = log_odds.merge(built.predictions, on=["request_id", "version"])
    assert len(scored) == len(log_odds)
    assert scored["served"].all()
    assert (np.round(1 / (1 + np.exp(-scored["value"])), 6) == scored["score"]).all()


def test_attributions_name_every_feature_of_the_version_once(built: Built) -> None:
    model = load_model(open_workspace(built.root), "delay")
    for version, rows in built.attributions.groupby("version"):
        features = {"base", *model.version(str(version)).features}
        assert set(rows["feature"]) == features
        assert (rows.groupby("request_id").size() == len(features)).all()
        assert rows.loc[rows["feature"] == "base", "value"].nunique() == 1


def test_attributions_are_of_a_hash_sample_of_the_served_flights(built: Built) -> None:
    served = built.predictions[built.predictions["served"]]
    weights = {"explained": 5, "left out": 95}
    chosen = [unit for unit in served["request_id"] if assign_variant(unit, weights, key="attributions") == "explained"]
    assert set(built.attributions["request_id"]) == set(chosen)
    assert len(chosen) / len(served) == pytest.approx(0.05, abs=0.002)
