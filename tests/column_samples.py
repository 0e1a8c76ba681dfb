"""Columns given as values, judged as the stage judges them: edges from the reference alone, then counts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts, Profile
from toolkit.signals.drift import ColumnDrift, Period, adjusted, compare_columns, judge_column

Values = Iterable[Any]


def judge(reference: Values, current: Values, *, column: str = "x") -> ColumnDrift:
    """One column, alone in its family of tests."""
    reference, current = list(reference), list(current)
    edges = ColumnEdges.of(column, reference)
    judged = judge_column(ColumnCounts.of(edges, reference), ColumnCounts.of(edges, current))
    return adjusted([judged])[0]


def compare(
    reference: Mapping[str, Values], current: Mapping[str, Values], *, types: Mapping[str, str] | None = None
) -> dict[str, ColumnDrift]:
    """Columns by name; `types`: of the current side, where it is another one than the values say."""
    edges = {name: ColumnEdges.of(name, list(values)) for name, values in reference.items()}
    then = Profile.of(edges, reference)
    own = {name: ColumnEdges.of(name, list(values)) for name, values in current.items()}
    now = Profile.of(edges, {name: values for name, values in current.items() if name in edges})
    rows = max((len(list(values)) for values in current.values()), default=0)
    now = Profile(rows, now.columns, {name: each.type for name, each in own.items()} | dict(types or {}))
    found = adjusted(compare_columns(edges, Period(then), Period(now)))
    return {column.column: column for column in found}
