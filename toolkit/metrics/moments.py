"""Moments of measures by group: one pass of the engine over a table for all measures, groups and segmentations.

Every sum is of values minus an origin: a number near the mean, from a first look at the table, rounded so that it is
the same in every run. If it turns out to be so far from some group's mean that sums have lost digits, the engine looks
a second time, with each group's own mean as origin: the variance of values near 1e9 is as exact as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.metrics.moment_sums import Scan, centre
from toolkit.metrics.moment_table import MomentTable, Needs

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from toolkit.data.cache import Cache

_MOST_PAIRED = 62
"""Bits of the key that says which measures a row lacks."""


def collect_moments(
    table: ir.Table,
    needs: Needs,
    *,
    by: Sequence[str] = (),
    splits: Sequence[str] = (),
    origins: Mapping[str, float] | None = None,
    careful: bool = True,
    execute: Callable[[ir.Table], pd.DataFrame] | None = None,
) -> MomentTable:
    """Collect what `needs` names from a table with one row per unit (or request, or unit and day).

    A row that lacks a measure counts for the others: means and variances are over the rows that have the measure,
    covariances over those that have both. Which of several measures a row lacks is part of its group's key, so that
    another treatment of missing covariates needs no other scan.

    Parameters
    ----------
    table: measures are numbers or booleans, missing where there is none; keys are of any type.
    by: key columns of every group, such as variant and day. splits: segment columns, each a segmentation of its own.
    origins: a number near each measure's mean, where it is known. Else the first rows are looked at: next to nothing
        for a stored table, and as much as the whole for one that is joined or grouped on the way.
    careful: whether each group's variance must be exact in itself, though it takes a second look. False where groups
        are only ever merged to larger ones, in which the digits of a few rows that are nearly the same do not count.
    execute: runs an expression, such as `Source.execute`; by default the engine of the table itself.

    Raises `UnknownNameError`, `ArgumentError`, and `ContractError` for values that are infinite or not a number.
    """
    _check(table, needs, by, splits)
    scan = Scan.of(table, needs, by, splits, execute or _execute)
    if origins is None:
        starts, gaps = scan.look()
    else:
        starts, gaps = tuple(float(origins[check_in(name, origins, noun="origin")]) for name in needs.measures), True
    sums = replace(scan, by_pattern=gaps).sums(starts)
    if not gaps and scan.has_gaps(sums):
        sums = scan.sums(starts)
    moments, exact = centre(sums, needs, starts)
    if careful and not exact:
        moments, _ = centre(scan.precise_sums(), needs, starts)
    return MomentTable(needs, tuple(by), tuple(splits), moments)


def kept_moments(cache: Cache, key: Mapping[str, Any], collect: Callable[[], MomentTable]) -> MomentTable:
    """The moments kept under `key`, or those that `collect` makes, which are kept from then on.

    `key` holds all that they depend on: a `moments_digest`, the fingerprint of the rows.
    """
    path = cache.path("moments", key, ".parquet")
    if path.is_file():
        return MomentTable.from_bytes(path.read_bytes())
    moments = collect()

    def write(staged: Path) -> None:
        staged.write_bytes(moments.to_bytes())

    cache.publish(path, write)
    return moments


def _execute(expression: ir.Table) -> pd.DataFrame:
    return expression.execute()


def _check(table: ir.Table, needs: Needs, by: Sequence[str], splits: Sequence[str]) -> None:
    for name in (*by, *splits, *needs.measures):
        check_in(name, table.columns, noun="column")
    keys = [*by, *splits]
    if repeated := sorted({name for name in keys if keys.count(name) > 1}):
        raise ArgumentError(f"{repeated[0]!r} is given twice among by == {[*by]} and splits == {[*splits]}")
    for measure in needs.measures:
        dtype = table[measure].type()
        if not (dtype.is_numeric() or dtype.is_boolean()):
            raise ArgumentError(f"measure {measure!r} is of type {dtype}, must be a number or a boolean")
    if len(needs.paired) > _MOST_PAIRED:
        raise ArgumentError(
            f"{len(needs.paired)} measures are needed in pairs, and one scan takes {_MOST_PAIRED}; collect them in two"
        )
