"""Named segmentations: bins of a number, or an SQL scalar; beside the columns of predictions, which need no definition.

They stand under `segments` in metrics.yml, and models name them like columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from toolkit.metrics.kinds import Scalar, column_name, number
from toolkit.workspace import Definition

if TYPE_CHECKING:
    import ibis.expr.types as ir


class SegmentDefinition(Definition):
    """How requests are told apart: by bins of `column` at `edges`, or by the text that `expression` gives.

    An edge belongs to the bin above it. Requests without a value are in the segment `missing`.
    """

    description: str = Field(default="", description="what it tells apart, in one sentence")
    column: Scalar | None = Field(default=None, description="column or SQL scalar whose value is binned")
    edges: tuple[float, ...] = Field(default=(), description="where one bin ends and the next begins, ascending")
    expression: Scalar | None = Field(default=None, description="SQL scalar (DuckDB) that gives the segment's name")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        binned = self.column is not None and bool(self.edges)
        if binned == (self.expression is not None) or (self.expression and (self.column or self.edges)):
            raise ValueError("a segment is either column with edges, such as [0.2, 0.5], or an expression")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges must ascend, they are {', '.join(map(_shown, self.edges))}")
        return self

    @property
    def scalars(self) -> Sequence[str]:
        """The columns and SQL scalars that it reads of each request."""
        return [scalar for scalar in (self.column, self.expression) if scalar is not None]

    @property
    def bins(self) -> tuple[str, ...]:
        """The names of the bins, lowest first; () for an expression, whose names only the data know.

        >>> SegmentDefinition(column="score", edges=(0.2, 0.5)).bins
        ('below 0.2', '0.2 to 0.5', '0.5 and above')
        """
        if not self.edges:
            return ()
        inner = [f"{_shown(low)} to {_shown(high)}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        return (f"below {_shown(self.edges[0])}", *inner, f"{_shown(self.edges[-1])} and above")

    def value(self, table: ir.Table) -> Any:
        """The segment of each request of `table`, as text; missing where there is no value."""
        import ibis

        if self.expression is not None:
            return table[column_name(self.expression)].cast("string")
        given = number(table, self.column or "")
        below = [(given < edge, name) for edge, name in zip(self.edges, self.bins, strict=False)]
        return ibis.cases(*below, (given >= self.edges[-1], self.bins[-1]))


def _shown(edge: float) -> str:
    return f"{edge:.12g}"
