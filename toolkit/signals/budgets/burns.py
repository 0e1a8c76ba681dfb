"""How fast an error budget burns now, and when it burned so fast that somebody had to look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.metrics.hourly import SLOT_MIN
from toolkit.stats import BURN_RULES, BurnRule, Estimate, Guard
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.metrics.hourly import Totals

_MINUTE_S = 60.0


class BurnWindow(NamedTuple):
    """The requests of the last minutes, and how many times as fast as allowed they burn the budget."""

    name: str
    bad: int
    n: int
    rate: Estimate


class Alarm(NamedTuple):
    """A time during which rules of one severity rang; pauses shorter than a rule's long window belong to it.

    Attributes
    ----------
    rule: the one by which the budget burned fastest.
    ended_at: None while one still rings at the end of what was looked at.
    bad, n: of the long window, when the budget burned fastest.
    guard: how likely that is by chance.
    """

    rule: BurnRule
    started_at: datetime
    ended_at: datetime | None
    bad: int
    n: int
    burn: float
    guard: Guard

    @property
    def text(self) -> str:
        """When it rang, and for what."""
        until = "still on" if self.ended_at is None else f"to {self.ended_at:%Y-%m-%d %H:%M}"
        length = stats.window_name(self.rule.long_min)
        return (
            f"{self.rule.severity} from {self.started_at:%Y-%m-%d %H:%M} {until}: {self.bad:,} of {self.n:,} requests "
            f"bad in {length}, {self.burn:.1f} times as fast as allowed ({self.rule.text})"
        )


def burn_windows(totals: Totals, *, end: datetime, allowed_share: float) -> tuple[BurnWindow, ...]:
    """The burn rate of every window of the rules, shortest first; absent for one without requests."""
    lengths = sorted({minutes for rule in BURN_RULES for minutes in (rule.long_min, rule.short_min)})
    found = []
    for minutes in lengths:
        bad, n = totals.share(end - timedelta(minutes=minutes), end)
        rate = stats.burn_rate(bad, n, allowed_share=allowed_share)
        found.append(BurnWindow(stats.window_name(minutes), bad, n, rate))
    return tuple(found)


def find_alarms(
    totals: Totals, *, window: Window, allowed_share: float, rules: Sequence[BurnRule] = BURN_RULES
) -> tuple[Alarm, ...]:
    """When rules rang in a window, looked at after every five minutes, in order of time.

    Those of one severity that ring at once are one alarm: nobody is woken twice for the same hours.

    A rule rings when its long window burns faster than it allows, its short window does too, and chance is ruled out
    (`stats.burn_guard`). Where the short window holds no request, the newest ones of the long window stand for it:
    else nobody would ever be told of a service that fails and is seldom asked.
    """
    import numpy as np

    step = SLOT_MIN * _MINUTE_S
    times = np.arange(window.start.timestamp() + step, window.end.timestamp() + step / 2, step)
    alarms = [alarm for rule in rules for alarm in _ringing(totals, times, rule, allowed_share)]
    found = [
        merged
        for severity in sorted({rule.severity for rule in rules})
        for merged in _merged([alarm for alarm in alarms if alarm.rule.severity == severity])
    ]
    return tuple(sorted(found, key=lambda alarm: (alarm.started_at, alarm.rule.severity)))


def _merged(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Alarms with no longer pause between them than a rule's long window, with the counts of the fastest burn."""
    found: list[Alarm] = []
    for alarm in sorted(alarms, key=lambda alarm: alarm.started_at):
        last = found[-1] if found else None
        if last is None or (last.ended_at is not None and last.ended_at + _pause(last) < alarm.started_at):
            found.append(alarm)
            continue
        ended = None if last.ended_at is None or alarm.ended_at is None else max(last.ended_at, alarm.ended_at)
        worst = max(last, alarm, key=lambda each: each.burn)
        found[-1] = worst._replace(started_at=last.started_at, ended_at=ended)
    return found


def _pause(alarm: Alarm) -> timedelta:
    return timedelta(minutes=alarm.rule.long_min)


def _ringing(totals: Totals, times: Any, rule: BurnRule, allowed_share: float) -> list[Alarm]:
    import numpy as np

    last = totals.before(times)
    first, short = (totals.before(times - minutes * _MINUTE_S) for minutes in (rule.long_min, rule.short_min))
    short = np.minimum(short, np.maximum(last - 1, first))  # the newest slot with a request, where the window has none
    bad, n = totals.bad[last] - totals.bad[first], totals.n[last] - totals.n[first]
    bad_now, n_now = totals.bad[last] - totals.bad[short], totals.n[last] - totals.n[short]
    limit = rule.burn * allowed_share
    places = np.flatnonzero((bad > limit * n) & (bad_now > limit * n_now))
    proven = stats.guarded(bad[places], n[places], allowed_share=allowed_share, window_min=rule.long_min)
    places = places[proven]
    if not places.size:
        return []
    pauses = np.flatnonzero(np.diff(times[places]) > rule.long_min * _MINUTE_S)
    return [
        _alarm(rule, times, run, bad, n, allowed_share, on=bool(run[-1] == times.size - 1))
        for run in np.split(places, pauses + 1)
    ]


def _alarm(rule: BurnRule, times: Any, run: Any, bad: Any, n: Any, allowed_share: float, *, on: bool) -> Alarm:
    worst = run[int((bad[run] / n[run]).argmax())]
    counts = int(bad[worst]), int(n[worst])
    ended = None if on else datetime.fromtimestamp(times[run[-1]] + SLOT_MIN * _MINUTE_S, UTC)
    return Alarm(
        rule,
        datetime.fromtimestamp(times[run[0]], UTC),
        ended,
        *counts,
        counts[0] / counts[1] / allowed_share,
        stats.burn_guard(*counts, allowed_share=allowed_share, window_min=rule.long_min),
    )
