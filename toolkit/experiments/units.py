"""What an experiment measured: who was exposed, what served them, and the moments that its effects are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from toolkit import stats
from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.experiments.quantile_sums import Quantiles, read_quantiles
from toolkit.experiments.samples import Part, Samples
from toolkit.experiments.telemetry import Telemetry
from toolkit.metrics import MetricDefinition
from toolkit.metrics.quantiles import Quantile
from toolkit.records import ResultRow, Shown, Value, number_row
from toolkit.windows import Window, format_instant


class Arrivals(NamedTuple):
    """One variant's units and requests, counted.

    Attributes
    ----------
    exposed: units exposed to this variant alone. served: those of them with a served request at or after exposure.
    requests: served requests at or after exposure, by any version. other_version: those not by the variant's own.
    early: requests that the variant's own version served before the unit's first exposure.
    answered: requests by the own version without error. labelled: those of them with a label.
    unclustered: requests by the own version without a cluster.
    """

    exposed: int
    served: int
    requests: int
    other_version: int
    early: int
    answered: int
    labelled: int
    unclustered: int


@dataclass(frozen=True)
class Units(Shown):
    """What an experiment measured; a few numbers per metric, variant and day, whatever the number of requests.

    Attributes
    ----------
    window, as_of: what was looked at, and the instant at which it was: the plan's window, or at an early look its part
        that has matured. planned_window: the plan's.
    control: the variant that the others are compared with. clustered: whether groups are clusters, not units.
    arrivals: by variant. double_exposed: units seen in more than one variant, excluded. unplanned: units exposed to
        a variant that the plan does not have, excluded. ineligible: by variant, units that the plan leaves out.
    exposed_by_day, exposed_by_segment: by variant and day of first exposure, by segment, value and variant. A unit
        without a request has the value `missing`.
    infinite: by metric and variant, requests whose value is infinite (log loss of a certain and wrong score).
    caps: by metric with a cap, its value: group totals are cut there in the winsorized view.
    covariates: what they are called. missing_covariates: by name and variant, groups with requests that lack it.
    sample: (unit, variant) of the first `SAMPLE_UNITS` exposed units in the order of the MD5 of their ids.
    metrics: the definitions of the plan's metrics.
    digest: of all that was measured, the data included: the same look has the same, however often it is taken.
    health: what only the checks need.
    """

    experiment: str
    window: Window
    planned_window: Window
    as_of: datetime
    control: str
    clustered: bool
    arrivals: Mapping[str, Arrivals]
    double_exposed: int
    unplanned: int
    ineligible: Mapping[str, int]
    exposed_by_day: Mapping[tuple[str, date], int]
    exposed_by_segment: Mapping[tuple[str, str, str], int]
    infinite: Mapping[tuple[str, str], int]
    caps: Mapping[str, float]
    covariates: tuple[str, ...]
    missing_covariates: Mapping[tuple[str, str], int]
    sample: tuple[tuple[str, str], ...]
    metrics: Mapping[str, MetricDefinition]
    digest: str
    read: Samples = field(repr=False)
    kept_quantiles: Mapping[str, Any] = field(default_factory=dict, repr=False)
    health: Telemetry | None = field(default=None, repr=False)

    @property
    def exposed(self) -> int:
        """Every exposed unit, those that are excluded too; but not those that the plan leaves out."""
        return sum(counts.exposed for counts in self.arrivals.values()) + self.double_exposed + self.unplanned

    @property
    def days(self) -> tuple[date, ...]:
        """The days on which units were first exposed."""
        return tuple(sorted({day for _, day in self.exposed_by_day}))

    @property
    def since_days(self) -> tuple[int, ...]:
        """The days since exposure that have requests: 0 is the day of the exposure itself."""
        return self.read.since_days()

    @property
    def segments(self) -> tuple[str, ...]:
        """The segmentations: the plan's, `experiment:<key>` for each other experiment that ran meanwhile (values are
        the variants in it), and of a holdout `exposed_in` (the first day of the period of a unit's first exposure).
        """
        return self.read.layout.splits

    def segment_values(self, segment: str) -> tuple[str, ...]:
        """The values of a segmentation, sorted. Raises `UnknownNameError`."""
        return self.read.values(segment)

    def samples(
        self,
        metric: str,
        treatment: str,
        *,
        segment: str = "",
        value: str = "",
        through_day: date | None = None,
        since_day: int | None = None,
        covariates: bool = False,
        capped: bool = False,
    ) -> stats.TwoSamples:
        """One metric in a treatment and the control, over units or clusters: all that an estimate of it needs.

        Parameters
        ----------
        segment, value: only units of that segment. through_day: only those exposed up to that day. since_day: only
            requests of that day since the exposure, 0 for the same day. At most one of the three.
        covariates: with two sums for each of the plan's covariates. capped: totals of groups are cut at the cap.

        Raises `UnknownNameError`, `ArgumentError`.
        """
        self._check(metric, treatment)
        part = Part(segment, value, through_day, since_day)
        if segment:
            check_in(segment, self.segments, noun="segment")
        if since_day is not None and (covariates or capped):
            raise ArgumentError("a day since exposure has neither covariates nor caps; leave covariates and capped out")
        if capped and metric not in self.caps:
            given = f"; caps are planned for {', '.join(self.caps)}" if self.caps else ""
            raise ArgumentError(f"metric {metric!r} has no cap in the plan{given}")
        found = self.read.of(metric, treatment, part, covariates=covariates, capped=capped)
        return found._replace(infinite=self._infinite(metric, treatment))

    def past(self, metric: str, treatment: str) -> stats.TwoSamples:
        """The same metric over each unit's days before its exposure, when no variant can have changed it."""
        self._check(metric, treatment)
        return self.read.past(metric, treatment)

    def quantiles(self, metric: str, treatment: str) -> Quantiles:
        """A metric that is a quantile, in a treatment and the control."""
        definition = self.metrics[check_in(metric, self.metrics, noun="metric")]
        if not isinstance(definition, Quantile):
            raise ArgumentError(f"metric {metric!r} is of kind {definition.kind}, must be a quantile; see samples()")
        check_in(treatment, self.treatments, noun="treatment")
        kept = self.kept_quantiles[metric]
        return read_quantiles(kept, definition.q, self.control, treatment, clustered=self.clustered)

    @property
    def treatments(self) -> tuple[str, ...]:
        """The variants that are not the control."""
        return tuple(variant for variant in self.arrivals if variant != self.control)

    def _check(self, metric: str, treatment: str) -> None:
        check_in(metric, self.metrics, noun="metric")
        if metric not in self.read.layout.metrics:
            kind = self.metrics[metric].kind
            raise ArgumentError(f"metric {metric!r} is of kind {kind}, which is no ratio of sums; see quantiles()")
        check_in(treatment, self.treatments, noun="treatment")

    def _infinite(self, metric: str, treatment: str) -> int:
        return sum(self.infinite.get((metric, variant), 0) for variant in (self.control, treatment))

    @property
    def text(self) -> str:
        """Who was exposed and what was left out."""
        shares = ", ".join(f"{variant} {counts.exposed:,}" for variant, counts in self.arrivals.items())
        return (
            f"{self.exposed:,} units were exposed in {self.window.label} ({shares}; {self.double_exposed:,} in more "
            f"than one variant and left out), as known at {format_instant(self.as_of)}."
        )

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per variant and count, then per metric and variant."""
        window = self.window.label
        counted = [
            ResultRow(variant, statistic, value, window=window)
            for variant, counts in self.arrivals.items()
            for statistic, value in counts._asdict().items()
        ]
        means = [
            number_row(
                mean,
                "no requests that count",
                key=metric,
                statistic="mean",
                segment=f"variant={variant}",
                window=window,
                n=requests,
                unit=self.metrics[metric].unit,
            )
            for metric in self.read.layout.metrics
            if metric in self.metrics
            for variant, mean, requests in self._means(metric)
        ]
        return [*counted, *means]

    def _means(self, metric: str) -> Iterator[tuple[str, float | None, int]]:
        """Each variant, the metric's mean in it, and its requests that count."""
        for number, treatment in enumerate(self.treatments):
            found = self.samples(metric, treatment)
            ends = [(treatment, found.treatment, found.rows1)]
            if number == 0:
                ends.insert(0, (self.control, found.control, found.rows0))
            for variant, moments, requests in ends:
                weight = moments.mean(1)
                yield variant, found.shift + (moments.mean(0) or 0.0) / weight if weight else None, requests

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per variant."""
        return [
            {
                "variant": variant,
                "exposed_units": counts.exposed,
                "served_units": counts.served,
                "requests": counts.requests,
                "labelled_requests": counts.labelled,
            }
            for variant, counts in self.arrivals.items()
        ]
