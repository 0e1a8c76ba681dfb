from __future__ import annotations

import pytest

from toolkit.data import load_model
from toolkit.errors import UnknownNameError
from toolkit.metrics import feature_coverage, load_metrics
from toolkit.workspace import open_workspace


@pytest.fixture
def watched(small, tmp_path):
    import shutil

    root = shutil.copytree(small.workspace.root, tmp_path / "watched")
    model = (root / "models/small.yml").read_text()
    features = "features:\n" + "".join(
        f"  - {{name: {name}, description: d, owner: Ada, freshness: now}}\n" for name in ("temp_f", "carrier", "hour")
    )
    model = model.replace("    features: []", "    features: [temp_f, carrier, hour]")
    (root / "models/small.yml").write_text(model.replace("versions:", features + "versions:"))
    return open_workspace(root)


def test_a_feature_is_watched_when_a_metric_is_made_of_it(watched):
    coverage = feature_coverage(load_model(watched, "small"), load_metrics(watched), version="1")
    assert coverage.watched_by == {"temp_f": ("temperature",), "carrier": (), "hour": ()}
    assert coverage.share == pytest.approx(1 / 3)
    assert coverage.text == "1 of 3 features of version 1 are watched by a metric; not: carrier, hour."
    assert coverage.to_rows()[0].value == pytest.approx(1 / 3)
    assert coverage.to_table()[1] == {"feature": "carrier", "watched_by": "nothing"}


def test_a_filter_does_not_watch(watched):
    text = (watched.root / "metrics.yml").read_text()
    (watched.root / "metrics.yml").write_text(text.replace("column: temp_f", "column: latency_ms, filter: temp_f > 50"))
    coverage = feature_coverage(load_model(watched, "small"), load_metrics(watched), version="1")
    assert coverage.watched_by["temp_f"] == ()


def test_a_version_without_features_has_no_share(small):
    coverage = feature_coverage(load_model(small.workspace, "small"), load_metrics(small.workspace), version="1")
    assert coverage.share is None
    assert coverage.text == "Version 1 of small names no features."
    assert coverage.to_rows()[0].status == "absent"


def test_an_unknown_version_is_named(small):
    with pytest.raises(UnknownNameError, match="unknown version of model small '2'"):
        feature_coverage(load_model(small.workspace, "small"), load_metrics(small.workspace), version="2")
