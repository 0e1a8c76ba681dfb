"""Where it worked: the effect in every segment that the plan fixed in advance, and whether it differs between them.

A segment that stands out among twenty is what chance looks like. So the question comes first whether the effects differ
at all (Cochran's Q), p-values of single segments are Holm's, and a segment that was not in the plan has no say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.display import Picture, format_number
from toolkit.experiments.changes import format_change, format_change_interval, p_text, signed_change
from toolkit.experiments.effects import Effect
from toolkit.experiments.estimates import ONLY_WHOLE, Comparison
from toolkit.experiments.segment_forest import draw_segments
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

FEWEST_GROUPS = 30
"""Units or clusters that a variant needs in a segment: with fewer an interval says nothing, and few people are told
apart by what happened to them."""

MOST_VALUES = 100
"""Values of a segment that are read: the largest. A column with more of them is an identity, and no segment."""

_NO_SEGMENTS = "The plan fixed no segments in advance, so none is shown: one that is looked for afterwards is found."


@dataclass(frozen=True)
class SegmentEffect:
    """One metric's effect in one value of a segment.

    Attributes
    ----------
    effect: with `segment` and `value`; absent, with the reason, where the segment is too small.
    versus_rest: the effect here less the pooled effect of the other segments; absent where there is none.
    p_adjusted: Holm's p of the effect among the values of the segment.
    rest_p_adjusted: Holm's p of `versus_rest` among them.
    is_apart: whether that p says that the effect differs from that of the rest.
    """

    effect: Effect
    versus_rest: stats.Estimate
    p_adjusted: float | None = None
    rest_p_adjusted: float | None = None
    is_apart: bool = False

    @property
    def groups(self) -> tuple[int, int]:
        """Units or clusters in the control and in the treatment."""
        return self.effect.groups or (0, 0)


@dataclass(frozen=True)
class SegmentTest:
    """One metric over the values of one segment, in one treatment.

    Attributes
    ----------
    overall: the effect over everyone. found: its effects, in the order of the values.
    differs: Cochran's Q test that the effect is the same everywhere, with I².
    left_out: how many values there are beyond the `MOST_VALUES` largest.
    """

    overall: Effect
    segment: str
    found: tuple[SegmentEffect, ...]
    differs: stats.Heterogeneity
    alpha: float
    left_out: int = 0

    @property
    def evident(self) -> bool:
        """Whether there is evidence that the effect differs between the values."""
        return self.differs.p_value is not None and self.differs.p_value < self.alpha

    @property
    def small(self) -> tuple[SegmentEffect, ...]:
        """The values that are too small to be read."""
        return tuple(each for each in self.found if min(each.groups) < FEWEST_GROUPS)

    @property
    def apart(self) -> tuple[SegmentEffect, ...]:
        """The values whose effect differs from that of the rest, by Holm's p."""
        return tuple(each for each in self.found if each.is_apart)

    @property
    def words(self) -> str:
        """Q, its p-value and I² in a few words, or why there is no test."""
        if self.differs.p_value is None:
            return f"no test: {self.differs.reason}"
        share = format_number("i_squared_share", self.differs.i_squared)
        return f"Q = {self.differs.q:.3g} on {self.differs.df}, p {p_text(self.differs.p_value)}, I² {share}"

    @property
    def text(self) -> str:
        """Whether the effect differs between the values, in a sentence or two."""
        head = f"{self.overall.name} by {self.segment}"
        parts = []
        if self.differs.p_value is None:
            parts.append(f"{head}: whether the effect differs cannot be said; {self.words}.")
        elif not self.evident:
            parts.append(f"{head}: no evidence that the effect differs ({self.words}).")
        else:
            parts.append(f"{head}: the effect differs ({self.words}); {self._extremes()}.")
        if self.apart:
            named = ", ".join(
                f"{each.effect.value} by {signed_change(each.versus_rest.value or 0.0, self.overall.unit)}"
                for each in self.apart
            )
            parts.append(f"Apart from the rest: {named}.")
        harmed = [each for each in self.found if _harmed(each.effect)]
        if harmed:
            named = ", ".join(f"{each.effect.value} ({each.effect.word})" for each in harmed)
            parts.append(f"Look at {named}.")
        if self.small and self.overall.role == "primary":
            named = ", ".join(each.effect.value for each in self.small)
            parts.append(f"Too small to be read: {named}.")
        if self.left_out and self.overall.role == "primary":
            parts.append(f"Only the {MOST_VALUES} largest of {len(self.found) + self.left_out:,} values were read.")
        return " ".join(parts)

    def _extremes(self) -> str:
        read = sorted(
            (each.effect for each in self.found if each.effect.difference.value is not None),
            key=lambda effect: effect.difference.value or 0.0,
        )
        ends = [f"{effect.value} {signed_change(effect.difference.value or 0.0, effect.unit)}" for effect in read]
        return f"from {ends[0]} to {ends[-1]}"


@dataclass(frozen=True)
class SegmentEffects(Shown):
    """The effects in the segments that the plan fixed: primary metric and guardrails, by treatment.

    `whole` names the metrics that cannot be split: quantiles.
    """

    experiment: str
    confidence: float
    tests: tuple[SegmentTest, ...]
    whole: tuple[str, ...] = ()

    nothing_to_draw = _NO_SEGMENTS

    @property
    def effects(self) -> tuple[SegmentEffect, ...]:
        """Every effect, in the order of metrics, segments and values."""
        return tuple(found for test in self.tests for found in test.found)

    @property
    def _several(self) -> bool:
        return len({test.overall.treatment for test in self.tests}) > 1

    def of(self, treatment: str) -> tuple[SegmentTest, ...]:
        """The tests of one treatment."""
        return tuple(test for test in self.tests if test.overall.treatment == treatment)

    @property
    def text(self) -> str:
        """Whether effects differ, metric by metric."""
        if not self.tests and not self.whole:
            return _NO_SEGMENTS
        parts = []
        for treatment in dict.fromkeys(test.overall.treatment for test in self.tests):
            if self._several:
                parts.append(f"{treatment} against {self.tests[0].overall.control}:")
            parts += [test.text for test in self.of(treatment)]
        parts.append(
            f"Segments were fixed in the plan; intervals are {100 * self.confidence:g} % each, p-values are Holm's "
            "over the values of a segment. The table leaves out guardrails whose effect differs nowhere."
        )
        if self.whole:
            parts.append(f"Not split: {', '.join(self.whole)}; {ONLY_WHOLE}.")
        return " ".join(parts)

    def to_pictures(self) -> Sequence[Picture]:
        """A forest of the primary metric's effect by segment for each treatment."""
        primary = [test for test in self.tests if test.overall.role == "primary" and test.found]
        treatments = dict.fromkeys(test.overall.treatment for test in primary)
        return tuple(
            draw_segments(
                [test for test in primary if test.overall.treatment == treatment],
                confidence=self.confidence,
                name=f"segments-{treatment}" if self._several else "segments",
            )
            for treatment in treatments
        )

    def to_rows(self) -> Sequence[ResultRow]:
        """Per metric and segment the test; per value the effect, its word, Holm's p and the contrast with the rest."""
        return [row for test in self.tests for row in _rows(test)]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per value of a segment: of the primary metric, and of guardrails whose effect differs or harms."""
        return [
            _line(found, several=self._several)
            for test in self.tests
            if test.overall.role == "primary" or test.evident or any(_harmed(each.effect) for each in test.found)
            for found in test.found
        ]


def segment_effects(plan: ExperimentPlan, units: Units, looks: Looks | None = None) -> SegmentEffects:
    """The effect on the primary metric and the guardrails in every value of the plan's segments.

    Per metric and segment: Cochran's Q and I² (`stats.heterogeneity`), Holm's p over the values, and each value against
    the pooled effect of the others. A value with fewer than `FEWEST_GROUPS` units (clusters) in a variant is absent
    with its reason and has no part in the tests. Units are of one segment each; where clusters lie in several the tests
    take them for independent, which is exact only if the cluster's dependence stays within a segment.

    Parameters
    ----------
    looks: what may be read now; None: the first look that the plan allows.
    """
    comparison = Comparison.of(plan, units, looks)
    tests: list[SegmentTest] = []
    whole: list[str] = []
    for treatment in plan.treatments:
        for metric in plan.metrics:
            if plan.role(metric) not in {"primary", "guardrail"}:
                continue
            overall = comparison.effect(metric, treatment)
            if overall.groups is not None:
                tests += [_test(comparison, overall, segment) for segment in plan.segments]
            elif overall.name not in whole:
                whole.append(overall.name)
    return SegmentEffects(plan.key, comparison.confidence, tuple(tests), tuple(whole) if plan.segments else ())


def _test(comparison: Comparison, overall: Effect, segment: str) -> SegmentTest:
    values, left_out = _largest(comparison, overall.treatment, segment)
    measured = [_measure(comparison, overall, segment, value) for value in values]
    differences = [effect.difference for effect in measured]
    rest = stats.against_the_rest(differences, confidence=comparison.confidence)
    adjusted = stats.adjust_p([effect.p_value for effect in measured], "holm")
    rest_adjusted = stats.adjust_p([each.p_value for each in rest], "holm")
    alpha = 1 - comparison.confidence
    found = tuple(
        SegmentEffect(effect, against, p, rest_p, rest_p is not None and rest_p < alpha)
        for effect, against, p, rest_p in zip(measured, rest, adjusted, rest_adjusted, strict=True)
    )
    return SegmentTest(overall, segment, found, stats.heterogeneity(differences), alpha, left_out)


def _largest(comparison: Comparison, treatment: str, segment: str) -> tuple[Sequence[str], int]:
    """The values of a segment in their order, and how many smaller ones are left out."""
    values = comparison.units.segment_values(segment)
    if len(values) <= MOST_VALUES:
        return values, 0
    sizes = {value: comparison.exposed(treatment, segment=segment, value=value) for value in values}
    kept = sorted(values, key=lambda value: (-sizes[value], value))[:MOST_VALUES]
    return sorted(kept), len(values) - MOST_VALUES


def _measure(comparison: Comparison, overall: Effect, segment: str, value: str) -> Effect:
    effect = comparison.effect(overall.metric, overall.treatment, segment=segment, value=value)
    groups = effect.groups or (0, 0)
    if min(groups) >= FEWEST_GROUPS:
        return effect
    found = f"too few {comparison.group_word}s: {groups[0]} and {groups[1]}"
    reason = f"{found}, a segment needs {FEWEST_GROUPS} in each variant"
    absent = stats.Estimate.absent(reason, n=effect.difference.n, method=effect.difference.method)
    return replace(
        effect,
        difference=absent,
        lift=absent,
        control_mean=None,
        treatment_mean=None,
        adjustment="",
        p_value=None,
        views=(),
        belief=None,
    )


def _harmed(effect: Effect) -> bool:
    return effect.against_margin == "beyond" or (effect.margin is None and effect.outcome == "worse")


def _rows(test: SegmentTest) -> list[ResultRow]:
    metric, unit = test.overall.metric, test.overall.unit
    on: dict[str, Any] = {"key": metric, "comparison": test.overall.comparison}
    differs = test.differs
    whole: dict[str, Any] = {**on, "segment": test.segment, "method": differs.method}
    rows = [
        number_row(differs.q, differs.reason, statistic="heterogeneity_q", p_value=differs.p_value, **whole),
        number_row(differs.i_squared, differs.reason, statistic="i_squared_share", **whole),
        ResultRow(statistic="differs", value="evident" if test.evident else "no evidence", **whole),
    ]
    for found in test.found:
        where = {**on, "segment": found.effect.where}
        rows += [
            estimate_row(found.effect.difference, statistic="difference", unit=unit, **where),
            estimate_row(found.effect.lift, statistic="rel_lift", **where),
            ResultRow(statistic="finding", value=found.effect.word, **where),
            number_row(found.p_adjusted, found.effect.difference.reason, statistic="holm_p_value", **where),
            estimate_row(found.versus_rest, statistic="difference_to_rest", unit=unit, **where),
            number_row(found.rest_p_adjusted, found.versus_rest.reason, statistic="rest_holm_p_value", **where),
        ]
    return rows


def _line(found: SegmentEffect, *, several: bool) -> dict[str, Value]:
    effect, difference, rest = found.effect, found.effect.difference, found.versus_rest
    return {
        "metric": effect.name,
        **({"comparison": effect.comparison} if several else {}),
        "segment": effect.where,
        "finding": effect.word if difference.value is not None else difference.reason.partition(":")[0],
        "difference": format_change(difference.value, effect.unit),
        "interval": format_change_interval(difference.ci_lower, difference.ci_upper, effect.unit),
        "holm_p_value": found.p_adjusted,
        "against_the_rest": format_change(rest.value, effect.unit),
        "rest_holm_p_value": found.rest_p_adjusted,
        "control_groups": found.groups[0],
        "treatment_groups": found.groups[1],
    }
