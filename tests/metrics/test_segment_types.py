"""Segments of whole numbers, booleans, dates and gaps: their cells are named by texts, as pandas counts them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import metrics_text
from sklearn.metrics import roc_auc_score

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics import Population, load_metrics, measure
from toolkit.windows import Window

POPULATION = Population("all", None, Window.of("2013-03-01", "2013-05-01"), served_only=False)
TEXTS = {
    "stops": lambda column: column.astype("string"),
    "member": lambda column: column.astype("string").str.lower(),
    "booked_on": lambda column: column.map(lambda day: None if day is None else day.isoformat()),
    "named": lambda column: column,
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    predictions, outcomes = make_events(requests=1500)
    rng = np.random.default_rng(3)
    gaps = rng.random(len(predictions)) < 0.2
    days = predictions["occurred_at"].dt.date.where(predictions["occurred_at"].dt.day < 4, None)
    predictions = predictions.assign(
        stops=pd.array(np.where(gaps, 0, rng.integers(-1, 3, len(predictions))), dtype="Int64"),
        member=pd.array(rng.random(len(predictions)) < 0.5, dtype="boolean"),
        booked_on=days.astype(object),
        named=rng.choice(np.array(["missing", "true", None], dtype=object), len(predictions)),
    )
    predictions.loc[gaps, "stops"] = pd.NA
    predictions.loc[gaps, "member"] = pd.NA
    small = write_workspace(tmp_path_factory.mktemp("types"), predictions, outcomes)
    metrics = small.workspace.root / "metrics.yml"
    p90 = metrics_text({"p90": "kind: quantile, column: latency_ms, q: 0.9"}).removeprefix("metrics:\n")
    metrics.write_text(metrics.read_text(encoding="utf-8") + p90, encoding="utf-8")
    cells = measure(
        open_source(small.workspace),
        load_model(small.workspace, "small"),
        load_metrics(small.workspace),
        (POPULATION,),
        as_of=datetime(2014, 1, 1, tzinfo=UTC),
        segments=list(TEXTS),
    )
    return cells, predictions.merge(outcomes, on="request_id", how="left")


@pytest.mark.parametrize("segment", TEXTS)
def test_values_are_texts_and_what_has_none_is_missing(told, segment):
    cells, rows = told
    texts = TEXTS[segment](rows[segment]).astype(object).fillna("missing")
    frame = cells.frame[cells.frame["segment"] == segment]
    assert frame.groupby("segment_value")["requests"].sum().to_dict() == texts.value_counts().to_dict()
    assert frame["day"].isin(rows["occurred_at"].dt.strftime("%Y-%m-%d")).all()
    assert not frame.duplicated(["segment_value", "day"]).any()


@pytest.mark.parametrize("segment", TEXTS)
def test_what_needs_order_knows_the_same_values(told, segment):
    cells, rows = told
    texts = TEXTS[segment](rows[segment]).astype(object).fillna("missing")
    for value, part in rows.assign(text=texts).dropna(subset=["label", "score"]).groupby("text"):
        exact = roc_auc_score(part["label"], part["score"])
        assert cells.estimate("auc", "all", segment=segment, value=value).value == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("segment", TEXTS)
def test_quantiles_are_those_of_the_same_values(told, segment):
    cells, rows = told
    texts = TEXTS[segment](rows[segment]).astype(object).fillna("missing")
    for value, part in rows.assign(text=texts).dropna(subset=["latency_ms"]).groupby("text"):
        found = cells.estimate("p90", "all", segment=segment, value=value)
        assert (found.n, found.value) == (len(part), pytest.approx(part["latency_ms"].quantile(0.9), rel=1e-12))
