"""What the engine brought back: sums by population, day and segment; and the estimates made of them.

Days are the clusters of every interval: requests of one day share its weather and its traffic, so treating them as
independent would promise too much. The estimand of a metric is the mean over the requests of its population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.checks import check_in
from toolkit.errors import DefinitionError
from toolkit.metrics.kinds import ALL, CELL, DAY_MEAN, MetricDefinition, RankKind, RatioKind, TimeKind
from toolkit.records import ResultRow, number_row
from toolkit.windows import start_of_day

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.metrics.query import Population
    from toolkit.stats import Estimate
    from toolkit.windows import Window


class _Days(NamedTuple):
    """A metric's sums by day, which rest on `n` requests; or why there are none."""

    numerators: Any
    denominators: Any
    n: int
    absent: Estimate | None = None


@dataclass(frozen=True, eq=False)
class Cells:
    """One row per population × segment × segment value × day, with the sums of every metric.

    Attributes
    ----------
    frame: keys population, segment ("" for all), segment_value, day (ISO date); requests, answered; labelled, where
        labels were read; where scores were compared with them label_sum, score_sum, brier_sum, expected_brier_sum; for
        each metric that is a sum the columns of `needs.sums`, for one that needs order those of its branch, as
        `<key>__<column>`.
    """

    frame: pd.DataFrame
    metrics: dict[str, MetricDefinition]
    populations: tuple[Population, ...]
    segments: tuple[str, ...]

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        *,
        metrics: dict[str, MetricDefinition],
        populations: tuple[Population, ...],
        segments: tuple[str, ...],
    ) -> Cells:
        """Cells in one fixed order, whatever order the engine returned them in."""
        return cls(frame.sort_values(list(CELL), ignore_index=True), metrics, populations, segments)

    def population(self, name: str) -> Population:
        """The population called `name`."""
        check_in(name, [population.name for population in self.populations], noun="population")
        return next(population for population in self.populations if population.name == name)

    def days(self, population: str, *, segment: str = "", value: str = "") -> pd.DataFrame:
        """One row per day of a population's segment, in order."""
        frame = self.frame
        chosen = (frame["population"] == population) & (frame["segment"] == segment) & (frame["segment_value"] == value)
        return frame[chosen]

    def values(self, segment: str) -> list[str]:
        """The values of a segment, sorted."""
        return sorted(self.frame.loc[self.frame["segment"] == segment, "segment_value"].unique())

    def total(self, column: str, population: str, *, segment: str = "", value: str = "") -> float:
        """The sum of a column over a population's segment."""
        return float(self.days(population, segment=segment, value=value)[column].sum())

    def labelled_share(self, population: str) -> float | None:
        """Share of a population's answered requests whose label is known; None if nothing was answered."""
        answered = self.total("answered", population)
        return self.total("labelled", population) / answered if answered else None

    def population_rows(self, population: str) -> list[ResultRow]:
        """How many requests a population of a scored model has, how many were answered, and how many are labelled."""
        where: dict[str, Any] = {"key": population, "window": self.population(population).window.label}
        counts = [
            ResultRow(statistic=column, value=int(self.total(column, population)), **where)
            for column in ("requests", "answered", "labelled")
        ]
        share = number_row(
            self.labelled_share(population), "no request was answered", statistic="labelled_share", **where
        )
        return [*counts, share]

    def estimate(self, metric: str, population: str, *, segment: str = ALL, value: str = "") -> Estimate:
        """A metric in a population's segment, with days as clusters."""
        check_in(metric, self.metrics, noun="metric")
        definition = self.metrics[metric]
        if isinstance(definition, RankKind):
            return definition.estimate(self._ranked(metric, population, segment, value))
        sums = self._sums(metric, population, segment, value)
        if sums.absent:
            return sums.absent
        if isinstance(definition, RatioKind):
            return definition.estimate(sums.numerators, sums.denominators, n=sums.n)
        return stats.ratio(sums.numerators, sums.denominators, n=sums.n, method="sum over time, day clusters")

    def against_rest(self, metric: str, population: str, *, segment: str, value: str) -> Estimate:
        """A metric in a segment minus the metric in everything else, with days as clusters.

        Segment and rest share their days, so what moves both on a day cancels. Raises `DefinitionError` for a metric
        that is no ratio of sums over requests.
        """
        check_in(metric, self.metrics, noun="metric")
        definition = self.metrics[metric]
        if not definition.adds_up:
            raise DefinitionError(f"metric {metric!r} is of kind {definition.kind}, which is no mean of requests")
        whole = self.days(population).set_index("day")
        if absent := self._spoilt(metric, whole):
            return absent
        part = self.days(population, segment=segment, value=value).set_index("day").reindex(whole.index)
        sums, counts = _numbers(part[f"{metric}__sum"]), _numbers(part[f"{metric}__n"])
        rest_sums, rest_counts = _numbers(whole[f"{metric}__sum"]) - sums, _numbers(whole[f"{metric}__n"]) - counts
        weight, rest_weight = counts.sum(), rest_counts.sum()
        method, n = "segment - rest, day clusters", _requests(metric, whole)
        if weight == 0 or rest_weight == 0:
            return stats.Estimate.absent("segment or rest has no request with a value", n=n, method=method)
        mean, rest_mean = sums.sum() / weight, rest_sums.sum() / rest_weight
        influences = (sums - mean * counts) / weight - (rest_sums - rest_mean * rest_counts) / rest_weight
        return stats.from_influence(float(mean - rest_mean), influences, n, method)

    def _ranked(self, metric: str, population: str, segment: str, value: str) -> pd.DataFrame:
        """What a metric's own branch brought back, under the names that it gave."""
        days, prefix = self.days(population, segment=segment, value=value), f"{metric}__"
        own = {column: column.removeprefix(prefix) for column in days.columns if column.startswith(prefix)}
        return days[list(own)].rename(columns=own).dropna(how="all").reset_index(drop=True)

    def _sums(self, metric: str, population: str, segment: str, value: str) -> _Days:
        """A metric's sums by day: of the days with a request, or of the whole calendar where it counts against time."""
        days, definition = self.days(population, segment=segment, value=value), self.metrics[metric]
        if absent := self._spoilt(metric, days):
            return _Days((), (), 0, absent)
        if not isinstance(definition, TimeKind):
            sums = _Days(_numbers(days[f"{metric}__sum"]), _numbers(days[f"{metric}__n"]), _requests(metric, days))
            nothing = sums.n == 0
        else:
            calendar = _calendar(self.population(population).window)
            by_day = days.set_index("day")[f"{metric}__sum"].reindex(list(calendar))
            time = _numbers(list(calendar.values())) * definition.units_per_day
            sums = _Days(_numbers(by_day), time, _requests(metric, days))
            nothing = self.days(population).empty
        if nothing:
            return sums._replace(absent=stats.Estimate.absent("no request has a value", n=0, method=DAY_MEAN))
        return sums

    def _spoilt(self, metric: str, days: pd.DataFrame) -> Estimate | None:
        """The absent estimate of a metric that some request made infinite, else None."""
        if f"{metric}__spoilt" not in days or not (requests := int(days[f"{metric}__spoilt"].sum())):
            return None
        definition = self.metrics[metric]
        reason = definition.spoilt_reason(requests)
        return stats.Estimate.absent(reason, n=_requests(metric, days) + requests, method=DAY_MEAN)

    def ratio(
        self, numerators: str, denominators: str, population: str, *, segment: str = "", value: str = ""
    ) -> Estimate:
        """The ratio of two columns' sums over a population's segment, with days as clusters."""
        days = self.days(population, segment=segment, value=value)
        return _ratio(_numbers(days[numerators]), _numbers(days[denominators]))

    def difference_of_sums(
        self, first: str, second: str, denominators: str, population: str, *, segment: str = "", value: str = ""
    ) -> Estimate:
        """The ratio of the difference of two columns' sums to a third's, with days as clusters."""
        days = self.days(population, segment=segment, value=value)
        return _ratio(_numbers(days[first]) - _numbers(days[second]), _numbers(days[denominators]))


def _requests(metric: str, days: pd.DataFrame) -> int:
    """How many requests count for a metric."""
    return int(days[f"{metric}__rows" if f"{metric}__rows" in days else f"{metric}__n"].sum())


def _calendar(window: Window) -> dict[str, float]:
    """The days of a window, with how much of each lies in it."""
    day, shares = start_of_day(window.start), {}
    while day < window.end:
        following = day + timedelta(days=1)
        inside = min(following, window.end) - max(day, window.start)
        shares[f"{day:%Y-%m-%d}"] = inside / timedelta(days=1)
        day = following
    return shares


def _ratio(numerators: Any, denominators: Any) -> Estimate:
    n = int(denominators.sum())
    if n == 0:
        return stats.Estimate.absent("no request has a value", n=0, method=DAY_MEAN)
    return stats.ratio(numerators, denominators, n=n, method=DAY_MEAN)


def _numbers(column: Sequence[Any]) -> Any:
    import numpy as np

    return np.nan_to_num(np.asarray(column, dtype="float64"))
