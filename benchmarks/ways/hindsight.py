"""What a simulated programme could have delivered at most, from the truth of all its items, those to come included."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ways.simulated_programmes import Programme


class Hindsight(NamedTuple):
    """What nobody can exceed, and an order that comes near it."""

    bound: float
    order: tuple[int, ...]


def look_back(programme: Programme, *, buckets_per_week: int = 1) -> Hindsight:
    """A bound on what any policy can deliver, from the truth of all items, those to come included.

    A linear programme over the share of each item's work in each bucket of time, solved by HiGHS through `scipy.milp`
    without whole numbers. Every schedule fulfils it, with at least its own value: an item is done no earlier than the
    middle of its work and half of its duration at full speed; a bucket's work counts as if done at its start.
    """
    from scipy import optimize

    shares = _Shares(programme, buckets_per_week)
    matrix, upper = shares.rows()
    limits = optimize.LinearConstraint(matrix, -np.inf, upper)
    found = optimize.milp(-shares.gains(), constraints=limits, bounds=optimize.Bounds(0.0, 1.0))
    if found.x is None:
        raise RuntimeError(found.message)
    return Hindsight(-float(found.fun), shares.order(found.x))


class _Shares:
    """The linear programme of `look_back`: a variable per item and bucket in which it can be worked on.

    With constraints one more per team and bucket: whether no debt is open, so that the debt's share is free.
    """

    def __init__(self, programme: Programme, buckets_per_week: int) -> None:
        self.setting, self.items = programme.setting, programme.items
        self.length = 1 / buckets_per_week
        self.starts = [bucket * self.length for bucket in range(self.setting.weeks * buckets_per_week)]
        self.columns: dict[tuple[int, int], int] = {}
        for key, item in self.items.items():
            closes = math.inf if item.entry.deadline_week is None else item.entry.deadline_week
            for bucket, start in enumerate(self.starts):
                if item.entry.since_week <= start < closes:
                    self.columns[key, bucket] = len(self.columns)
        self.free = {
            (team, bucket): len(self.columns) + team * len(self.starts) + bucket
            for team in range(self.setting.teams if self.setting.constraints else 0)
            for bucket in range(len(self.starts))
        }

    def gains(self) -> Any:
        """What a whole item brings if all its work lies in one bucket."""
        gains = np.zeros(len(self.columns) + len(self.free))
        for (key, bucket), column in self.columns.items():
            item = self.items[key]
            done = self.starts[bucket] + item.effort / self.setting.capacity_days / 2
            gains[column] = item.value * (self.setting.weeks - done) if item.entry.kind != "debt" else 0.0
        return gains

    def rows(self) -> tuple[Any, list[float]]:
        """All limits, as a sparse matrix and what its rows may reach."""
        from scipy import sparse

        rows: list[tuple[dict[int, float], float]] = []
        for key, item in self.items.items():
            rows.append((dict.fromkeys(self._until(key, len(self.starts)), 1.0), 1.0))
            for needed in item.entry.requires:
                for bucket in range(len(self.starts)):
                    mine = dict.fromkeys(self._until(key, bucket), 1.0)
                    rows.append((mine | dict.fromkeys(self._until(needed, bucket), -1.0), 0.0))
        for team in range(self.setting.teams):
            for bucket in range(len(self.starts)):
                rows += self._capacity(team, bucket)
        triples = [(place, column, by) for place, (row, _) in enumerate(rows) for column, by in row.items()]
        places, columns, by = zip(*triples, strict=True)
        shape = (len(rows), len(self.columns) + len(self.free))
        return sparse.csr_array((by, (places, columns)), shape=shape), [most for _, most in rows]

    def _until(self, key: int, bucket: int) -> list[int]:
        """The columns of an item up to a bucket, it included."""
        since = round(self.items[key].entry.since_week / self.length)
        return [self.columns[key, each] for each in range(since, bucket + 1) if (key, each) in self.columns]

    def _capacity(self, team: int, bucket: int) -> Iterator[tuple[dict[int, float], float]]:
        """Work within what the interest on open debt leaves, and without constraints no more; the rest for debt."""
        mine = [item for key, item in self.items.items() if item.entry.team == team and (key, bucket) in self.columns]
        debt = [item for item in mine if item.entry.kind == "debt"]
        most = self.length * (self.setting.capacity_days - sum(item.interest_days for item in debt))
        freed = {
            column: -self.length * item.interest_days for item in debt for column in self._until(item.entry.key, bucket)
        }
        work = {self.columns[item.entry.key, bucket]: item.effort for item in mine}
        yield {column: work.get(column, 0.0) + freed.get(column, 0.0) for column in work | freed}, most
        if self.setting.constraints:
            floor, free = self.setting.debt_floor, self.free[team, bucket]
            paid = {self.columns[item.entry.key, bucket] for item in debt}
            other = {column: effort for column, effort in work.items() if column not in paid}
            left = {column: by * (1 - floor) for column, by in freed.items()}
            yield other | left | {free: -floor * self.length * self.setting.capacity_days}, most * (1 - floor)
            for item in debt:
                yield {free: 1.0} | dict.fromkeys(self._until(item.entry.key, bucket), -1.0), 0.0

    def order(self, shares: Any) -> tuple[int, ...]:
        """Items by when the last of their work is done; those never done after them, by value for their effort."""
        worked = dict.fromkeys(self.items, 0.0)
        ends = dict.fromkeys(self.items, math.inf)
        for (key, bucket), column in self.columns.items():
            worked[key] += shares[column]
            if worked[key] > 0.99 and ends[key] == math.inf:
                ends[key] = self.starts[bucket]
        return tuple(sorted(self.items, key=lambda key: (ends[key], -self.items[key].value / self.items[key].effort)))
