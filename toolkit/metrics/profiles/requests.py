"""The requests that a profile is made of, and what of each of their columns can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.data.facts import Facts
    from toolkit.metrics.profiles.edges import ColumnEdges, Kind

TIME = "occurred_at"


class Place(NamedTuple):
    """Which requests of a population a profile is of: an ISO day, and a segment's value ("" for all requests)."""

    day: str
    segment: str
    value: str


def profile_question(
    source: Source,
    model: ModelDefinition,
    population: Population,
    columns: Iterable[str],
    *,
    as_of: datetime,
    segments: Sequence[str] = (),
) -> Question:
    """What is read for a profile of `columns`, of which those that the table does not have are left out.

    Raises `UnknownNameError` and `DefinitionError` for segments.
    """
    also = ["request_id", "version", TIME, *columns_there(source, columns)]
    return Question.of(source, model, {}, [population], as_of=as_of, segments=segments, also=also)


def columns_there(source: Source, columns: Iterable[str]) -> list[str]:
    """Those of `columns` that predictions, or (the label) outcomes, have; each once, sorted."""
    labels = [LABEL] if "outcomes" in source.tables else []
    return sorted({*columns} & {*source.columns("predictions"), *labels})


def requests_of(question: Question, within: Window | None = None) -> ir.Table:
    """One row per request of the one population, with its columns and segments; `within`: of a part of its window."""
    (population,) = question.populations
    return question.requests({population.name: within or population.window})


def facts_of(question: Question) -> Facts:
    """What is known by day of all predictions in the population's window, whosever they are."""
    (population,), own = question.populations, question.prediction_columns
    window = population.window
    return question.source.facts("predictions", own, as_of=question.as_of, start=window.start, end=window.end)


def column_type(dtype: Any) -> str:
    """A type by the contracts' word: that a number is written with fewer bits on one day is no news."""
    if dtype.is_boolean():
        return "boolean"
    if dtype.is_numeric():
        return "number"
    if dtype.is_string():
        return "text"
    return "instant" if dtype.is_timestamp() or dtype.is_date() else str(dtype.copy(nullable=True))


def kind_of(dtype: Any) -> Kind:
    """How a column of this type is counted before its values are known."""
    kinds: dict[str, Kind] = {"number": "number", "text": "category", "boolean": "category"}
    return kinds.get(column_type(dtype), "presence")


def fitting(edges: Iterable[ColumnEdges], requests: ir.Table) -> list[ColumnEdges]:
    """Those whose column is there with a type that can be counted on them: a text has no place among numbers."""
    types = requests.schema()
    return [each for each in edges if each.column in types and _fits(each, types[each.column])]


def _fits(edges: ColumnEdges, dtype: Any) -> bool:
    kind = kind_of(dtype)
    return edges.kind in {"presence", kind} or (kind == "number" and edges.kind == "discrete")


def text_of(column: Any) -> Any:
    """Texts and truths as the text of their cell."""
    import ibis

    if column.type().is_boolean():
        return ibis.cases((column, "true"), (~column, "false"))
    return column
