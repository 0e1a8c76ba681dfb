"""What is looked at: the model's last days in production beside its reference period, measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from typing_extensions import override

from toolkit.checks import check_in
from toolkit.data import ModelDefinition, Source, serving_version
from toolkit.data.versions import defined_version, empty_reference
from toolkit.errors import ArgumentError, DefinitionError, NotReady
from toolkit.metrics import Cells, MetricDefinition, Population, load_metrics, measure
from toolkit.metrics.early_labels import EarlyLabels, early_labels
from toolkit.metrics.label_arrival import LabelArrival, compare_arrival
from toolkit.metrics.maturity import DelayCount, count_delays
from toolkit.records import ResultRow, Shown, number_row
from toolkit.windows import Window, format_instant, parse_instant, start_of_day
from toolkit.workspace import Workspace

REFERENCE, CURRENT = "reference", "current"

WEIGHTINGS = ("", "maturity")

LOSS_KINDS = ("brier", "log_loss")
"""The kinds of metric that measure what a model loses on each request."""


@dataclass(frozen=True, eq=False)
class Observation(Shown):
    """The cells of a model's reference period and of its current window.

    The current window is the last `window_days` whole days whose labels are mature at `as_of`; with weighted early
    labels the last whole days of all. It covers the version that served most of its requests; the reference period is
    that version's own.

    Attributes
    ----------
    labels: whether the current window's labels are there, as far as the reference period lets expect.
    early: what early labels count; None where each counts once.
    """

    model: ModelDefinition
    cells: Cells
    as_of: datetime
    version: str
    served_share: float
    labels: LabelArrival
    early: EarlyLabels | None = None

    @property
    def metrics(self) -> dict[str, MetricDefinition]:
        """The metrics that were measured."""
        return self.cells.metrics

    @property
    def window(self) -> Window:
        """The current window."""
        return self.cells.population(CURRENT).window

    @property
    def weeks(self) -> float:
        """The current window's length in weeks."""
        return self.window.days / 7

    @property
    def requests_per_week(self) -> float:
        """Requests of the current window, per week."""
        return self.cells.total("requests", CURRENT) / self.weeks

    @property
    def labelled_per_week(self) -> float:
        """Labelled requests of the current window, per week."""
        return self.cells.total("labelled", CURRENT) / self.weeks

    @property
    @override
    def text(self) -> str:
        reference, current = (self.cells.population(name) for name in (REFERENCE, CURRENT))
        return (
            f"Current: {current.text} ({self.served_share:.1%} of what {self.model.name} served then). "
            f"Reference: {reference.text}. Labels as known on {format_instant(self.as_of)}.{self._reservations()}"
        )

    def _reservations(self) -> str:
        """What metrics that need labels are subject to, as sentences."""
        said = [self.labels.provisional, self.early.text if self.early else ""]
        return "".join(f" {text[0].upper()}{text[1:]}." for text in said if text)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for population in self.cells.populations:
            name, window = population.name, population.window.label
            rows += self.cells.population_rows(name)
            rows.append(ResultRow(key=name, statistic="version", value=population.version, window=window))
        return [*rows, *self._label_rows()]

    def _label_rows(self) -> list[ResultRow]:
        where: dict[str, Any] = {"key": CURRENT, "window": self.window.label}
        labels = self.labels
        rows = [
            number_row(
                labels.expected_share, labels.gap.reason, statistic="expected_labelled_share", unit="share", **where
            ),
            ResultRow(statistic="labels", value=labels.provisional or labels.verdict, **where),
        ]
        if self.early is not None:
            rows.append(ResultRow(statistic="weighting", value=self.early.text, **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "population": population.name,
                "days": population.window.label,
                "version": population.version,
                "requests": int(self.cells.total("requests", population.name)),
                "labelled_share": self.cells.labelled_share(population.name),
            }
            for population in self.cells.populations
        ]


def observe(
    workspace: Workspace,
    source: Source,
    model: ModelDefinition,
    *,
    as_of: str,
    window_days: int,
    weighting: Literal["", "maturity"] = "",
) -> Observation:
    """Measure every metric of the workspace for a model: its current window beside its reference period.

    Parameters
    ----------
    weighting: `maturity` looks at the last whole days, whose labels are not all there yet, and has each label count
        1 / P(such a label is known by now). Calibration and the loss of a score's twentieths take labels as they are.

    Raises `NotReady` when the window lies before the end of the reference period, `Skipped` when nothing was served,
    `UnknownNameError` for a version that the model's file lacks, `DefinitionError` for a reference without requests.
    """
    if weighting not in WEIGHTINGS:
        raise ArgumentError(f"weighting == {weighting!r}, must be one of: '', 'maturity'")
    instant = parse_instant(as_of) if as_of else source.complete_through()
    wait_days = 0 if weighting else model.label.maturity_days
    window = Window.last_days(window_days, before=start_of_day(instant - timedelta(days=wait_days)))
    version, served_share = serving_version(source, model=model.key, window=window, as_of=instant)
    reference = defined_version(source, model, version).reference.window
    if window.overlaps(reference):
        ready = reference.end + timedelta(days=window_days + wait_days)
        raise NotReady(
            f"the current window {window.label} overlaps the reference period {reference.label} of version {version}; "
            f"it is clear of it from {ready:%Y-%m-%d} on (or with a smaller window_days)",
            ready_on=ready,
        )
    metrics = load_metrics(workspace)
    check_loss(model, metrics)
    before = Population(REFERENCE, version, reference, served_only=False)
    current = Population(CURRENT, version, window, served_only=True)
    counts = count_delays(source, model, [before, current], as_of=instant)
    labels = compare_arrival(model, counts, reference=before, population=current, as_of=instant)
    early = _early(counts) if weighting else None
    cells = measure(
        source,
        model,
        early.weighted(metrics) if early else metrics,
        (before, current),
        as_of=start_of_day(instant) if early else instant,
        segments=model.segments,
    )
    if not cells.total("requests", REFERENCE):
        raise empty_reference(source, model, version, looked_at=window)
    return Observation(model, cells, instant, version, served_share, labels, early)


def _early(counts: Sequence[DelayCount]) -> EarlyLabels:
    """The weights of the current window's labels; the reference period's say how long labels take, too."""
    return early_labels(
        [count for count in counts if count.population == CURRENT],
        known_from=[count for count in counts if count.population == REFERENCE],
    )


def check_loss(model: ModelDefinition, metrics: Mapping[str, MetricDefinition]) -> None:
    """Raise `DefinitionError` unless the model's loss is a metric of the workspace that measures a loss."""
    check_in(model.loss, metrics, noun=f"metric (loss in models/{model.key}.yml)", error=DefinitionError)
    kind = metrics[model.loss].kind
    if kind not in LOSS_KINDS:
        raise DefinitionError(
            f"models/{model.key}.yml: loss is {model.loss!r}, a metric of kind {kind}; it must be of kind "
            f"{' or '.join(LOSS_KINDS)}"
        )
