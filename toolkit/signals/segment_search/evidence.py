"""What a listed segment's numbers are worth when requests of one day are alike: every error has days as clusters."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.metrics.kinds import DAY_MEAN
from toolkit.stats.estimate import lacking

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_FEWEST_DAYS = 2
"""Days on which a segment must have its requests for their spread to say anything."""

_ENOUGH_DAYS = 3
"""On fewer, how days differ is taken from all days of the period, where that is possible: a week has one Friday."""

_BEYOND = "segment - rest, day clusters"


class DaySums(NamedTuple):
    """Requests and the sum of their losses by day."""

    n: NDArray[Any]
    totals: NDArray[Any]


@dataclass(frozen=True, eq=False)
class DayPatterns:
    """One population's requests by day and by which of the listed segments they lie in."""

    days: tuple[str, ...]
    day: NDArray[Any]
    pattern: NDArray[Any]
    n: NDArray[Any]
    totals: NDArray[Any]

    @classmethod
    def of(cls, patterns: pd.DataFrame, population: int, *, days: Collection[str] | None = None) -> DayPatterns:
        """From what `Conjunctions.patterns` gave by day; `days`: only these."""
        rows = patterns[patterns["population"] == population]
        if days is not None:
            rows = rows[rows["day"].isin(sorted(days))]
        codes, names = rows["day"].factorize(sort=True)
        return cls(
            tuple(map(str, names)),
            codes,
            rows["pattern"].to_numpy(dtype="int64"),
            rows["n"].to_numpy(dtype="float64"),
            rows["total"].to_numpy(dtype="float64"),
        )

    def inside(self, bit: int) -> NDArray[Any]:
        """Which rows lie in a segment."""
        found: NDArray[Any] = (self.pattern >> bit) & 1 == 1
        return found

    def any_of(self, bits: Collection[int]) -> NDArray[Any]:
        """Which rows lie in at least one of some segments."""
        found: NDArray[Any] = (self.pattern & sum(1 << bit for bit in bits)) != 0
        return found

    def sums(self, rows: NDArray[Any]) -> DaySums:
        """By day, of the rows that a mask keeps; a day without any has 0."""
        import numpy as np

        size = len(self.days)
        return DaySums(
            np.bincount(self.day, weights=np.where(rows, self.n, 0.0), minlength=size),
            np.bincount(self.day, weights=np.where(rows, self.totals, 0.0), minlength=size),
        )

    def mean(self, bit: int) -> stats.Estimate:
        """The mean loss of a segment."""
        sums = self.sums(self.inside(bit))
        weight = sums.n.sum()
        if weight == 0:
            return stats.Estimate.absent("no request has a value", n=0, method=DAY_MEAN)
        value = sums.totals.sum() / weight
        return _estimate(value, (sums.totals - value * sums.n) / weight, sums.n, int(weight), DAY_MEAN, null=None)

    def against_rest(
        self, bit: int, *, leaving_out: Collection[int] = (), spread: DayPatterns | None = None
    ) -> stats.Estimate:
        """A segment's mean loss minus that of all other requests, both without those of some other segments.

        Segment and rest share their days, so what moves both on a day cancels.

        `spread`: more days of the same period, which say how days differ where these are too few to.
        """
        free, own = ~self.any_of(leaving_out), self.inside(bit)
        part, rest = self.sums(own & free), self.sums(~own & free)
        weight, rest_weight = part.n.sum(), rest.n.sum()
        n = int(weight + rest_weight)
        if weight == 0 or rest_weight == 0:
            return stats.Estimate.absent("segment or rest has no request with a value", n=n, method=_BEYOND)
        mean, rest_mean = part.totals.sum() / weight, rest.totals.sum() / rest_weight
        days = _count_days(part.n)
        if spread is not None and days < _ENOUGH_DAYS:
            wider = spread.against_rest(bit, leaving_out=leaving_out)
            if wider.se and wider.df is not None:
                se = wider.se * math.sqrt((wider.df + 1) / days)
                return stats.from_standard_error(
                    float(mean - rest_mean), se, n=n, df=wider.df, method=_BEYOND, null=0.0
                )
        influences = (part.totals - mean * part.n) / weight - (rest.totals - rest_mean * rest.n) / rest_weight
        return _estimate(mean - rest_mean, influences, part.n, n, _BEYOND, null=0.0)


def _estimate(
    value: float, influences: NDArray[Any], by_day: NDArray[Any], n: int, method: str, *, null: float | None
) -> stats.Estimate:
    """An estimate with days as clusters, of which only those count on which the segment has its requests.

    A segment that lives on one day does not depart from its own mean there, and would seem to have no error.
    """
    import numpy as np

    days = _count_days(by_day)
    if days < _FEWEST_DAYS - 0.5:  # two days of nearly as many requests count as nearly two
        why = f"its requests lie on too few days, about {days:.1f}, and an error needs {_FEWEST_DAYS}"
        reason = f"{lacking(null)}: {why}"
        return stats.Estimate.alone(float(value), n=n, method=method, reason=reason)
    se = math.sqrt(float(np.square(influences).sum()) * days / (days - 1))
    return stats.from_standard_error(float(value), se, n=n, df=days - 1, method=method, null=null)


def _count_days(by_day: NDArray[Any]) -> float:
    """How many days requests lie on, by how evenly (Kish 1965: the square of their sum by the sum of their squares)."""
    return float(by_day.sum() ** 2 / (by_day @ by_day))


def rise(
    reference: DayPatterns,
    current: DayPatterns,
    bit: int,
    *,
    leaving_out: Collection[int] = (),
    spread: tuple[DayPatterns, DayPatterns] | tuple[None, None] = (None, None),
) -> stats.Estimate:
    """How much more a segment's loss rose than that of all other requests, both without those of some segments."""
    return stats.difference(
        reference.against_rest(bit, leaving_out=leaving_out, spread=spread[0]),
        current.against_rest(bit, leaving_out=leaving_out, spread=spread[1]),
    )


def widen_by_day(estimates: Sequence[stats.Estimate], ses: NDArray[Any]) -> NDArray[Any]:
    """How many times wider than Welch's the errors of some segments are with days as clusters; never narrower.

    Infinite for a segment of too few days, which thereby shows nothing.
    """
    import numpy as np

    factors = [
        math.inf if estimate.se is None else max(1.0, estimate.se / se) if se else 1.0
        for estimate, se in zip(estimates, ses.tolist(), strict=True)
    ]
    return np.asarray(factors)


def one_sided(estimate: stats.Estimate) -> float | None:
    """The p-value that the estimated number is not above 0; None where there was no test."""
    if estimate.p_value is None or estimate.value is None:
        return None
    return estimate.p_value / 2 if estimate.value > 0 else 1 - estimate.p_value / 2
