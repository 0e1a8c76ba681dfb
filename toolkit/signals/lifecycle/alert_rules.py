"""Who is told of which signal group, and once: the rule behind alerts, and behind their back-test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from toolkit.signals.groups.harm import LEVELS, Level
from toolkit.signals.lifecycle.history import NEVER_SEEN, Standing
from toolkit.signals.lifecycle.record import ReportedGroup, ReportedSignals


class Told(NamedTuple):
    """That somebody was told of a signal group: its model, as of when, its signals by key, and how severe it was."""

    model: str
    as_of: datetime
    signals: frozenset[str]
    level: Level

    @classmethod
    def of(cls, reported: ReportedSignals, group: ReportedGroup) -> Told:
        """That somebody is told of a group of a report."""
        return cls(reported.model, reported.as_of, frozenset(group.signals), group.level)


@dataclass(frozen=True)
class AlertRule:
    """Which signal groups somebody is told of.

    Attributes
    ----------
    from_level: the least severity. families, models: only of these; empty: of every one.
    repeat_days: after so many days a group that goes on is told of again; None: never.
    """

    from_level: Level = "medium"
    families: Collection[str] = ()
    models: Collection[str] = ()
    repeat_days: int | None = None

    def concerns(self, model: str, group: ReportedGroup) -> bool:
        """Whether the rule is about such a group at all."""
        return (
            _rank(group.level) >= _rank(self.from_level)
            and (not self.families or group.family in self.families)
            and (not self.models or model in self.models)
        )


def find_untold(
    reported: ReportedSignals, rule: AlertRule, told: Iterable[Told], standings: Mapping[str, Standing]
) -> list[ReportedGroup]:
    """The groups of a report that somebody should be told of and has not been.

    A group is told of once for as long as one of its signals goes on, and again when it becomes more severe. Nobody is
    told of what everybody concerned knows: signals that are all muted or acknowledged, or gone by now.

    Parameters
    ----------
    standings: where each signal stands, this report included.
    """
    earlier = [each for each in told if each.model == reported.model]
    return [
        group
        for group in reported.groups
        if rule.concerns(reported.model, group)
        and _is_news(group, reported.as_of, standings)
        and not any(_covers(each, group, reported.as_of, rule, standings) for each in earlier)
    ]


def _is_news(group: ReportedGroup, as_of: datetime, standings: Mapping[str, Standing]) -> bool:
    known = [standings.get(key, NEVER_SEEN) for key in group.signals]
    return any(standing.active and not standing.is_quiet(as_of) for standing in known)


def _covers(
    told: Told, group: ReportedGroup, as_of: datetime, rule: AlertRule, standings: Mapping[str, Standing]
) -> bool:
    """Whether somebody who was told of `told` knows of a group by that."""
    if _rank(told.level) < _rank(group.level):
        return False
    if rule.repeat_days is not None and as_of - told.as_of >= timedelta(days=rule.repeat_days):
        return False
    since = (standings.get(key, NEVER_SEEN).since for key in told.signals.intersection(group.signals))
    return any(first is not None and told.as_of >= first for first in since)


def _rank(level: Level) -> int:
    return LEVELS.index(level)
