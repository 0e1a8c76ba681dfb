"""How the feedback channel does: what arrived, how late, how often, in which order, and what did not.

These are counts over all rows that arrived, also those that reports leave out because they break their contract. A
number whose column or table a workspace does not have is absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, ClassVar

from typing_extensions import override

from toolkit.checks import check_at_least, check_between
from toolkit.data import ModelDefinition, Source
from toolkit.data.arrivals import (
    RECEIVED,
    DayCounts,
    LabelArrival,
    arrived,
    count_days,
    count_deliveries,
    count_labels,
    count_outcomes,
    measure_delays,
)
from toolkit.data.event_store import WRITTEN
from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.records import ResultRow, Shown, number_row
from toolkit.windows import Window, format_instant, parse_instant

KEY = "channel"

_BASELINE_WEEKS = 4
_AGES_DAYS = (1, 2, 7, 14, 28)
_NO_RECEIVED = f"predictions have no column {RECEIVED}: when a row arrived is not known"
_NO_OUTCOMES = "no table outcomes is configured"


@dataclass(frozen=True)
class ChannelNumber:
    """One number about the channel.

    Attributes
    ----------
    statistic: what it is; a share ends in `_share`, a length of time in `_s`.
    name: the same in words.
    value: None when it is absent, and then `reason` says why.
    n: what it is counted or measured over.
    """

    statistic: str
    name: str
    value: float | None
    n: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class ChannelDay:
    """One day of the window: what arrived, and what was to be expected.

    `expected_rows`: the median of the same weekday in the four weeks before, of the days that the table reaches back
    to; None when it reaches back to none.
    """

    counts: DayCounts
    expected_rows: float | None

    @property
    def expected_share(self) -> float | None:
        """The day's rows against the expected ones; None when none were."""
        return self.counts.rows / self.expected_rows if self.expected_rows else None


@dataclass(frozen=True)
class ChannelHealth(Shown):
    """What arrived of a model's predictions and their labels in a window, and what is wrong with it."""

    nothing_to_draw: ClassVar[str] = "nothing arrived"

    model: ModelDefinition
    window: Window
    as_of: datetime
    numbers: tuple[ChannelNumber, ...]
    days: tuple[ChannelDay, ...]
    labels: tuple[LabelArrival, ...]

    def number(self, statistic: str) -> ChannelNumber:
        """One of the numbers by its statistic."""
        return next(each for each in self.numbers if each.statistic == statistic)

    @property
    def faults(self) -> tuple[ChannelNumber, ...]:
        """The counts of what should not be, as far as there are any."""
        return tuple(each for each in self.numbers if each.statistic in _FAULTS and each.value)

    @property
    @override
    def text(self) -> str:
        rows = self.number("rows").value or 0
        wrong = "; ".join(f"{each.name}: {each.value:,.0f}" for each in self.faults) or "nothing is wrong with them"
        missing = [each.name for each in self.numbers if each.value is None]
        unknown = f" Not known: {'; '.join(missing)}." if missing else ""
        return (
            f"{rows:,} predictions of {self.model.name} arrived for {self.window.label}, as known on "
            f"{format_instant(self.as_of)}; {wrong}.{unknown}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": KEY, "window": self.window.label}
        rows = [
            number_row(each.value, each.reason, statistic=each.statistic, n=each.n, unit=_unit(each.statistic), **where)
            for each in self.numbers
        ]
        rows += [
            number_row(
                arrival.share,
                f"no answered request is {arrival.age_days} days old",
                statistic=f"labelled_share_{arrival.age_days}_days",
                n=arrival.requests,
                unit="share",
                **where,
            )
            for arrival in self.labels
        ]
        for day in self.days:
            where["window"] = day.counts.day
            rows.append(ResultRow(statistic="rows", value=day.counts.rows, **where))
            rows.append(number_row(day.expected_rows, _NO_BASELINE, statistic="expected_rows", **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        shares = {each.statistic: each for each in self.numbers if each.statistic.endswith("_share")}
        counts = {each.statistic for each in self.numbers if each.statistic.endswith("_rows")}
        lines = []
        for each in self.numbers:
            if each.statistic.replace("_share", "_rows") in counts - {each.statistic}:
                continue  # it stands beside its count
            share = shares.get(each.statistic.replace("_rows", "_share"))
            lines.append(
                {
                    "what": each.name,
                    "value": _shown(each) if each.value is not None else f"absent: {each.reason}",
                    "of": "" if each.n is None else f"{each.n:,}",
                    "share": "" if share == each or each.value is None else _shown(share),
                }
            )
        labels = [
            {
                "what": f"labels known after {arrival.age_days} day{'s' * (arrival.age_days > 1)}",
                "value": f"{arrival.labelled:,}",
                "of": f"{arrival.requests:,}",
                "share": format_number("labelled_share", arrival.share),
            }
            for arrival in self.labels
        ]
        return [*lines, *labels]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not any(day.counts.rows for day in self.days):
            return ()
        least = min(self.days, key=lambda day: (day.counts.rows, day.counts.day))
        alt = (
            f"Predictions by day, {self.window.label}: from {least.counts.rows:,} ({least.counts.day}) to "
            f"{max(day.counts.rows for day in self.days):,}; days without any: {self.number('days_without_rows').value}"
        )
        return (picture(lambda figure: _draw(figure, self.days), name="arrivals", alt=alt),)


_FAULTS = (
    "days_without_rows",
    "dropped_events",
    "repeated_rows",
    "late_rows",
    "out_of_order_rows",
    "skewed_rows",
    "repeated_outcomes",
    "early_outcomes",
)
_NO_BASELINE = "the table does not reach back to the same weekday of an earlier week"


def channel_health(
    source: Source,
    model: ModelDefinition,
    *,
    as_of: str = "",
    window_days: int = 28,
    late_after_s: float = 3600.0,
    within: float = 0.05,
) -> ChannelHealth:
    """Look at what arrived for a model in the last whole days before `as_of`.

    Parameters
    ----------
    as_of: ISO instant; empty for the last day complete in the data. What was received later is not known.
    late_after_s: a row received later than so many seconds after it occurred is late.
    within: a score this near to the decision threshold (the column `threshold`, else the model's own) is near it.

    Delays, late rows, order and skew need the column `received_at`; drops need the table `deliveries` (see
    `toolkit.data.writer`). Labels are looked at for the requests of the window and of the four weeks before it.

    Raises `ArgumentError`, `NotReady` when there is no prediction at all, `ContractError`.
    """
    check_at_least("late_after_s", late_after_s, 0)
    check_between("within", within, 0, 1)
    instant = parse_instant(as_of) if as_of else source.complete_through()
    window = Window.last_days(window_days, before=instant)
    longer = Window(window.start - timedelta(weeks=_BASELINE_WEEKS), window.end)
    there = source.columns("predictions")
    optional = [name for name in (RECEIVED, "score", "threshold") if name in there]
    rows = arrived(source, "predictions", ["error", *optional], as_of=instant, window=longer)
    rows = rows.filter(rows.model == model.key)
    inside = rows.filter(rows.occurred_at >= window.start)
    threshold = "threshold" if "threshold" in there else model.decision_threshold
    counted = count_days(source, rows, late_after_s=late_after_s, threshold=threshold, within=within)
    days = _days(counted, window)
    numbers = [
        *_completeness(days),
        *_drops(source, instant, window),
        *_order(days, late_after_s, has_received=RECEIVED in there),
        *_delays(source, inside, has_received=RECEIVED in there),
        _boundary(days, within),
    ]
    labels: tuple[LabelArrival, ...] = ()
    if "outcomes" in source.tables:
        outcomes = arrived(source, "outcomes", [], as_of=instant, window=Window(longer.start, instant))
        numbers += _labels(source, inside, outcomes.filter(outcomes.observed_at >= window.start))
        ages = sorted({*_AGES_DAYS, model.label.maturity_days} - {0})
        labels = count_labels(source, rows, outcomes, ages, as_of=instant)
    else:
        numbers += [
            ChannelNumber("repeated_outcomes", "labels that repeat a key", None, reason=_NO_OUTCOMES),
            ChannelNumber("early_outcomes", "labels before their prediction", None, reason=_NO_OUTCOMES),
        ]
    return ChannelHealth(model, window, instant, tuple(numbers), days, labels)


def _days(counted: Mapping[str, DayCounts], window: Window) -> tuple[ChannelDay, ...]:
    first = min(counted, default="")
    days = []
    for number in range(int(window.days)):
        day = (window.start + timedelta(days=number)).date()
        before = [(day - timedelta(weeks=weeks)).isoformat() for weeks in range(1, _BASELINE_WEEKS + 1)]
        known = [counted[each].rows if each in counted else 0 for each in before if first and each >= first]
        name = day.isoformat()
        days.append(ChannelDay(counted.get(name, DayCounts(name)), float(median(known)) if known else None))
    return tuple(days)


def _completeness(days: Sequence[ChannelDay]) -> list[ChannelNumber]:
    rows = sum(day.counts.rows for day in days)
    shares = [day.expected_share for day in days if day.expected_share is not None]
    repeated = sum(day.counts.repeated for day in days)
    return [
        ChannelNumber("rows", "predictions", rows),
        ChannelNumber("days_without_rows", "days without predictions", _without_rows(days), len(days)),
        ChannelNumber(
            "least_expected_share",
            "least day against the same weekday of four weeks",
            min(shares, default=None),
            len(shares),
            _NO_BASELINE,
        ),
        *_count_and_share("repeated", "predictions that repeat a key", repeated, rows),
    ]


def _without_rows(days: Sequence[ChannelDay]) -> int:
    return sum(day.counts.rows == 0 for day in days)


def _drops(source: Source, as_of: datetime, window: Window) -> list[ChannelNumber]:
    name = "predictions that their writer dropped"
    if "deliveries" not in source.tables:
        reason = "no table deliveries is configured: what services dropped is not known"
        return [ChannelNumber("dropped_events", name, None, reason=reason)]
    outcomes = count_deliveries(source, as_of=as_of, window=window)
    offered = sum(outcomes.values())
    why = {outcome: events for outcome, events in outcomes.items() if outcome != WRITTEN}
    each = [ChannelNumber(f"dropped_events_{why_}", f"{name}: {why_}", events, offered) for why_, events in why.items()]
    return [ChannelNumber("dropped_events", name, sum(why.values()), offered), *each]


def _order(days: Sequence[ChannelDay], late_after_s: float, *, has_received: bool) -> list[ChannelNumber]:
    received = sum(day.counts.received for day in days)
    named = {
        "late": f"received more than {late_after_s:g} s later",
        "out_of_order": "received out of order",
        "skewed": "received before they occurred",
    }
    numbers = []
    for fault, name in named.items():
        if has_received:
            found = sum(getattr(day.counts, fault) for day in days)
            numbers += _count_and_share(fault, name, found, received)
        else:
            numbers.append(ChannelNumber(f"{fault}_rows", name, None, reason=_NO_RECEIVED))
    return numbers


def _delays(source: Source, predictions: Any, *, has_received: bool) -> list[ChannelNumber]:
    delays = measure_delays(source, predictions) if has_received else None
    reason = "no row of the window says when it was received" if has_received else _NO_RECEIVED
    names = {"median_s": "delay, median", "p95_s": "delay, 95 in 100 at most", "longest_s": "delay, longest"}
    return [
        ChannelNumber(
            f"delay_{length}",
            name,
            getattr(delays, length) if delays else None,
            delays.rows if delays else None,
            reason,
        )
        for length, name in names.items()
    ]


def _boundary(days: Sequence[ChannelDay], within: float) -> ChannelNumber:
    scored, near = (sum(getattr(day.counts, name) for day in days) for name in ("scored", "near"))
    return ChannelNumber(
        "near_threshold_share",
        f"scores within {within:g} of the decision threshold",
        near / scored if scored else None,
        scored,
        "no prediction has a score",
    )


def _labels(source: Source, predictions: Any, outcomes: Any) -> list[ChannelNumber]:
    counts = count_outcomes(source, predictions, outcomes)
    return [
        ChannelNumber("repeated_outcomes", "labels that repeat a key", counts.repeated, counts.rows),
        ChannelNumber("early_outcomes", "labels before their prediction", counts.early, counts.of_requests),
    ]


def _count_and_share(fault: str, name: str, found: int, rows: int) -> list[ChannelNumber]:
    return [
        ChannelNumber(f"{fault}_rows", name, found, rows),
        ChannelNumber(f"{fault}_share", f"{name}, share", found / rows if rows else None, rows, "there are no rows"),
    ]


def _unit(statistic: str) -> str:
    return "share" if statistic.endswith("_share") else "s" if statistic.endswith("_s") else ""


def _shown(number: ChannelNumber | None) -> str:
    if number is None:
        return ""
    text = format_number(number.statistic, number.value)
    return f"{text} s" if number.statistic.endswith("_s") else text


def _draw(figure: Any, days: Sequence[ChannelDay]) -> None:
    axes = figure.subplots()
    dates = [date.fromisoformat(day.counts.day) for day in days]
    axes.bar(dates, [day.counts.rows for day in days], color=PALETTE[0], width=0.8, label="arrived")
    expected = [
        (when, day.expected_rows) for when, day in zip(dates, days, strict=True) if day.expected_rows is not None
    ]
    if expected:
        axes.plot(
            *zip(*expected, strict=True), "_", color=PALETTE[1], markersize=9, markeredgewidth=2, label="expected"
        )
    empty = [when for when, day in zip(dates, days, strict=True) if not day.counts.rows]
    if empty:
        axes.plot(empty, [0] * len(empty), "x", color=PALETTE[3], label="none")
    axes.set_ylabel("predictions a day")
    axes.set_title("What arrived")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.autofmt_xdate()
