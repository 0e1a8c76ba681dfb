from __future__ import annotations

import pandas as pd
import pytest

from toolkit.errors import DefinitionError, UnknownNameError

METRICS = {"mean": "kind: mean, column: latency_ms", "auc": "kind: auc", "recall": "kind: recall"}
HEAD = """\
segments:
  cost_band: {description: What it cost., column: cost, edges: [0.5, 1, 2.5]}
  quarter: {column: score * 100, edges: [25, 50, 75]}
  slow: {expression: "case when latency_ms > 20 then 'slow' when latency_ms > 5 then 'usual' end"}
"""


def test_bins_hold_their_lower_edge_and_values_that_lack_are_missing(wide):
    cells = wide.measure(METRICS, head=HEAD, segments=["cost_band", "carrier"])
    rows = wide.rows()
    names = ["below 0.5", "0.5 to 1", "1 to 2.5", "2.5 and above"]
    band = pd.cut(rows["cost"], [-1, 0.5, 1, 2.5, 1e9], right=False, labels=names).astype("object").fillna("missing")
    assert set(cells.values("cost_band")) == {*names, "missing"}
    for name, of_band in rows.groupby(band):
        estimate = cells.estimate("mean", "current", segment="cost_band", value=name)
        assert (estimate.n, estimate.value) == (len(of_band), pytest.approx(of_band["latency_ms"].mean(), rel=1e-11))
    assert cells.values("carrier") == ["A", "B", "C"]


def test_an_edge_belongs_to_the_bin_above_it(write_wide):
    wide = write_wide(lambda p, o: (p.assign(cost=[0.5, 1.0, 2.5] * (len(p) // 3)), o))
    cells = wide.measure(METRICS, head=HEAD, segments=["cost_band"])
    assert cells.values("cost_band") == ["0.5 to 1", "1 to 2.5", "2.5 and above"]


def test_expressions_name_segments(wide):
    cells = wide.measure(METRICS, head=HEAD, segments=["slow"])
    rows = wide.rows()
    assert cells.values("slow") == ["missing", "slow", "usual"]
    slow = rows[rows["latency_ms"] > 20]
    assert cells.estimate("mean", "current", segment="slow", value="slow").n == len(slow)
    assert cells.total("requests", "current", segment="slow", value="missing") == (rows["latency_ms"] <= 5).sum()


def test_rank_metrics_are_measured_in_named_segments_too(wide):
    from sklearn.metrics import roc_auc_score

    cells = wide.measure(METRICS, head=HEAD, segments=["slow"])
    slow = wide.rows().query("latency_ms > 20 and label == label and score == score")
    estimate = cells.estimate("auc", "current", segment="slow", value="slow")
    assert estimate.value == pytest.approx(roc_auc_score(slow["label"], slow["score"]), abs=1e-12)


def test_segments_add_up_to_everything(wide):
    cells = wide.measure(METRICS, head=HEAD, segments=["cost_band", "quarter", "slow"])
    for segment in ("cost_band", "quarter", "slow"):
        parts = [cells.total("requests", "current", segment=segment, value=value) for value in cells.values(segment)]
        assert sum(parts) == cells.total("requests", "current")


def test_a_segment_that_is_not_there_has_its_nearest_name(wide):
    with pytest.raises(UnknownNameError, match="unknown segment 'cost_bnad'.*Did you mean 'cost_band'"):
        wide.measure(METRICS, head=HEAD, segments=["cost_bnad"])


def test_a_segment_may_not_hide_a_column(wide):
    head = "segments:\n  carrier: {expression: upper(carrier)}\n  slow: {expression: carrier}\n"
    with pytest.raises(DefinitionError) as caught:
        wide.measure(METRICS, head=head, segments=["carrier", "slow"])
    assert str(caught.value) == "metrics.yml: segment 'carrier' is a column of predictions too; give it another name"


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ("{column: cost}", "a segment is either column with edges, such as [0.2, 0.5], or an expression"),
        ("{edges: [1]}", "a segment is either column with edges, such as [0.2, 0.5], or an expression"),
        ("{}", "a segment is either column with edges, such as [0.2, 0.5], or an expression"),
        (
            "{column: cost, edges: [1], expression: carrier}",
            "a segment is either column with edges, such as [0.2, 0.5], or an expression",
        ),
        ("{column: cost, edges: [1, 3, 2]}", "edges must ascend, they are 1, 3, 2"),
        ("{column: cost, edges: [1, 1]}", "edges must ascend, they are 1, 1"),
    ],
)
def test_a_segment_is_bins_or_an_expression(wide, segment: str, message: str):
    with pytest.raises(DefinitionError, match="metrics.yml:2: segments.band is") as caught:
        wide.measure(METRICS, head=f"segments:\n  band: {segment}\n")
    assert str(caught.value).endswith(message)


def test_an_expression_of_the_wrong_type_names_the_segment(wide):
    with pytest.raises(DefinitionError) as caught:
        wide.measure(METRICS, head="segments:\n  band: {column: carrier, edges: [1]}\n", segments=["band"])
    assert str(caught.value) == "segment 'band': carrier is of type string, must be a number or a boolean"


def test_hours_of_the_day_as_the_skeleton_shows_them(wide):
    head = 'segments:\n  hour: {column: "extract(hour from occurred_at)", edges: [6, 18]}\n'
    cells = wide.measure(METRICS, head=head, segments=["hour"])
    hour = wide.rows()["occurred_at"].dt.hour
    assert cells.total("requests", "current", segment="hour", value="below 6") == (hour < 6).sum()
    assert cells.total("requests", "current", segment="hour", value="18 and above") == (hour >= 18).sum()
    assert "missing" not in cells.values("hour")
