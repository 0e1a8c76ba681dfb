"""The merged query against scikit-learn and pandas on the same events: two independent methods must agree."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from conftest import write_workspace
from toolkit import stats
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.metrics import SCORE_BIN, Population, load_metrics, measure
from toolkit.windows import Window

LATER = datetime(2014, 1, 1, tzinfo=UTC)
POPULATIONS = (
    Population("reference", "1", Window.of("2013-03-01", "2013-04-01"), served_only=False),
    Population("current", "1", Window.of("2013-04-01", "2013-05-01"), served_only=True),
)


def collect(workspace, **options):
    options = {"as_of": LATER, "segments": ["carrier"]} | options
    return measure(
        open_source(workspace), load_model(workspace, "small"), load_metrics(workspace), POPULATIONS, **options
    )


@pytest.fixture(scope="module")
def cells(small):
    return collect(small.workspace)


def part(small, population, carrier=None):
    rows = small.labelled
    window = next(item.window for item in POPULATIONS if item.name == population)
    rows = rows[(rows["occurred_at"] >= window.start) & (rows["occurred_at"] < window.end)]
    return rows if carrier is None else rows[rows["carrier"] == carrier]


@pytest.mark.parametrize("population", ["reference", "current"])
@pytest.mark.parametrize("carrier", [None, "A", "B", "C"])
def test_agrees_with_scikit_learn(small, cells, population, carrier):
    rows = part(small, population, carrier)
    where = {"segment": "carrier", "value": carrier} if carrier else {}

    def value(metric):
        return cells.estimate(metric, population, **where).value

    assert value("brier") == pytest.approx(brier_score_loss(rows["label"], rows["score"]), abs=1e-12)
    assert value("log_loss") == pytest.approx(log_loss(rows["label"], rows["score"]), abs=1e-12)
    assert value("auc") == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-12)
    assert value("calibration") == pytest.approx((rows["label"] - rows["score"]).mean(), abs=1e-12)


def test_operation_metrics_count_requests_without_a_label(small, cells):
    april = small.predictions[small.predictions["served"]]
    assert cells.estimate("latency", "current").value == pytest.approx(april["latency_ms"].mean(), rel=1e-12)
    error_rate = cells.estimate("error_rate", "current")
    assert error_rate.value == pytest.approx(april["error"].mean(), abs=1e-15)
    assert error_rate.n == len(april)
    assert cells.estimate("brier", "current").n == len(part(small, "current"))


def test_interval_is_the_cluster_robust_one_with_days_as_clusters(small, cells):
    rows = part(small, "current")
    loss = (rows["label"] - rows["score"]) ** 2
    by_day = loss.groupby(rows["occurred_at"].dt.date)
    mean, totals, counts = loss.mean(), by_day.sum(), by_day.count()
    days = len(totals)
    se = np.sqrt(days / (days - 1) * ((totals - mean * counts) ** 2).sum()) / counts.sum()
    estimate = cells.estimate("brier", "current")
    assert (estimate.se, estimate.df) == (pytest.approx(se, rel=1e-9), days - 1)


def test_auc_interval_agrees_with_placements_by_hand(small, cells):
    rows = part(small, "current")
    positive, negative = rows[rows["label"] == 1], rows[rows["label"] == 0]

    def share_below(score, others):
        return ((others < score).sum() + (others == score).sum() / 2) / len(others)

    above = positive["score"].map(lambda score: share_below(score, negative["score"]))
    below = negative["score"].map(lambda score: 1 - share_below(score, positive["score"]))
    area = above.mean()
    influence = (
        ((above - area) / len(above))
        .groupby(positive["occurred_at"].dt.date)
        .sum()
        .add(((below - area) / len(below)).groupby(negative["occurred_at"].dt.date).sum(), fill_value=0)
    )
    days = rows["occurred_at"].dt.date.nunique()
    se = np.sqrt(days / (days - 1) * (influence**2).sum())
    assert cells.estimate("auc", "current").se == pytest.approx(se, rel=1e-9)


def test_auc_within_each_day(small):
    cells = collect(small.workspace, auc_within="day")
    rows = part(small, "current")
    for day, of_day in rows.groupby(rows["occurred_at"].dt.strftime("%Y-%m-%d")):
        days = cells.days("current")
        cell = days[days["day"] == day].iloc[0]
        if of_day["label"].nunique() == 2:
            exact = roc_auc_score(of_day["label"], of_day["score"])
            assert cell["auc__placement_positives"] / cell["auc__positives"] == pytest.approx(exact, abs=1e-12)


def test_days_and_segments_add_up_to_everything(cells):
    frame = cells.frame
    whole = frame[frame["segment"] == ""].set_index(["population", "day"]).sort_index()
    for split in ("carrier", SCORE_BIN):
        parts = frame[frame["segment"] == split].groupby(["population", "day"])[["labelled", "brier_sum", "requests"]]
        np.testing.assert_allclose(parts.sum(), whole[["labelled", "brier_sum", "requests"]], rtol=1e-12)


def test_excess_and_foreseen_loss_add_up_to_the_loss(cells):
    loss = cells.ratio("brier_sum", "labelled", "current").value
    excess = cells.difference_of_sums("brier_sum", "expected_brier_sum", "labelled", "current").value
    foreseen = cells.ratio("expected_brier_sum", "labelled", "current").value
    assert excess + foreseen == pytest.approx(loss, abs=1e-15)


def test_labels_unknown_at_as_of_do_not_count(small):
    as_of = datetime(2013, 4, 15, tzinfo=UTC)
    cells = collect(small.workspace, as_of=as_of)
    rows = part(small, "current")
    assert cells.total("labelled", "current") == (rows["observed_at"] <= as_of).sum()


def test_one_statement_and_the_same_cells_every_time(tmp_path, events, monkeypatch):
    from toolkit.data import Source

    workspace = write_workspace(tmp_path, *events).workspace
    measured = []
    execute = Source.execute

    def watched(self, expression, *, reading):
        if "segment_value" in expression.columns:
            measured.append(reading)
        return execute(self, expression, reading=reading)

    monkeypatch.setattr(Source, "execute", watched)
    first = collect(workspace)
    assert measured == ["predictions and outcomes"], "one merged query for all metrics, populations and segments"
    assert first.frame.equals(collect(workspace).frame)
    assert len(measured) == 1, "what was measured before is kept"


def test_certain_and_wrong_makes_log_loss_absent_with_a_reason(tmp_path, events):
    predictions, outcomes = events
    wrong = outcomes.loc[outcomes["label"] == 1, "request_id"].iloc[0]
    predictions.loc[predictions["request_id"] == wrong, "score"] = 0.0
    cells = collect(write_workspace(tmp_path, predictions, outcomes).workspace)
    estimate = cells.estimate("log_loss", "reference")
    assert (estimate.status, estimate.reason) == ("absent", "infinite: 1 requests were scored 0 or 1 and were wrong")
    assert cells.estimate("brier", "reference").status == "ok"


def test_no_labels_give_reasons(tmp_path, events):
    predictions, outcomes = events
    cells = collect(write_workspace(tmp_path, predictions, outcomes.head(0)).workspace)
    for metric in ("brier", "log_loss", "auc", "calibration"):
        estimate = cells.estimate(metric, "current")
        assert (estimate.value, estimate.status) == (None, "absent")
        assert estimate.reason
    assert cells.estimate("latency", "current").status == "ok"


def test_unknown_names(small, cells):
    with pytest.raises(UnknownNameError, match="unknown metric 'brie'.*Did you mean 'brier'"):
        cells.estimate("brie", "current")
    with pytest.raises(UnknownNameError, match="unknown segment 'carier'.*Did you mean 'carrier'"):
        collect(small.workspace, segments=["carier"])
    with pytest.raises(ArgumentError, match="populations must have different names"):
        measure(
            open_source(small.workspace),
            load_model(small.workspace, "small"),
            load_metrics(small.workspace),
            (POPULATIONS[0], POPULATIONS[0]),
            as_of=LATER,
        )


def test_auc_of_the_cells_equals_the_reference_implementation(small, cells):
    rows = part(small, "reference")
    assert cells.estimate("auc", "reference").value == pytest.approx(
        stats.auc(rows["score"], rows["label"]).value, abs=1e-12
    )
