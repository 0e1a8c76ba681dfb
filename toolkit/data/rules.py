"""The rules of a contract as expressions: which type a column must have, and which rows break what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import unknown_name_message
from toolkit.data.contracts import Column, Table
from toolkit.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir


class Rule(NamedTuple):
    """One rule in words, with its column, and the rows that break it (never missing)."""

    text: str
    broken: Any


def check_columns(contract: Table, table: ir.Table, wanted: Sequence[str]) -> None:
    """Raise `ContractError` for a column that is not there (nearest name) or has a type that the contract refuses."""
    for name in wanted:
        if name not in table.columns:
            raise ContractError(f"{contract.name}: " + unknown_name_message(name, table.columns, noun="column"))
        column = contract.columns.get(name)
        problem = column and _type_problem(column, table[name].type())
        if problem:
            raise ContractError(f"{contract.name}.{name}: {problem}")


def _type_problem(column: Column, dtype: Any) -> str | None:
    fits = {
        "text": dtype.is_string(),
        "number": dtype.is_numeric() or dtype.is_boolean(),
        "boolean": dtype.is_boolean(),
        "instant": dtype.is_timestamp() and dtype.timezone is not None,
    }[column.kind]
    if fits:
        return None
    if column.kind == "instant" and dtype.is_timestamp():
        return "timestamps have no time zone; write them in UTC with a time zone (Parquet: isAdjustedToUTC)"
    return f"is of type {dtype}, must be {'an' if column.kind == 'instant' else 'a'} {column.kind}"


def row_rules(contract: Table, table: ir.Table, wanted: Sequence[str]) -> list[Rule]:
    """The rules that the `wanted` columns of each row must keep."""
    return [rule for name in wanted for rule in _column_rules(contract, name, table)]


def _column_rules(contract: Table, name: str, part: ir.Table) -> list[Rule]:
    column, values = contract.columns.get(name), part[name]
    rules = []
    is_floating = values.type().is_floating()
    if name in contract.key or (column and column.required):
        missing = values.isnull() | values.isnan().fill_null(True) if is_floating else values.isnull()
        rules.append(Rule(f"{name} must not be missing", missing))
    elif column and column.nan_only_if and is_floating:
        rules.append(_nan_rule(name, values, column.nan_only_if, part))
    if column and column.required_unless:
        rules.append(_stand_in_rule(name, values, column.required_unless, part))
    if column and column.not_before and column.not_before in part.columns:
        early = (values < part[column.not_before]).fill_null(False)
        rules.append(Rule(f"{name} must not be before {column.not_before}", early))
    if column and is_floating:
        rules.append(Rule(f"{name} must be finite", values.isinf().fill_null(False)))
    if column and column.low is not None:
        bounds = f"from {column.low:g} to {column.high:g}" if column.high is not None else f"at least {column.low:g}"
        outside = values.cast("float64") < column.low
        if column.high is not None:
            outside = outside | (values.cast("float64") > column.high)
        if is_floating:
            outside = outside & ~values.isnan() & ~values.isinf()
        rules.append(Rule(f"{name} must be {bounds}", outside.fill_null(False)))
    return rules


def _nan_rule(name: str, values: Any, allowing: str, part: ir.Table) -> Rule:
    """NaN only where the column `allowing` is true; a table without such a column allows none."""
    nan = values.isnan().fill_null(False)
    if allowing in part.columns and part[allowing].type().is_boolean():
        nan = nan & ~part[allowing].fill_null(False)
    return Rule(f"{name} must not be NaN unless {allowing} is true (NULL says that there is none)", nan)


def _stand_in_rule(name: str, values: Any, other: str, part: ir.Table) -> Rule:
    """Missing only where the column `other` is there; a table without such a column needs `name` in every row."""
    missing = values.isnull()
    return Rule(
        f"{name} must not be missing where {other} is",
        missing & part[other].isnull() if other in part.columns else missing,
    )


def floating_columns(table: ir.Table, columns: Sequence[str]) -> list[str]:
    """Those of `columns` whose NaN are read as missing."""
    return [name for name in columns if table[name].type().is_floating()]


def any_broken(rules: Sequence[Rule]) -> Any:
    """Whether a row breaks any of the rules."""
    import ibis

    return ibis.or_(*(rule.broken for rule in rules)) if rules else ibis.literal(False)
