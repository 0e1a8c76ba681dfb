"""Metrics of every kind that is a sum, measured by each engine: the same numbers as DuckDB over Parquet gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from engine_events import MODEL
from pyarrow import parquet

from toolkit.data import Source, open_source
from toolkit.metrics import KINDS, Cells, Population, RatioKind, TimeKind, load_metrics, measure
from toolkit.windows import Window
from toolkit.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = "name: M, description: d, owner: Ada, direction: none, practical_threshold: 1, role: input"
PARAMETERS = {
    "proportion": "column: latency_ms > 12",
    "mean": "column: cost",
    "ratio": "numerator: cost, denominator: stops",
    "rate": "column: stops, per: hour",
    "confusion": "cell: false_positive",
    "near_threshold_share": "within: 0.2",
    "pinball": "q: 0.3",
    "share_over_budget": "budget_ms: 15",
    "null_share": "column: stops",
}
SEGMENTS = """\
segments:
  speed: {column: latency_ms, edges: [8, 12.5]}
  kind: {expression: "case when region = 'Nord' then 'north' when length(region) > 2 then 'other' end"}
"""
SETTINGS = """\
schema_version = 2
name = "expected"

[tables.predictions]
path = "predictions.parquet"
columns = { occurred_at = "created" }
expressions = { latency_ms = "latency_s * 1000" }

[tables.outcomes]
path = "outcomes.parquet"
"""
POPULATIONS = (
    Population("all", None, Window.of("2026-03-28", "2026-03-31"), served_only=False),
    Population("served", "1", Window.of("2026-03-28", "2026-03-30"), served_only=True),
)


def kinds() -> dict[str, str]:
    """Every kind that is a sum, some with a filter too; a prediction is what these events do not have."""
    family = [name for name, kind in KINDS.items() if issubclass(kind, RatioKind | TimeKind)]
    own = {name: f"kind: {name}, {PARAMETERS.get(name, '')}".rstrip(", ") for name in family}
    own = {name: text for name, text in own.items() if name not in {"mae", "rmse", "bias", "pinball"}}
    some = {f"{name}_some": f"{own[name]}, filter: not error and cost * 2 > stops" for name in ("brier", "f1", "rate")}
    return own | some


def cells_of(workspace: Workspace, source: Source) -> Cells:
    lines = [f"  {key}: {{{WORDS}, {own}}}\n" for key, own in kinds().items()]
    (workspace.root / "metrics.yml").write_text(SEGMENTS + "metrics:\n" + "".join(lines), encoding="utf-8")
    metrics = load_metrics(workspace)
    as_of = datetime(2026, 4, 1, tzinfo=UTC)
    segments = ["region", "speed", "kind"]
    return measure(source, MODEL, metrics, POPULATIONS, as_of=as_of, segments=segments)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, event_tables: tuple[pa.Table, pa.Table]) -> Cells:
    """What DuckDB finds in Parquet, which `tests/metrics` holds against scikit-learn and pandas."""
    root = tmp_path_factory.mktemp("expected")
    for name, table in zip(("predictions", "outcomes"), event_tables, strict=True):
        parquet.write_table(table, root / f"{name}.parquet")
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    workspace = open_workspace(root)
    return cells_of(workspace, open_source(workspace))


def test_every_kind_is_the_same_on_every_engine(engine: Any, expected: Cells) -> None:
    found = cells_of(engine.workspace, engine.source()).frame
    wanted = expected.frame
    keys = ["population", "segment", "segment_value", "day"]
    assert sorted(found[keys].itertuples(index=False)) == sorted(wanted[keys].itertuples(index=False))
    found, wanted = found.set_index(keys).sort_index(), wanted.set_index(keys).sort_index()
    assert list(found.columns) == list(wanted.columns)
    for column in wanted.columns:
        assert found[column].astype(float).tolist() == pytest.approx(
            wanted[column].astype(float).tolist(), rel=1e-9, abs=1e-12
        ), column


def test_estimates_are_there_for_every_kind(expected: Cells) -> None:
    for key in kinds():
        assert expected.estimate(key, "all").status == "ok", key
