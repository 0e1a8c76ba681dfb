"""Metrics: what each means, what it needs from the data, and one merged query for all of them."""

from toolkit.metrics.cells import Cells
from toolkit.metrics.definitions import KINDS, load_metrics, load_segments
from toolkit.metrics.delivery import REWORK_KINDS, Delivery, delivery
from toolkit.metrics.health import ChannelHealth, channel_health
from toolkit.metrics.hourly import HourlyCounts, count_by_hour
from toolkit.metrics.kinds import MetricDefinition, Parts, RankKind, RatioKind, Scalar, TimeKind, number, truth
from toolkit.metrics.label_arrival import LabelArrival, label_arrival
from toolkit.metrics.maturity import LabelMaturity, label_maturity
from toolkit.metrics.moment_table import MomentTable, Needs, moments_digest
from toolkit.metrics.moments import collect_moments, kept_moments
from toolkit.metrics.monitoring import FeatureCoverage, feature_coverage
from toolkit.metrics.objectives import ObjectiveDefinition, Target, load_objectives
from toolkit.metrics.query import SCORE_BIN, SCORE_BINS, Population, measure
from toolkit.metrics.segments import SegmentDefinition
from toolkit.metrics.unit_sums import unit_days

__all__ = [
    "KINDS",
    "REWORK_KINDS",
    "SCORE_BIN",
    "SCORE_BINS",
    "Cells",
    "ChannelHealth",
    "Delivery",
    "FeatureCoverage",
    "HourlyCounts",
    "LabelArrival",
    "LabelMaturity",
    "MetricDefinition",
    "MomentTable",
    "Needs",
    "ObjectiveDefinition",
    "Parts",
    "Population",
    "RankKind",
    "RatioKind",
    "Scalar",
    "SegmentDefinition",
    "Target",
    "TimeKind",
    "channel_health",
    "collect_moments",
    "count_by_hour",
    "delivery",
    "feature_coverage",
    "kept_moments",
    "label_arrival",
    "label_maturity",
    "load_metrics",
    "load_objectives",
    "load_segments",
    "measure",
    "moments_digest",
    "number",
    "truth",
    "unit_days",
]
