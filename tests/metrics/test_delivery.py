"""DORA's five against the reference cases, and what they say where something is not known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit import stats
from toolkit.data import open_source
from toolkit.metrics import delivery
from toolkit.windows import Window
from toolkit.workspace import open_workspace

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parents[1] / "reference/delivery_cases.json").read_text())
}
LATER = datetime(2026, 6, 1, tzinfo=UTC)
SYNTHETIC = CASES["dora-synthetic"]
WINDOW = Window.of(*SYNTHETIC["inputs"]["window"])


def instants(texts):
    return pd.Series(pd.to_datetime(list(texts), utc=True, format="ISO8601")).astype("datetime64[us, UTC]")


def tables():
    """The case's log in the contracts' form; of several commits a deployment is as old as its oldest."""
    deploys, incidents = SYNTHETIC["inputs"]["deploys"], SYNTHETIC["inputs"]["incidents"]
    deployments = pd.DataFrame(
        {
            "occurred_at": instants(deploy["at"] for deploy in deploys),
            "model": "small",
            "version": [deploy["id"] for deploy in deploys],
            "kind": ["hotfix" if deploy["unplanned"] else "deploy" for deploy in deploys],
            "committed_at": instants(min(c["committed"] for c in deploy["changes"]) for deploy in deploys),
        }
    )
    found = pd.DataFrame(
        {
            "incident_id": [incident["id"] for incident in incidents],
            "opened_at": instants(incident["detected"] for incident in incidents),
            "resolved_at": instants(incident["restored"] for incident in incidents),
            "model": "small",
            "severity": "major",
            "caused_by": [incident["deploy"] for incident in incidents],
        }
    )
    return {"deployments": deployments, "incidents": found}


def measure(tmp_path, found, *, as_of=LATER, **options):
    root = write_workspace(tmp_path, *make_events(requests=50)).workspace.root
    with (root / "toolkit.toml").open("a") as settings:
        for name, frame in found.items():
            frame.to_parquet(root / "data" / f"{name}.parquet", index=False)
            settings.write(f'\n[tables.{name}]\npath = "data/{name}.parquet"\n')
    return delivery(open_source(open_workspace(root)), window=WINDOW, as_of=as_of, **options)


def test_the_reference_log(tmp_path):
    result, expected = measure(tmp_path, tables()), SYNTHETIC["expected"]
    values = {key: estimate.value for key, estimate in result.estimates.items()}
    assert (result.deployments, result.failed, result.unresolved) == (expected["deployments"], 2, 0)
    assert values["deployment_frequency"] == pytest.approx(expected["per_week"])
    assert values["change_fail_rate"] == pytest.approx(expected["change_fail_rate"])
    assert values["rework_rate"] == pytest.approx(expected["rework_rate"])
    assert values["recovery_time"] * 60 == pytest.approx(expected["recovery_median_min"])
    assert result.text == "10 deployments in 2026-01-05 … 2026-03-01; 2 of them caused an incident."


def test_the_reference_lead_time_is_that_of_every_change():
    deploys = SYNTHETIC["inputs"]["deploys"]
    hours = [
        (pd.Timestamp(deploy["at"]) - pd.Timestamp(change["committed"])).total_seconds() / 3600
        for deploy in deploys
        for change in deploy["changes"]
    ]
    assert stats.median_duration(hours).value == SYNTHETIC["expected"]["lead_time_median_h"]


@pytest.mark.parametrize("case", ["dora-cfr-devlake", "dora-cfr-zero"])
def test_the_reference_rates_count_failed_deployments_not_incidents(case):
    inputs, expected = CASES[case]["inputs"], CASES[case]["expected"]
    rate = stats.proportion(inputs["failed_deployments"], inputs["deployments"])
    assert rate.value == pytest.approx(expected["right"])
    assert (rate.ci_lower, rate.ci_upper) == pytest.approx(expected["wilson95"], abs=1e-9)


def test_an_incident_that_became_known_or_over_later_is_not_so_yet(tmp_path):
    found = tables()
    found["incidents"].loc[2, "opened_at"] = pd.Timestamp("2026-03-05", tz="UTC")
    early = measure(tmp_path, found, as_of=datetime(2026, 1, 7, 13, tzinfo=UTC))
    assert (early.failed, early.unresolved) == (1, 1)
    assert early.estimates["recovery_time"].reason == "1 of 1 are not finished"
    assert early.text.endswith("1 of them caused an incident, 1 of them not over yet.")


def test_of_several_deployments_that_a_cause_names_it_is_the_latest_before(tmp_path):
    found = tables()
    found["incidents"] = (
        found["incidents"]
        .head(1)
        .assign(
            caused_by="deploy",
            opened_at=pd.Timestamp("2026-01-13", tz="UTC"),
            resolved_at=pd.Timestamp("2026-01-14", tz="UTC"),
        )
    )
    result = measure(tmp_path, found)
    assert result.failed == 1
    assert result.estimates["recovery_time"].value == 38.0  # from d4, 2026-01-12 10:00


def test_other_models_do_not_count(tmp_path):
    found = tables()
    found["deployments"].loc[0, "model"] = "other"
    assert measure(tmp_path / "one", found, model="other").deployments == 1
    assert measure(tmp_path / "all", found).deployments == 10


def test_what_is_not_known_is_absent_with_its_reason(tmp_path):
    nothing = measure(tmp_path / "0", {})
    assert nothing.text == "Delivery is absent: the workspace has no table of deployments."
    assert {row.status for row in nothing.to_rows()} == {"absent"}
    found = tables()
    alone = measure(tmp_path / "1", {"deployments": found["deployments"].drop(columns="committed_at")})
    reasons = {key: estimate.reason for key, estimate in alone.estimates.items() if estimate.value is None}
    assert reasons == {
        "change_lead_time": "no deployment says when its commit was made",
        "change_fail_rate": "the workspace has no table of incidents",
        "recovery_time": "the workspace has no table of incidents",
    }
    assert alone.text.endswith("an unknown number of them caused an incident.")
    silent = measure(tmp_path / "2", found | {"incidents": found["incidents"].drop(columns="caused_by")})
    assert silent.estimates["change_fail_rate"].reason == "incidents do not say what caused them"


def test_a_deployment_before_its_commit_has_no_lead_time(tmp_path):
    found = tables()
    found["deployments"].loc[3, "committed_at"] += pd.Timedelta(days=60)
    reason = measure(tmp_path, found).estimates["change_lead_time"].reason
    assert reason == "1 deployments come before their commit"


def test_people_see_value_interval_and_convention(tmp_path):
    table = measure(tmp_path, tables()).to_table()
    fail_rate = next(line for line in table if line["metric"] == "Change fail rate")
    assert fail_rate["value"] == "20 %"
    assert fail_rate["convention"] == "deployments with at least one incident / deployments"
