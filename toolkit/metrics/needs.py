"""What metrics need from each request, as Ibis expressions; the same for reports by day and experiments by unit.

A metric reads columns and SQL scalars over columns. The scalars become columns of their own first, each once however
many metrics use it; then every metric says what a request adds to its two sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import CONTRACTS, LABEL
from toolkit.errors import ArgumentError, ContractError, DefinitionError
from toolkit.metrics.kinds import MetricDefinition, Parts, RatioKind, TimeKind, column_name, truth

if TYPE_CHECKING:
    import ibis.expr.types as ir


class Counted(NamedTuple):
    """What each request adds to a metric, as numbers: missing in all that are there where it does not count.

    Attributes
    ----------
    denominator: None where each request that has a numerator counts once.
    spoilt: whether the request makes the whole number infinite; None where none can. Nothing else is added there.
    """

    numerator: Any
    denominator: Any
    spoilt: Any


def scalars_needed(metrics: Iterable[MetricDefinition]) -> list[str]:
    """The columns and SQL scalars that the metrics read, their filters too, each once, sorted."""
    return sorted({scalar for metric in metrics for scalar in [*metric.columns(), metric.filter] if scalar})


def columns_needed(scalars: Iterable[str]) -> list[str]:
    """The columns that columns and SQL scalars read, each once, sorted."""
    needed: set[str] = set()
    for scalar in scalars:
        if scalar.isidentifier():
            needed.add(scalar)
        else:
            from toolkit.data.expressions import expression_columns

            needed |= set(expression_columns(scalar))
    return sorted(needed)


def with_scalars(table: ir.Table, scalars: Iterable[str]) -> ir.Table:
    """`table` with a column for each SQL scalar, under the name that `column_name` gives it; NaN becomes missing.

    Raises `DefinitionError` when one of them does not fit the types of the columns that it reads.
    """
    added = {column_name(scalar): scalar for scalar in scalars if not scalar.isidentifier()}
    if not added:
        return table
    from toolkit.data.expressions import with_columns

    try:
        table = with_columns(table, added)
    except ArgumentError as err:
        raise DefinitionError(str(err)) from None
    floating = [name for name in added if table[name].type().is_floating()]
    return table.mutate(**{name: table[name].isnan().ifelse(None, table[name]) for name in floating})


def counted(metric: RatioKind | TimeKind, table: ir.Table) -> Counted:
    """What each request of `table` adds to a metric; the table has the columns that `with_scalars` adds.

    Raises `DefinitionError` when a column or scalar has a type that the metric cannot use.
    """
    try:
        parts = metric.parts(table) if isinstance(metric, RatioKind) else Parts(metric.amount(table))
        conditions = [truth(table, metric.filter)] if metric.filter else []
        infinite = _infinite(metric, table)
    except DefinitionError as err:
        raise DefinitionError(f"metric {metric.name!r}: {err}") from None
    numerator = _as_number(parts.numerator)
    denominator = None if parts.denominator is None else _as_number(parts.denominator)
    if not type(metric).__module__.startswith("toolkit."):
        # A team's own arithmetic, which may divide by zero: what is no number is missing, what is infinite is counted.
        numerator, denominator = _number_or_missing(numerator), _number_or_missing(denominator)
        infinite += [part.isinf() for part in (numerator, denominator) if part is not None]
    spoilt = None
    if infinite:
        spoilt = reduce(and_, [*conditions, reduce(or_, infinite).fill_null(False)]).fill_null(False)
        conditions.append(~spoilt)
    if denominator is not None:
        conditions += [numerator.notnull(), denominator.notnull()]
        denominator = _where(conditions, denominator)
    return Counted(_where(conditions, numerator), denominator, spoilt)


def addends(key: str, metric: RatioKind | TimeKind, table: ir.Table) -> dict[str, Any]:
    """The columns that `sums` sums up: what each request of `table` adds to a metric."""
    named = counted(metric, table)._asdict()
    return {f"{key}__{name}": part for name, part in named.items() if part is not None}


def sums(key: str, added: ir.Table) -> dict[str, Any]:
    """The sums of a metric over the rows of a group, by column name; `added` has its `addends`.

    `<key>__sum` of the numerator; `<key>__n` of the denominator, or how many requests count; where there is a
    denominator `<key>__rows`, how many requests count; where a request can spoil the number `<key>__spoilt`.
    """
    numerator = added[f"{key}__numerator"]
    found = {f"{key}__sum": numerator.sum().fill_null(0.0)}
    if f"{key}__denominator" in added.columns:
        denominator = added[f"{key}__denominator"]
        found |= {f"{key}__n": denominator.sum().fill_null(0.0), f"{key}__rows": denominator.count()}
    else:
        found[f"{key}__n"] = numerator.count()
    if f"{key}__spoilt" in added.columns:
        found[f"{key}__spoilt"] = added[f"{key}__spoilt"].sum().fill_null(0)
    return found


def label_outside(table: ir.Table) -> Any:
    """Whether a request's label is neither a probability nor missing; see `check_labels`."""
    return (~table[LABEL].between(0.0, 1.0)).fill_null(False)


def check_labels(outside: int, model: str, metrics: Mapping[str, MetricDefinition]) -> None:
    """Raise `ContractError` if a model has labels outside 0 to 1 and metrics that make no sense of them."""
    kinds = ", ".join(dict.fromkeys(metric.kind for metric in metrics.values() if metric.bounded_label))
    if outside and kinds:
        raise ContractError(
            f"outcomes.label: {outside:,} labels of model {model!r} lie outside 0 to 1, and metrics of kind {kinds} "
            "compare them with a probability or a decision; for labels that are numbers there are mae, rmse, bias and "
            "pinball"
        )


def _infinite(metric: RatioKind | TimeKind, table: ir.Table) -> list[Any]:
    """Where a kind says so, and where what it reads may be infinite: no contract holds over SQL and own columns."""
    contract = {*CONTRACTS["predictions"].columns, LABEL}
    read = [table[column_name(scalar)] for scalar in metric.columns() if scalar not in contract]
    own = metric.spoilt(table) if isinstance(metric, RatioKind) else None
    return [*(column.isinf() for column in read if column.type().is_floating()), *([] if own is None else [own])]


def _number_or_missing(value: Any) -> Any:
    return None if value is None else value.isnan().ifelse(None, value)


def _as_number(value: Any) -> Any:
    return (value.cast("int32") if value.type().is_boolean() else value).cast("float64")


def _where(conditions: list[Any], value: Any) -> Any:
    return reduce(and_, conditions).ifelse(value, None) if conditions else value
