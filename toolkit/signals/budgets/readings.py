"""One objective's error budget: what of it is spent, how fast it burns, when it would be gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.metrics import MetricDefinition, ObjectiveDefinition
from toolkit.metrics.hourly import HourlyCounts, Share
from toolkit.metrics.needs import columns_needed, scalars_needed
from toolkit.records import ResultRow, estimate_row, number_row
from toolkit.signals.budgets.absence import Silence, look_for_silence
from toolkit.signals.budgets.burns import Alarm, BurnWindow, burn_windows, find_alarms
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.stats import Estimate, Exhaustion
from toolkit.windows import Window, parse_instant

if TYPE_CHECKING:
    from toolkit.metrics.hourly import Totals

State = Literal["within budget", "spent", "no data", "not in force"]

ALARM_DAYS = 28
"""So many days back it is known when a rule rang; a longer period is counted, by the hour."""

_EXHAUSTION_RATE = "3d"
"""The window at whose burn rate a budget is extrapolated: long enough that a bad hour is not the future."""

_YEAR_DAYS = 365.25


class Spending(NamedTuple):
    """A moment of a period, and the share of the period's budget that was spent by then."""

    at: datetime
    consumed_share: float


@dataclass(frozen=True)
class BudgetReading:
    """What became of an objective's error budget in the period that ends with the last request looked at.

    Attributes
    ----------
    period: the budget's days; shorter where the objective holds for fewer. recent: its last days, which signals are of.
    counted: the period's requests and the bad ones. counted_recently: those of `recent`.
    course: how the budget was spent, by slots in which something bad happened.
    alarms: when rules rang in the last 28 days of the period.
    silence: whether the requests that count for it have stopped.
    p_adjusted: of the period's bad requests or of the rarest alarm of `recent`, over all budgets; None without any.
    """

    key: str
    objective: ObjectiveDefinition
    metric: MetricDefinition
    period: Window
    recent: Window
    in_force: bool
    counted: Share
    counted_recently: Share
    windows: tuple[BurnWindow, ...]
    alarms: tuple[Alarm, ...]
    silence: Silence
    course: tuple[Spending, ...]
    p_adjusted: float | None = None

    @property
    def allowed_share(self) -> float:
        """The share of requests that may be bad."""
        return self.objective.allowed_share

    @property
    def consumed_share(self) -> float | None:
        """What of the period's budget is spent; above 1 it is overdrawn. None without a request."""
        bad, n = self.counted
        return bad / (self.allowed_share * n) if n else None

    @property
    def state(self) -> State:
        """Where the objective stands. Without requests it is neither kept nor missed, also when they have stopped."""
        if not self.in_force:
            return "not in force"
        if self.consumed_share is not None and self.consumed_share >= 1:
            return "spent"
        return "no data" if self.consumed_share is None or self.silence.alarms else "within budget"

    @property
    def ringing(self) -> tuple[Alarm, ...]:
        """The alarms that are still on."""
        return tuple(alarm for alarm in self.alarms if alarm.ended_at is None)

    @cached_property
    def recent_alarms(self) -> tuple[Alarm, ...]:
        """The alarms that were on during the last days."""
        return tuple(each for each in self.alarms if each.ended_at is None or each.ended_at > self.recent.start)

    @cached_property
    def exhaustion(self) -> Exhaustion:
        """When the budget is spent if it burns on as in the last three days."""
        rate = next(window.rate for window in self.windows if window.name == _EXHAUSTION_RATE)
        if self.consumed_share is None or rate.value is None:
            return Exhaustion(None, "no request in the last three days" if self.counted.n else "no request")
        period_h = self.period.days * 24
        found = stats.time_to_exhaustion(period_h=period_h, burn=rate.value, consumed_share=self.consumed_share)
        if found.hours is not None and found.hours > period_h:
            return Exhaustion(None, f"not within {self.period.days:g} days at the rate of the last three")
        return found

    @property
    def exhausted_on(self) -> date | None:
        """The day on which that would be; None when it is spent, would not be, or is not known."""
        hours = self.exhaustion.hours
        return (self.period.end + timedelta(hours=hours)).date() if hours else None

    @cached_property
    def outage_page_min(self) -> float | None:
        """The minutes after which a total outage pages, at the period's traffic; None when none of the rules ever does.

        Few requests are told from chance late or not at all: such an objective is not one to be woken by.
        """
        hourly = self.counted.n / (self.period.days * 24)
        found = [
            stats.detection_min(rule, bad_share=1.0, allowed_share=self.allowed_share, requests_an_hour=hourly)
            for rule in stats.BURN_RULES
            if rule.severity == "page"
        ]
        return min((minutes for minutes in found if minutes is not None), default=None)

    @property
    def chance(self) -> float | None:
        """How likely the period's bad requests, or the rarest of the last days' alarms, are at the limit.

        An alarm was looked for all along: what counts is how often one as rare begins in so many days. The smaller of
        the two counts twice.
        """
        bad, n = self.counted
        whole = stats.burn_guard(bad, n, allowed_share=self.allowed_share, window_min=self.period.days * 1440).p_value
        if whole is None:
            return None
        share_of_year = self.recent.days / _YEAR_DAYS
        rare = [(alarm.guard.alarms_a_year or 0.0) * share_of_year for alarm in self.recent_alarms]
        return min(1.0, 2 * min([whole, *rare]))

    @property
    def evidence(self) -> str:
        """The numbers behind the state, in a sentence."""
        if not self.in_force:
            return f"it holds since {self.objective.since}"
        if self.consumed_share is None:
            return f"no request of {self.period.label} counts for {self.metric.name}"
        spent = (
            f"{format_number('spent_share', self.consumed_share)} of {self.period.days:g} days' budget spent: "
            f"{self.counted.bad:,} of {self.counted.n:,} requests bad, {self.objective.target.label}"
        )
        return f"{spent}; {self.silence.text}" if self.silence.alarms else spent

    @property
    def outlook(self) -> str:
        """When the budget was gone, or is at the rate of the last three days, in words."""
        if not self.in_force:
            return ""
        if self.state == "spent":
            return f"since {self._spent_on}"
        if self.exhausted_on is None or self.exhaustion.hours is None:
            return self.exhaustion.reason
        return f"{self.exhausted_on} (in {self.exhaustion.hours / 24:.1f} days)"

    @property
    def rang(self) -> str:
        """The alarms of the last days by severity, in words."""
        named = [(name, [a for a in self.recent_alarms if a.rule.severity == name]) for name in ("page", "ticket")]
        parts = [
            f"{len(found)} {name}{'' if len(found) == 1 else 's'}"
            f"{', still on' if any(each.ended_at is None for each in found) else ''}"
            for name, found in named
            if found
        ]
        return "; ".join(parts) or "none"

    def rows(self) -> list[ResultRow]:
        """Every number of the reading."""
        where: dict[str, Any] = {"key": self.key, "window": self.period.label}
        reason = self.evidence if self.consumed_share is None else ""
        rows = [
            ResultRow(statistic="state", value=self.state, **where),
            ResultRow(statistic="target", value=self.objective.target.label, **where),
            ResultRow(statistic="owner", value=self.objective.owner, **where),
            ResultRow(statistic="bad_requests", value=self.counted.bad, n=self.counted.n, **where),
            number_row(self.consumed_share, reason, statistic="consumed_share", unit="share", **where),
            number_row(
                None if self.exhausted_on is None else self.exhausted_on.isoformat(),
                self.exhaustion.reason or "it holds later",
                statistic="exhausted_on",
                **where,
            ),
            number_row(
                self.outage_page_min,
                "so few requests cannot be told from chance",
                statistic="outage_page_min",
                unit="min",
                **where,
            ),
            number_row(self.p_adjusted, reason or "it does not hold yet", statistic="adjusted_p_value", **where),
        ]
        rows += [
            estimate_row(window.rate, statistic=f"burn_rate_{window.name}", unit="times", **where)
            for window in self.windows
        ]
        return rows + [
            ResultRow(
                key=self.key,
                statistic=alarm.rule.severity,
                value=alarm.text,
                window=f"{alarm.started_at:%Y-%m-%dT%H:%MZ} … {alarm.ended_at or self.period.end:%Y-%m-%dT%H:%MZ}",
                n=alarm.n,
                method=alarm.rule.text,
            )
            for alarm in self.alarms
        ]

    @property
    def signal(self) -> Signal | None:
        """What the budget says that somebody should know: it is overdrawn or rang in the last days, beyond chance."""
        alarms, bad = self.recent_alarms, self.counted_recently.bad
        evident = self.p_adjusted is not None and self.p_adjusted <= EVIDENCE_ALPHA
        if not (self.in_force and evident and (alarms or self.state == "spent")):
            return None
        change = self._over_allowed()
        told = max(
            alarms, key=lambda alarm: (alarm.ended_at is None, alarm.rule.severity == "page", alarm.burn), default=None
        )
        more = f" and {len(alarms) - 1} more in the last {self.recent.days:g} days" if len(alarms) > 1 else ""
        return Signal(
            kind="budget",
            metric=self.key,
            segment="",
            name=f"{self.metric.name}, error budget",
            window=self.recent.label,
            verdict="worse",
            change=change,
            unit="share",
            times_threshold=max(change.value or 0.0, 0.0) / self.metric.practical_threshold,
            excess_loss_per_week=None,
            no_loss_reason="bad requests have no share in the model's loss that was measured",
            text=f"{self.metric.name}: {self.evidence}{f'; {told.text}' if told else ''}{more}",
            family="service",
            columns=tuple(columns_needed(scalars_needed([self.metric]))),
            first_day=min((alarm.started_at.date() for alarm in alarms), default=self._spent_on),
            last_day=self.period.last_day,
            p_adjusted=self.p_adjusted,
            requests_per_week=bad * 7 / self.recent.days,
            budget_share=bad / (self.allowed_share * self.counted.n),
        )

    @property
    def _spent_on(self) -> date:
        """The day on which the budget was spent, as far as it was."""
        return next((each.at.date() for each in self.course if each.consumed_share >= 1), self.period.first_day)

    def _over_allowed(self) -> Estimate:
        """The share of bad requests above the allowed one: in the worst alarm, without any in the period."""
        worst = max(self.recent_alarms, key=lambda alarm: alarm.burn, default=None)
        bad, n = self.counted if worst is None else (worst.bad, worst.n)
        return stats.above_bound(stats.proportion(bad, n), self.allowed_share)


def read_budget(
    key: str,
    objective: ObjectiveDefinition,
    metric: MetricDefinition,
    counts: HourlyCounts,
    *,
    end: datetime,
    recent_days: int,
) -> BudgetReading:
    """The reading of one objective with a budget, from counts that reach back long enough."""
    days = objective.budget.period_days if objective.budget else ALARM_DAYS
    start = end - timedelta(days=days)
    since = start if objective.since is None else parse_instant(objective.since.isoformat())
    in_force = since < end
    period = Window(max(start, since) if in_force else start, end)
    recent = Window(max(period.start, end - timedelta(days=recent_days)), end)
    totals = counts.totals(objective.subject, bad=objective.target.kind == "at_most")
    looked_at = Window(max(period.start, end - timedelta(days=ALARM_DAYS)), end)
    allowed = objective.allowed_share
    held = totals if objective.since is None else totals.since(since)
    return BudgetReading(
        key,
        objective,
        metric,
        period,
        recent,
        in_force,
        totals.share(period.start, end) if in_force else Share(0, 0),
        totals.share(recent.start, end) if in_force else Share(0, 0),
        burn_windows(held, end=end, allowed_share=allowed),
        find_alarms(held, window=looked_at, allowed_share=allowed) if in_force else (),
        look_for_silence(totals, end=end),
        _course(totals, period, allowed) if in_force else (),
    )


def _course(totals: Totals, period: Window, allowed_share: float) -> tuple[Spending, ...]:
    """After each slot with a bad request, what of the whole period's budget was spent."""
    first, last = (int(place) for place in totals.before([period.start.timestamp(), period.end.timestamp()]))
    budget = allowed_share * int(totals.n[last] - totals.n[first])
    return tuple(
        Spending(
            datetime.fromtimestamp(float(totals.starts[place]), UTC),
            float(totals.bad[place + 1] - totals.bad[first]) / budget,
        )
        for place in range(first, last)
        if totals.bad[place + 1] > totals.bad[place]
    )
