"""Whether an experiment's data can be trusted: checks made before any effect is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.digests import assign_variant
from toolkit.display import format_number
from toolkit.experiments.statement import SAMPLE_UNITS
from toolkit.experiments.units import Units
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

MISPLACED_UNITS = 0.01
"""Share of units in the wrong place (double exposed, or not assigned by the plan's hash) above which nothing is
concluded. Whatever such units are like, they move a mean by at most this share of their distance from the others."""

MISSERVED_REQUESTS = 0.001
"""Share of requests by the wrong version, or served before their exposure was logged, above which nothing is concluded.
Stricter than for units: routing and logging are the team's own code, and where they fail they fail for a kind of
request, not at random."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name: what is checked. variant: of which variant, or "" for all.
    passed: None for information.
    hard: whether a failure withholds the verdict.
    observed, expected: the value that decides and the bound it is held against; `observed` None: nothing to check.
    text: the finding in one sentence.
    estimate: the observed value with its interval, where it has one.
    """

    name: str
    passed: bool | None
    hard: bool
    observed: float | None
    expected: str
    text: str
    variant: str = ""
    estimate: stats.Estimate | None = None

    @property
    def outcome(self) -> str:
        """`passed`, `failed`, or `for information`."""
        return "for information" if self.passed is None else "passed" if self.passed else "failed"


@dataclass(frozen=True)
class Checks(Shown):
    """The checks of one experiment, in the order in which an experiment goes wrong."""

    experiment: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The hard checks that failed: with any of them no verdict is given."""
        return tuple(check for check in self.checks if check.hard and check.passed is False)

    @property
    def text(self) -> str:
        """What failed, or that nothing did."""
        decided = sum(check.passed is not None for check in self.checks)
        if not self.failed:
            return f"All {decided} checks passed: the data can be read."
        found = " ".join(check.text for check in self.failed)
        return f"{len(self.failed)} of {decided} checks failed, so no effect below should be believed. {found}"

    def to_rows(self) -> Sequence[ResultRow]:
        """Three rows per check: its outcome, with the finding as reason; what was observed; what was expected."""
        rows = []
        for check in self.checks:
            where: dict[str, Any] = {"key": check.name, "segment": f"variant={check.variant}" if check.variant else ""}
            if check.estimate:
                observed = estimate_row(check.estimate, statistic="observed", **where)
            else:
                observed = number_row(check.observed, check.text, statistic="observed", **where)
            rows += [
                ResultRow(statistic="outcome", value=check.outcome, reason=check.text, **where),
                observed,
                ResultRow(statistic="expected", value=check.expected, **where),
            ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per check."""
        return [
            {
                "check": check.name.replace("_", " ") + (f", {check.variant}" if check.variant else ""),
                "outcome": check.outcome,
                "finding": check.text,
                "expected": check.expected,
            }
            for check in self.checks
        ]


def check(plan: ExperimentPlan, units: Units) -> Checks:
    """Hold what was measured against the plan.

    Hard checks, which withhold the verdict: the sample ratio, double exposure, unplanned variants, assignment,
    late exposure, exposures without a served request, the serving version, and label maturity. The rest informs.
    """
    found = [
        _sample_ratio(plan, units),
        _double_exposure(units),
        _unplanned_variants(units),
        _assignment(plan, units),
        *(_unserved(plan, units, treatment) for treatment in plan.treatments),
        _late_exposure(plan, units),
        _wrong_version(units),
        *(_label_maturity(plan, units, variant) for variant in (plan.control, *plan.treatments)),
        *(_label_difference(plan, units, treatment) for treatment in plan.treatments),
        *([_unclustered(units)] if plan.cluster else []),
    ]
    return Checks(plan.key, tuple(found))


def _sample_ratio(plan: ExperimentPlan, units: Units) -> Check:
    counts = [units.arrivals[variant].exposed for variant in plan.variants]
    ratio = stats.sample_ratio(counts, list(plan.weights.values()))
    seen = " : ".join(f"{count:,}" for count in counts)
    planned = " : ".join(str(weight) for weight in plan.weights.values())
    names = " : ".join(plan.variants)
    expected = f"p of at least {plan.sample_ratio_alpha:g}"
    if ratio.p_value is None:
        return Check("sample_ratio", False, True, None, expected, f"The sample ratio is unknown: {ratio.reason}.")
    passed = ratio.p_value >= plan.sample_ratio_alpha
    verb = "agree with" if passed else "do not agree with"
    text = (
        f"{seen} units ({names}) {verb} the planned {planned}: p = {ratio.p_value:.3g} ({ratio.method}), "
        f"largest deviation {_percent(ratio.largest_deviation)} of all units."
    )
    return Check("sample_ratio", passed, True, ratio.p_value, expected, text)


def _double_exposure(units: Units) -> Check:
    share = stats.proportion(units.double_exposed, units.exposed)
    text = (
        f"{units.double_exposed:,} of {units.exposed:,} exposed units were seen in more than one variant "
        f"({_with_interval(share)}); they are left out."
    )
    return _bounded("double_exposure", share, MISPLACED_UNITS, text)


def _unplanned_variants(units: Units) -> Check:
    share = stats.proportion(units.unplanned, units.exposed)
    text = f"{units.unplanned:,} of {units.exposed:,} exposed units were in a variant that the plan does not have."
    return Check("unplanned_variants", units.unplanned == 0, True, share.value, "none", text, estimate=share)


def _assignment(plan: ExperimentPlan, units: Units) -> Check:
    rule = plan.assignment
    wrong = sum(
        assign_variant(unit, plan.weights, key=rule.key, name=rule.hash, version=rule.version) != variant
        for unit, variant in units.sample
    )
    size = len(units.sample)
    share = stats.proportion(wrong, size)
    text = (
        f"{wrong:,} of {size:,} recomputed assignments ({rule.hash} {rule.version}, key {rule.key!r}) disagree with "
        f"the exposures; a sample of at most {SAMPLE_UNITS:,} units by the MD5 of their ids."
    )
    return _bounded("assignment", share, MISPLACED_UNITS, text)


def _unserved(plan: ExperimentPlan, units: Units, treatment: str) -> Check:
    """Units that were exposed and have no request: harmless where it is chance, a selection where it is the variant."""
    control, treated = units.arrivals[plan.control], units.arrivals[treatment]
    gap = stats.difference_of_proportions(
        control.exposed - control.served, control.exposed, treated.exposed - treated.served, treated.exposed
    )
    expected = f"the same in both variants (p of at least {plan.sample_ratio_alpha:g})"
    shares = (
        f"{control.exposed - control.served:,} of {control.exposed:,} units exposed to {plan.control} and "
        f"{treated.exposed - treated.served:,} of {treated.exposed:,} exposed to {treatment} have no served request "
        f"at or after their exposure"
    )
    if gap.value is None:
        return Check("unserved", False, True, None, expected, f"{shares}: {gap.reason}.", treatment)
    if gap.p_value is None:  # all have one, or none has: the variants do not differ
        return Check("unserved", True, True, gap.value, expected, f"{shares}.", treatment, gap)
    passed = gap.p_value >= plan.sample_ratio_alpha
    text = f"{shares} (p = {gap.p_value:.3g}); such units have no part in the effects."
    return Check("unserved", passed, True, gap.value, expected, text, treatment, gap)


def _late_exposure(plan: ExperimentPlan, units: Units) -> Check:
    """A treatment's own version can only have served a unit before its exposure if the exposure was logged late."""
    base = plan.variants[plan.control].version
    telling = [units.arrivals[name] for name in plan.treatments if plan.variants[name].version != base]
    early = sum(counts.early for counts in telling)
    requests = early + sum(counts.requests for counts in telling)
    share = stats.proportion(early, requests)
    text = (
        f"{early:,} of {requests:,} requests in the treatments were served by the variant's own version before the "
        f"unit's exposure was logged; they are not counted."
    )
    return _bounded("late_exposure", share, MISSERVED_REQUESTS, text, nothing_is_fine=True)


def _wrong_version(units: Units) -> Check:
    wrong = sum(counts.other_version for counts in units.arrivals.values())
    requests = sum(counts.requests for counts in units.arrivals.values())
    by_variant = ", ".join(f"{variant} {counts.other_version:,}" for variant, counts in units.arrivals.items())
    share = stats.proportion(wrong, requests)
    text = (
        f"{wrong:,} of {requests:,} served requests were answered by another version than their variant's "
        f"({by_variant}); they are not counted."
    )
    return _bounded("wrong_version", share, MISSERVED_REQUESTS, text)


def _label_maturity(plan: ExperimentPlan, units: Units, variant: str) -> Check:
    counts = units.arrivals[variant]
    share = stats.proportion(counts.labelled, counts.answered)
    text = (
        f"{counts.labelled:,} of {counts.answered:,} answered requests of {variant} have a label "
        f"({_with_interval(share)})."
    )
    bound = plan.label_maturity.minimum_share
    passed = share.value is not None and share.value >= bound
    expected = f"at least {_percent(bound)}"
    return Check("label_maturity", passed, True, share.value, expected, text, variant, share)


def _label_difference(plan: ExperimentPlan, units: Units, treatment: str) -> Check:
    control, treated = units.arrivals[plan.control], units.arrivals[treatment]
    gap = stats.difference_of_proportions(control.labelled, control.answered, treated.labelled, treated.answered)
    if gap.value is None:
        text = f"The shares of labelled requests cannot be compared: {gap.reason}."
    elif gap.value == 0:
        text = f"The same share of answered requests has a label in {treatment} and {plan.control}."
    else:
        points = f"{abs(100 * gap.value):.2g} percentage points {'higher' if gap.value > 0 else 'lower'}"
        text = (
            f"The share of answered requests with a label is {points} in {treatment} than in {plan.control} "
            f"(p {_p_value(gap.p_value)})."
        )
    return Check("label_share_difference", None, False, gap.value, "for information", text, treatment, gap)


def _unclustered(units: Units) -> Check:
    alone = sum(counts.unclustered for counts in units.arrivals.values())
    counted = sum(counts.requests - counts.other_version for counts in units.arrivals.values())
    share = stats.proportion(alone, counted)
    text = f"{alone:,} of {counted:,} requests have no cluster; the unit of each stands as a cluster of its own."
    return Check("unclustered", None, False, share.value, "for information", text, estimate=share)


def _bounded(name: str, share: stats.Estimate, bound: float, text: str, *, nothing_is_fine: bool = False) -> Check:
    """A hard check that a share is at most `bound`; without observations it fails, unless that proves nothing."""
    passed = nothing_is_fine if share.value is None else share.value <= bound
    return Check(name, passed, True, share.value, f"at most {_percent(bound)}", text, estimate=share)


def _percent(value: float | None) -> str:
    return format_number("value_share", value)


def _p_value(value: float | None) -> str:
    text = format_number("p_value", value)
    return text if text.startswith("<") else f"= {text}"


def _with_interval(share: stats.Estimate) -> str:
    if share.value is None or share.ci_lower is None or share.ci_upper is None:
        return share.reason
    return f"{_percent(share.value)}, 95 % interval {_percent(share.ci_lower)} to {_percent(share.ci_upper)}"
