"""Requests and bad requests by the clock: five minutes of the last days, hours before.

What a day's sum cannot say: how fast an error budget is being spent right now, since when, and whether requests have
stopped. One grouped query brings back a row per slot of time that has a request; every question is a sum of slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import ModelDefinition, Source
from toolkit.data.functions import clock_of
from toolkit.data.instants import date_of, days_as_text
from toolkit.metrics.kinds import RatioKind
from toolkit.metrics.needs import addends, sums
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

SLOT_MIN = 5
"""The length of a slot of the last days, in minutes; before, it is an hour."""

_HOUR = timedelta(hours=1)
_SLOT = timedelta(minutes=SLOT_MIN)
_WHOLE_HOUR = -1


class Share(NamedTuple):
    """How many requests of some time count for a metric, and how many of them are bad."""

    bad: int
    n: int


@dataclass(frozen=True)
class Slot:
    """The requests of an hour or of five minutes.

    Attributes
    ----------
    first_at, last_at: when the first and the last of them occurred, to the second.
    shares: by metric, how many it counts and for how many its condition holds.
    """

    start: datetime
    end: datetime
    requests: int
    first_at: datetime
    last_at: datetime
    shares: Mapping[str, Share]


@dataclass(frozen=True)
class HourlyCounts:
    """The slots of a window that have requests, in order.

    Attributes
    ----------
    window: from the start of an hour to the end of a slot. fine_from: where slots of five minutes begin.
    """

    window: Window
    fine_from: datetime
    slots: tuple[Slot, ...]

    @property
    def requests(self) -> int:
        """All requests of the window."""
        return sum(slot.requests for slot in self.slots)

    @property
    def newest(self) -> datetime | None:
        """When the newest request occurred; None without one."""
        return self.slots[-1].last_at if self.slots else None

    def gaps(self) -> tuple[Window, ...]:
        """The stretches of an hour or more without a request, the window's ends included; exact to the second.

        Within a slot no stretch is as long, so that the first and the last of every slot say it all.
        """
        starts = [self.window.start, *(slot.last_at for slot in self.slots)]
        ends = [*(slot.first_at for slot in self.slots), self.window.end]
        return tuple(Window(start, end) for start, end in zip(starts, ends, strict=True) if end - start >= _HOUR)

    def totals(self, metric: str, *, bad: bool = True) -> Totals:
        """The sums of a metric, over the slots in which a request counts for it.

        `bad`: whether the requests that the metric is true of are the bad ones; else the others are.
        """
        counted = [(slot.start, slot.shares[metric]) for slot in self.slots if slot.shares[metric].n]
        return Totals.of(counted if bad else [(start, Share(n - true, n)) for start, (true, n) in counted])

    def request_totals(self) -> Totals:
        """The same for all requests; none of them is bad."""
        return Totals.of([(slot.start, Share(0, slot.requests)) for slot in self.slots])


@dataclass(frozen=True, eq=False)
class Totals:
    """Running sums over slots: any stretch of time is the difference of two of them.

    Attributes
    ----------
    starts: of each slot, in seconds since 1970.
    bad, n: of the first i slots; one longer than `starts`, the first of them 0.
    """

    starts: NDArray[np.float64]
    bad: NDArray[np.int64]
    n: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Sequence[tuple[datetime, Share]]) -> Totals:
        """From the counts of each slot, in order."""
        import numpy as np

        starts = np.asarray([start.timestamp() for start, _ in counts], dtype=np.float64)
        bad, n = ([share[place] for _, share in counts] for place in (0, 1))
        summed = [np.concatenate([[0], np.cumsum(values)]).astype(np.int64) for values in (bad, n)]
        return cls(starts, *summed)

    def before(self, instants: ArrayLike) -> NDArray[np.int64]:
        """How many slots begin before each instant, in seconds since 1970."""
        import numpy as np

        return np.asarray(np.searchsorted(self.starts, instants, side="left"), dtype=np.int64)

    def since(self, start: datetime) -> Totals:
        """Those of the slots that begin from `start` on."""
        place = int(self.before([start.timestamp()])[0])
        return Totals(self.starts[place:], self.bad[place:] - self.bad[place], self.n[place:] - self.n[place])

    def share(self, start: datetime, end: datetime) -> Share:
        """The counts of the slots that begin from `start` on and before `end`."""
        first, last = self.before([start.timestamp(), end.timestamp()])
        return Share(int(self.bad[last] - self.bad[first]), int(self.n[last] - self.n[first]))


def count_by_hour(
    source: Source,
    model: ModelDefinition,
    metrics: Mapping[str, RatioKind],
    *,
    window: Window,
    fine_from: datetime,
    as_of: datetime,
) -> HourlyCounts:
    """Count a model's served requests, and for each metric those that it is true of, by slots of time; one query.

    Parameters
    ----------
    metrics: shares of requests, by key.
    window, fine_from: the window begins and the finer slots begin at the start of an hour (UTC).

    Raises `ContractError`, `DefinitionError`.
    """
    served = Population("served", None, window, served_only=True)
    question = Question.of(source, model, metrics, [served], as_of=as_of, also=["occurred_at"])
    frame = source.execute(_grouped(question, fine_from), reading=question.reading)
    slots = sorted((_slot(row, metrics) for row in frame.to_dict("records")), key=lambda slot: slot.start)
    return HourlyCounts(window, fine_from, tuple(slots))


def _grouped(question: Question, fine_from: datetime) -> ir.Table:
    """One row per day × hour × part of the hour: whole numbers and texts, which every engine says alike."""
    import ibis

    rows = question.requests()
    at = rows.occurred_at
    clock = clock_of(at)
    minute, second = clock.minute().cast("int64"), clock.second().cast("int64")
    added: dict[str, Any] = {"second": minute * 60 + second, "day": date_of(at), "hour": clock.hour().cast("int64")}
    added["part"] = (at >= ibis.literal(fine_from)).ifelse((minute - minute % SLOT_MIN), _WHOLE_HOUR)
    for key, metric in question.metrics.items():
        if isinstance(metric, RatioKind):
            added |= addends(key, metric, rows)
    table = rows.select(**added)
    found: dict[str, Any] = {"requests": table.count(), "first": table.second.min(), "last": table.second.max()}
    for key in question.metrics:
        found |= sums(key, table)
    return days_as_text(table.group_by("day", "hour", "part").aggregate(**found))


def _slot(row: Mapping[str, Any], metrics: Iterable[str]) -> Slot:
    hour = datetime.fromisoformat(str(row["day"])).replace(tzinfo=UTC) + int(row["hour"]) * _HOUR
    part = int(row["part"])
    start, length = (hour, _HOUR) if part == _WHOLE_HOUR else (hour + timedelta(minutes=part), _SLOT)
    shares = {key: Share(round(float(row[f"{key}__sum"])), round(float(row[f"{key}__n"]))) for key in metrics}
    first, last = (hour + timedelta(seconds=int(row[name])) for name in ("first", "last"))
    return Slot(start, start + length, int(row["requests"]), first, last, shares)
