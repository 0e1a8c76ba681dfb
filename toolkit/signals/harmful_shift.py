"""Whether the model's risk has risen by more than is tolerated since its reference period, looked at every day.

Whoever looks at a fixed test each morning finds something sooner or later. This one may be looked at every day for as
long as the model serves: over all looks together it raises a false alarm with a probability of at most alpha.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.data import Source
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import MetricDefinition, Population, measure
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.day_values import DayValue, day_values
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window

SINCE = "since the reference"


@dataclass(frozen=True)
class HarmfulShift(Shown):
    """The losses of a version's days since its reference period, and the evidence that its risk rose beyond tolerance.

    Attributes
    ----------
    days: those that were looked at, in order.
    process: the test, look by look. change: current window minus reference, per request.
    """

    nothing_to_draw: ClassVar[str] = "no day since the reference period has a loss that can be tested"

    metric: MetricDefinition
    key: str
    version: str
    window: Window
    reference_days: tuple[DayValue, ...]
    days: tuple[DayValue, ...]
    process: stats.RiskProcess
    change: stats.Estimate
    per_week: stats.Estimate
    requests_per_week: float

    @property
    def tolerance(self) -> float:
        """By how much the risk may rise: the loss metric's practical threshold."""
        return self.metric.practical_threshold

    @property
    def alarm_day(self) -> date | None:
        """The first day whose evening look was an alarm."""
        return None if self.process.alarm is None else self.days[self.process.alarm].day

    @property
    def first_day(self) -> date | None:
        """The day from which the losses speak most for a rise; None without an alarm."""
        return None if self.process.began is None else self.days[self.process.began].day

    @property
    def lasts(self) -> bool:
        """Whether a look in the current window was an alarm, too, and the window's loss is up, evidently and enough."""
        since = self.window.first_day
        looks = zip(self.days, self.process.log_evidence, strict=False)
        strong = any(day.day >= since and evidence >= self.process.needed for day, evidence in looks)
        value, lower = self.change.value, self.change.ci_lower
        return strong and value is not None and value >= self.tolerance and lower is not None and lower > 0

    @property
    def reason(self) -> str:
        """Why it could not be judged; "" when it could."""
        return self.process.reason if self.process.status == "absent" else ""

    @property
    def signals(self) -> tuple[Signal, ...]:
        """One while the alarm lasts."""
        if not self.lasts or self.change.value is None:
            return ()
        return (
            Signal(
                kind="harmful_shift",
                metric=self.key,
                segment="",
                name=f"risk ({self.metric.name})",
                window=self.window.label,
                verdict="worse",
                change=self.change,
                unit=self.metric.unit,
                times_threshold=self.change.value / self.tolerance,
                excess_loss_per_week=self.per_week,
                no_loss_reason="",
                text=self._sentence(),
                first_day=self.first_day,
                last_day=self.window.last_day,
                dated=self.first_day is not None,
                p_adjusted=self.process.p_value,
                requests_per_week=self.requests_per_week,
            ),
        )

    def _sentence(self) -> str:
        return (
            f"the risk rose beyond the tolerated {format_number('value', self.process.bound)} a day from "
            f"{self.first_day} on; the alarm came on {self.alarm_day}"
        )

    @property
    @override
    def text(self) -> str:
        process = self.process
        if self.reason:
            return f"The test for a harmful shift is absent: {self.reason}."
        if not self.days:
            return f"{self.nothing_to_draw[0].upper()}{self.nothing_to_draw[1:]}."
        looks = f"{len(self.days)} daily looks at the {self.metric.name} of version {self.version}"
        if process.alarm is None:
            return (
                f"In {looks} there is no evidence that the risk is above the tolerated "
                f"{format_number('value', process.bound)} (p {format_number('p_value', process.p_value)}, valid at "
                f"every look)."
            )
        end = "It lasts." if self.lasts else "It does not last: the current window is back."
        return f"In {looks}, {self._sentence()} (p {format_number('p_value', process.p_value)}). {end}"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        process = self.process
        label = f"{self.days[0].day} … {self.days[-1].day}" if self.days else ""
        where: dict[str, Any] = {"key": self.key, "window": label}
        no_alarm = process.reason or "no look was an alarm"
        rows = [
            number_row(process.reference, process.reason, statistic="reference_daily_loss", **where),
            number_row(process.bound, process.reason, statistic="tolerated_daily_loss", method=stats.RISK, **where),
            ResultRow(statistic="looks", value=len(process.log_evidence), **where),
            number_row(process.p_value, process.reason, statistic="always_valid_p_value", **where),
            number_row(_text(self.alarm_day), no_alarm, statistic="alarm_on", **where),
            number_row(_text(self.first_day), no_alarm, statistic="rose_from", **where),
            estimate_row(
                self.change,
                key=self.key,
                statistic="change",
                window=self.window.label,
                comparison=f"{CURRENT} - {REFERENCE}",
                unit=self.metric.unit,
            ),
            estimate_row(self.per_week, key=self.key, statistic="newly_excess_per_week", window=self.window.label),
        ]
        rows += [
            ResultRow(key=self.key, window=str(day.day), statistic="log_evidence", value=evidence, n=day.requests)
            for day, evidence in zip(self.days, process.log_evidence, strict=False)
        ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        process = self.process
        absent = {"test": "harmful shift", "result": f"absent: {process.reason}"}
        if process.status == "absent":
            return [absent]
        return [
            {
                "version": self.version,
                "looks": len(self.days),
                "reference_daily_loss": process.reference,
                "tolerated_daily_loss": process.bound,
                "p_value": process.p_value,
                "alarm_on": _text(self.alarm_day) or "none",
                "rose_from": _text(self.first_day) or "",
                "change_in_window": self.change.value,
                "interval_95": format_interval("value", self.change.ci_lower, self.change.ci_upper),
                "lasts": self.lasts,
            }
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.days or self.process.status == "absent":
            return ()
        alarm = f"alarm on {self.alarm_day}" if self.alarm_day else "no alarm"
        alt = (
            f"Daily loss of version {self.version} beside the tolerated {format_number('value', self.process.bound)}, "
            f"and the evidence that it is exceeded: {alarm}."
        )
        return (picture(lambda figure: _draw(figure, self), name="harmful-shift", alt=alt, height_inches=4.0),)


def harmful_shift(source: Source, observed: Observation, *, alpha: float = EVIDENCE_ALPHA) -> HarmfulShift:
    """Test whether the risk of the observed version has been above its reference by more than its practical threshold.

    The days are those since the reference period that the version served, to the end of the current window; each is one
    observation (`stats.risk_process`). Days with few requests are left out. Raises `ContractError`.
    """
    cells, key = observed.cells, observed.model.loss
    metric, reference = observed.metrics[key], cells.population(REFERENCE)
    before = tuple(day for day in day_values(cells, key, REFERENCE) if day.usable)
    after: tuple[DayValue, ...] = ()
    if reference.window.end < observed.window.end:
        since = Window(reference.window.end, observed.window.end)
        served = Population(SINCE, observed.version, since, served_only=True)
        measured = measure(source, observed.model, {key: metric}, [served], as_of=observed.as_of, auc_within="day")
        after = tuple(day for day in day_values(measured, key, SINCE) if day.usable)
    change = stats.difference(cells.estimate(key, REFERENCE), cells.estimate(key, CURRENT))
    return HarmfulShift(
        metric,
        key,
        observed.version,
        observed.window,
        before,
        after,
        stats.risk_process(
            [day.value for day in before if day.value is not None],
            [day.value for day in after if day.value is not None],
            tolerance=metric.practical_threshold,
            alpha=alpha,
        ),
        change,
        stats.scaled(change, observed.labelled_per_week),
        observed.requests_per_week,
    )


def _text(day: date | None) -> str | None:
    return None if day is None else str(day)


def _draw(figure: Any, shift: HarmfulShift) -> None:
    losses, evidence = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    process, days = shift.process, [each.day for each in shift.days]
    before = shift.reference_days
    losses.plot(
        [each.day for each in before], [each.value for each in before], ".", color=PALETTE[5], label="reference"
    )
    losses.plot(days, [each.value for each in shift.days], ".", color=PALETTE[0], label="since")
    losses.axhline(process.reference, color=PALETTE[4], linewidth=0.8)
    losses.axhline(process.bound, color=PALETTE[3], linewidth=1, linestyle="--", label="tolerated")
    losses.set_title(f"{shift.metric.name} by day, and the evidence that it is above what is tolerated")
    losses.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    evidence.plot(days, process.log_evidence, color=PALETTE[0])
    evidence.axhline(process.needed, color=PALETTE[3], linewidth=1, linestyle="--")
    evidence.set_ylabel("log evidence")
    for axes in (losses, evidence):
        if shift.alarm_day is not None:
            axes.axvline(shift.alarm_day, color=PALETTE[1], linewidth=1)
    evidence.tick_params(axis="x", rotation=30)
    alarm = "; line: the day of the alarm" if shift.alarm_day is not None else ""
    evidence.set_xlabel(f"dashed: what is tolerated, and the evidence that is an alarm{alarm}")
