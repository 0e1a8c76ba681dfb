"""Whether an experiment's data can be trusted: checks made before any effect is read, and what probably went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.experiments.health.analysis import analysis_causes, analysis_checks
from toolkit.experiments.health.assignment import MISPLACED_UNITS, assignment_causes, assignment_checks
from toolkit.experiments.health.evidence import Evidence
from toolkit.experiments.health.exposure import MISSERVED_REQUESTS, exposure_causes, exposure_checks
from toolkit.experiments.health.findings import MOST_CAUSES, UNKNOWN, Cause, Check, Checks
from toolkit.experiments.health.interference import interference_causes, interference_checks
from toolkit.experiments.health.log_processing import log_causes, log_checks
from toolkit.experiments.telemetry import Telemetry

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

__all__ = ["MISPLACED_UNITS", "MISSERVED_REQUESTS", "Cause", "Check", "Checks", "check"]


def check(plan: ExperimentPlan, units: Units) -> Checks:
    """Hold what was measured against the plan: assignment, exposure, logs, analysis, interference.

    Hard checks withhold the verdict: the sample ratio, in all and by segment and day; assignment and balance before the
    start; double exposure, unplanned variants, exposures without a request, late exposure and the serving version;
    days, requests and columns that one variant's log lacks; label maturity and label shares, and the plan's
    data-quality metrics. The others warn or inform. What the data cannot tell is absent, with the reason.

    Of each check that does not hold the likely causes are named, most likely first, and the SQL to run next.
    """
    seen = Evidence(plan, units, units.health or Telemetry())
    found = [
        *assignment_checks(seen),
        *exposure_checks(seen),
        *log_checks(seen),
        *analysis_checks(seen),
        *interference_checks(seen),
    ]
    if all(each.passed is not False for each in found):
        return Checks(plan.key, tuple(_without_query(each) for each in found))
    causes = [
        *assignment_causes(seen),
        *exposure_causes(seen),
        *log_causes(seen),
        *analysis_causes(seen),
        *interference_causes(seen),
    ]
    return Checks(plan.key, tuple(_explained(each, causes) for each in found))


def _explained(check: Check, causes: Sequence[Cause]) -> Check:
    """A check that does not hold with its likely causes; any other without its query."""
    if check.passed is not False:
        return _without_query(check)
    speaking = [
        cause
        for cause in causes
        if check.code in cause.explains and (not check.variant or cause.variant in {"", check.variant})
    ]
    likely: dict[str, Cause] = {}
    for cause in sorted(speaking, key=lambda cause: -cause.weight):
        # A sentence may begin with a variant's name, and a sentence begins with a capital.
        likely.setdefault(cause.code, cause._replace(text=cause.text[:1].upper() + cause.text[1:]))
    return replace(check, causes=tuple(likely.values())[:MOST_CAUSES] or (UNKNOWN,))


def _without_query(check: Check) -> Check:
    """A suspicious lift asks for a second look though it does not fail."""
    return check if check.outcome == "for information" and check.observed else replace(check, query="")
