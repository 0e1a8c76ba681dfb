"""Experiments: the plan, the one query that measures it, its health, its effects, and the verdict of its rule."""

from toolkit.experiments.health import Check, Checks, check
from toolkit.experiments.plans import ExperimentPlan, load
from toolkit.experiments.readout import Effect, Readout, analyze
from toolkit.experiments.units import Arrivals, Pair, Side, Units, measure
from toolkit.experiments.verdict import Judgement, Verdict, judge

__all__ = [
    "Arrivals",
    "Check",
    "Checks",
    "Effect",
    "ExperimentPlan",
    "Judgement",
    "Pair",
    "Readout",
    "Side",
    "Units",
    "Verdict",
    "analyze",
    "check",
    "judge",
    "load",
    "measure",
]
