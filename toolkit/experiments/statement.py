"""The one SQL statement that measures an experiment; built of Ibis expressions, executed by `units.measure`.

It works in steps inside the engine and returns one row: both sums of every metric (see `metrics.needs`) by group (a
unit, or a cluster where the plan says so) and variant, then the variants' ratios of them, then each group's distance
from those ratios, squared and multiplied. Squares are of centred values, never of raw ones, so that large means lose
no digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolkit.data import LABEL, Source, labelled_predictions, load_model
from toolkit.errors import DefinitionError
from toolkit.metrics import MetricDefinition, RatioKind
from toolkit.metrics.needs import Counted, columns_needed, counted, label_outside, scalars_needed, with_scalars

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

SAMPLE_UNITS = 2000
"""How many units' assignments are recomputed. If 1 % of all were wrong, 20 would be expected among them."""


def statement(
    plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition], source: Source, *, as_of: datetime
) -> ir.Table:
    """The whole measurement as one row.

    Columns: `double_exposed`, `unplanned`, `sample_units`, `sample_variants`, `label_outside`; by variant
    `<count>_<v>` for the counts of `units.Arrivals`; by place (see `places`) sum, weight, count, low, high, groups,
    squares and, of treatments, pair_groups, pair_squares, pair_products; `infinite_<place>` of metrics that a request
    can make infinite.

    Raises `DefinitionError` for a metric that is no ratio of sums over requests.
    """
    metrics = _resolved(plan, metrics, source)
    exposed = _exposed_units(plan, source, as_of)
    single = exposed.filter((exposed.variants == 1) & exposed.variant.isin(list(plan.variants)))
    requests = _requests(plan, metrics, source, single, as_of)
    groups = _group_sums(plan, metrics, requests)
    totals = groups.aggregate(
        **{
            f"{name}_{place}": getattr(groups[f"{name}_{place}"], how)()
            for place in places(plan, metrics)
            for name, how in (("sum", "sum"), ("weight", "sum"), ("count", "sum"), ("low", "min"), ("high", "max"))
        }
    )
    spreads = _spreads(plan, metrics, groups, totals)
    parts = [_exposure_counts(plan, exposed), _request_counts(plan, metrics, requests), totals, spreads]
    row = _sample(single)
    for part in parts:
        row = row.cross_join(part)
    return row


def _resolved(plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition], source: Source) -> dict[str, RatioKind]:
    """The metrics for the plan's model, all of them of a kind whose sums can be compared by unit."""
    model, columns = load_model(source.workspace, plan.model), source.columns("predictions")
    found = {}
    for key, metric in metrics.items():
        if not (isinstance(metric, RatioKind) and metric.adds_up):
            reason = f"is of kind {metric.kind}, which is no mean of requests"
            raise DefinitionError(f"metric {key!r} {reason}; an experiment cannot compare it by unit")
        found[key] = metric.resolved(model, columns)
    return found


def _exposed_units(plan: ExperimentPlan, source: Source, as_of: datetime) -> ir.Table:
    """One row per exposed unit: how many variants it was seen in, the variant, and its first exposure."""
    window = plan.window.window
    events = source.read("exposures", [], as_of=as_of, start=window.start, end=window.end)
    events = events.filter(events.experiment == plan.key)
    return events.group_by("unit_id").aggregate(
        variants=events.variant.nunique(), variant=events.variant.min(), exposed_at=events.exposed_at.min()
    )


def _requests(
    plan: ExperimentPlan,
    metrics: Mapping[str, RatioKind],
    source: Source,
    single: ir.Table,
    as_of: datetime,
) -> ir.Table:
    """One row per served request in the window of a unit in one variant, with the value of each metric that counts.

    Keys of the group it belongs to: `group`, and `lone_unit` for a request without cluster, which stands for itself.
    """
    import ibis

    scalars = scalars_needed(metrics.values())
    columns = list(dict.fromkeys([*columns_needed(scalars), "unit_id", "error", "served", LABEL]))
    if plan.cluster:
        columns.append(plan.cluster)
    rows = labelled_predictions(source, columns, model=plan.model, window=plan.window.window, as_of=as_of)
    rows = rows.filter(rows.served).join(single, "unit_id")
    own_version = rows.version == ibis.cases(*((rows.variant == k, v.version) for k, v in plan.variants.items()))
    rows = with_scalars(rows.mutate(after=rows.occurred_at >= rows.exposed_at, own=own_version), scalars)
    counts = rows.after & rows.own
    answered = counts & ~rows.error
    group = rows[plan.cluster or "unit_id"]
    added: dict[str, Any] = {"label_outside": label_outside(rows)}
    for m, metric in enumerate(metrics.values()):
        added |= {f"{name}_{m}": counts.ifelse(part, None) for name, part in _parts(counted(metric, rows)).items()}
    return rows.select(
        "unit_id",
        "variant",
        "after",
        "own",
        counts=counts,
        answered=answered,
        labelled=answered & rows[LABEL].notnull(),
        group=group,
        lone_unit=group.isnull().ifelse(rows.unit_id, None),
        **added,
    )


def _parts(parts: Counted) -> dict[str, Any]:
    """What a request adds to a metric, by the start of its column's name."""
    named = {"value": parts.numerator, "weight": parts.denominator, "infinite": parts.spoilt}
    return {name: part for name, part in named.items() if part is not None}


def places(plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition]) -> dict[str, tuple[str, str]]:
    """The end of a column's name for each metric and variant: numbers, because keys may hold anything."""
    return {
        f"{m}_{v}": (metric, variant) for m, metric in enumerate(metrics) for v, variant in enumerate(plan.variants)
    }


def _group_sums(plan: ExperimentPlan, metrics: Mapping[str, RatioKind], requests: ir.Table) -> ir.Table:
    """One row per group, of each metric in each variant: both sums, requests, smallest and largest value of a request.

    The value of a request that has a denominator is its own ratio: where they are all the same, so is that of the sums.
    """
    counting = requests.filter(requests.counts)
    sums: dict[str, Any] = {}
    for place, (_, variant) in places(plan, metrics).items():
        m = place.split("_")[0]
        value, here = counting[f"value_{m}"], counting.variant == variant
        weight = counting[f"weight_{m}"] if f"weight_{m}" in counting.columns else None
        alone = value if weight is None else _own_ratio(value, weight)
        count = value.count(where=here)
        sums |= {
            f"sum_{place}": value.sum(where=here).fill_null(0.0),
            f"weight_{place}": count if weight is None else weight.sum(where=here).fill_null(0.0),
            f"count_{place}": count,
            f"low_{place}": alone.min(where=here),
            f"high_{place}": alone.max(where=here),
        }
    return counting.group_by("group", "lone_unit").aggregate(**sums)


def _own_ratio(value: Any, weight: Any) -> Any:
    """A request's own ratio; missing where it adds nothing, infinite where it adds to the numerator alone."""
    import ibis

    return ibis.cases((weight != 0.0, value / weight.nullif(0.0)), (value != 0.0, ibis.literal(float("inf"))))


def _spreads(plan: ExperimentPlan, metrics: Mapping[str, RatioKind], groups: ir.Table, totals: ir.Table) -> ir.Table:
    """One row: the squares and products of `Side` by metric and variant, and of `Pair` by metric and treatment."""
    at = {names: place for place, names in places(plan, metrics).items()}
    centred = groups.cross_join(totals, rname="all_{name}")
    parts = {}
    for place in at.values():
        weight = centred[f"all_weight_{place}"].nullif(0)
        mean = centred[f"all_sum_{place}"] / weight
        parts[place] = (centred[f"sum_{place}"] - mean * centred[f"weight_{place}"]) / weight
    centred = centred.mutate(**{f"part_{place}": part for place, part in parts.items()})
    sums: dict[str, Any] = {}
    for metric in metrics:
        control = at[metric, plan.control]
        for variant in plan.variants:
            place = at[metric, variant]
            part, here = centred[f"part_{place}"], centred[f"count_{place}"] > 0
            sums |= {f"groups_{place}": here.sum(), f"squares_{place}": (part * part).sum()}
            if variant != plan.control:
                base = centred[f"part_{control}"]
                either = here | (centred[f"count_{control}"] > 0)
                sums |= {
                    f"pair_groups_{place}": either.sum(),
                    f"pair_squares_{place}": ((part - base) * (part - base)).sum(),
                    f"pair_products_{place}": (part * base).sum(),
                }
    return centred.aggregate(**sums)


def _exposure_counts(plan: ExperimentPlan, exposed: ir.Table) -> ir.Table:
    """One row: units by variant, double exposed, and in unplanned variants."""
    planned = exposed.variant.isin(list(plan.variants))
    single = exposed.variants == 1
    return exposed.aggregate(
        double_exposed=(~single).sum(),
        unplanned=(single & ~planned).sum(),
        **{f"exposed_{v}": (single & (exposed.variant == variant)).sum() for v, variant in enumerate(plan.variants)},
    )


def _request_counts(plan: ExperimentPlan, metrics: Mapping[str, RatioKind], requests: ir.Table) -> ir.Table:
    """One row: the counts of `Arrivals` by variant, and of the requests that make a metric infinite."""
    sums: dict[str, Any] = {"label_outside": requests.label_outside.sum()}
    for v, variant in enumerate(plan.variants):
        here = requests.variant == variant
        sums |= {
            f"served_{v}": requests.unit_id.nunique(where=here & requests.after),
            f"requests_{v}": (here & requests.after).sum(),
            f"other_version_{v}": (here & requests.after & ~requests.own).sum(),
            f"early_{v}": (here & ~requests.after & requests.own).sum(),
            f"answered_{v}": (here & requests.answered).sum(),
            f"labelled_{v}": (here & requests.labelled).sum(),
            f"unclustered_{v}": (here & requests.counts & requests.group.isnull()).sum(),
        }
        for m in range(len(metrics)):
            if f"infinite_{m}" in requests.columns:
                sums[f"infinite_{m}_{v}"] = requests[f"infinite_{m}"].sum(where=here)
    return requests.aggregate(**sums)


def _sample(single: ir.Table) -> ir.Table:
    """One row with two lists of equal order: units and their variants."""
    order = single.unit_id.hexdigest("md5")
    first = single.select("unit_id", "variant", order=order).order_by("order", "unit_id").limit(SAMPLE_UNITS)
    by = [first["order"], first.unit_id]
    return first.aggregate(
        sample_units=first.unit_id.collect(order_by=by), sample_variants=first.variant.collect(order_by=by)
    )
