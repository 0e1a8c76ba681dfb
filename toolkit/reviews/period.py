"""What is looked back upon: all that a model served in a period, beside the period before, measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from typing_extensions import override

from toolkit import stats
from toolkit.data import ModelDefinition, Source
from toolkit.display import format_number
from toolkit.errors import NotReady, Skipped
from toolkit.metrics import Cells, MetricDefinition, Population, load_metrics, measure
from toolkit.records import ResultRow, Shown
from toolkit.reviews.periods import ReviewPeriod, parse_period
from toolkit.signals import check_loss
from toolkit.windows import Window, format_instant, parse_instant
from toolkit.workspace import Workspace

PREVIOUS, REVIEWED = "previous", "period"
VERSION = "version"
"""The segment that every review has beside the model's own: which version served."""


@dataclass(frozen=True, eq=False)
class PeriodReview(Shown):
    """The cells of a period and of the one before: the requests that the model served, whichever version did.

    A period in which the model served nothing is compared with nothing: what was only scored beside it, or what a
    version was accepted on, is another population, and triage is the report that compares with that.
    """

    model: ModelDefinition
    period: ReviewPeriod
    cells: Cells
    as_of: datetime

    @property
    def metrics(self) -> dict[str, MetricDefinition]:
        """The metrics that were measured."""
        return self.cells.metrics

    @property
    def window(self) -> Window:
        """The period's window."""
        return self.period.window

    @property
    def no_previous(self) -> str:
        """Why there is nothing to compare with, or ""."""
        if self.cells.total("requests", PREVIOUS):
            return ""
        return f"{self.model.name} served no request in {self.period.previous.label}"

    def estimate(self, metric: str, population: str) -> stats.Estimate:
        """A metric's mean in a period, days as clusters; absent for the whole of a previous period without requests."""
        if population == PREVIOUS and self.no_previous:
            return stats.Estimate.absent(self.no_previous, n=0, method="mean, day clusters")
        return self.cells.estimate(metric, population)

    def versions(self, population: str) -> dict[str, int]:
        """The versions that served in a period, with their requests, in order of their names."""
        counts = {
            version: int(self.cells.total("requests", population, segment=VERSION, value=version))
            for version in self.cells.values(VERSION)
        }
        return {version: requests for version, requests in counts.items() if requests}

    @property
    @override
    def text(self) -> str:
        previous = (
            f"There is no previous period: {self.no_previous}, so no change is shown"
            if self.no_previous
            else f"Previous period: {self.period.previous.label}"
        )
        return (
            f"Period: all that {self.model.name} served, {self.window.label}. {previous}. "
            f"Labels as known on {format_instant(self.as_of)}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for population in self.cells.populations:
            name, window = population.name, population.window.label
            rows += self.cells.population_rows(name)
            rows += [
                ResultRow(key=name, statistic="requests", value=requests, segment=f"version={version}", window=window)
                for version, requests in self.versions(name).items()
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "period": population.name,
                "days": population.window.label,
                "requests": int(self.cells.total("requests", population.name)),
                "labelled_share": self.cells.labelled_share(population.name),
                "served_by": self._served_by(population.name),
            }
            for population in self.cells.populations
        ]

    def _served_by(self, population: str) -> str:
        versions = self.versions(population)
        total = sum(versions.values())
        shares = [f"version {key} ({format_number('share', n / total, unit='share')})" for key, n in versions.items()]
        return ", ".join(shares) or "none"


def measure_period(
    workspace: Workspace, source: Source, model: ModelDefinition, *, period: str, as_of: str
) -> PeriodReview:
    """Measure every metric of the workspace for all that a model served in `period` and in the period before.

    Parameters
    ----------
    period: as `parse_period` reads it.
    as_of: ISO instant; empty means the last day complete in the data.

    Raises `ArgumentError`, `NotReady` when the period's data or labels are not there yet, and `Skipped` when the model
    served nothing in it.
    """
    wanted = parse_period(period)
    complete = source.complete_through()
    instant = parse_instant(as_of) if as_of else complete
    maturity_days = model.label.maturity_days
    ready = wanted.window.end + timedelta(days=maturity_days)
    what = f"the retrospective of {wanted.window.label}"
    if instant < ready:
        raise NotReady(
            f"{what} waits for its labels, known {maturity_days} days after the request: it is ready on "
            f"{format_instant(ready)}, and as_of is {format_instant(instant)}",
            ready_on=ready,
        )
    wanted.window.require_complete(complete, what=what)
    metrics = load_metrics(workspace)
    check_loss(model, metrics)
    cells = measure(
        source,
        model,
        metrics,
        (
            Population(PREVIOUS, None, wanted.previous, served_only=True),
            Population(REVIEWED, None, wanted.window, served_only=True),
        ),
        as_of=instant,
        segments=tuple(dict.fromkeys((*model.segments, VERSION))),
    )
    if not cells.total("requests", REVIEWED):
        raise Skipped(f"model {model.key!r} served no request in {wanted.window.label}")
    return PeriodReview(model, wanted, cells, instant)
