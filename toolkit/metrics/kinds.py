"""What every kind of metric is: its words, what it reads of each request, and how its numbers come about.

Nearly every metric is a ratio of two sums over requests. Such a kind (`RatioKind`) says in `parts` what one request
adds to either sum; the sums by population, segment and day merge by adding, and the estimate is their ratio with days
as clusters. A kind that needs order (`RankKind`: AUC, quantiles) brings a grouped branch of its own into the one
statement, and makes its estimate of what that brings back. A kind is a class of about 20 lines; a team's own is
registered under `kinds` in metrics.yml.

>>> class Overbooked(RatioKind):
...     '''Share of the requests that asked for more than there was.'''
...
...     kind: Literal["overbooked"]
...     capacity: float = Field(gt=0, description="how much there is")
...
...     def columns(self):
...         return ["asked_for"]
...
...     def parts(self, table):
...         return Parts(number(table, "asked_for") > self.capacity)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from toolkit import stats
from toolkit.data import ModelDefinition
from toolkit.errors import DefinitionError
from toolkit.stats import Estimate
from toolkit.workspace import Definition

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from numpy.typing import ArrayLike

ALL = ""
"""The segment that holds every request."""

MISSING = "missing"
"""What a value is called where there is none: of a segment, and of what units without a request would have."""

CELL = ("population", "segment", "segment_value", "day")
"""What identifies a cell: the grain of everything that is measured."""

OURS = "toolkit__"
"""How the names of the columns begin that the toolkit adds to requests: a team's own have any other name."""

POPULATION, DAY = f"{OURS}population", f"{OURS}day"
"""The columns of a request's population and of its day."""

DAY_MEAN = "mean, day clusters"
"""How the estimates of `RatioKind` say that they were made."""

Within = Literal["population", "day"]
"""Whose scores are ranked against each other: those of a segment's whole population, or of each day."""


def _checked_scalar(text: str) -> str:
    if not text.isidentifier():
        from toolkit.data.expressions import check_expression

        check_expression(text)
    return text


def _as_text(given: object) -> object:
    return repr(given) if type(given) in {int, float} else given


Scalar = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"type": ["string", "number"]}),
    BeforeValidator(_as_text),
    AfterValidator(_checked_scalar),
]
"""A column of predictions (`label` is the matured label), or an SQL scalar over such columns in DuckDB's dialect."""


def _explain_kind(schema: dict[str, Any]) -> None:
    """Say in the schema of every kind what `kind` is: the classes below narrow its type, and would leave it mute."""
    schema["properties"]["kind"].setdefault("description", "how it is computed")


class MetricDefinition(Definition):
    """One metric: what people say about it, and (in the classes below it) how it is computed.

    Class attributes
    ----------------
    adds_up: whether the metric is Σ numerator / Σ denominator over requests, so that its change can be split by
        segment and an experiment can compare it by unit.
    is_share: whether it is a share of requests: each that counts adds 0 or 1.
    scored: whether it compares the score with the label.
    bounded_label: whether it makes sense only for labels between 0 and 1.
    code: digest of the file that a team's own kind comes from; "" for the toolkit's kinds.
    """

    model_config = ConfigDict(json_schema_extra=_explain_kind)

    name: str = Field(description="what people call it")
    description: str = Field(description="what it measures, in one sentence")
    owner: str = Field(description="who answers for the definition")
    kind: str = Field(description="how it is computed")
    filter: Scalar | None = Field(
        default=None, description="SQL scalar (DuckDB) or boolean column; requests where it is not true do not count"
    )
    unit: str = Field(default="", description="the unit of its values")
    direction: Literal["increase", "decrease", "toward_zero", "none"] = Field(description="the way that is better")
    practical_threshold: float = Field(gt=0, description="the smallest change worth acting on, in the metric's unit")
    role: Literal["loss", "quality", "operation", "input"] = Field(
        description="loss and quality of the model, its operation, or an input that may drift"
    )
    maturity_days: int | None = Field(
        default=None, ge=0, description="days until it is final, where that is not the model's label maturity"
    )
    business_outcome: str | None = Field(default=None, description="what the business has from it")

    adds_up: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    scored: ClassVar[bool] = False
    bounded_label: ClassVar[bool] = False
    code: ClassVar[str] = ""

    @property
    def identity(self) -> str:
        """Text that is another one where other numbers are measured: kind, parameters and filter, but no words."""
        words = MetricDefinition.model_fields.keys() - {"kind", "filter"}
        return f"{self.code} {self.model_dump_json(exclude=set(words))}".lstrip()

    @property
    def estimand(self) -> str:
        """What the number is, in words; filter apart."""
        return type(self).__doc__ or ""

    @property
    def measures(self) -> str:
        """What the number is of which requests, in words."""
        return f"{self.estimand}, of those where {self.filter}" if self.filter else self.estimand

    def columns(self) -> Sequence[str]:
        """The columns, and SQL scalars over columns, that it reads of each request; the filter apart."""
        return ()

    def resolved(self, model: ModelDefinition, columns: Collection[str]) -> Self:
        """The metric for one model, whose predictions have `columns`: what it left open is filled in."""
        del model, columns
        return self

    def spoilt_reason(self, requests: int) -> str:
        """Why there is no number when so many requests made it infinite."""
        return f"infinite: {requests:,} requests have a value that is not finite"


class Parts(NamedTuple):
    """What each request adds to a metric.

    A request whose numerator or denominator is missing does not count. `denominator` None: each one counts once.
    Booleans count as 0 and 1.
    """

    numerator: Any
    denominator: Any = None


class RatioKind(MetricDefinition):
    """The kinds that are a ratio of two sums over requests."""

    adds_up: ClassVar[bool] = True

    def parts(self, table: ir.Table) -> Parts:
        """What each request of `table` adds; see `number` and `truth` for what `columns` named."""
        raise NotImplementedError

    def spoilt(self, table: ir.Table) -> Any:
        """Whether a request makes the whole number infinite; None when none can. `parts` is missing there."""
        del table

    def estimate(self, numerators: ArrayLike, denominators: ArrayLike, *, n: int) -> Estimate:
        """The estimate from the sums of each day (or other cluster), which rest on `n` requests."""
        return stats.ratio(numerators, denominators, n=n, method=DAY_MEAN)


class TimeKind(MetricDefinition):
    """The kinds that count against time: a sum over the requests of a day, per hour, day or week.

    They describe a state, not a mean of requests: days without a request count as 0, and a segment's values add up to
    that of the whole.
    """

    def amount(self, table: ir.Table) -> Any:
        """What each request of `table` adds; missing where it does not count."""
        raise NotImplementedError

    @property
    def units_per_day(self) -> float:
        """How many of the metric's units of time a day has."""
        raise NotImplementedError


class RankKind(MetricDefinition):
    """The kinds that need the order of requests; they have a branch of the statement for themselves."""

    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        """One row per cell of a segmentation that the metric has something to say of.

        Parameters
        ----------
        base: the requests that pass the filter: what `columns` named, `POPULATION`, `DAY`, and the column `split`.
        split: the segmentation, for `cell_keys`.

        Returns the columns of `CELL`, as `cell_keys` has them, and others under names of the kind's own choice.
        """
        raise NotImplementedError

    def estimate(self, days: pd.DataFrame) -> Estimate:
        """The estimate from one population's segment: a row per day that `branch` had one for, in order, without keys.

        The columns have the names that `branch` gave them. No row at all makes an absent estimate.
        """
        raise NotImplementedError


def column_name(scalar: str) -> str:
    """The name of the column that holds a scalar: its own if it is a column, else one made from its text.

    >>> column_name("latency_ms"), column_name("latency_ms / 1000")
    ('latency_ms', 'sql_b5db5fde03ea')
    """
    return scalar if scalar.isidentifier() else "sql_" + hashlib.sha256(scalar.encode()).hexdigest()[:12]


def number(table: ir.Table, scalar: str) -> Any:
    """A column or scalar that `columns` named, as a float; true is 1 and false 0.

    Raises `DefinitionError` when it is neither number nor boolean.
    """
    column = table[column_name(scalar)]
    if column.type().is_boolean():
        return column.cast("int32").cast("float64")
    if not column.type().is_numeric():
        raise DefinitionError(f"{scalar} is of type {column.type()}, must be a number or a boolean")
    return column.cast("float64")


def truth(table: ir.Table, scalar: str) -> Any:
    """A column or scalar that `columns` named, as a boolean. Raises `DefinitionError` when it is none."""
    column = table[column_name(scalar)]
    if not column.type().is_boolean():
        raise DefinitionError(f"{scalar} is of type {column.type()}, must be a boolean, such as {scalar} > 0")
    return column


def segment_value(column: Any) -> Any:
    """The values of a segment's column, as cells and profiles name them."""
    return column.cast("string").fill_null(MISSING)


def cell_keys(base: ir.Table, split: str) -> dict[str, Any]:
    """The keys of `CELL` for one segmentation of `base`: what to group by, and `keys_as_text` of what is left.

    A text for each row is dear, so a date is still one, and a whole number or a boolean that a segment has.
    """
    import ibis

    if split == ALL:
        value = ibis.literal(ALL)  # and nothing made of it, which would count as a key that varies
    else:
        dtype = base[split].type()
        value = base[split] if dtype.is_integer() or dtype.is_boolean() else segment_value(base[split])
    keys = {"population": base[POPULATION], "segment": ibis.literal(split), "segment_value": value}
    return keys | {"day": base[DAY]}


def keys_as_text(cells: ir.Table) -> ir.Table:
    """`cells` with the keys of `CELL` as everyone reads them: texts, in front."""
    day = cells.day.cast("string")
    return cells.mutate(segment_value=segment_value(cells.segment_value), day=day).relocate(*CELL)
