"""All conjunctions of the same events on every engine, against pandas."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from engine_events import AS_OF, MODEL

from toolkit.metrics import Population
from toolkit.metrics.conjunctions import Coding, Conjunctions
from toolkit.metrics.query import Question
from toolkit.metrics.scored import Brier
from toolkit.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

LOSS = Brier(
    name="Brier",
    description="d",
    owner="Ada",
    kind="brier",
    direction="decrease",
    practical_threshold=0.01,
    role="loss",
)
THEN = Population("then", None, Window.of("2026-03-28", "2026-03-29"), served_only=False)
NOW = Population("now", None, Window.of("2026-03-29", "2026-03-31"), served_only=False)
CODINGS = (
    Coding("region", values=("Nord", "Süd", "it's", "")),
    Coding("stops", numbers=(0.0, 1.0)),
    Coding("cost", edges=(0.25, 0.7)),
    Coding("served", values=("true",)),
)


@pytest.fixture(scope="module")
def rows(event_tables: tuple[pa.Table, pa.Table]) -> pd.DataFrame:
    """The labelled requests with the labels of their codes, without any of the toolkit's code."""
    predictions, outcomes = (table.to_pandas() for table in event_tables)
    known = outcomes[outcomes["observed_at"] <= AS_OF].sort_values("observed_at").groupby("request_id").last()
    rows = predictions.merge(known["label"], on="request_id")
    cost, stops = rows["cost"].astype("float64"), rows["stops"].astype("float64")
    rows = rows.assign(
        loss=(rows["label"].astype("float64") - rows["score"]) ** 2,
        now=(rows["created"] >= NOW.window.start).astype(int),
        region=[("missing" if pd.isna(each) else each if each != "東京" else "other") for each in rows["region"]],
        stops=np.select([stops.isna(), stops == 0, stops == 1], ["missing", "0", "1"], "other"),
        cost=np.select([cost.isna(), cost <= 0.25, cost <= 0.7], ["missing", "up to 0.25", "0.25 to 0.7"], "above 0.7"),
        served=np.where(rows["served"], "true", "other"),
    )
    return rows[rows["loss"].notna() & (rows["created"] < NOW.window.end)]


def test_every_engine_finds_the_same_conjunctions(engine: Any, rows: pd.DataFrame) -> None:
    columns = [coding.column for coding in CODINGS]
    question = Question.of(engine.source(), MODEL, {"brier": LOSS}, (THEN, NOW), as_of=AS_OF, segments=columns)
    lattice = Conjunctions(question, CODINGS).lattice(depth=3, fewest=5)
    found = {
        frozenset((columns[at], CODINGS[at].labels[code]) for at, code in lattice.segment(place)): [
            float(part[place]) for side in (lattice.reference, lattice.current) for part in side
        ]
        for place in range(len(lattice.codes))
    }
    expected = {}
    for size in (1, 2, 3):
        for names in combinations(columns, size):
            for values, group in rows.groupby(list(names)):
                sides = [group.loc[group["now"] == now, "loss"] for now in (0, 1)]
                if min(map(len, sides)) >= 5:
                    expected[frozenset(zip(names, values, strict=True))] = [
                        float(each) for side in sides for each in (len(side), side.sum(), np.square(side).sum())
                    ]
    assert found.keys() == expected.keys()
    for key, sums in expected.items():
        assert found[key] == pytest.approx(sums, rel=1e-9)


def test_every_engine_tells_overlaps(engine: Any, rows: pd.DataFrame) -> None:
    columns = [coding.column for coding in CODINGS]
    question = Question.of(engine.source(), MODEL, {"brier": LOSS}, (THEN, NOW), as_of=AS_OF, segments=columns)
    segments = [((0, 2),), ((1, 3), (2, 0))]
    found = Conjunctions(question, CODINGS).patterns(segments)
    own = [rows["region"] == "it's", (rows["stops"] == "missing") & (rows["cost"] == "up to 0.25")]
    pattern = own[0] * 1 + own[1] * 2
    expected = rows.groupby([rows["now"], rows["created"].dt.strftime("%Y-%m-%d"), pattern])["loss"].agg(
        ["count", "sum"]
    )
    assert [tuple(line) for line in found[["population", "day", "pattern"]].itertuples(index=False)] == list(
        expected.index
    )
    assert np.allclose(found[["n", "total"]].to_numpy(dtype=float), expected.to_numpy(), rtol=1e-9)
