"""What results are made of: long rows with a schema version, and the mixin that shows them.

A result is a frozen value whose numbers and prose were made together. It gives its rows (`to_rows`), a frame, its text
and, where one would rather look than read, pictures. `toolkit.reports.save` writes exactly these and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from toolkit.display import Picture, notice, table_html
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.stats import Estimate

SCHEMA_VERSION = 1
"""Of `results.json`; a change of a field's name or meaning raises it."""

Value = str | int | float | bool | None

Quantity = Literal["value", "effort"]
"""What is estimated of a piece of work."""


@dataclass(frozen=True)
class ResultRow:
    """One row of `results.json`: one statistic of one thing.

    Attributes
    ----------
    key: the metric, check or item that it is about.
    segment: `column=value`, or "" for everything.
    window: the days it covers, or "".
    comparison: what is compared with what, such as `treatment - control`, or "".
    statistic: what the value is, such as `mean`, `difference`, `p_value`.
    value: the number or word; None when absent, and then `reason` says why.
    ci_lower, ci_upper: the interval's bounds; None: not computed or unbounded.
    n: the observations it rests on.
    status: `ok` or `absent`.
    record: the name the template saved it under, such as `readout`; set when it is saved.
    """

    key: str
    statistic: str
    value: Value
    segment: str = ""
    window: str = ""
    comparison: str = ""
    ci_lower: float | None = None
    ci_upper: float | None = None
    p_value: float | None = None
    n: int | None = None
    unit: str = ""
    method: str = ""
    status: Literal["ok", "absent"] = "ok"
    reason: str = ""
    record: str = ""

    def to_dict(self) -> dict[str, Value]:
        """The row as JSON types."""
        return asdict(self)


ROW_FIELDS = tuple(field.name for field in fields(ResultRow))


def estimate_row(estimate: Estimate, *, key: str, statistic: str, **where: Any) -> ResultRow:
    """The row of a statistical estimate; `where` sets segment, window, comparison, unit."""
    return ResultRow(
        key=key,
        statistic=statistic,
        value=estimate.value,
        ci_lower=estimate.ci_lower,
        ci_upper=estimate.ci_upper,
        p_value=estimate.p_value,
        n=estimate.n,
        method=estimate.method,
        status=estimate.status,
        reason=estimate.reason,
        **where,
    )


def number_row(value: Value, reason: str, *, key: str, statistic: str, **where: Any) -> ResultRow:
    """The row of a number that may be absent: None is shown as absent, with its reason."""
    absent = value is None
    return ResultRow(
        key=key,
        statistic=statistic,
        value=value,
        status="absent" if absent else "ok",
        reason=reason if absent else "",
        **where,
    )


@dataclass(frozen=True)
class Correction:
    """What the history of a source says about its next estimates of a quantity.

    Attributes
    ----------
    source: whom estimates come from, such as `person/Ada` or `detector/calibration`.
    quantity: what they estimate.
    bias: what is realised for 1 estimated. spread: how many times as wide, in logarithms, its ranges should be.
    n: closed items that both rest on; both are shrunken towards 1, the more the fewer there are.
    """

    source: str
    quantity: Quantity
    bias: float
    spread: float
    n: int

    def to_dict(self) -> dict[str, Value]:
        """The correction as JSON types."""
        return asdict(self)


@runtime_checkable
class Record(Protocol):
    """What `reports.save` accepts: anything that gives rows and pictures."""

    def to_rows(self) -> Sequence[ResultRow]:
        """The rows of `results.json`."""
        ...

    def to_pictures(self) -> Sequence[Picture]:
        """The figures worth keeping."""
        ...


class Shown:
    """Mixin of results: frame, HTML and pictures out of `to_rows` and `text`."""

    nothing_to_draw: ClassVar[str] = "there is nothing to draw"
    """What `plot` shows when there is no picture."""

    @property
    def text(self) -> str:
        """The result in one paragraph, or ""."""
        return ""

    def to_rows(self) -> Sequence[ResultRow]:
        """The rows of the result, in the order they should be read."""
        raise ArgumentError(f"{type(self).__name__} gives no rows")

    def to_pictures(self) -> Sequence[Picture]:
        """Figures worth keeping beside the rows."""
        return ()

    def plot(self) -> Picture:
        """The first picture; where there is nothing to draw, one that says so."""
        return next(iter(self.to_pictures()), None) or notice(self.nothing_to_draw)

    def to_table(self) -> Sequence[Mapping[str, object]]:
        """What people see: one mapping per line, headings as keys; by default the rows' filled columns."""
        rows = [row.to_dict() for row in self.to_rows()]
        used = [name for name in ROW_FIELDS if any(row[name] not in (None, "") for row in rows)]
        return [{name: row[name] for name in used if name not in {"record", "status"}} for row in rows]

    def to_frame(self) -> pd.DataFrame:
        """One row per statistic: the columns of `ResultRow`."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.to_rows()], columns=list(ROW_FIELDS))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # Of a dataclass, IPython would otherwise write out the whole generated repr beside the table.
        plain = self.text or f"{type(self).__name__} of {len(self.to_rows())} rows"
        return {"text/plain": plain, "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        name = type(self).__name__.lower()
        return table_html(self.to_table(), name=name, text=self.text)


def to_document(records: Mapping[str, Record]) -> dict[str, Any]:
    """`results.json` as a value: the schema version and every record's rows, in the order they were saved."""
    rows: list[dict[str, Value]] = []
    for name, record in records.items():
        if not isinstance(record, Record):
            raise ArgumentError(
                f"{name} is a {type(record).__name__}; reports.save takes results of the toolkit "
                f"(anything with to_rows and to_pictures)"
            )
        rows.extend(asdict(row) | {"record": name} for row in record.to_rows())
    return {"schema_version": SCHEMA_VERSION, "rows": rows}
