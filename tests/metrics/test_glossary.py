"""The glossary says of each metric what its definitions say, and what others handed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import METRICS, MODEL, SETTINGS
from toolkit.errors import DefinitionError
from toolkit.metrics.glossary import MetricEntry, MetricGoal, MetricUse, PublishedValue, glossary
from toolkit.workspace import open_workspace

OBJECTIVES = """\
objectives:
  close:
    {metric: brier, model: small, business_outcome: People can rely on it., target: {at_most: 0.2}, owner: Ada}
"""
EXTRA = """\
  slow: {name: Slow, description: d, owner: Bo, kind: quantile, column: latency_ms, q: 0.95, unit: ms,
    direction: decrease, practical_threshold: 5, role: operation, filter: served, business_outcome: Nobody waits.}
  churned: {name: Churned, description: d, owner: Bo, kind: proportion, column: label, direction: none,
    practical_threshold: 0.1, role: input, maturity_days: 30}
"""


def entries(root: Path, **handed_in: object) -> dict[str, MetricEntry]:
    (root / "models").mkdir()
    for path, text in (
        ("toolkit.toml", SETTINGS),
        ("metrics.yml", METRICS + EXTRA),
        ("models/small.yml", MODEL),
        ("objectives.yml", OBJECTIVES),
    ):
        (root / path).write_text(text)
    return {entry.key: entry for entry in glossary(open_workspace(root), **handed_in)}


def test_every_metric_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = entries(tmp_path)
    assert list(found)[:3] == ["brier", "log_loss", "auc"]
    assert list(found)[-2:] == ["slow", "churned"]


def test_what_a_metric_is_for(tmp_path: Path) -> None:
    found = entries(tmp_path, uses={"brier": [MetricUse("experiment", "trial", "primary")]})
    assert found["brier"].goals == (MetricGoal("close", "small", "at most 0.2", "People can rely on it.", "Ada"),)
    assert found["brier"].uses == (MetricUse("model", "small", "the loss"), MetricUse("experiment", "trial", "primary"))
    assert found["brier"].outcomes == ("People can rely on it.",)
    assert found["slow"].outcomes == ("Nobody waits.",)
    assert found["log_loss"].uses == ()


@pytest.mark.parametrize(
    ("key", "maturity"),
    [
        ("brier", "final with its labels (small: 1 day)"),
        ("latency", "final at once"),
        ("churned", "final 30 days after the request"),
    ],
)
def test_when_a_metric_is_final(tmp_path: Path, key: str, maturity: str) -> None:
    assert entries(tmp_path)[key].maturity == maturity


def test_what_the_kind_was_given(tmp_path: Path) -> None:
    found = entries(tmp_path)
    assert found["slow"].parameters == {"column": "latency_ms", "q": "0.95"}
    assert found["brier"].parameters == {}


def test_a_published_number_in_another_unit_is_no_value_of_the_metric(tmp_path: Path) -> None:
    published = [
        PublishedValue("current", 12.0, "ms", 11.0, 13.0, "triage/small@2", "2013-05-01"),
        PublishedValue("current", 0.1, "share", None, None, "triage/small@2", "2013-05-01"),
    ]
    assert entries(tmp_path, latest={"latency": published})["latency"].latest == (published[0],)


def test_a_wrong_objective_is_an_error(tmp_path: Path) -> None:
    entries(tmp_path)
    (tmp_path / "objectives.yml").write_text(OBJECTIVES.replace("metric: brier", "metric: brire"))
    with pytest.raises(DefinitionError) as caught:
        glossary(open_workspace(tmp_path))
    assert "Did you mean 'brier'?" in str(caught.value)
