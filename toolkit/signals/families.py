"""What a metric's deviation is about: where its cause would lie, and the columns that it reads."""

from __future__ import annotations

from toolkit.data import LABEL
from toolkit.metrics import MetricDefinition
from toolkit.signals.signal import Family

_FAMILIES: dict[str, Family] = {"loss": "model", "quality": "model", "operation": "service", "input": "inputs"}


def metric_family(metric: MetricDefinition) -> Family:
    """Where the cause of a metric's deviation would lie, by its role; what came in is of the labels where it is one."""
    return "labels" if metric.role == "input" and list(metric.columns()) == [LABEL] else _FAMILIES[metric.role]


def metric_columns(metric: MetricDefinition) -> tuple[str, ...]:
    """The columns of predictions that a metric reads, SQL scalars apart."""
    return tuple(name for name in metric.columns() if name.isidentifier() and name != LABEL)
