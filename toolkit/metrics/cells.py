"""What the engine brought back: sums by population, day and segment; and the estimates made of them.

Days are the clusters of every interval: requests of one day share its weather and its traffic, so treating them as
independent would promise too much. The estimand of a metric is the mean over the requests of its population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.checks import check_in
from toolkit.errors import DefinitionError
from toolkit.metrics.definitions import MetricDefinition
from toolkit.records import ResultRow, number_row

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.metrics.query import Population
    from toolkit.stats import Estimate

_MEAN = "mean, day clusters"
_KEYS = ["population", "segment", "segment_value", "day"]


@dataclass(frozen=True, eq=False)
class Cells:
    """One row per population × segment × segment value × day, with the sums of every metric.

    Attributes
    ----------
    frame: keys population, segment ("" for all), segment_value, day (ISO date); requests; for each metric but AUC
        `<key>__n` and `<key>__sum`; for scored models labelled, answered, label_sum, score_sum, brier_sum,
        expected_brier_sum; for AUC auc_positives, auc_negatives and the two placement sums.
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
        return cls(frame.sort_values(_KEYS, ignore_index=True), metrics, populations, segments)

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

    def estimate(self, metric: str, population: str, *, segment: str = "", value: str = "") -> Estimate:
        """A metric's mean in a population's segment, with days as clusters."""
        check_in(metric, self.metrics, noun="metric")
        days = self.days(population, segment=segment, value=value)
        definition = self.metrics[metric]
        if definition.kind == "auc":
            return stats.auc_from_placements(
                positives=_numbers(days["auc_positives"]),
                negatives=_numbers(days["auc_negatives"]),
                placement_sum_positives=_numbers(days["placement_positives"]),
                placement_sum_negatives=_numbers(days["placement_negatives"]),
            )
        if infinite := _infinite(definition, days):
            return infinite
        return self.ratio(f"{metric}__sum", f"{metric}__n", population, segment=segment, value=value)

    def against_rest(self, metric: str, population: str, *, segment: str, value: str) -> Estimate:
        """A metric's mean in a segment minus its mean in everything else, with days as clusters.

        Segment and rest share their days, so what moves both on a day cancels. Raises `DefinitionError` for AUC.
        """
        check_in(metric, self.metrics, noun="metric")
        if self.metrics[metric].kind == "auc":
            raise DefinitionError(f"metric {metric!r} is of kind auc, which is no mean of requests")
        whole = self.days(population).set_index("day")
        if infinite := _infinite(self.metrics[metric], whole):
            return infinite
        part = self.days(population, segment=segment, value=value).set_index("day").reindex(whole.index)
        sums, counts = _numbers(part[f"{metric}__sum"]), _numbers(part[f"{metric}__n"])
        rest_sums, rest_counts = _numbers(whole[f"{metric}__sum"]) - sums, _numbers(whole[f"{metric}__n"]) - counts
        n, rest_n = counts.sum(), rest_counts.sum()
        method = "segment - rest, day clusters"
        if n == 0 or rest_n == 0:
            return stats.Estimate.absent(
                "segment or rest has no request with a value", n=int(n + rest_n), method=method
            )
        mean, rest_mean = sums.sum() / n, rest_sums.sum() / rest_n
        influences = (sums - mean * counts) / n - (rest_sums - rest_mean * rest_counts) / rest_n
        return stats.from_influence(float(mean - rest_mean), influences, int(n + rest_n), method)

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


def _infinite(metric: MetricDefinition, days: pd.DataFrame) -> Estimate | None:
    """The absent estimate of a log loss that is infinite, else None."""
    if metric.kind != "log_loss" or not (wrong := int(days["certain_and_wrong"].sum())):
        return None
    reason = f"infinite: {wrong:,} requests were scored 0 or 1 and were wrong"
    return stats.Estimate.absent(reason, n=int(days["labelled"].sum()), method=_MEAN)


def _ratio(numerators: Any, denominators: Any) -> Estimate:
    n = int(denominators.sum())
    if n == 0:
        return stats.Estimate.absent("no request has a value", n=0, method=_MEAN)
    return stats.ratio(numerators, denominators, n=n, method=_MEAN)


def _numbers(column: Sequence[Any]) -> Any:
    import numpy as np

    return np.nan_to_num(np.asarray(column, dtype="float64"))
