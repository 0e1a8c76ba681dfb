"""An effect: one metric in one treatment against the control, and the words that follow from its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.experiments.changes import format_change, format_change_interval, p_text, signed_change
from toolkit.records import ResultRow, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.plans import Role

Outcome = Literal["better", "worse", "changed", "unclear", "absent"]
Margin = Literal["within", "beyond", "unclear"]
Size = Literal["reached", "missed", "unclear"]
Direction = Literal["increase", "decrease", "toward_zero", "none"]

_SURE = 0.999
_NEXT_TO_NOTHING = 1e-3
"""The share of the smallest effect worth having below which an expected loss is not worth a number."""


class View(NamedTuple):
    """The same effect seen in another way; it is shown beside the effect and decides nothing.

    Attributes
    ----------
    name: `unadjusted` or `winsorized`. note: what is to be known about it, such as the cap; or "".
    """

    name: str
    difference: stats.Estimate
    lift: stats.Estimate
    note: str = ""


@dataclass(frozen=True)
class Effect:
    """One metric in one treatment against the control.

    Attributes
    ----------
    control_mean, treatment_mean: over requests, in the metric's unit (of a quantile metric the quantiles); None where
        the variant has none that count.
    difference: treatment - control. lift: the same as a share of the control mean's size (Fieller's interval).
    margin: what the metric is held against, in its unit: of a guardrail, of a data-quality metric, and of a primary
        that has only to be no worse; None for others.
    smallest: the smallest effect that is worth having, in the metric's unit; None: nobody said.
    segment, value: the group that it is about; "" for everyone. why: why that group is watched.
    basis: what `difference` and `lift` are: `unadjusted`, or `adjusted` for the plan's covariates.
    adjustment: what adjusting did, in words; or "".
    p_value: of the test of no effect at this look alone; where the look has a reach of its own, that one decides.
    p_adjusted: Holm's p among the secondary metrics of the treatment; None for other roles.
    level: the treatment's own mean with its interval, for what is held against a budget.
    groups: units or clusters of the control and of the treatment that have a value; None of a quantile.
    views: the same effect unadjusted, and with its largest values capped; they decide nothing.
    belief: what a stated prior and the estimate make of it together; it decides nothing. None without a better side.
    """

    metric: str
    name: str
    role: Role
    treatment: str
    control: str
    unit: str
    direction: Direction
    control_mean: float | None
    treatment_mean: float | None
    difference: stats.Estimate
    lift: stats.Estimate
    margin: float | None = None
    smallest: float | None = None
    segment: str = ""
    value: str = ""
    why: str = ""
    basis: Literal["unadjusted", "adjusted"] = "unadjusted"
    adjustment: str = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    level: stats.Estimate | None = None
    groups: tuple[int, int] | None = None
    views: tuple[View, ...] = ()
    belief: stats.Posterior | None = None

    @property
    def comparison(self) -> str:
        """What is subtracted from what."""
        return f"{self.treatment} - {self.control}"

    @property
    def where(self) -> str:
        """The group as `segment=value`; "" for everyone."""
        return f"{self.segment}={self.value}" if self.segment else ""

    @property
    def label(self) -> str:
        """The metric's name, with the group that it is about."""
        return f"{self.name}, {self.where}" if self.segment else self.name

    @property
    def sign(self) -> Literal[1, -1] | None:
        """1 where more is better, -1 where less is; None where the metric has no sides, or goes over zero."""
        if self.direction in {"increase", "decrease"}:
            return 1 if self.direction == "increase" else -1
        means = self.control_mean, self.treatment_mean
        if self.direction == "none" or means[0] is None or means[1] is None or means[0] * means[1] <= 0:
            return None
        return -1 if means[0] > 0 else 1

    @property
    def outcome(self) -> Outcome:
        """`better` or `worse` where the whole interval lies on that side, `changed` where the metric has no sides."""
        if self.difference.value is None:
            return "absent"
        if not self.difference.excludes_zero:
            return "unclear"
        if self.sign is None:
            return "changed"
        return "better" if self.sign * self.difference.value > 0 else "worse"

    @property
    def practical(self) -> Size | None:
        """Whether the estimate is an improvement of at least `smallest`.

        `reached`: it is. `missed`: it is not, and the interval holds no such improvement. `unclear`: it is not, and the
        interval does. None where there is nothing to hold against it.
        """
        value = self.difference.value
        if self.smallest is None or self.sign is None or value is None:
            return None
        if self.sign * value >= self.smallest:
            return "reached"
        ends = self.difference.ci_lower, self.difference.ci_upper
        most = None if ends[0] is None or ends[1] is None else max(self.sign * end for end in ends if end is not None)
        return "missed" if most is not None and most < self.smallest else "unclear"

    @property
    def bound(self) -> float | None:
        """The end of the difference's interval on the metric's bad side: how much worse it may be, at alpha / 2."""
        return self.difference.ci_lower if self.direction == "increase" else self.difference.ci_upper

    @property
    def against_margin(self) -> Margin | None:
        """Whether the interval lies within the margin, wholly beyond it, or across it.

        Of a data-quality metric both sides are held against it (equivalence), of others the bad one (non-inferiority).
        """
        if self.margin is None:
            return None
        lower, upper = self.difference.ci_lower, self.difference.ci_upper
        if lower is None or upper is None:
            return "unclear"
        least_harm, most_harm = (-upper, -lower) if self.direction == "increase" else (lower, upper)
        if self.role == "data_quality":
            least_harm, most_harm = max(lower, -upper), max(-lower, upper)
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
    def rel_smallest(self) -> float | None:
        """The smallest effect worth having as a share of the control mean's size, without sign."""
        if self.smallest is None or not self.control_mean:
            return None
        return self.smallest / abs(self.control_mean)

    @property
    def word(self) -> str:
        """The finding in a few words: against its margin where it has one, else with its practical size."""
        if self.against_margin is not None and self.difference.value is not None:
            words = {"within": "within its margin", "beyond": "beyond its margin", "unclear": "unclear"}
            return words[self.against_margin]
        if self.smallest is None or self.difference.value is None:
            return self.outcome
        if self.outcome in {"better", "worse", "changed"}:
            return self.outcome + (" but small" if abs(self.difference.value) < self.smallest else "")
        ends = self.difference.ci_lower, self.difference.ci_upper
        small = all(end is not None and abs(end) < self.smallest for end in ends)
        return "too small to matter" if small else self.outcome

    def text(self, confidence: float) -> str:
        """The effect in one sentence; of the primary metric also what stands beside it, which rows say of all."""
        head = f"{self.label} ({self.role.replace('_', ' ')})"
        if self.difference.value is None:
            return f"{head} is absent: {self.difference.reason}."
        ends = [format_number("mean", mean, unit=self.unit) for mean in (self.control_mean, self.treatment_mean)]
        by = "by an adjusted" if self.basis == "adjusted" else "by"
        change = f"{head} went from {ends[0]} to {ends[1]}{_unit(self.unit)}, {by} {self._shown(self.difference.value)}"
        details = []
        if self.difference.ci_lower is None:
            details.append(self.difference.reason)
        else:
            lower, upper = self.difference.ci_lower, self.difference.ci_upper
            details.append(f"{100 * confidence:g} % interval {format_change_interval(lower, upper, self.unit)}")
        if self.lift.value is not None:
            details.append(f"lift {format_number('rel_lift', self.lift.value)}")
        if self.difference.p_value is not None:
            details.append(f"p {p_text(self.difference.p_value)}")
        if self.p_adjusted is not None and self.p_adjusted != self.p_value:
            details.append(f"Holm's p {p_text(self.p_adjusted)}")
        if self.margin is not None:
            details.append(f"margin {format_change(self.margin, self.unit)}")
        elif self.smallest is not None and self.word != self.outcome:
            details.append(f"smallest effect worth having {format_change(self.smallest, self.unit)}")
        beside = self._beside() if self.role == "primary" and not self.segment else []
        return " ".join([f"{change} ({'; '.join(details)}): {self.word}.", *beside])

    def _beside(self) -> list[str]:
        """What the views and the belief say, a sentence each."""
        adjusted = "It is adjusted" if self.basis == "adjusted" else "It"
        found = [f"{adjusted} {self.adjustment}."] if self.adjustment else []
        for view in self.views:
            note = f" ({view.note})" if view.note else ""
            if view.difference.value is None:
                found.append(f"{view.name.capitalize()}{note} it is absent: {view.difference.reason}.")
                continue
            interval = format_change_interval(view.difference.ci_lower, view.difference.ci_upper, self.unit)
            found.append(f"{view.name.capitalize()}{note} it is {self._shown(view.difference.value)}, {interval}.")
        return [*found, *self._believed()]

    def _believed(self) -> list[str]:
        """What is believed, in a sentence."""
        if self.belief is None or self.belief.probability_better is None or self.belief.loss_if_shipped is None:
            return []
        better = self.belief.probability_better
        chance = "more than 99.9 %" if better > _SURE else format_number("chance_share", better)
        small = self.belief.loss_if_shipped < _NEXT_TO_NOTHING * (self.smallest or 0.0)
        loss = "next to nothing" if small else format_change(self.belief.loss_if_shipped, self.unit)
        found = f"it is better with a probability of {chance}, and shipping it is expected to lose {loss}"
        return [f"With a prior that is {self.belief.prior}, {found}."]

    def _shown(self, value: float) -> str:
        return signed_change(value, self.unit)

    def rows(self) -> list[ResultRow]:
        """The effect's rows: both means, difference, lift, words, what it is held against, and what stands beside."""
        where: dict[str, Any] = {"key": self.metric, "comparison": self.comparison, "segment": self.where}
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
        if self.practical is not None:
            rows += [
                ResultRow(statistic="smallest_effect", value=self.smallest, unit=self.unit, **where),
                ResultRow(statistic="practical", value=self.practical, **where),
            ]
        return [*rows, *self._rows_beside(where)]

    def _rows_beside(self, where: dict[str, Any]) -> list[ResultRow]:
        rows = []
        if self.p_adjusted is not None:
            rows.append(ResultRow(statistic="holm_p_value", value=self.p_adjusted, **where))
        if self.adjustment:
            rows.append(ResultRow(statistic="basis", value=self.basis, reason=self.adjustment, **where))
        for view in self.views:
            rows += [
                estimate_row(view.difference, statistic=f"difference_{view.name}", unit=self.unit, **where),
                estimate_row(view.lift, statistic=f"rel_lift_{view.name}", **where),
            ]
        if self.belief is not None:
            prior = f"normal likelihood; prior {self.belief.prior}"
            for name in ("probability_better", "loss_if_shipped"):
                value: float | None = getattr(self.belief, name)
                unit = self.unit if name == "loss_if_shipped" else ""
                rows.append(number_row(value, self.belief.reason, statistic=name, unit=unit, method=prior, **where))
        return rows


def _unit(unit: str) -> str:
    # Shares, ms and days carry their unit in the number.
    return f" {unit}" if unit and unit not in {"share", "ms", "days"} else ""
