"""All columns of a window beside those of a reference: what is there, of which type, and then each one judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import SEVERAL_TYPES, ColumnCounts, Profile
from toolkit.signals.drift.judging import ColumnDrift, judge_column, schema_finding

_UNKNOWN = "unknown"
"""The type of a column without any value."""


class Period(NamedTuple):
    """The profile of a period, and the profiles of its days where evidence is to be that of days."""

    total: Profile
    days: tuple[Profile, ...] = ()

    def days_of(self, column: str) -> list[ColumnCounts]:
        """One column by day, of the days that have it."""
        return [day.columns[column] for day in self.days if column in day.columns]


def compare_columns(
    edges: Mapping[str, ColumnEdges],
    reference: Period,
    current: Period,
    *,
    columns: Sequence[str] = (),
    against: str = "fixed",
    segment: str = "",
) -> list[ColumnDrift]:
    """Each column of either side; `columns` names those that should be there. P-values are not adjusted yet.

    A column whose being there or whose type changed is found once, over all requests, and in no segment.
    """
    names = dict.fromkeys([*columns, *edges, *current.total.columns, *current.total.types])
    found = []
    for name in names:
        then, now = reference.total.columns.get(name), current.total.columns.get(name)
        changed = _schema(name, reference.total, current.total)
        if changed and segment:
            continue
        if changed:
            found.append(schema_finding(name, changed, against=against, reference=then, current=now))
        elif then is not None and now is not None:
            found.append(
                judge_column(
                    then,
                    now,
                    against=against,
                    segment=segment,
                    reference_days=reference.days_of(name),
                    current_days=current.days_of(name),
                )
            )
    return found


def _schema(name: str, reference: Profile, current: Profile) -> str:
    """What changed about a column's being there or its type; "" for nothing."""
    then, now = (side.columns.get(name) for side in (reference, current))
    is_there = name in current.types or now is not None
    was_there = name in reference.types or then is not None
    if not is_there:
        return "the column is absent" if current.rows else ""
    if not was_there or (then is not None and not then.n and now is not None and now.n):
        return "the column is new: the reference has no value of it" if reference.rows else ""
    types = [set(side.types.get(name, _UNKNOWN).split(SEVERAL_TYPES)) - {_UNKNOWN} for side in (reference, current)]
    if all(types) and types[0] != types[1]:
        return f"the type is {current.types[name]}, in the reference {reference.types[name]}"
    return ""
