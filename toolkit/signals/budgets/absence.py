"""Whether requests have stopped: a share of nothing meets every target, so silence has an alarm of its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.stats import Guard

if TYPE_CHECKING:
    from toolkit.metrics.hourly import Totals

WINDOWS_MIN = (60, 360, 1440)
"""The last hour, six hours and day: few requests show in the longer ones only."""

BASELINE_WEEKS = 4
SILENT_SHARE = 0.1
"""A window is silent when it holds at most this share of the requests that are usual then."""

_FEWEST_WEEKS = 2


class Silence(NamedTuple):
    """How many requests a window holds, and how many are usual: the median of the same hours of earlier weeks.

    `expected` None: fewer than two earlier weeks are known.
    """

    window_min: int
    requests: int
    expected: float | None
    guard: Guard

    @property
    def alarms(self) -> bool:
        """Whether nearly nothing came where requests are usual, beyond chance."""
        return self.expected is not None and self.requests <= SILENT_SHARE * self.expected and self.guard.passed

    @property
    def text(self) -> str:
        """The window beside what is usual."""
        name = stats.window_name(self.window_min)
        if self.expected is None:
            weeks = f"fewer than {_FEWEST_WEEKS} earlier weeks to compare with"
            return f"whether requests have stopped is not known: {weeks}"
        return f"{self.requests:,} requests in the last {name}, where {format_number('value', self.expected)} are usual"


def look_for_silence(totals: Totals, *, end: datetime) -> Silence:
    """The shortest window before `end` that is silent; the longest of them when none is."""
    found = [_silence(totals, end, minutes) for minutes in WINDOWS_MIN]
    return next((silence for silence in found if silence.alarms), found[-1])


def _silence(totals: Totals, end: datetime, minutes: int) -> Silence:
    length = timedelta(minutes=minutes)
    requests = totals.share(end - length, end).n
    began = datetime.fromtimestamp(float(totals.starts[0]), end.tzinfo) if totals.starts.size else end
    weeks = [end - timedelta(weeks=back) for back in range(1, BASELINE_WEEKS + 1)]
    usual = [totals.share(then - length, then).n for then in weeks if then - length >= began]
    if len(usual) < _FEWEST_WEEKS:
        return Silence(minutes, requests, None, Guard(None, None))
    expected = float(median(usual))
    return Silence(minutes, requests, expected, stats.absence_guard(requests, expected=expected, window_min=minutes))
