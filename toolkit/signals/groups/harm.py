"""Harm: what a signal costs in a week, in terms of the people who bear it, and how sure that is.

Signals are measured in many units: a loss per request, a share of an error budget, milliseconds. What they have in
common is what their owners called worth acting on. So harm is counted in **tolerances**: one tolerance is one practical
threshold of the model's loss on every request of a week, or an error budget that is spent exactly as fast as it comes
in. Drift that nobody tied to a loss has no measured harm, however large it is, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from toolkit import stats
from toolkit.display import format_interval, format_number
from toolkit.signals.signal import Signal

if TYPE_CHECKING:
    from toolkit.data import LossValue

Level = Literal["unmeasured", "low", "medium", "high"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""How severe a signal group is, the least first."""

MEDIUM_FROM, HIGH_FROM = 0.3, 3.0
"""Severity, in tolerances, from which a signal group is of this level: half a power of ten below and above one."""

_BUDGET_DAYS = 28
"""The period of an error budget, where its objective does not say."""

_WEEK = 7
"""The days that a share of an error budget was spent in, at most."""

_NOT_WORTH = "nobody has said what a unit of loss costs (loss_value in the model's file)"
_NOT_MEASURED = "its share in the loss was not measured"
_COIN = 0.5
"""The confidence in a loss that has a value and no interval: it may as well be none."""


class ValueRange(NamedTuple):
    """Business value in a currency: the likely one, and a range that holds both doubts, of the loss and of its price.

    An end is None where the loss has no interval.
    """

    currency: str
    low: float | None
    likely: float
    high: float | None

    @property
    def text(self) -> str:
        """The range in words.

        >>> ValueRange("EUR", 120.0, 300.0, 800.0).text
        '300 EUR a week (120 to 800)'
        """
        interval = format_interval("value", self.low, self.high)
        return f"{format_number('value', self.likely)} {self.currency} a week ({interval})"


@dataclass(frozen=True)
class HarmScale:
    """What harm is held against.

    Attributes
    ----------
    loss_threshold: the practical threshold of the model's loss metric.
    requests_per_week: of the whole model.
    loss_value: what a unit of loss costs, where somebody said so.
    budget_days: the period of each error budget, by the metric or objective that its signals are about.
    """

    loss_threshold: float
    requests_per_week: float
    loss_value: LossValue | None = None
    budget_days: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Harm:
    """What a signal, or a group of them, costs in a week.

    Attributes
    ----------
    requests_per_week, units_per_week: who is touched; None where that was not counted.
    excess_loss_per_week: newly excess loss, in units of the model's loss; None where it was not measured, and
        `no_loss_reason` says why.
    budget_share: of an error budget, what was spent in the window.
    value_per_week: what the excess loss is worth; None with `no_value_reason`.
    tolerances: the harm in tolerances; None where it was not measured.
    confidence: the probability, as far as the evidence tells, that the harm is there at all.
    """

    requests_per_week: float | None = None
    units_per_week: float | None = None
    excess_loss_per_week: stats.Estimate | None = None
    no_loss_reason: str = _NOT_MEASURED
    budget_share: float | None = None
    value_per_week: ValueRange | None = None
    no_value_reason: str = _NOT_WORTH
    tolerances: float | None = None
    confidence: float = 1.0

    @property
    def severity(self) -> float:
        """Harm times confidence, in tolerances; 0 where no harm was measured."""
        return (self.tolerances or 0.0) * self.confidence

    @property
    def newly_lost(self) -> float:
        """Newly excess loss a week; 0 where there is none, or where it was not measured."""
        loss = self.excess_loss_per_week
        return 0.0 if loss is None or loss.value is None else max(loss.value, 0.0)

    @property
    def level(self) -> Level:
        """How severe it is, in a word.

        >>> [Harm(tolerances=harm).level for harm in (None, 0.1, 1.0, 10.0)]
        ['unmeasured', 'low', 'medium', 'high']
        """
        if self.tolerances is None:
            return "unmeasured"
        return "high" if self.severity >= HIGH_FROM else "medium" if self.severity >= MEDIUM_FROM else "low"

    @property
    def text(self) -> str:
        """Who bears what, in words.

        >>> Harm(requests_per_week=7000.0, units_per_week=6200.0, budget_share=0.25, no_loss_reason="no label").text
        '7,000 requests of 6,200 users a week; 25 % of the error budget; excess loss absent: no label'
        """
        parts = [self._touched(), self._loss()]
        if self.budget_share is not None:
            parts.insert(1, f"{format_number('budget_share', self.budget_share)} of the error budget")
        if self.value_per_week is not None:
            parts.append(self.value_per_week.text)
        return "; ".join(part for part in parts if part)

    def _touched(self) -> str:
        requests, users = (
            None if number is None else f"{round(number):,}" for number in (self.requests_per_week, self.units_per_week)
        )
        if requests is None:
            return "" if users is None else f"{users} users a week"
        return f"{requests} requests{'' if users is None else f' of {users} users'} a week"

    def _loss(self) -> str:
        loss = self.excess_loss_per_week
        if loss is None or loss.value is None:
            return f"excess loss absent: {self.no_loss_reason if loss is None else loss.reason}"
        interval = format_interval("value", loss.ci_lower, loss.ci_upper)
        return f"newly excess loss {format_number('value', loss.value)} a week ({interval})"


def measure_harm(signal: Signal, scale: HarmScale) -> Harm:
    """What a signal costs in a week; see the module for the unit of it.

    Its loss counts where that was measured, and its error budget where it has one. What users feel directly, answers
    that are late, fail or are complained about, counts by the practical threshold that their owner gave them. Inputs
    and explanations count for nothing by themselves: what they do to people shows in the loss.

    Parameters
    ----------
    scale: of the model; without requests nothing has a harm.
    """
    loss = signal.excess_loss_per_week
    parts = [
        part
        for part in (_from_loss(signal, scale), _from_budget(signal, scale), _from_threshold(signal, scale))
        if part is not None
    ]
    tolerances, confidence = max(parts, default=(None, 1.0), key=lambda part: (part[0] or 0.0) * part[1])
    if signal.p_adjusted is not None:
        confidence = min(confidence, 1 - signal.p_adjusted)
    value, no_value_reason = _price(loss, scale.loss_value, signal.no_loss_reason)
    return Harm(
        requests_per_week=signal.requests_per_week,
        units_per_week=signal.units_per_week,
        excess_loss_per_week=loss,
        no_loss_reason=signal.no_loss_reason or (loss.reason if loss is not None else _NOT_MEASURED),
        budget_share=signal.budget_share,
        value_per_week=value,
        no_value_reason=no_value_reason,
        tolerances=tolerances,
        confidence=confidence,
    )


def add_harm(harms: Mapping[str, Harm]) -> Harm:
    """The harm of signals that are one problem: that of the most severe one, with the widest reach of any.

    They share rows, so their losses overlap and are not added up.

    Parameters
    ----------
    harms: by the signal's key; not empty.
    """
    lead = max(harms.items(), key=lambda item: (item[1].severity, item[1].newly_lost, item[0]))[1]
    bearer = max(harms.items(), key=lambda item: (item[1].newly_lost, item[1] is lead, item[0]))[1]
    return Harm(
        requests_per_week=_largest(harm.requests_per_week for harm in harms.values()),
        units_per_week=_largest(harm.units_per_week for harm in harms.values()),
        excess_loss_per_week=bearer.excess_loss_per_week,
        no_loss_reason=bearer.no_loss_reason,
        budget_share=_largest(harm.budget_share for harm in harms.values()),
        value_per_week=bearer.value_per_week,
        no_value_reason=bearer.no_value_reason,
        tolerances=lead.tolerances,
        confidence=lead.confidence,
    )


def _from_loss(signal: Signal, scale: HarmScale) -> tuple[float, float] | None:
    """Harm and confidence by the measured loss: a gain is no harm."""
    loss = signal.excess_loss_per_week
    tolerable = scale.loss_threshold * scale.requests_per_week
    if loss is None or loss.value is None or tolerable <= 0:
        return None
    return max(loss.value, 0.0) / tolerable, _confidence(loss)


def _from_budget(signal: Signal, scale: HarmScale) -> tuple[float, float] | None:
    """Harm by the error budget: how many times as fast as it comes in it is spent, since it began or in a week.

    Its alarm has a guard of its own, so that nothing is taken off for chance.
    """
    if signal.budget_share is None:
        return None
    days = _WEEK
    if signal.first_day is not None and signal.last_day is not None:
        days = min(max((signal.last_day - signal.first_day).days + 1, 1), _WEEK)
    return max(signal.budget_share, 0.0) * scale.budget_days.get(signal.metric, _BUDGET_DAYS) / days, 1.0


def _from_threshold(signal: Signal, scale: HarmScale) -> tuple[float, float] | None:
    """Harm of what users feel without any model's loss: practical thresholds, in a segment by its share of requests."""
    felt = signal.family in {"service", "users"} and signal.verdict == "worse" and signal.budget_share is None
    if not felt or scale.requests_per_week <= 0:
        return None
    touched = signal.requests_per_week if signal.segment else None
    share = 1.0 if touched is None else min(touched / scale.requests_per_week, 1.0)
    change = signal.change
    return signal.times_threshold * share, 1.0 if change is None or change.value is None else _confidence(change)


def _confidence(estimate: stats.Estimate) -> float:
    """The probability that a quantity lies on the side of zero where its estimate does; one half without an error."""
    if not estimate.value or not estimate.se:
        return _COIN
    return 1 - stats.two_sided_p(estimate.value / estimate.se, df=estimate.df) / 2


def _price(loss: stats.Estimate | None, price: LossValue | None, no_loss_reason: str) -> tuple[ValueRange | None, str]:
    """The loss times what it costs; each end pairs the doubts of both, so that the range holds both."""
    if price is None:
        return None, _NOT_WORTH
    if loss is None or loss.value is None:
        return None, (no_loss_reason if loss is None else loss.reason) or _NOT_MEASURED
    low, high = (
        None if end is None else end * (with_gain if end < 0 else with_loss)
        for end, with_loss, with_gain in (
            (loss.ci_lower, price.low, price.high),
            (loss.ci_upper, price.high, price.low),
        )
    )
    return ValueRange(price.currency, low, loss.value * price.likely, high), ""


def _largest(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if number is not None), default=None)
