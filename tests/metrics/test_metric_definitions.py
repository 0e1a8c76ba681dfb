from __future__ import annotations

import pytest

from conftest import METRICS, write_workspace
from toolkit.errors import DefinitionError
from toolkit.metrics import load_metrics, row_value


@pytest.fixture
def workspace(tmp_path, events):
    predictions, outcomes = events
    return write_workspace(tmp_path, predictions.head(1), outcomes.head(1)).workspace


def error(workspace, old, new) -> str:
    (workspace.root / "metrics.yml").write_text(METRICS.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        load_metrics(workspace)
    return str(caught.value)


def test_load_keeps_the_order(workspace):
    assert list(load_metrics(workspace))[:3] == ["brier", "log_loss", "auc"]


def test_wrong_kind(workspace):
    assert error(workspace, "kind: brier", "kind: brire") == (
        "metrics.yml:2: metrics.brier.kind is 'brire'; "
        "allowed: proportion, mean, auc, log_loss, brier, calibration. Did you mean 'brier'?"
    )


def test_column_goes_with_kind(workspace):
    assert "a metric of kind mean needs a column" in error(workspace, "column: latency_ms, ", "")
    assert "a metric of kind brier takes no column" in error(workspace, "kind: brier", "kind: brier, column: score")


def test_auc_is_no_mean_of_requests(workspace):
    with pytest.raises(DefinitionError) as caught:
        row_value(load_metrics(workspace)["auc"], table=None)
    assert str(caught.value) == (
        "metric 'AUC' is of kind auc, which is no mean of requests; use brier or log_loss here"
    )
