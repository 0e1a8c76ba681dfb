"""Reviews: a period looked back upon, from what was measured and recorded; nothing is judged but by stated targets."""

from toolkit.reviews.actions import Action, Actions, list_actions
from toolkit.reviews.facts import Deployments, Incidents, list_deployments, list_incidents
from toolkit.reviews.moves import MetricMoves, compare_metrics
from toolkit.reviews.period import PREVIOUS, REVIEWED, PeriodReview, measure_period
from toolkit.reviews.periods import ReviewPeriod, parse_period
from toolkit.reviews.record import Experiments, Publications, list_experiments, list_reports
from toolkit.reviews.splits import Splits, split_changes
from toolkit.reviews.targets import ObjectiveReadings, judge_objectives

__all__ = [
    "PREVIOUS",
    "REVIEWED",
    "Action",
    "Actions",
    "Deployments",
    "Experiments",
    "Incidents",
    "MetricMoves",
    "ObjectiveReadings",
    "PeriodReview",
    "Publications",
    "ReviewPeriod",
    "Splits",
    "compare_metrics",
    "judge_objectives",
    "list_actions",
    "list_deployments",
    "list_experiments",
    "list_incidents",
    "list_reports",
    "measure_period",
    "parse_period",
    "split_changes",
]
