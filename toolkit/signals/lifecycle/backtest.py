"""Back-test of alert rules: how often each would have rung over a history, and which planted faults it would have
missed.

The history is what reports said of signals at one instant after the other, from the ledger or straight from results;
each rule is played over it as `toolkit due` would have told people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise
from statistics import median
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from toolkit.display import Picture, format_number, picture
from toolkit.errors import ArgumentError
from toolkit.records import ResultRow, Shown, number_row
from toolkit.signals.groups.groups import SignalGroups
from toolkit.signals.groups.views import LEVEL_COLOURS
from toolkit.signals.lifecycle.alert_rules import AlertRule, Told, find_untold
from toolkit.signals.lifecycle.history import RECOVERED, SEEN, SignalEvent, SignalHistory
from toolkit.signals.lifecycle.record import ReportedGroup, ReportedSignals
from toolkit.signals.signal import kind_of


class PlantedFault(NamedTuple):
    """A fault that is known to be in the history.

    Attributes
    ----------
    signals: patterns of the keys of signals that would find it, such as `drift:temp_f` or `segment:*carrier=FL*`.
    first_day, last_day: a report as of one of these days, or a window later, may find it.
    """

    name: str
    signals: tuple[str, ...]
    first_day: date
    last_day: date


class Rung(NamedTuple):
    """One alert that a rule would have sent."""

    as_of: datetime
    group: ReportedGroup


class Detection(NamedTuple):
    """A planted fault and the first alert that told of it: how many days late, and on which line of its report."""

    fault: str
    found_on: datetime | None
    delay_days: int | None
    rank: int | None


@dataclass(frozen=True)
class RulePlayed:
    """What came of one rule."""

    name: str
    rule: AlertRule
    alerts: tuple[Rung, ...]
    detections: tuple[Detection, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """The planted faults that nobody would have been told of."""
        return tuple(each.fault for each in self.detections if each.found_on is None)


@dataclass(frozen=True)
class BackTest(Shown):
    """What each alert rule would have done over a history of so many weeks."""

    nothing_to_draw: ClassVar[str] = "no rule would have sent an alert"

    weeks: float
    reports: int
    signals: int
    played: tuple[RulePlayed, ...]

    def per_week(self, played: RulePlayed) -> float:
        """Alerts a week."""
        return len(played.alerts) / self.weeks

    @property
    @override
    def text(self) -> str:
        said = ". ".join(self._say(each) for each in self.played)
        return f"Over {self.weeks:.0f} weeks, {self.reports} reports and {self.signals} signals. {said}."

    def _say(self, played: RulePlayed) -> str:
        said = f"{played.name}: {len(played.alerts)} alerts, {format_number('rate', self.per_week(played))} a week"
        if not played.detections:
            return said
        return f"{said}, missed {', '.join(played.missed)}" if played.missed else f"{said}, no planted fault missed"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [
            ResultRow(key="history", statistic="weeks", value=self.weeks),
            ResultRow(key="history", statistic="reports", value=self.reports),
            ResultRow(key="history", statistic="signals", value=self.signals),
        ]
        for each in self.played:
            rows += [
                ResultRow(key=each.name, statistic="alerts", value=len(each.alerts)),
                ResultRow(key=each.name, statistic="alerts_per_week", value=self.per_week(each)),
                ResultRow(key=each.name, statistic="missed_faults", value=len(each.missed), n=len(each.detections)),
            ]
            rows += [
                number_row(
                    found.delay_days,
                    "nobody would have been told",
                    key=each.name,
                    statistic="detection_delay_days",
                    segment=f"fault={found.fault}",
                    unit="days",
                )
                for found in each.detections
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "rule": each.name,
                "alerts": len(each.alerts),
                "alerts_a_week": self.per_week(each),
                "faults_found": f"{len(each.detections) - len(each.missed)} of {len(each.detections)}",
                "missed": ", ".join(each.missed) or "none",
                "median_delay_days": _median_delay(each),
            }
            for each in self.played
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not any(each.alerts for each in self.played):
            return ()
        listed = "; ".join(f"{each.name} {len(each.alerts)}" for each in self.played)
        alt = f"When each rule would have told somebody, by rule: {listed} alerts."
        height = 1.1 + 0.4 * len(self.played)
        return (picture(lambda figure: _draw(figure, self.played), name="backtest", alt=alt, height_inches=height),)


def backtest(
    history: Iterable[SignalGroups | ReportedSignals],
    rules: Mapping[str, AlertRule],
    *,
    planted: Sequence[PlantedFault] = (),
    said: Sequence[SignalEvent] = (),
) -> BackTest:
    """Play alert rules over a history of reports on one model.

    Parameters
    ----------
    history: results of `group_signals`, or what `load_reported` found; at least one, in any order. Of several as of
        one instant the last given counts.
    rules: by name.
    planted: faults that are known to be there.
    said: what people said at the time; nothing by default.

    Raises `ArgumentError` for an empty history, and for one of several models.
    """
    given = [each if isinstance(each, ReportedSignals) else ReportedSignals.of(each) for each in history]
    by_instant = {each.as_of: each for each in given}
    reports = [by_instant[instant] for instant in sorted(by_instant)]
    models = sorted({each.model for each in reports})
    if len(models) != 1:
        found = "no report" if not models else f"reports on {', '.join(models)}"
        raise ArgumentError(f"history holds {found}; a back-test is of one model, and needs at least one report of it")
    seen = SignalHistory(models[0], (*_events(reports), *said))
    return BackTest(
        _weeks(reports),
        len(reports),
        sum(len(group.signals) for each in reports for group in each.groups),
        tuple(_play(name, rule, reports, seen, planted) for name, rule in rules.items()),
    )


def _events(reports: Sequence[ReportedSignals]) -> list[SignalEvent]:
    events = []
    for each in reports:
        keys = [key for group in each.groups for key in group.signals]
        events += [SignalEvent(each.as_of, SEEN, key, window_days=each.window_days) for key in keys]
        events += [SignalEvent(each.as_of, RECOVERED, key) for key in _recovered(each, events)]
    return events


def _recovered(reported: ReportedSignals, events: Sequence[SignalEvent]) -> list[str]:
    """What a report did not find any more: as it says itself, or, in a history without a ledger, by its kinds."""
    there = {key for group in reported.groups for key in group.signals}
    last = {event.key: event.kind for event in events if event.at < reported.as_of}
    gone = (key for key, kind in last.items() if kind == SEEN and key not in there)
    return sorted({*reported.recovered, *(key for key in gone if kind_of(key) in reported.looked_at)})


def _play(
    name: str,
    rule: AlertRule,
    reports: Sequence[ReportedSignals],
    history: SignalHistory,
    planted: Sequence[PlantedFault],
) -> RulePlayed:
    told: list[Told] = []
    alerts: list[Rung] = []
    for reported in reports:
        groups = find_untold(reported, rule, told, history.at(reported.as_of))
        told += [Told.of(reported, group) for group in groups]
        alerts += [Rung(reported.as_of, group) for group in groups]
    days = max(each.window_days for each in reports)
    return RulePlayed(name, rule, tuple(alerts), tuple(_detect(fault, alerts, days) for fault in planted))


def _detect(fault: PlantedFault, alerts: Sequence[Rung], window_days: int) -> Detection:
    """The first alert within a fault's days, or a window later, that has one of its signals."""
    last = fault.last_day + timedelta(days=window_days)
    for alert in alerts:
        day = (alert.as_of - timedelta(microseconds=1)).date()  # an instant at midnight has seen the day before
        if fault.first_day <= day <= last and any(
            fnmatchcase(key, pattern) for key in alert.group.signals for pattern in fault.signals
        ):
            return Detection(fault.name, alert.as_of, (day - fault.first_day).days, alert.group.rank)
    return Detection(fault.name, None, None, None)


def _weeks(reports: Sequence[ReportedSignals]) -> float:
    """The weeks that the reports stand for: from the first to the last, and one step more for the first."""
    instants = [each.as_of for each in reports]
    steps = [(later - earlier) / timedelta(days=7) for earlier, later in pairwise(instants)]
    return sum(steps) + (median(steps) if steps else reports[0].window_days / 7)


def _median_delay(played: RulePlayed) -> float | None:
    delays = [each.delay_days for each in played.detections if each.delay_days is not None]
    return median(delays) if delays else None


def _draw(figure: Any, played: Sequence[RulePlayed]) -> None:
    axes = figure.subplots()
    for place, each in enumerate(reversed(played)):
        for alert in each.alerts:
            axes.plot(alert.as_of, place, "|", color=LEVEL_COLOURS[alert.group.level], markersize=14, markeredgewidth=2)
    axes.set_yticks(range(len(played)), [each.name for each in reversed(played)])
    axes.set_ylim(-0.6, len(played) - 0.4)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_title("When each rule would have told somebody")
