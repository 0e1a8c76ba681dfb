"""Sums of parts are the sums of the whole, whatever the parts and in whatever order the rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.metrics import KINDS, MetricDefinition, RatioKind, TimeKind
from toolkit.metrics.needs import addends, scalars_needed, sums, with_scalars

if TYPE_CHECKING:
    import pandas as pd

WORDS = {
    "name": "M",
    "description": "d",
    "owner": "Ada",
    "direction": "none",
    "practical_threshold": 1,
    "role": "input",
}
OWN: dict[str, dict[str, Any]] = {
    "proportion": {"column": "cost > 1"},
    "mean": {"column": "cost"},
    "ratio": {"numerator": "cost", "denominator": "items"},
    "rate": {"column": "cost", "per": "hour"},
    "confusion": {"cell": "false_positive"},
    "near_threshold_share": {"within": 0.2, "threshold": 0.5},
    "pinball": {"q": 0.3},
    "share_over_budget": {"budget_ms": 2},
    "null_share": {"column": "cost"},
}
METRICS: dict[str, MetricDefinition] = {
    f"{name}{suffix}": kind.model_validate(WORDS | {"kind": name} | OWN.get(name, {}) | more)
    for name, kind in KINDS.items()
    if issubclass(kind, RatioKind | TimeKind)
    for suffix, more in (("", {}), ("_filtered", {"filter": "cost > 0.5"}))
}
WHOLE_NUMBERS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "specificity",
    "confusion",
    "error_rate",
    "null_share",
    "count",
)


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_probability = st.floats(0.001, 0.999)
_row = st.fixed_dictionaries(
    {
        "score": _maybe(_probability),
        "label": _maybe(st.sampled_from([0.0, 1.0])),
        "decision": _maybe(st.booleans()),
        "prediction": _maybe(st.floats(-1e6, 1e6)),
        "cost": _maybe(st.floats(0, 1e3)),
        "items": _maybe(st.integers(0, 5)),
        "latency_ms": _maybe(st.floats(0, 4)),
        "error": st.booleans(),
        "part": st.integers(0, 3),
    }
)
_TYPES = {
    "score": "float64",
    "label": "float64",
    "decision": "boolean",
    "prediction": "float64",
    "cost": "float64",
    "items": "int64",
    "latency_ms": "float64",
    "error": "boolean",
    "part": "int64",
}


class Engine:
    """DuckDB with the sums of every metric as SQL, compiled once: by part, or over all rows."""

    def __init__(self) -> None:
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        events = with_scalars(ibis.table(_TYPES, name="events"), scalars_needed(METRICS.values()))
        added = {name: value for key, metric in METRICS.items() for name, value in addends(key, metric, events).items()}
        events = events.select("part", **added)
        found = {name: value for key in METRICS for name, value in sums(key, events).items()}
        self.by_part = str(ibis.to_sql(events.group_by("part").aggregate(**found), dialect="duckdb"))
        self.whole = str(ibis.to_sql(events.aggregate(**found), dialect="duckdb"))

    def measure(self, rows: list[dict[str, Any]], *, by_part: bool = False) -> pd.DataFrame:
        """One row per part, or one in all."""
        import pyarrow as pa

        arrow = {"float64": pa.float64(), "int64": pa.int64(), "boolean": pa.bool_()}
        table = pa.table({name: pa.array([row[name] for row in rows], arrow[kind]) for name, kind in _TYPES.items()})
        self.connection.register("events", table)
        return self.connection.execute(self.by_part if by_part else self.whole).df()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _agree(found: pd.Series, expected: pd.Series) -> None:
    for name in expected.index:
        exact = name.split("__")[0].removesuffix("_filtered") in WHOLE_NUMBERS or not name.endswith("__sum")
        scale = 0.0 if exact and not name.startswith("ratio") else 1e-12
        np.testing.assert_allclose(found[name], expected[name], rtol=scale, atol=scale * 1e6, err_msg=name)


@given(rows=st.lists(_row, min_size=1, max_size=40))
@settings(max_examples=30)
def test_parts_merge_to_the_whole_by_adding(engine: Engine, rows: list[dict[str, Any]]) -> None:
    parts = engine.measure(rows, by_part=True)
    assert set(parts["part"]) == {row["part"] for row in rows}
    _agree(parts.drop(columns="part").sum(), engine.measure(rows).iloc[0])


@given(rows=st.lists(_row, min_size=2, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_the_order_of_rows_changes_nothing(engine: Engine, rows: list[dict[str, Any]], seed: int) -> None:
    mixed = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    _agree(engine.measure(mixed).iloc[0], engine.measure(rows).iloc[0])


@given(rows=st.lists(_row, min_size=1, max_size=40))
@settings(max_examples=20)
def test_shares_lie_between_none_and_all_and_filters_only_take_away(engine: Engine, rows: list[dict[str, Any]]) -> None:
    whole = engine.measure(rows).iloc[0]
    for key, metric in METRICS.items():
        if isinstance(metric, RatioKind) and metric.is_share:
            assert 0 <= whole[f"{key}__sum"] <= whole[f"{key}__n"] <= len(rows), key
        if not key.endswith("_filtered"):
            assert whole[f"{key}_filtered__n"] <= whole[f"{key}__n"], key
    assert whole["confusion__n"] == whole["accuracy__n"]


@given(rows=st.lists(_row, min_size=1, max_size=40))
@settings(max_examples=20)
def test_no_sum_is_ever_nan(engine: Engine, rows: list[dict[str, Any]]) -> None:
    assert np.isfinite(engine.measure(rows).iloc[0].to_numpy(dtype="float64")).all()
