"""Kinds of metric that need no label: of the requests themselves, their columns, and what they cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field
from typing_extensions import override

from toolkit.data import ModelDefinition
from toolkit.metrics.kinds import Parts, RatioKind, Scalar, TimeKind, column_name, number, truth

if TYPE_CHECKING:
    import ibis.expr.types as ir

UNITS_PER_DAY = {"second": 86_400.0, "minute": 1_440.0, "hour": 24.0, "day": 1.0, "week": 1 / 7}
"""How many of each unit of time a day has."""


class Proportion(RatioKind):
    """Share of the requests for which a boolean column or SQL condition is true.

    A request whose number is neither 0 nor 1 makes it absent, and the reason counts such requests.
    """

    kind: Literal["proportion"]
    is_share: ClassVar[bool] = True
    column: Scalar = Field(description="boolean (or 0 and 1) column, or SQL condition; label is the outcome")

    @property
    @override
    def estimand(self) -> str:
        condition = f"{self.column} is true" if self.column.isidentifier() else self.column
        return f"share of the requests where {condition}"

    @override
    def columns(self) -> Sequence[str]:
        return [self.column]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(number(table, self.column))

    @override
    def spoilt(self, table: ir.Table) -> Any:
        column = table[column_name(self.column)]
        return None if column.type().is_boolean() else ~number(table, self.column).isin([0.0, 1.0])

    @override
    def spoilt_reason(self, requests: int) -> str:
        return (
            f"no share: {requests:,} requests have a value of {self.column} that is neither 0 nor 1; for numbers there "
            f"is kind mean, and a condition such as {self.column} > 0 has a share"
        )


class Mean(RatioKind):
    """Mean of a column or SQL scalar over the requests that have it, such as cost per request."""

    kind: Literal["mean"]
    column: Scalar = Field(description="column or SQL scalar; label is the outcome")

    @property
    @override
    def estimand(self) -> str:
        return f"mean of {self.column} over the requests that have it"

    @override
    def columns(self) -> Sequence[str]:
        return [self.column]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(number(table, self.column))


class Ratio(RatioKind):
    """Sum of one column or SQL scalar over the sum of another, such as revenue per item.

    A request counts when it has both. With SQL scalars this is the metric that no other kind is.
    """

    kind: Literal["ratio"]
    numerator: Scalar = Field(description="column or SQL scalar that is summed above the line")
    denominator: Scalar = Field(description="column or SQL scalar that is summed below the line")

    @property
    @override
    def estimand(self) -> str:
        return f"sum of {self.numerator} over sum of {self.denominator}"

    @override
    def columns(self) -> Sequence[str]:
        return [self.numerator, self.denominator]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(number(table, self.numerator), number(table, self.denominator))


class ErrorRate(RatioKind):
    """Share of the requests that ended in an error."""

    kind: Literal["error_rate"]
    is_share: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return "share of the requests that ended in an error"

    @override
    def columns(self) -> Sequence[str]:
        return ["error"]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(truth(table, "error"))


class ShareOverBudget(RatioKind):
    """Share of the timed requests that took longer than the latency budget."""

    kind: Literal["share_over_budget"]
    is_share: ClassVar[bool] = True
    budget_ms: float = Field(gt=0, description="the latency that a request may have, in ms")

    @property
    @override
    def estimand(self) -> str:
        return f"share of the requests that took longer than {self.budget_ms:g} ms"

    @override
    def columns(self) -> Sequence[str]:
        return ["latency_ms"]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(number(table, "latency_ms") > self.budget_ms)


class Coverage(RatioKind):
    """Share of the requests that were answered: without an error, and with a score or prediction."""

    kind: Literal["coverage"]
    is_share: ClassVar[bool] = True
    column: Scalar | None = Field(
        default=None, description="what an answer must hold; by default score, where there is none prediction"
    )

    @property
    @override
    def estimand(self) -> str:
        held = f" and with {self.column}" if self.column else ""
        return f"share of the requests that were answered without an error{held}"

    @override
    def columns(self) -> Sequence[str]:
        return ["error", *([self.column] if self.column else [])]

    @override
    def resolved(self, model: ModelDefinition, columns: Collection[str]) -> Self:
        answers = [name for name in ("score", "prediction") if name in columns]
        return self if self.column or not answers else self.model_copy(update={"column": answers[0]})

    @override
    def parts(self, table: ir.Table) -> Parts:
        answered = ~truth(table, "error")
        return Parts(answered & table[column_name(self.column)].notnull() if self.column else answered)


class NullShare(RatioKind):
    """Share of the requests that lack a feature: NULL or NaN."""

    kind: Literal["null_share"]
    is_share: ClassVar[bool] = True
    column: Scalar = Field(description="the feature's column")

    @property
    @override
    def estimand(self) -> str:
        return f"share of the requests without {self.column}"

    @override
    def columns(self) -> Sequence[str]:
        return [self.column]

    @override
    def parts(self, table: ir.Table) -> Parts:
        return Parts(table[column_name(self.column)].isnull())


class PerTime(TimeKind):
    """What is counted against a unit of time that its parameter `per` names."""

    per: Literal["second", "minute", "hour", "day", "week"]

    @property
    @override
    def units_per_day(self) -> float:
        return UNITS_PER_DAY[self.per]


class Count(PerTime):
    """Number of requests per day, hour or week; with a filter, of those where it holds."""

    kind: Literal["count"]
    per: Literal["hour", "day", "week"] = Field(default="day", description="the unit of time")

    @property
    @override
    def estimand(self) -> str:
        return f"requests per {self.per}, days without any counted as 0"

    @override
    def columns(self) -> Sequence[str]:
        return ["error"]

    @override
    def amount(self, table: ir.Table) -> Any:
        return table["error"].notnull()


class Rate(PerTime):
    """Sum of a column or SQL scalar per hour, day or week, such as cost per day or retries per hour."""

    kind: Literal["rate"]
    column: Scalar = Field(description="column or SQL scalar that is summed; a condition counts where it holds")
    per: Literal["minute", "hour", "day", "week"] = Field(description="the unit of time")

    @property
    @override
    def estimand(self) -> str:
        return f"sum of {self.column} per {self.per}, days without a request counted as 0"

    @override
    def columns(self) -> Sequence[str]:
        return [self.column]

    @override
    def amount(self, table: ir.Table) -> Any:
        return number(table, self.column)


class Throughput(PerTime):
    """Requests answered without an error, per second, minute or hour, averaged over whole days."""

    kind: Literal["throughput"]
    per: Literal["second", "minute", "hour"] = Field(default="second", description="the unit of time")

    @property
    @override
    def estimand(self) -> str:
        return f"requests answered without an error per {self.per}, averaged over whole days"

    @override
    def columns(self) -> Sequence[str]:
        return ["error"]

    @override
    def amount(self, table: ir.Table) -> Any:
        return ~truth(table, "error")
