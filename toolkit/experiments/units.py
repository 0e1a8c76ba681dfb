"""Measures an experiment: who was exposed, what served them, and the sums that its effects are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import Source
from toolkit.errors import NotReady, Skipped
from toolkit.experiments.statement import places, statement
from toolkit.metrics import MetricDefinition, load_metrics
from toolkit.metrics.needs import check_labels
from toolkit.records import ResultRow, Shown, Value, number_row
from toolkit.windows import Window, format_instant, parse_instant

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

_READING = "predictions, outcomes and exposures"


class Side(NamedTuple):
    """One metric in one variant.

    Attributes
    ----------
    requests: the requests that count. groups: the units (plain) or clusters (clustered) that they belong to.
    mean: over requests, or the ratio of the metric's two sums; None without any, and where the denominators sum to 0.
    square_sum: Σ_g a_g² with a_g = (s_g - mean · n_g) / n, from each group's sum s_g and denominator n_g, and all of
        these, n; for a mean over requests the denominator is how many there are.
    infinite: requests whose value is infinite (log loss of a certain and wrong score).
    """

    requests: int
    groups: int
    mean: float | None
    square_sum: float | None
    infinite: int = 0


class Pair(NamedTuple):
    """One metric in a treatment and the control, over the groups that have requests in either.

    With a_g the control's and b_g the treatment's part (see `Side`): `square_sum` is Σ (b_g - a_g)², `product_sum` is
    Σ a_g b_g, which is 0 unless groups straddle the variants.
    """

    groups: int
    square_sum: float | None
    product_sum: float | None


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
    """What an experiment measured; a few numbers per metric and variant, whatever the number of requests.

    Attributes
    ----------
    window, as_of: the plan's window and the instant at which everything was looked at.
    arrivals: by variant. double_exposed: units seen in more than one variant, excluded. unplanned: units exposed to
        a variant that the plan does not have, excluded.
    sides: by (metric, variant). pairs: by (metric, treatment).
    sample: (unit, variant) of the first `SAMPLE_UNITS` exposed units in the order of the MD5 of their ids.
    metrics: the definitions of the plan's metrics.
    """

    experiment: str
    window: Window
    as_of: datetime
    arrivals: Mapping[str, Arrivals]
    double_exposed: int
    unplanned: int
    sides: Mapping[tuple[str, str], Side]
    pairs: Mapping[tuple[str, str], Pair]
    sample: tuple[tuple[str, str], ...]
    metrics: Mapping[str, MetricDefinition]

    @property
    def exposed(self) -> int:
        """Every exposed unit, those that are excluded too."""
        return sum(counts.exposed for counts in self.arrivals.values()) + self.double_exposed + self.unplanned

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
                side.mean,
                "no requests that count",
                key=metric,
                statistic="mean",
                segment=f"variant={variant}",
                window=window,
                n=side.requests,
                unit=self.metrics[metric].unit,
            )
            for (metric, variant), side in self.sides.items()
        ]
        return [*counted, *means]

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


def measure(plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "") -> Units:
    """Measure every metric of the plan for every variant, in one SQL statement.

    The units are those exposed in the plan's window, each from its first exposure on. Units seen in more than one
    variant are excluded and counted. Of each unit the requests count that were served at or after its first exposure
    and before the window's end by its variant's own version. Labels are those known at `as_of`.

    Parameters
    ----------
    as_of: an instant; as text ISO in UTC, "" for the last day complete in the data.

    Raises `NotReady` (with the date to come back) before the window has ended and its labels have had the plan's days
    to mature, `Skipped` when no unit was exposed, `ContractError` for data that break their contract.
    """
    complete_through = source.complete_through()
    instant = as_of if isinstance(as_of, datetime) else parse_instant(as_of) if as_of else complete_through
    _require_ready(plan, as_of=instant, complete_through=complete_through)
    definitions = load_metrics(source.workspace)
    metrics = {key: definitions[key] for key in plan.metrics}
    row = source.execute(statement(plan, metrics, source, as_of=instant), reading=_READING).iloc[0]
    check_labels(_count(row["label_outside"]), plan.model, metrics)
    units = _read(plan, metrics, row, as_of=instant)
    if units.exposed == 0:
        raise Skipped(f"experiment {plan.key!r}: no unit was exposed in {plan.window.window.label}")
    return units


def _require_ready(plan: ExperimentPlan, *, as_of: datetime, complete_through: datetime) -> None:
    window = plan.window.window
    if as_of < plan.ready_on:
        days = plan.label_maturity.days
        raise NotReady(
            f"experiment {plan.key!r} needs data up to {format_instant(plan.ready_on)} (its window ends at "
            f"{format_instant(window.end)} and labels take {days} day{'' if days == 1 else 's'}), and it was asked for "
            f"as of {format_instant(as_of)}; it is ready on {plan.ready_on:%Y-%m-%d}",
            ready_on=plan.ready_on,
        )
    window.require_complete(complete_through, what=f"experiment {plan.key!r}")


def _read(plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition], row: Any, *, as_of: datetime) -> Units:
    """The engine's one row as `Units`."""
    arrivals = {
        variant: Arrivals(*(_count(row[f"{name}_{v}"]) for name in Arrivals._fields))
        for v, variant in enumerate(plan.variants)
    }
    sides, pairs = {}, {}
    for place, (metric, variant) in places(plan, metrics).items():
        sides[metric, variant] = _side(row, place)
        if variant != plan.control:
            pairs[metric, variant] = Pair(
                _count(row[f"pair_groups_{place}"]),
                _number(row[f"pair_squares_{place}"]),
                # Without a request in one of the variants there is no product, and no comparison either.
                _number(row[f"pair_products_{place}"]),
            )
    for metric in metrics:
        for treatment in plan.treatments:
            ends = sides[metric, plan.control], sides[metric, treatment]
            if all(side.square_sum == 0 for side in ends):
                pairs[metric, treatment] = pairs[metric, treatment]._replace(square_sum=0.0, product_sum=0.0)
    return Units(
        experiment=plan.key,
        window=plan.window.window,
        as_of=as_of,
        arrivals=arrivals,
        double_exposed=_count(row["double_exposed"]),
        unplanned=_count(row["unplanned"]),
        sides=sides,
        pairs=pairs,
        sample=tuple(zip(_texts(row["sample_units"]), _texts(row["sample_variants"]), strict=True)),
        metrics=metrics,
    )


def _side(row: Any, place: str) -> Side:
    requests = _count(row[f"count_{place}"])
    groups, infinite = _count(row[f"groups_{place}"]), _count(row.get(f"infinite_{place}"))
    weight = _number(row[f"weight_{place}"])
    if not (requests and weight):
        return Side(0, 0, None, None, infinite)
    low, high = float(row[f"low_{place}"]), float(row[f"high_{place}"])
    if low == high:
        # The sum of equal numbers is rounded; their mean and spread are known exactly.
        return Side(requests, groups, low, 0.0, infinite)
    return Side(requests, groups, float(row[f"sum_{place}"]) / weight, float(row[f"squares_{place}"]), infinite)


def _missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN is the one value that differs from itself


def _count(value: Any) -> int:
    return 0 if _missing(value) else int(value)


def _number(value: Any) -> float | None:
    return None if _missing(value) else float(value)


def _texts(values: Any) -> list[str]:
    return [] if values is None or isinstance(values, float) else [str(value) for value in values]
