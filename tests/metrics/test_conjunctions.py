"""All conjunctions against pandas, one segment at a time."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS

from conftest import CURRENT_START, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError
from toolkit.metrics import conjunctions, load_metrics
from toolkit.metrics.conjunctions import FREE, MOST_PATTERNS, Coding, Conjunctions
from toolkit.metrics.query import Question

CODINGS = (
    Coding("carrier", values=("A", "B")),
    Coding("temp_f", edges=(45.0, 52.5)),
    Coding("stops", numbers=(0.0, 1.0)),
)
DAYS = [f"2013-03-{day:02d}" for day in range(1, 32, 2)] + [f"2013-04-{day:02d}" for day in range(1, 24)]


class Small:
    """A workspace with gaps in what is searched by, and its events as one frame with the codes' labels."""

    def __init__(self, root: Path) -> None:
        predictions, outcomes = make_events()
        rng = np.random.default_rng(1)
        count = len(predictions)
        predictions["stops"] = pd.array(rng.integers(0, 4, count), dtype="Int64")
        predictions.loc[rng.random(count) < 0.1, "stops"] = pd.NA
        predictions.loc[rng.random(count) < 0.1, "temp_f"] = np.nan
        predictions.loc[rng.random(count) < 0.05, "carrier"] = None
        self.workspace = write_workspace(root, predictions, outcomes).workspace
        rows = predictions.merge(outcomes, on="request_id")
        temp, stops = rows["temp_f"], rows["stops"]
        self.rows = rows.assign(
            loss=(rows["label"] - rows["score"]) ** 2,
            now=(rows["occurred_at"] >= CURRENT_START).astype(int),
            day=rows["occurred_at"].dt.strftime("%Y-%m-%d"),
            carrier=rows["carrier"].map({"A": "A", "B": "B", "C": "other"}).fillna("missing"),
            temp_f=np.select(
                [temp.isna(), temp <= 45, temp <= 52.5], ["missing", "up to 45", "45 to 52.5"], "above 52.5"
            ),
            stops=stops.map({0: "0", 1: "1"})
            .astype(object)
            .where(stops.isin([0, 1]), "other")
            .where(stops.notna(), "missing"),
        )

    def conjunctions(self, loss: str = "brier") -> Conjunctions:
        model = load_model(self.workspace, "small")
        metrics = {loss: load_metrics(self.workspace)[loss]}
        columns = [coding.column for coding in CODINGS]
        question = Question.of(
            open_source(self.workspace),
            model,
            metrics,
            POPULATIONS,
            as_of=LATER,
            segments=columns,
        )
        return Conjunctions(question, CODINGS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("conjunctions"))


def named(lattice: Any, at: int) -> dict[str, str]:
    return {CODINGS[column].column: CODINGS[column].labels[code] for column, code in lattice.segment(at)}


def by_pandas(rows: pd.DataFrame, depth: int, fewest: int) -> dict[frozenset[tuple[str, str]], list[float]]:
    """Count, sum and sum of squares then and now of every conjunction with rows enough."""
    found = {}
    for size in range(1, depth + 1):
        for columns in combinations([coding.column for coding in CODINGS], size):
            for values, group in rows.groupby(list(columns)):
                sides = [group.loc[group["now"] == now, "loss"] for now in (0, 1)]
                if min(map(len, sides)) >= fewest:
                    sums = [f(side) for side in sides for f in (len, np.sum, lambda each: np.square(each).sum())]
                    found[frozenset(zip(columns, values, strict=True))] = sums
    return found


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_conjunction_is_what_pandas_has(small: Small, depth: int) -> None:
    lattice = small.conjunctions().lattice(depth=depth, fewest=20)
    expected = by_pandas(small.rows, depth, 20)
    found = {
        frozenset(named(lattice, at).items()): [
            float(part[at]) for side in (lattice.reference, lattice.current) for part in side
        ]
        for at in range(len(lattice.codes))
    }
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for key, sums in expected.items():
        assert found[key] == pytest.approx(sums, rel=1e-12)


def test_the_whole_is_all_requests_with_a_loss(small: Small) -> None:
    lattice = small.conjunctions().lattice(depth=1, fewest=20)
    for side, now in ((lattice.whole_reference, 0), (lattice.whole_current, 1)):
        losses = small.rows.loc[small.rows["now"] == now, "loss"]
        assert [float(part[0]) for part in side] == pytest.approx([len(losses), losses.sum(), np.square(losses).sum()])


def test_some_days_only(small: Small) -> None:
    lattice = small.conjunctions().lattice(depth=1, fewest=1, days=DAYS)
    rows = small.rows[small.rows["day"].isin(DAYS)]
    assert float(lattice.whole_reference.n[0]) == (rows["now"] == 0).sum()
    expected = by_pandas(rows, 1, 1)
    assert len(lattice.codes) == len(expected)


def test_without_grouping_sets_a_union_gives_the_same(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = small.conjunctions().lattice(depth=3, fewest=20)
    monkeypatch.setattr(conjunctions, "GROUPING_SETS", ())
    union = small.conjunctions().lattice(depth=3, fewest=20)
    assert (sets.codes == union.codes).all()
    for one, other in zip(
        (*sets.reference, *sets.current, *sets.whole_current),
        (*union.reference, *union.current, *union.whole_current),
        strict=True,
    ):
        assert np.allclose(one, other, rtol=1e-12)


def test_one_query_reads_all_of_it(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = small.conjunctions()
    asked = []
    execute = type(measured.question.source).execute
    monkeypatch.setattr(
        type(measured.question.source),
        "execute",
        lambda source, expression, *, reading: asked.append(reading) or execute(source, expression, reading=reading),
    )
    measured.lattice(depth=1, fewest=20)  # the data are looked at, once
    asked.clear()
    measured.lattice(depth=3, fewest=20)
    assert asked == ["predictions and outcomes"]


def test_patterns_say_which_segments_each_request_lies_in(small: Small) -> None:
    segments = [((0, 1),), ((0, 1), (1, 2)), ((2, 3),)]
    found = small.conjunctions().patterns(segments)
    found = found.groupby(["population", "pattern"], as_index=False)[["n", "total", "square"]].sum()
    rows = small.rows
    bits = [
        rows["carrier"] == "B",
        (rows["carrier"] == "B") & (rows["temp_f"] == "above 52.5"),
        rows["stops"] == "missing",
    ]
    pattern = sum(bit.astype(int) * 2**at for at, bit in enumerate(bits))
    expected = rows.groupby([rows["now"], pattern])["loss"].agg(["count", "sum", lambda each: np.square(each).sum()])
    assert list(zip(found["population"], found["pattern"], strict=True)) == list(expected.index)
    assert np.allclose(found[["n", "total", "square"]].to_numpy(dtype=float), expected.to_numpy(), rtol=1e-12)


def test_patterns_are_told_by_day(small: Small) -> None:
    found = small.conjunctions().patterns([((0, 0),)], days=DAYS)
    rows = small.rows[small.rows["day"].isin(DAYS)]
    own = (rows["carrier"] == "A").astype(int)
    expected = rows.groupby(["now", "day", own])["loss"].agg(["count", "sum"])
    assert [tuple(line) for line in found[["population", "day", "pattern"]].itertuples(index=False)] == list(
        expected.index
    )
    assert np.allclose(found[["n", "total"]].to_numpy(dtype=float), expected.to_numpy(), rtol=1e-12)


def test_too_few_requests_make_an_empty_lattice(small: Small) -> None:
    lattice = small.conjunctions().lattice(depth=2, fewest=10**6)
    assert len(lattice.codes) == 0
    assert lattice.reference.n.size == lattice.whole_current.n.size == 0


def test_codes_are_free_where_a_conjunction_says_nothing(small: Small) -> None:
    lattice = small.conjunctions().lattice(depth=2, fewest=20)
    assert set((lattice.codes != FREE).sum(axis=1)) == {1, 2}


def test_more_segments_than_bits_are_refused(small: Small) -> None:
    with pytest.raises(ArgumentError) as caught:
        small.conjunctions().patterns([((0, 0),)] * (MOST_PATTERNS + 1))
    assert str(caught.value) == "63 segments are given, must be at most 62"


def test_a_metric_that_is_no_mean_is_refused(small: Small) -> None:
    with pytest.raises(ArgumentError) as caught:
        small.conjunctions("auc")
    assert str(caught.value) == "conjunctions are measured by one metric that is a mean over requests"
