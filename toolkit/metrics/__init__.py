"""Metrics: what each means, what it needs from the data, and one merged query for all of them."""

from toolkit.metrics.cells import Cells
from toolkit.metrics.definitions import MetricDefinition, load_metrics
from toolkit.metrics.needs import columns_needed, row_value
from toolkit.metrics.objectives import ObjectiveDefinition, Target, load_objectives
from toolkit.metrics.query import SCORE_BIN, SCORE_BINS, Population, measure

__all__ = [
    "SCORE_BIN",
    "SCORE_BINS",
    "Cells",
    "MetricDefinition",
    "ObjectiveDefinition",
    "Population",
    "Target",
    "columns_needed",
    "load_metrics",
    "load_objectives",
    "measure",
    "row_value",
]
