"""Early labels, weighted by maturity: each counts 1 / P(such a label is known by now).

Of the youngest requests few labels are there, and often not just any: a fraud that somebody reports is known long
before nobody's report says that there was none. So the probability is that of a label *of its kind*, positive or
negative, on a request *of its day*; labels that are numbers have one for all. The sums of a metric that reads the label
take the weights; nothing else changes, and the engine sees one more factor.

It holds as far as labels of one kind take as long now as they took, whatever their score: `label_arrival` says whether
labels still arrive as they used to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model
from typing_extensions import override

from toolkit.data import LABEL
from toolkit.data.instants import day_of
from toolkit.metrics.kinds import MetricDefinition, Parts, RatioKind
from toolkit.metrics.maturity import DelayCount
from toolkit.metrics.needs import columns_needed
from toolkit.stats import Estimate
from toolkit.stats.maturity import MaturityWeights, maturity_weights, truncated_shares

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import ArrayLike

WEIGHTED = "early labels weighted by maturity"

_POSITIVE, _NEGATIVE, _ANY = "positive", "negative", "any"


@dataclass(frozen=True)
class EarlyLabels:
    """What each label of a population counts, by its kind and its request's day.

    Attributes
    ----------
    weights: of kind and day; a day that is not there counts 1, a weight of None nothing at all.
    labels, effective_labels: how many there are, and as many of weight 1 would say as much.
    left_out: labels that so few are known as early as that they would count more than twenty times.
    """

    weights: tuple[tuple[str, str, float | None], ...]
    labels: int
    effective_labels: float
    left_out: int

    @property
    def text(self) -> str:
        """In words."""
        left_out = f"; {self.left_out:,} too early to count" if self.left_out else ""
        return f"{WEIGHTED}: {self.labels:,} labels, as good as {self.effective_labels:,.0f}{left_out}"

    def weighted(self, metrics: Mapping[str, MetricDefinition]) -> dict[str, MetricDefinition]:
        """The metrics, those that read the label as ratios of weighted sums; the others as they are.

        Metrics that need the order of requests (AUC, quantiles) are among the others: their estimates say nothing of
        weights.
        """
        return {key: self._weighted(metric) for key, metric in metrics.items()}

    def _weighted(self, metric: MetricDefinition) -> MetricDefinition:
        if not isinstance(metric, RatioKind) or LABEL not in columns_needed(_scalars(metric)):
            return metric
        given = {name: getattr(metric, name) for name in type(metric).model_fields}
        return _weighted_kind(type(metric)).model_construct(**given, weights=self.weights)


def early_labels(counts: Sequence[DelayCount], *, known_from: Sequence[DelayCount] = ()) -> EarlyLabels:
    """The weights of a population's labels, from how long its labels took.

    Parameters
    ----------
    counts: of the population.
    known_from: of further requests from which the delays may be learnt, such as those of the reference period.
    """
    learnt = [count for count in (*counts, *known_from) if count.delay_days is not None]
    split = {count.label for count in learnt} <= {0.0, 1.0}
    groups: list[tuple[str, str, float, int]] = []
    for kind in (_POSITIVE, _NEGATIVE) if split else (_ANY,):
        shares = _shares([count for count in learnt if _is(count, kind)])
        labelled: dict[str, int] = {}
        watched: dict[str, int] = {}
        for count in counts:
            if count.delay_days is not None and _is(count, kind):
                labelled[count.request_day] = labelled.get(count.request_day, 0) + count.requests
                watched[count.request_day] = count.watched_days
        for day, number in labelled.items():
            share = max((share for delay, share in shares.items() if delay <= watched[day]), default=0.0)
            groups.append((kind, day, share, number))
    found: MaturityWeights = maturity_weights([group[2] for group in groups], [group[3] for group in groups])
    weights = [(kind, day, weight) for (kind, day, *_), weight in zip(groups, found.weights, strict=True)]
    return EarlyLabels(
        tuple(sorted((each for each in weights if each[2] != 1.0), key=lambda each: each[:2])),
        sum(group[3] for group in groups),
        found.effective_n,
        found.left_out,
    )


class WeightedKind(RatioKind):
    """What is mixed into a kind whose labels are weighted."""

    weights: tuple[tuple[str, str, float | None], ...] = Field(description="of a label, by kind and day of request")

    @override
    def columns(self) -> Sequence[str]:
        return [*super().columns(), LABEL, "occurred_at"]

    @override
    def parts(self, table: ir.Table) -> Parts:
        parts, weight = super().parts(table), _weight(table, self.weights)
        return Parts(*(_as_number(part) * weight if part is not None else weight for part in parts))

    @override
    def estimate(self, numerators: ArrayLike, denominators: ArrayLike, *, n: int) -> Estimate:
        found = super().estimate(numerators, denominators, n=n)
        return found._replace(method=f"{found.method}, {WEIGHTED}")


@cache
def _weighted_kind(kind: type[RatioKind]) -> type[RatioKind]:
    made: type[RatioKind] = create_model(kind.__name__, __base__=(WeightedKind, kind), __doc__=kind.__doc__)
    return made


def _scalars(metric: MetricDefinition) -> list[str]:
    return [scalar for scalar in (*metric.columns(), metric.filter) if scalar]


def _is(count: DelayCount, kind: str) -> bool:
    return kind == _ANY or (count.label == 1.0) == (kind == _POSITIVE)


def _shares(counts: Sequence[DelayCount]) -> dict[float, float]:
    return truncated_shares(
        [count.watched_days for count in counts],
        [count.delay_days or 0 for count in counts],
        [count.requests for count in counts],
    )


def _weight(table: ir.Table, weights: Sequence[tuple[str, str, float | None]]) -> Any:
    """The weight of each request's label: missing where there is none, or where it must not count."""
    import ibis

    day, label = day_of(table.occurred_at), table[LABEL]
    conditions = {_POSITIVE: label == 1.0, _NEGATIVE: label == 0.0, _ANY: label.notnull()}
    nothing, found = ibis.null("float64"), ibis.literal(1.0)
    for kind, condition in conditions.items():
        of_days = [(when, nothing if weight is None else weight) for each, when, weight in weights if each == kind]
        if of_days:
            found = condition.ifelse(day.cases(*of_days, else_=1.0), found)
    return label.notnull().ifelse(found, nothing)


def _as_number(value: Any) -> Any:
    return (value.cast("int32") if value.type().is_boolean() else value).cast("float64")
