"""The requests that a profile is made of, and what of each of their columns can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.metrics.profiles.edges import ColumnEdges, Kind

TIME = "occurred_at"


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
    question = Question.of(source, model, {}, [population], as_of=as_of, segments=segments)
    there = columns_there(source, columns)
    return replace(question, columns=tuple(dict.fromkeys([*question.columns, "request_id", "version", TIME, *there])))


def columns_there(source: Source, columns: Iterable[str]) -> list[str]:
    """Those of `columns` that predictions, or (the label) outcomes, have; each once, sorted."""
    labels = [LABEL] if "outcomes" in source.tables else []
    return sorted({*columns} & {*source.columns("predictions"), *labels})


def requests_of(question: Question, within: Window | None = None) -> ir.Table:
    """One row per request of the one population, with its columns and segments; `within`: of a part of its window."""
    (population,) = question.populations
    return question.requests({population.name: within or population.window})


def day_window(days: Sequence[str]) -> Window:
    """From the first to the last of some ISO days, in order, both included."""
    first, last = (datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) for day in (days[0], days[-1]))
    return Window(first, last + timedelta(days=1))


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


def fits(edges: ColumnEdges, dtype: Any) -> bool:
    """Whether values of this type can be counted on the edges: a text has no place among numbers."""
    kind = kind_of(dtype)
    return edges.kind in {"presence", kind} or (kind == "number" and edges.kind == "discrete")


def text_of(column: Any) -> Any:
    """Texts and truths as the text of their cell."""
    import ibis

    if column.type().is_boolean():
        return ibis.cases((column, "true"), (~column, "false"))
    return column


def day_fingerprints(question: Question) -> dict[str, dict[str, Any]]:
    """By day of the population all that its counts depend on, but for the edges."""
    from toolkit.data import label_arrivals

    source, (population,) = question.source, question.populations
    window, own = population.window, [column for column in question.columns if column != LABEL]
    made = source.day_fingerprints("predictions", own, as_of=question.as_of, start=window.start, end=window.end)
    labels: Mapping[str, str] = {}
    if question.labelled:
        arrivals = label_arrivals(source, model=question.model.key, columns=own, window=window, as_of=question.as_of)
        labels = arrivals.by_request_day()
    asked = {
        "model": question.model.key,
        "version": population.version,
        "served_only": population.served_only,
        "segments": list(question.segments),
        "named": {name: segment.model_dump_json() for name, segment in question.named.items()},
        "columns": list(question.columns),
    }
    return {day: asked | {"predictions": made[day], "labels": labels.get(day)} for day in sorted(made) if day}
