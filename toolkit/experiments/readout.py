"""What changed: the effect of each treatment on each metric, with the words that follow from its interval.

All intervals have confidence 1 - alpha and are two-sided. A guardrail is held against its margin with the end of that
same interval on its bad side, which is a one-sided test at alpha / 2: nothing is called safe on weaker evidence than
it would be called better. The relative lift says of zero what the difference says: one null, one p-value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from toolkit import stats
from toolkit.display import Picture, format_interval, format_number
from toolkit.experiments.changes import format_change, format_change_interval
from toolkit.experiments.forest import draw_forest
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Side, Units
    from toolkit.metrics import MetricDefinition

Outcome = Literal["better", "worse", "changed", "unclear", "absent"]
Margin = Literal["within", "beyond", "unclear"]


@dataclass(frozen=True)
class Effect:
    """One metric in one treatment against the control.

    Attributes
    ----------
    control_mean, treatment_mean: over requests, in the metric's unit; None where the variant has none that count.
    difference: treatment - control. lift: the same as a share of the control mean's size (Fieller's interval).
    margin: of a guardrail, in the metric's unit; None for other roles.
    """

    metric: str
    name: str
    role: Literal["primary", "secondary", "guardrail"]
    treatment: str
    control: str
    unit: str
    direction: Literal["increase", "decrease", "toward_zero", "none"]
    control_mean: float | None
    treatment_mean: float | None
    difference: stats.Estimate
    lift: stats.Estimate
    margin: float | None = None

    @property
    def comparison(self) -> str:
        """What is subtracted from what."""
        return f"{self.treatment} - {self.control}"

    @property
    def outcome(self) -> Outcome:
        """`better` or `worse` where the whole interval lies on that side, `changed` where the metric has no sides."""
        if self.difference.value is None:
            return "absent"
        if not self.difference.excludes_zero:
            return "unclear"
        rose = self.difference.value > 0
        if self.direction in {"increase", "decrease"}:
            return "better" if rose == (self.direction == "increase") else "worse"
        means = self.control_mean, self.treatment_mean
        if self.direction == "none" or means[0] is None or means[1] is None or means[0] * means[1] <= 0:
            return "changed"  # without sides, or from one side of zero to the other
        return "better" if abs(means[1]) < abs(means[0]) else "worse"

    @property
    def bound(self) -> float | None:
        """The end of the difference's interval on the metric's bad side: how much worse it may be, at alpha / 2."""
        return self.difference.ci_lower if self.direction == "increase" else self.difference.ci_upper

    @property
    def against_margin(self) -> Margin | None:
        """Of a guardrail: whether its interval lies within the margin, wholly beyond it, or across it."""
        if self.margin is None:
            return None
        lower, upper = self.difference.ci_lower, self.difference.ci_upper
        if lower is None or upper is None:
            return "unclear"
        least_harm, most_harm = (-upper, -lower) if self.direction == "increase" else (lower, upper)
        if most_harm < self.margin:
            return "within"
        return "beyond" if least_harm > self.margin else "unclear"

    @property
    def rel_margin(self) -> float | None:
        """The margin as a lift: a share of the control mean's size, with the sign of the bad side."""
        if self.margin is None or not self.control_mean:
            return None
        return (-1 if self.direction == "increase" else 1) * self.margin / abs(self.control_mean)

    @property
    def word(self) -> str:
        """The finding in a few words."""
        if self.against_margin is None or self.difference.value is None:
            return self.outcome
        return {"within": "within its margin", "beyond": "beyond its margin", "unclear": "unclear"}[self.against_margin]

    def text(self, confidence: float) -> str:
        """The effect in one sentence."""
        head = f"{self.name} ({self.role})"
        if self.difference.value is None:
            return f"{head} is absent: {self.difference.reason}."
        ends = [format_number("mean", mean, unit=self.unit) for mean in (self.control_mean, self.treatment_mean)]
        change = f"{head} went from {ends[0]} to {ends[1]}{_unit(self.unit)}, by {self._shown(self.difference.value)}"
        details = []
        if self.difference.ci_lower is None:
            details.append(self.difference.reason)
        else:
            lower, upper = self.difference.ci_lower, self.difference.ci_upper
            details.append(f"{100 * confidence:g} % interval {format_change_interval(lower, upper, self.unit)}")
        if self.lift.value is not None:
            details.append(f"lift {format_number('rel_lift', self.lift.value)}")
        if self.difference.p_value is not None:
            p = format_number("p_value", self.difference.p_value)
            details.append(f"p {p}" if p.startswith("<") else f"p = {p}")
        if self.margin is not None:
            details.append(f"margin {format_change(self.margin, self.unit)}")
        return f"{change} ({'; '.join(details)}): {self.word}."

    def _shown(self, value: float) -> str:
        return ("+" if value > 0 else "") + format_change(value, self.unit)

    def rows(self) -> list[ResultRow]:
        """The effect's rows: both means, difference, lift, words, and of a guardrail the margin and the bound."""
        where: dict[str, Any] = {"key": self.metric, "comparison": self.comparison}
        nothing = "no requests that count"
        rows = [
            ResultRow(statistic="role", value=self.role, **where),
            number_row(self.control_mean, nothing, statistic="control_mean", unit=self.unit, **where),
            number_row(self.treatment_mean, nothing, statistic="treatment_mean", unit=self.unit, **where),
            estimate_row(self.difference, statistic="difference", unit=self.unit, **where),
            estimate_row(self.lift, statistic="rel_lift", **where),
            ResultRow(statistic="outcome", value=self.outcome, **where),
        ]
        if self.margin is not None:
            rows += [
                ResultRow(statistic="margin", value=self.margin, unit=self.unit, **where),
                number_row(self.bound, self.difference.reason, statistic="bound", unit=self.unit, **where),
                ResultRow(statistic="against_margin", value=self.against_margin, **where),
            ]
        return rows


@dataclass(frozen=True)
class Readout(Shown):
    """The effects of one experiment: by treatment, in the order of the plan's metrics."""

    experiment: str
    analysis: Literal["plain", "clustered"]
    alpha: float
    effects: tuple[Effect, ...]

    @property
    def confidence(self) -> float:
        """The confidence of every interval: 1 - alpha."""
        return 1 - self.alpha

    @property
    def treatments(self) -> tuple[str, ...]:
        """The treatments compared with the control."""
        return tuple(dict.fromkeys(effect.treatment for effect in self.effects))

    def of(self, treatment: str) -> tuple[Effect, ...]:
        """The effects of one treatment."""
        return tuple(effect for effect in self.effects if effect.treatment == treatment)

    @property
    def text(self) -> str:
        """Every effect in a sentence, and what the intervals are."""
        parts = []
        for treatment in self.treatments:
            effects = self.of(treatment)
            parts.append(f"{treatment} against {effects[0].control}:")
            parts += [effect.text(self.confidence) for effect in effects]
        kind = "clusters" if self.analysis == "clustered" else "units"
        parts.append(
            f"Intervals are two-sided over {kind}; a guardrail's bad end is held against its margin, which is a "
            f"one-sided test at {self.alpha / 2:g}."
        )
        if len(self.treatments) > 1:
            parts.append(f"Nothing is corrected for the {len(self.treatments)} comparisons.")
        return " ".join(parts)

    def to_pictures(self) -> Sequence[Picture]:
        """A forest plot of the relative lifts, which put every metric on one axis."""
        return (draw_forest(self),)

    def to_rows(self) -> Sequence[ResultRow]:
        """The rows of every effect."""
        return [row for effect in self.effects for row in effect.rows()]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per metric and treatment."""
        lines = []
        for effect in self.effects:
            difference, lift, unit = effect.difference, effect.lift, effect.unit
            lines.append(
                {
                    "metric": effect.name,
                    "role": effect.role,
                    "comparison": effect.comparison,
                    "control": format_number("mean", effect.control_mean, unit=unit),
                    "treatment": format_number("mean", effect.treatment_mean, unit=unit),
                    "difference": format_change(difference.value, unit),
                    "interval": format_change_interval(difference.ci_lower, difference.ci_upper, unit),
                    "unit": unit,
                    "rel_lift": lift.value,
                    "lift_interval": lift_interval(lift),
                    "p_value": difference.p_value,
                    "finding": effect.word,
                    "note": difference.reason or lift.reason,
                }
            )
        return lines


def analyze(plan: ExperimentPlan, units: Units) -> Readout:
    """The effect of each treatment on each metric of the plan, by the plan's analysis.

    `plain`: Welch's test over units, each unit's requests together (Deng, Knoblich & Lu 2018); with one request per
    unit it is the difference of means. `clustered`: the cluster sandwich (Liang & Zeger 1986), where a cluster may
    have requests in both variants. The relative lift has Fieller's interval. What could not be estimated is absent,
    with its reason.
    """
    effects = []
    for treatment in plan.treatments:
        for metric in plan.metrics:
            definition = units.metrics[metric]
            difference, lift = _estimates(plan, units, metric, treatment)
            effects.append(
                Effect(
                    metric=metric,
                    name=definition.name,
                    role=plan.role(metric),
                    treatment=treatment,
                    control=plan.control,
                    unit=definition.unit,
                    direction=definition.direction,
                    control_mean=units.sides[metric, plan.control].mean,
                    treatment_mean=units.sides[metric, treatment].mean,
                    difference=difference,
                    lift=lift,
                    margin=plan.margin(metric),
                )
            )
    return Readout(plan.key, plan.analysis, plan.alpha, tuple(effects))


def lift_interval(lift: stats.Estimate) -> str:
    """The interval of a lift as text; `unbounded` where Fieller's has no ends."""
    if lift.value is not None and lift.ci_lower is None and lift.reason.startswith("unbounded"):
        return "unbounded"
    return format_interval("rel_lift", lift.ci_lower, lift.ci_upper)


def _estimates(
    plan: ExperimentPlan, units: Units, metric: str, treatment: str
) -> tuple[stats.Estimate, stats.Estimate]:
    control, treated = units.sides[metric, plan.control], units.sides[metric, treatment]
    infinite = control.infinite + treated.infinite
    if infinite:
        reason = f"infinite: {infinite:,} requests were scored 0 or 1 and were wrong"
        absent = stats.Estimate.absent(reason, n=control.requests + treated.requests, method=plan.analysis)
        return absent, absent
    if _never_varies(units.metrics[metric], control, treated):
        return _constant_proportions(plan, control, treated), _plain(stats.relative_lift, plan, control, treated)
    if plan.analysis == "plain":
        return _plain(stats.welch, plan, control, treated), _plain(stats.relative_lift, plan, control, treated)
    pair = units.pairs[metric, treatment]
    sizes: dict[str, Any] = {
        "n0": control.requests,
        "n1": treated.requests,
        "mean0": control.mean,
        "mean1": treated.mean,
        "clusters": pair.groups,
        "confidence": plan.confidence,
    }
    return (
        stats.clustered_difference(**sizes, influence_square_sum=pair.square_sum),
        stats.clustered_relative_lift(
            **sizes,
            square_sum0=control.square_sum,
            square_sum1=treated.square_sum,
            product_sum=pair.product_sum,
        ),
    )


def _plain(method: Any, plan: ExperimentPlan, control: Side, treated: Side) -> stats.Estimate:
    """A two-sample method over units, each unit's value linearised to mean + (sum - mean · n) / (requests per unit)."""
    estimate: stats.Estimate = method(
        control.groups,
        control.mean,
        _unit_variance(control),
        treated.groups,
        treated.mean,
        _unit_variance(treated),
        confidence=plan.confidence,
    )
    return estimate


def _unit_variance(side: Side) -> float | None:
    """The sample variance of the linearised unit values."""
    if side.groups < 2 or side.square_sum is None:
        return None
    return side.square_sum * side.groups * side.groups / (side.groups - 1)


def _never_varies(metric: MetricDefinition, control: Side, treated: Side) -> bool:
    ends = control, treated
    return metric.is_share and all(side.square_sum == 0 and side.mean in {0.0, 1.0} for side in ends)


def _constant_proportions(plan: ExperimentPlan, control: Side, treated: Side) -> stats.Estimate:
    """A share that is 0 or 1 throughout each variant varies nowhere, and yet its score interval is known.

    Each unit or cluster counts as a single observation, which can only make the interval wider.
    """
    kind = "cluster" if plan.analysis == "clustered" else "unit"
    estimate = stats.difference_of_proportions(
        control.groups if control.mean else 0,
        control.groups,
        treated.groups if treated.mean else 0,
        treated.groups,
        confidence=plan.confidence,
    )
    return estimate._replace(method=f"{estimate.method}, one observation per {kind}")


def _unit(unit: str) -> str:
    # Shares, ms and days carry their unit in the number.
    return f" {unit}" if unit and unit not in {"share", "ms", "days"} else ""
