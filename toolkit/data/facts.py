"""What is known about the rows of a table by day: how many, their fingerprint, and what breaks the contract.

All of it is sums, so days add up to windows and files to tables; one grouped query in the engine measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toolkit.data.instants import date_of, days_as_text
from toolkit.data.rules import Rule, any_broken
from toolkit.digests import digest_value

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

UNDATED = ""
"""The day of rows without a time: they belong to no window, and are counted all the same."""


@dataclass(frozen=True)
class DayFacts:
    """One day's rows of a table.

    Attributes
    ----------
    day: ISO date in UTC; "" for rows without a time.
    hash_sum: the exact sum of the rows' 64-bit hashes over the columns that were read.
    bad: rows that break any rule. broken: rows by the text of the rule that they break.
    nan: NaN by floating column that is read as missing.
    """

    day: str
    rows: int
    hash_sum: int
    bad: int = 0
    broken: tuple[tuple[str, int], ...] = ()
    nan: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types; the hash sum as text, because it may pass 64 bits."""
        return asdict(self) | {"hash_sum": str(self.hash_sum), "broken": dict(self.broken), "nan": dict(self.nan)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DayFacts:
        """What `to_dict` wrote."""
        return cls(
            stored["day"],
            stored["rows"],
            int(stored["hash_sum"]),
            stored["bad"],
            tuple(sorted(stored["broken"].items())),
            tuple(sorted(stored["nan"].items())),
        )


@dataclass(frozen=True)
class Facts:
    """The facts of a part of a table: those of its days, each day once, in order."""

    days: tuple[DayFacts, ...]

    @classmethod
    def of(cls, parts: Iterable[DayFacts]) -> Facts:
        """The facts of parts that share no row; those of one day are added up."""
        days: dict[str, list[DayFacts]] = {}
        for part in parts:
            days.setdefault(part.day, []).append(part)
        return cls(tuple(_add(day, days[day]) for day in sorted(days)))

    @property
    def rows(self) -> int:
        """Rows, those without a time included."""
        return sum(day.rows for day in self.days)

    @property
    def bad(self) -> int:
        """Rows that break any rule."""
        return sum(day.bad for day in self.days)

    @property
    def broken(self) -> dict[str, int]:
        """Rows by the rule that they break."""
        return _sums(day.broken for day in self.days)

    @property
    def nan(self) -> dict[str, int]:
        """NaN that are read as missing, by column."""
        return _sums(day.nan for day in self.days)

    @property
    def fingerprint(self) -> str:
        """Changes when a row is added, removed or changed; the same whatever their order and files."""
        hash_sum = sum(day.hash_sum for day in self.days)
        return digest_value({"rows": self.rows, "hash_sum": str(hash_sum)})

    def by_day(self) -> dict[str, str]:
        """The fingerprint of each day that has rows."""
        return {day.day: Facts((day,)).fingerprint for day in self.days}


def _add(day: str, parts: Sequence[DayFacts]) -> DayFacts:
    if len(parts) == 1:
        return parts[0]
    return DayFacts(
        day,
        sum(part.rows for part in parts),
        sum(part.hash_sum for part in parts),
        sum(part.bad for part in parts),
        tuple(_sums(part.broken for part in parts).items()),
        tuple(_sums(part.nan for part in parts).items()),
    )


def _sums(counts: Iterable[tuple[tuple[str, int], ...]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each:
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def facts_query(
    table: ir.Table,
    rules: Sequence[Rule],
    floating: Sequence[str],
    *,
    time: str,
    row_hash: Any,
    by: Sequence[str] = (),
) -> ir.Table:
    """One row per day (and `by`): rows, hash_sum, bad, rule_<i> and nan_<i>; day is missing for rows without a time."""
    days = table.group_by(*by, day=date_of(table[time])).aggregate(
        rows=table.count(),
        hash_sum=row_hash.sum(),
        bad=any_broken(rules).cast("int64").sum(),
        **{f"rule_{index}": rule.broken.cast("int64").sum() for index, rule in enumerate(rules)},
        **{
            f"nan_{index}": table[name].isnan().fill_null(False).cast("int64").sum()
            for index, name in enumerate(floating)
        },
    )
    return days_as_text(days)


def read_facts(frame: pd.DataFrame, rules: Sequence[Rule], floating: Sequence[str]) -> list[DayFacts]:
    """The rows of a `facts_query` as facts."""
    return [
        DayFacts(
            row["day"] if isinstance(row["day"], str) else UNDATED,
            int(row["rows"]),
            int(row["hash_sum"]),
            int(row["bad"]),
            tuple((rule.text, int(row[f"rule_{i}"])) for i, rule in enumerate(rules) if row[f"rule_{i}"] > 0),
            tuple((name, int(row[f"nan_{i}"])) for i, name in enumerate(floating) if row[f"nan_{i}"] > 0),
        )
        for row in frame.to_dict("records")
    ]
