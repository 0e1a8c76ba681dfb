"""Sums by score and by prediction: the same in every engine as pandas has; and pairs of versions, of which none is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from engine_events import AS_OF, FIRST, MODEL

from toolkit.metrics import Population
from toolkit.metrics.prediction_cells import collect_prediction_cells
from toolkit.metrics.score_cells import BIN_WIDTH, BINS, collect_score_cells
from toolkit.metrics.version_pairs import version_pairs
from toolkit.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

WINDOW = Window(FIRST.to_pydatetime(), AS_OF.to_pydatetime())
SERVED = [Population("all", None, WINDOW, served_only=True)]


def scored(tables: tuple[pa.Table, pa.Table]) -> pd.DataFrame:
    """The served answers that have a score, with the last label known."""
    rows, outcomes = (table.to_pandas() for table in tables)
    rows = rows[rows["served"] & ~rows["error"] & rows["score"].notna()]
    labels = outcomes[outcomes["observed_at"] <= AS_OF].sort_values("observed_at").groupby("request_id")["label"].last()
    return rows.assign(label=rows["request_id"].map(labels))


def test_cells_of_scores(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    found = collect_score_cells(engine.source(), MODEL, SERVED, as_of=AS_OF.to_pydatetime())["all"]
    rows = scored(event_tables)
    known = rows["label"].notna()
    inside = rows["score"].between(1e-6, 1 - 1e-6)
    place = np.floor(np.log(rows["score"] / (1 - rows["score"]))[inside] / BIN_WIDTH).clip(-BINS // 2, BINS // 2 - 1)
    assert (found.requests, found.labels) == (len(rows), int(known.sum()))
    assert found.score_sum.sum() == pytest.approx(rows["score"].sum())
    assert found.label_sum.sum() == pytest.approx(rows["label"].sum())
    assert found.loss_square_sum.sum() == pytest.approx(((rows["label"] - rows["score"]) ** 4)[known].sum())
    counted = pd.Series(found.n).groupby(found.place).sum()
    expected = place.add(BINS // 2).value_counts()
    assert {code: counted.get(code, 0) for code in expected.index} == expected.to_dict()
    assert found.n[found.decided == 1].sum() == (rows["score"] >= MODEL.decision_threshold).sum()


def test_cells_of_predictions(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    found = collect_prediction_cells(engine.source(), MODEL, SERVED, as_of=AS_OF.to_pydatetime())["all"]
    rows = scored(event_tables)
    error = (rows["score"] * 1.5 - rows["label"]).dropna()
    assert found.requests == len(rows)
    assert found.labels == len(error)
    for name, value in (("error_sum", error), ("size_sum", error.abs()), ("square_sum", error**2)):
        assert getattr(found, name).sum() == pytest.approx(value.sum())


def test_pairs_of_versions_where_no_request_was_scored_twice(engine: Engine) -> None:
    assert version_pairs(engine.source(), MODEL, version="1", window=WINDOW, as_of=AS_OF.to_pydatetime()) == ()
