"""A model with two months in production, deployments, incidents, objectives and experiments."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from conftest import SETTINGS, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.reviews import PeriodReview, measure_period
from toolkit.workspace import Workspace, open_workspace

OBJECTIVES = """\
objectives:
  close:
    metric: brier
    model: small
    business_outcome: Forecasts can be relied on.
    target: {at_most: 0.1}
    owner: Grace
  fast:
    metric: latency
    model: small
    business_outcome: Nobody waits.
    target: {at_most: 20}
    owner: Ada
  honest:
    metric: calibration
    model: small
    business_outcome: Scores mean what they say.
    target: {within: 0.02}
    owner: Ada
    since: "2013-05-02"
"""

PLAN = """\
key: {key}
hypothesis: It is better.
owner: Grace
kind: ab
model: small
window: {{start: "{start}", end: "{end}"}}
unit: unit_id
analysis: plain
assignment: {{hash: flagd-fractional, version: 2, key: {key}}}
variants:
  control: {{version: "1", weight: 50}}
  treatment: {{version: "2", weight: 50}}
control: control
primary: brier
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {{days: 3, minimum_share: 0.9}}
rule: superior_and_not_inferior
"""

TABLES = """
[tables.deployments]
path = "data/deployments.parquet"

[tables.incidents]
path = "data/incidents.parquet"
"""


def instants(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts), utc=True, format="ISO8601")).astype("datetime64[us, UTC]")


def two_months() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The small events 33 days later, served from 10 April on, from May on half by version 2; a gap from 4 May on."""
    predictions, outcomes = make_events(requests=4000, gap=0.15)
    later = pd.Timedelta(days=33)
    predictions["occurred_at"] += later
    outcomes["observed_at"] += later
    in_may = predictions["occurred_at"] >= pd.Timestamp("2013-05-01", tz="UTC")
    predictions["served"] = predictions["occurred_at"] >= pd.Timestamp("2013-04-10", tz="UTC")
    predictions.loc[in_may & (predictions.index % 2 == 0), "version"] = "2"
    return predictions, outcomes


def write_review(root: Path, *, with_tables: bool = True, with_objectives: bool = True) -> Workspace:
    """A workspace whose May can be reviewed against April."""
    small = write_workspace(root, *two_months())
    model = root / "models" / "small.yml"
    text = model.read_text()
    model.write_text(text + text[text.index('  "1":') :].replace('"1"', '"2"'))
    (root / "experiments").mkdir()
    plans = {
        "ended": ("2013-05-04", "2013-05-29"),
        "past": ("2013-03-01", "2013-04-01"),
        "long": ("2013-05-20", "2013-07-01"),
    }
    for key, (start, end) in plans.items():
        (root / "experiments" / f"{key}.yml").write_text(PLAN.format(key=key, start=start, end=end))
    if with_objectives:
        (root / "objectives.yml").write_text(OBJECTIVES)
    if not with_tables:
        return small.workspace
    (root / "toolkit.toml").write_text(SETTINGS + TABLES)
    deployments = pd.DataFrame({"model": ["small", "small", "other"], "version": ["1", "2", "9"], "kind": "deploy"})
    deployments["occurred_at"] = instants("2013-04-10", "2013-05-01", "2013-05-03")
    deployments.assign(commit=[None, "abc", None]).to_parquet(root / "data" / "deployments.parquet")
    incidents = pd.DataFrame({"incident_id": ["before", "open", "late", "others"], "severity": ["minor", "major"] * 2})
    incidents["model"] = ["small", "small", "small", "other"]
    incidents["opened_at"] = instants("2013-04-30", "2013-05-12T06:00", "2013-05-20", "2013-05-12")
    incidents["resolved_at"] = instants("2013-05-02", None, "2013-07-01", None)
    incidents.assign(caused_by=["a deploy", None, None, None]).to_parquet(root / "data" / "incidents.parquet")
    return open_workspace(root)


def look(workspace: Workspace, *, period: str = "2013-05", as_of: str = "2013-06-03") -> PeriodReview:
    source = open_source(workspace)
    return measure_period(workspace, source, load_model(workspace, "small"), period=period, as_of=as_of)
