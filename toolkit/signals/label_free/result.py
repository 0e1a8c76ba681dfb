"""What is said of days without labels: numbers with their panel, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import Picture, format_interval, format_number, picture
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.label_free.assumptions import Assumption
from toolkit.signals.label_free.basis import Basis, Quantity
from toolkit.signals.label_free.pictures import draw_performance
from toolkit.signals.label_free.trials import Trial
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window


@dataclass(frozen=True)
class EstimatedQuantity:
    """One number: what is expected of the answers, what a few labels make of it, and what the reference period had.

    Attributes
    ----------
    threshold: the practical threshold of the workspace's metric of this kind; None without one.
    p_adjusted: of the change against the reference, over all the numbers.
    """

    quantity: Quantity
    estimated: stats.Estimate
    powered: stats.Estimate
    reference: stats.Estimate
    threshold: float | None
    p_adjusted: float | None = None

    @property
    def by_labels(self) -> bool:
        """Whether labels of the window itself speak."""
        return self.powered.ci_lower is not None

    @property
    def published(self) -> stats.Estimate:
        """The better of the two: by labels where there are enough."""
        return self.powered if self.by_labels else self.estimated

    @cached_property
    def change(self) -> stats.Estimate:
        """Published minus reference."""
        return stats.difference(self.reference, self.published)

    @property
    def is_worse(self) -> bool:
        """Whether it is evidently worse than in the reference period, and by its practical threshold."""
        change, sign = self.change, {"up": -1.0, "down": 1.0, "": 0.0}[self.quantity.better]
        if change.value is None or self.threshold is None or self.p_adjusted is None:
            return False
        return self.p_adjusted <= EVIDENCE_ALPHA and sign * change.value >= self.threshold

    @property
    def shown(self) -> str:
        """The published number with its interval."""
        limits = format_interval("value", self.published.ci_lower, self.published.ci_upper, unit=self.quantity.unit)
        return f"{self.number(self.published.value)} (95 % interval {limits})"

    def number(self, value: float | None) -> str:
        """A number in the quantity's unit."""
        return format_number("value", value, unit=self.quantity.unit)


@dataclass(frozen=True)
class LabelFree(Shown):
    """What can be said of the days whose labels are not mature.

    Attributes
    ----------
    basis: what it is made of. loss: the quantity that measures the model's loss, or "".
    requests, labels: answered requests that count, and how many of their labels are known already.
    labels_through: the last day whose labels are mature.
    panel: what the estimate assumes; it is published when every line holds.
    trials: the earlier windows that it was tried on, the oldest first.
    budgets: how many labels of the window, drawn at random, an interval of the accuracy takes.
    reason: why there is nothing to estimate, or "".
    """

    nothing_to_draw: ClassVar[str] = "there is neither an estimate nor an earlier window to show"

    basis: Basis = field(repr=False)
    window: Window
    version: str
    loss: str
    requests: int
    labels: int
    labels_through: date
    estimates: tuple[EstimatedQuantity, ...]
    panel: tuple[Assumption, ...]
    trials: tuple[Trial, ...]
    budgets: tuple[stats.LabelBudget, ...]
    reason: str

    @property
    def published(self) -> tuple[EstimatedQuantity, ...]:
        """The numbers that are given."""
        return tuple(each for each in self.estimates if each.published.value is not None)

    @property
    def abstains(self) -> bool:
        """Whether no number is given."""
        return not self.published

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The numbers that are evidently worse than in the reference period, by their practical thresholds."""
        return tuple(self._signal(each) for each in self.estimates if each.is_worse)

    def _signal(self, each: EstimatedQuantity) -> Signal:
        per_week, change = 7 * self.requests / self.window.days, each.change
        is_loss = each.quantity.key == self.loss
        return Signal(
            kind="estimate",
            family="model",
            metric=each.quantity.key,
            segment="",
            name=f"{each.quantity.name}, estimated",
            window=self.window.label,
            verdict="worse",
            change=change,
            unit=each.quantity.unit,
            times_threshold=abs(change.value or 0.0) / (each.threshold or 1.0),
            excess_loss_per_week=stats.scaled(change, per_week) if is_loss else None,
            no_loss_reason="" if is_loss else "it is not the model's loss",
            text=f"{each.quantity.name} is estimated at {each.shown} before its labels are mature",
            first_day=self.window.first_day,
            last_day=self.window.last_day,
            p_adjusted=each.p_adjusted,
            requests_per_week=per_week,
        )

    @property
    @override
    def text(self) -> str:
        about = f"{self.requests:,} requests of version {self.version}, {self.window.label}"
        if self.reason:
            return f"Nothing is estimated of {about}: {self.reason}."
        if self.abstains:
            return f"No estimate is given of {about}, whose labels are not mature: {self._why_not()}.{self._budget()}"
        shown = "; ".join(f"{each.quantity.name} {each.shown}" for each in self.published)
        return f"Of {about}, whose labels are not mature: {shown}. {self._how()}{self._budget()}"

    def _why_not(self) -> str:
        failing = [line for line in self.panel if not line.holds]
        if failing:
            return "; ".join(f"{line.name} {line.verdict} ({line.text})" for line in failing)
        return "; ".join(dict.fromkeys(each.estimated.reason for each in self.estimates))

    def _how(self) -> str:
        """What the numbers rest on, in words."""
        by_labels = [each.quantity.name for each in self.published if each.by_labels]
        expected = [each.quantity.name for each in self.published if not each.by_labels]
        said = []
        if by_labels:
            names = ", ".join(by_labels) if expected else "all"
            said.append(f"By {self.labels:,} labels of the window, taken for a random part of it: {names}.")
        if expected:
            names = ", ".join(expected) if by_labels else "all"
            said.append(
                f"Expected of {self.basis.words.expected_of}, with intervals made of how far that was off in "
                f"{len(self.trials)} earlier windows: {names}; every line of the assumption panel holds. "
                f"A change after {self.labels_through:%Y-%m-%d}, the last day with mature labels, would not show."
            )
        withheld = {
            each.quantity.name: each.estimated.reason for each in self.estimates if each.published.value is None
        }
        said += [f"{name} is not given: {reason}." for name, reason in withheld.items()]
        return " ".join(said)

    def _budget(self) -> str:
        bought = [f"{each.labels:,} for ±{100 * each.width / 2:g} pp" for each in self.budgets if each.labels]
        return (
            f" Labels of random requests of these days would tell the accuracy: {', '.join(bought)}." if bought else ""
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"window": self.window.label}
        own: dict[str, Any] = where | {"key": "label_free"}
        rows = [
            ResultRow(statistic="requests", value=self.requests, **own),
            ResultRow(statistic="labels", value=self.labels, **own),
            ResultRow(statistic="version", value=self.version, **own),
            ResultRow(statistic="verdict", value="abstains" if self.abstains else "published", **own),
        ]
        for line in self.panel:
            key = f"assumption_{line.key}"
            rows.append(ResultRow(key=key, statistic="verdict", value=line.verdict, method=line.text, **where))
            for statistic, value in (("value", line.value), ("limit", line.limit)):
                if value is not None:
                    rows.append(ResultRow(key=key, statistic=statistic, value=value, unit=line.unit, **where))
        for each in self.estimates:
            rows += self._rows(each)
        for budget in self.budgets:
            statistic = f"labels_for_width_{budget.width:g}"
            rows.append(number_row(budget.labels, budget.reason, key=self.basis.budget, statistic=statistic, **where))
        return rows

    def _rows(self, each: EstimatedQuantity) -> list[ResultRow]:
        where: dict[str, Any] = {"key": each.quantity.key, "unit": each.quantity.unit}
        now = where | {"window": self.window.label}
        rows = [
            estimate_row(each.estimated, statistic="estimated", **now),
            estimate_row(each.powered, statistic="prediction_powered", **now),
            estimate_row(each.reference, statistic="reference", **now),
            estimate_row(each.change, statistic="change", comparison="estimate - reference", **now),
        ]
        for trial in self.trials:
            for statistic, found in (("expected", trial.expected), ("realised", trial.realised)):
                rows.append(
                    number_row(
                        getattr(found, each.quantity.key),
                        "no request has what it is made of",
                        statistic=statistic,
                        window=trial.window.label,
                        n=trial.labels,
                        **where,
                    )
                )
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        """The numbers, and under them the panel that they are read with."""
        numbers = [
            {
                "what": each.quantity.name,
                "value": each.number(each.published.value),
                "interval_95": format_interval(
                    "value", each.published.ci_lower, each.published.ci_upper, unit=each.quantity.unit
                ),
                "reference": each.number(each.reference.value),
                "how": each.published.reason or each.published.method,
            }
            for each in self.estimates
        ]
        panel = [
            {
                "what": f"assumed: {line.name}",
                "value": line.verdict,
                "interval_95": "",
                "reference": "",
                "how": line.text,
            }
            for line in self.panel
        ]
        return [*numbers, *panel]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.trials:
            return ()
        drawn = [each for each in self.estimates if each.quantity.key in self.basis.drawn]
        now = "; ".join(f"{each.quantity.name} {each.shown}" for each in drawn if each.published.value is not None)
        alt = (
            f"What {self.basis.words.expected_of} let expect beside what labels said, in {len(self.trials)} earlier "
            f"windows, and for {self.window.label}: {now or 'no estimate'}."
        )
        return (
            picture(
                lambda figure: draw_performance(figure, self, drawn),
                name="label_free",
                alt=alt,
                height_inches=0.6 + 1.5 * len(drawn),
            ),
        )
