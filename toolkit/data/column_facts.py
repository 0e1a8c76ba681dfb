"""What the columns of an own file hold, seen in its first rows: the facts that a mapping is guessed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from toolkit.data import values
from toolkit.data.own_files import OwnFile, explained
from toolkit.data.values import Style

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HEAD_ROWS = 100_000
"""So many rows are looked at before a file is imported; what comes later is held to what was seen."""

NEARLY_ALL = 0.99
"""Of a column's values, the share that must be numbers for it to be a column of numbers; the others are then wrong."""

MOST = 0.8
"""The same for a column whose name says what it is: fewer, and it is called something else than it holds."""

_ENOUGH_SHARED = 0.5
_ID_VALUES = 0.2
_MOST_IDS = 5
_DISTINCT_ERROR = 0.9
"""The engine counts distinct values with an error of a few per cent: a column above this is as good as unique."""

ExtraKind = Literal["text", "number", "boolean", "instant"]


@dataclass(frozen=True)
class ColumnFacts:
    """One column: how many of its `rows` values are there (`present`), and how many of these can be read as what.

    `numbers` with a decimal point, `comma_numbers` with a decimal comma, of these `in_unit` from 0 to 1; `words` of
    truth (true, no); `truths` (these, 1 and 0); instants by how they are written.
    """

    name: str
    place: int
    rows: int
    present: int
    distinct: int
    numbers: int
    comma_numbers: int
    in_unit: int
    low: float | None
    high: float | None
    words: int
    truths: int
    leading_zeros: int
    iso: int
    zoned: int
    days: int
    day_first: int
    month_first: int
    compact: int
    sample: str
    last: str

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last of its values, as texts: where there are two, both."""
        return self.sample, self.last

    def share(self, count: int) -> float:
        """A count as a share of the values that are there; 0 when none is."""
        return count / self.present if self.present else 0.0

    @property
    def decimal_comma(self) -> bool:
        """Whether its numbers are written with a comma."""
        return self.comma_numbers > self.numbers

    def is_number(self, least: float = NEARLY_ALL) -> bool:
        """Whether at least this share of its values are numbers."""
        return self.share(max(self.numbers, self.comma_numbers)) >= least

    def is_unit(self, least: float = NEARLY_ALL) -> bool:
        """Whether at least this share of its values are numbers from 0 to 1."""
        return self.share(self.in_unit) >= least

    def is_truth(self, least: float = NEARLY_ALL) -> bool:
        """Whether at least this share of its values are truths: true and false, yes and no, 1 and 0."""
        return self.share(self.truths) >= least

    @property
    def is_unique(self) -> bool:
        """Whether no value, or hardly any, is there twice."""
        return self.present > 0 and self.distinct >= _DISTINCT_ERROR * self.present

    def styles(self, least: float = NEARLY_ALL) -> tuple[Style, ...]:
        """How its instants may be written: none when it holds no instants, two when day and month cannot be told."""
        if self.share(self.iso) >= least:
            return ("iso",)
        day, month = self.share(self.day_first), self.share(self.month_first)
        if max(day, month) >= least:
            return ("day_first", "month_first") if day == month else ("day_first",) if day > month else ("month_first",)
        if self.share(self.compact) >= least:
            return ("compact",)
        if self.share(self.numbers) >= least and self.low is not None and self.high is not None:
            style = values.epoch_style(self.low, self.high)
            return (style,) if style else ()
        return ()

    @property
    def holds_days(self) -> bool:
        """Whether its instants are mostly days without a time of day."""
        return self.days * 2 > self.present

    @property
    def kind(self) -> ExtraKind:
        """What it is by its values alone; codes such as 00123 are texts, and numbers are never taken for instants."""
        if self.share(self.words) >= NEARLY_ALL:
            return "boolean"
        if self.is_number() and not self.leading_zeros:
            return "number"
        return "instant" if self.styles() and not self.is_number() else "text"

    @property
    def range_text(self) -> str:
        """Its values in a few words."""
        if self.is_number(MOST) and self.low is not None:
            return f"values from {self.low:g} to {self.high:g}"
        return f"values such as {self.sample!r}" if self.present else "no values"


@dataclass(frozen=True)
class FileFacts:
    """The columns of a file, by its first `rows` rows."""

    file: OwnFile
    rows: int
    columns: tuple[ColumnFacts, ...]

    def column(self, name: str) -> ColumnFacts:
        """The column with this name."""
        return next(column for column in self.columns if column.name == name)


def look_at_file(file: OwnFile, connection: DuckDBPyConnection) -> FileFacts:
    """Look at the first rows of a file. Raises `ArgumentError` when it cannot be read or no row is whole."""
    from toolkit.errors import ArgumentError

    with explained(file.shown):
        head = file.rows(connection).limit(HEAD_ROWS)
        parts = [part for index in range(len(file.names)) for part in _aggregates(f"c{index}")]
        ((rows, *found),) = head.aggregate(", ".join(["count(*)", *parts])).fetchall()
    if not rows:
        raise ArgumentError(f"{file.shown}: no line of it has the {len(file.names)} columns of its header")
    width = len(found) // len(file.names)
    columns = []
    for place, name in enumerate(file.names):
        own = found[place * width : (place + 1) * width]
        columns.append(ColumnFacts(name, place, rows, *own))
    return FileFacts(file, rows, tuple(columns))


def _aggregates(column: str) -> list[str]:
    """The facts of one column, in the order of `ColumnFacts`'s fields from `present` on."""
    text, truth = values.text(column), values.boolean(column)
    point, comma = values.number(column).value, values.number(column, decimal_comma=True).value
    # A text is read in one way or the other, never in both: 1,5 is no number with a point.
    either = f"coalesce({point}, {comma})"
    low, high = (f"{side}({either}) FILTER (isfinite({either}))" for side in ("min", "max"))
    words = "lower(" + truth.given + ") IN ('true', 'false', 'yes', 'no', 't', 'f', 'y', 'n')"
    iso, compact = (values.local_time(column, style) for style in ("iso", "compact"))
    return [
        f"count({text.given})",
        f"approx_count_distinct({text.given})",
        f"count({point})",
        f"count({comma})",
        _counted(f"{either} BETWEEN 0 AND 1"),
        low,
        high,
        _counted(words),
        f"count({truth.value})",
        _counted(rf"regexp_matches({truth.given}, '^0\d')"),
        f"count({iso})",
        _counted(values.is_zoned(column)),
        _counted(f"{truth.given} NOT LIKE '%:%' AND ({iso} IS NOT NULL OR {values.is_slashed(column)})"),
        f"count({values.local_time(column, 'day_first')})",
        f"count({values.local_time(column, 'month_first')})",
        _counted(rf"regexp_matches({truth.given}, '^(19|20)\d{{6}}$') AND {compact} IS NOT NULL"),
        f"coalesce(min({text.given}), '')",
        f"coalesce(max({text.given}), '')",
    ]


def _counted(condition: str) -> str:
    return f"count(*) FILTER ({condition})"


@dataclass(frozen=True)
class Shared:
    """A column of one file and one of the other with the same ids, and the share of the fewer ids that both have."""

    own: str
    other: str
    share: float


def shared_ids(predictions: FileFacts, labels: FileFacts, connection: DuckDBPyConnection) -> list[Shared]:
    """Which columns of the labels (`own`) hold ids that are found in which of the predictions (`other`), most first.

    Seen in the first rows of both, so files in different orders may share more than is seen here.
    """
    found = []
    heads = [facts.file.rows(connection).limit(HEAD_ROWS) for facts in (predictions, labels)]
    theirs, ours = (_id_columns(facts.columns) for facts in (predictions, labels))
    with explained(f"{predictions.file.shown} and {labels.file.shown}"):
        for own in ours:
            ids = heads[1].project(f"{values.text(f'c{own.place}').value} AS id").filter("id IS NOT NULL").distinct()
            for other in theirs:
                known = heads[0].project(f"{values.text(f'c{other.place}').value} AS id").distinct()
                counts = [each.aggregate("count(*)").fetchall()[0][0] for each in (ids, known)]
                ((matched,),) = ids.join(known, "id", how="semi").aggregate("count(*)").fetchall()
                # Of the fewer: the first rows of one file may reach further than those of the other.
                if min(counts) and matched / min(counts) >= _ENOUGH_SHARED:
                    found.append(Shared(own.name, other.name, matched / min(counts)))
    return sorted(found, key=lambda each: -each.share)


def _id_columns(columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """The columns that may hold ids: many values, and neither fractions nor instants. The most telling ones first.

    An id may be there several times: a request that two versions answered, or whose label came twice.
    """
    may = [
        column
        for column in columns
        if column.distinct >= _ID_VALUES * column.present > 0
        and not column.is_unit()
        and not (column.styles() and not column.is_number())
    ]
    return sorted(may, key=lambda column: -column.distinct)[:_MOST_IDS]
