"""What objectives watch of the channel beside requests: how old the newest is, and whether labels come when due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from toolkit import stats
from toolkit.data import ModelDefinition, Source
from toolkit.display import format_interval, format_number
from toolkit.metrics import ObjectiveDefinition, Population
from toolkit.metrics.hourly import HourlyCounts
from toolkit.metrics.maturity import DelayCount, count_delays
from toolkit.metrics.objectives import WATCHED, Watched
from toolkit.records import ResultRow, estimate_row
from toolkit.signals.signal import Signal
from toolkit.stats import Estimate
from toolkit.windows import Window, format_instant, parse_instant, start_of_day

State = Literal["met", "missed", "unclear", "no data", "not in force"]

PERIOD_DAYS = 28
FRESHNESS_METHOD = "longest time without a request"
LABELS_METHOD = "labels there when due over labels due, day clusters"

_ENOUGH_DUE = 20
"""On a day on which fewer labels are due, half of them may be missing by chance."""

_PRACTICAL_SHARE = 0.01
"""A share of labels that is missing: less is not worth a word."""


@dataclass(frozen=True)
class ChannelReading:
    """What an objective watches of the channel, in the last 28 days.

    Attributes
    ----------
    number: hours without a request at most, or the share of labels that were there when due.
    wrong_since, wrong_until: the first and the last day of what is wrong lately; None when nothing is.
    """

    key: str
    objective: ObjectiveDefinition
    window: Window
    number: Estimate
    state: State
    evidence: str
    wrong_since: date | None = None
    wrong_until: date | None = None

    @property
    def watched(self) -> Watched:
        """What is watched, with its unit."""
        return WATCHED[self.objective.watch or "freshness"]

    def rows(self) -> list[ResultRow]:
        """Every number of the reading."""
        where: dict[str, Any] = {"key": self.key, "window": self.window.label}
        return [
            ResultRow(statistic="state", value=self.state, **where),
            ResultRow(statistic="target", value=self.objective.target.label, **where),
            ResultRow(statistic="owner", value=self.objective.owner, **where),
            estimate_row(self.number, statistic=self.objective.subject, unit=self.watched.unit, **where),
        ]

    @property
    def signal(self) -> Signal | None:
        """What is wrong lately, as far as something is."""
        if self.state != "missed" or self.wrong_since is None:
            return None
        bound, value = self.objective.target.bound or 0.0, self.number.value or 0.0
        fresh = self.objective.watch == "freshness"
        threshold = bound if fresh else _PRACTICAL_SHARE
        return Signal(
            kind="absent_data",
            metric=self.key,
            segment="",
            name=self.watched.name,
            window=self.window.label,
            verdict="worse",
            change=stats.above_bound(self.number, bound),
            unit=self.watched.unit,
            times_threshold=abs(value - bound) / threshold,
            excess_loss_per_week=None,
            no_loss_reason="what has not arrived has no loss that could be measured",
            text=f"{self.watched.name}: {self.evidence}",
            family="service" if fresh else "labels",
            first_day=self.wrong_since,
            last_day=self.wrong_until,
        )


def read_freshness(
    key: str, objective: ObjectiveDefinition, counts: HourlyCounts, *, end: datetime, recent_days: int
) -> ChannelReading:
    """How long there was no request in the last 28 days, and how old the newest is."""
    window = _window(objective, end)
    absent = Estimate.absent("no request is known", n=0, method=FRESHNESS_METHOD)
    if window is None:
        return _not_yet(key, objective, end, absent)
    if counts.newest is None:
        return ChannelReading(key, objective, window, absent, "no data", "no request is known")
    limit = timedelta(hours=objective.target.bound or 0.0)
    first_at = counts.slots[0].first_at  # before it nothing is known
    gaps = [gap for gap in counts.gaps() if gap.start >= first_at and gap.end > window.start]
    overdue = [gap for gap in gaps if gap.end - gap.start > limit]
    longest = max((gap.end - gap.start for gap in gaps), default=timedelta())
    hours = longest / timedelta(hours=1)
    number = Estimate.alone(hours, n=len(gaps), method=FRESHNESS_METHOD, reason="no interval: it is a maximum")
    late = [gap for gap in overdue if gap.end > end - timedelta(days=recent_days)]
    age = _hours(end - counts.newest)
    evidence = f"the newest request is {age} old; {_said(overdue, limit)}"
    wrong = ((late[0].start + limit).date(), late[-1].last_day) if late else (None, None)
    return ChannelReading(key, objective, window, number, "missed" if overdue else "met", evidence, *wrong)


def read_label_arrival(
    key: str, objective: ObjectiveDefinition, source: Source, model: ModelDefinition, *, as_of: datetime
) -> ChannelReading:
    """Of the answered requests whose label was due in the last 28 days, how many had one then.

    A label is due at the end of the day that lies the model's `maturity_days` after the request's; which day's labels
    are due is known only when that day is over.
    """
    until = start_of_day(as_of)
    wait = timedelta(days=model.label.maturity_days)
    window = _window(objective, until)
    absent = Estimate.absent("no label was due", n=0, method=LABELS_METHOD)
    if window is None:
        return _not_yet(key, objective, until, absent)
    asked = Window(window.start - wait, window.end - wait)
    if "outcomes" not in source.tables:
        reason = "no table outcomes is configured"
        return ChannelReading(key, objective, window, absent._replace(reason=reason), "no data", reason)
    population = Population("due", None, asked, served_only=False)
    due, there = _by_day(count_delays(source, model, [population], as_of=as_of), model.label.maturity_days)
    if not due:
        reason = f"no answered request of {asked.label}, so no label was due"
        return ChannelReading(key, objective, window, absent._replace(reason=reason), "no data", reason)
    days = sorted(due)
    number = stats.ratio([there[day] for day in days], [due[day] for day in days], n=due.total(), method=LABELS_METHOD)
    stopped = _stopped(days, due, there)
    state = "missed" if stopped else _state(objective, number)
    first = date.fromisoformat(stopped or days[0]) + wait
    wrong = (first, window.last_day) if state == "missed" else (None, None)
    interval = format_interval("share", number.ci_lower, number.ci_upper, unit="share")
    said = (
        f"{format_number('share', number.value, unit='share')} ({interval}) of {due.total():,} labels were there when "
        f"due, {objective.target.label}"
    )
    if stopped:
        said += f"; of those of {stopped} and later fewer than half"
    return ChannelReading(key, objective, window, number, state, said, *wrong)


def _window(objective: ObjectiveDefinition, end: datetime) -> Window | None:
    """The last 28 days of those that the objective holds for; None when it holds for none of them."""
    start = end - timedelta(days=PERIOD_DAYS)
    if objective.since is not None:
        start = max(start, parse_instant(objective.since.isoformat()))
    return Window(start, end) if start < end else None


def _not_yet(key: str, objective: ObjectiveDefinition, end: datetime, absent: Estimate) -> ChannelReading:
    reason = f"it holds since {objective.since}"
    window = Window(end - timedelta(days=PERIOD_DAYS), end)
    return ChannelReading(key, objective, window, absent._replace(reason=reason), "not in force", reason)


def _by_day(counts: Sequence[DelayCount], wait_days: int) -> tuple[Counter[str], Counter[str]]:
    """By the day of the requests: labels that were due, and those of them that were there."""
    due: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for count in counts:
        if count.watched_days >= wait_days:
            due[count.request_day] += count.requests
            in_time = count.delay_days is not None and count.delay_days <= wait_days
            there[count.request_day] += count.requests if in_time else 0
    return due, there


def _stopped(days: Sequence[str], due: Counter[str], there: Counter[str]) -> str:
    """The first of the days at the end of which fewer than half of enough labels were there when due; "" if none."""
    stopped = ""
    for day in reversed([day for day in days if due[day] >= _ENOUGH_DUE]):
        if there[day] >= due[day] / 2:
            break
        stopped = day
    return stopped


def _state(objective: ObjectiveDefinition, number: Estimate) -> State:
    """By the interval; where every day has the same share there is none, and no chance either."""
    if number.se == 0.0 and number.value is not None:
        low, high = objective.target.limits
        return "met" if low <= number.value <= high else "missed"
    return objective.met_by(number)


def _said(overdue: Sequence[Window], limit: timedelta) -> str:
    if not overdue:
        return f"there was never none for more than {_hours(limit)}"
    longest = max(overdue, key=lambda gap: (gap.end - gap.start, gap.start))
    times = "once" if len(overdue) == 1 else f"{len(overdue)} times"
    return (
        f"{times} there was none for more than {_hours(limit)}, longest {_hours(longest.end - longest.start)} from "
        f"{format_instant(longest.start)}"
    )


def _hours(length: timedelta) -> str:
    return f"{length / timedelta(hours=1):.3g} h"
