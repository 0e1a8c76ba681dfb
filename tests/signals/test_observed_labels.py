"""What an observation says of labels that are missing, not due yet, or weighted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from metrics.delayed_labels import lay, make_delayed

from toolkit.errors import ArgumentError
from toolkit.signals import CURRENT, metric_changes, observe


def look(root: Path, outcomes: Any = lambda labels: labels, *, as_of: str = "2013-05-01", **options: Any) -> Any:
    predictions, labels = make_delayed(requests=6000, positive_days=1, negative_days=1)
    small, source, model = lay(root, predictions, outcomes(labels))
    return observe(small.workspace, source, model, as_of=as_of, **{"window_days": 28} | options)


def test_labels_that_are_there_are_not_spoken_of(tmp_path: Path) -> None:
    seen = look(tmp_path)
    assert "rovisional" not in seen.text
    rows = {row.statistic: row for row in seen.to_rows() if row.key == CURRENT}
    assert rows["labels"].value == "as expected"
    assert rows["expected_labelled_share"].value == pytest.approx(1.0, abs=0.01)
    assert "weighting" not in rows


def test_missing_labels_make_metrics_provisional(tmp_path: Path) -> None:
    seen = look(tmp_path, lambda labels: labels[(labels["observed_at"] < "2013-04-01") | (labels.index % 5 > 0)])
    assert seen.text.endswith(" Provisional: labels of 99.7 % expected, 80 % there.")
    (row,) = [row for row in seen.to_rows() if row.statistic == "labels"]
    assert row.value == "provisional: labels of 99.7 % expected, 80 % there"


def test_labels_that_stopped_make_metrics_provisional_from_their_last_day_on(tmp_path: Path) -> None:
    seen = look(tmp_path, lambda labels: labels[labels["observed_at"] < "2013-04-21"])
    assert seen.labels.verdict == "stopped"
    assert seen.text.endswith("there; since 2013-04-21 fewer than half of those due arrived.")


def test_weighted_early_labels_reach_to_the_last_whole_day(tmp_path: Path) -> None:
    seen = look(tmp_path, as_of="2013-05-01T12:00Z", weighting="maturity")
    assert (seen.window.label, seen.as_of) == ("2013-04-03 … 2013-04-30", datetime(2013, 5, 1, 12, tzinfo=UTC))
    assert f" {seen.early.text[0].upper()}{seen.early.text[1:]}." in seen.text
    assert seen.cells.estimate("brier", CURRENT).method == "mean, day clusters, early labels weighted by maturity"
    assert seen.cells.estimate("latency", CURRENT).method == "mean, day clusters"
    (row,) = [row for row in seen.to_rows() if row.statistic == "weighting"]
    assert row.value == seen.early.text
    assert metric_changes(seen).changes


def test_another_weighting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        look(tmp_path, weighting="maturty")
    assert str(caught.value) == "weighting == 'maturty', must be one of: '', 'maturity'"
