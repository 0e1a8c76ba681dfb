"""The edges of many columns from one reference, found in the engine and kept.

An edge need not be an exact quantile, only the same for all that is counted on it: quantiles are those of at most
`SAMPLE_ROWS` requests, drawn by the hash of their ids, so that the next run draws the same. Which values there are is
asked of all requests: a value of the reference that a sample lacks would be unseen in its own reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolkit.data import ModelDefinition, Source
from toolkit.digests import digest_value
from toolkit.metrics.daily import day_fingerprints
from toolkit.metrics.profiles.edges import (
    BINS,
    MOST_DISCRETE,
    MOST_KNOWN,
    ColumnEdges,
    is_discrete,
    value_text,
)
from toolkit.metrics.profiles.requests import (
    column_type,
    columns_there,
    facts_of,
    kind_of,
    profile_question,
    requests_of,
    text_of,
)
from toolkit.metrics.profiles.scale import shares_needed
from toolkit.metrics.query import Population, Question

if TYPE_CHECKING:
    import ibis.expr.types as ir

SAMPLE_ROWS = 200_000
"""Requests from which quantiles are taken: their share below an edge is off by about 0.1 points."""

_PERHAPS_DISCRETE = 2 * MOST_DISCRETE
"""Different values in the sample, as an engine estimates them, up to which it is worth looking at all of them."""


def reference_edges(
    source: Source,
    model: ModelDefinition,
    population: Population,
    columns: Iterable[str],
    *,
    as_of: datetime,
    bins: int = BINS,
) -> dict[str, ColumnEdges]:
    """The edges of some columns of predictions (and `label`), from a population that is the reference.

    Parameters
    ----------
    columns: one that is not there has no edges; one without a value, or of a type of which nothing more is counted, has
        those of a single cell.
    bins: of numbers; see `toolkit.metrics.profiles.edges` for what else becomes a cell.

    What was found once is kept, under all that it depends on. Raises `ArgumentError`, `ContractError`.
    """
    there = columns_there(source, columns)
    if not there:
        return {}
    question = profile_question(source, model, population, there, as_of=as_of)
    shares = shares_needed(bins)
    made_of = digest_value(day_fingerprints(question, population))
    keys = {column: {"column": column, "bins": bins, "days": made_of} for column in there}
    kept = source.cache.recall("edges", keys)
    found = {column: ColumnEdges.from_dict(stored) for column, stored in kept.items()}
    missing = [column for column in there if column not in found]
    if missing:
        new = _find(question, missing, shares, bins)
        source.cache.keep(
            "edges", {column: keys[column] for column in new}, {name: edges.to_dict() for name, edges in new.items()}
        )
        found |= new
    return {column: found[column] for column in there}


def _find(question: Question, columns: list[str], shares: tuple[float, ...], bins: int) -> dict[str, ColumnEdges]:
    rows = requests_of(question)
    types = {column: rows[column].type() for column in columns}
    numbers = [column for column in columns if kind_of(types[column]) == "number"]
    found = _of_numbers(question, rows, numbers, shares, bins) if numbers else {}
    for column in columns:
        kind = kind_of(types[column])
        if kind == "category":
            found[column] = _of_texts(question, rows, column)
        elif kind == "presence":
            found[column] = ColumnEdges(column, "presence", column_type(types[column]))
    return found


def _of_numbers(
    question: Question, rows: ir.Table, columns: list[str], shares: tuple[float, ...], bins: int
) -> dict[str, ColumnEdges]:
    looked = _execute(question, _look(question, rows, columns, shares)).iloc[0]
    few = [column for i, column in enumerate(columns) if 0 < looked[f"distinct_{i}"] <= _PERHAPS_DISCRETE]
    counted = _few_numbers(question, rows, few)
    found = {}
    for i, column in enumerate(columns):
        numbers = counted.get(column, {})
        n = int(looked[f"n_{i}"])
        if is_discrete(len(numbers), sum(numbers.values())):
            found[column] = ColumnEdges.of_numbers(column, numbers)
        else:
            quantiles = dict(zip(shares, looked[f"quantiles_{i}"], strict=True)) if n else dict.fromkeys(shares)
            found[column] = ColumnEdges.of_quantiles(column, quantiles, n=n, bins=bins)
    return found


def _look(question: Question, rows: ir.Table, columns: list[str], shares: tuple[float, ...]) -> ir.Table:
    """In one row for each number: how many values there are, about how many different ones, and their quantiles."""
    sample = rows
    if (every := facts_of(question).rows // SAMPLE_ROWS) > 1:
        sample = rows.filter(question.source.row_hash("predictions", rows, ["request_id"]) % every == 0)
    values = {column: sample[column].cast("float64") for column in columns}
    return sample.aggregate(
        **{f"n_{i}": values[column].count() for i, column in enumerate(columns)},
        **{f"distinct_{i}": values[column].approx_nunique() for i, column in enumerate(columns)},
        **{f"quantiles_{i}": values[column].quantile(list(shares)) for i, column in enumerate(columns)},
    )


def _few_numbers(question: Question, rows: ir.Table, columns: list[str]) -> dict[str, dict[float, int]]:
    """The rows of each value of columns that may have few; those of a column that has more are cut off."""
    import ibis

    if not columns:
        return {}
    parts = []
    for i, column in enumerate(columns):
        values = rows.filter(rows[column].notnull()).select(value=rows[column].cast("float64"))
        groups = values.group_by("value").aggregate(rows=values.count())
        parts.append(groups.limit(MOST_DISCRETE + 1).select("value", "rows", place=ibis.literal(i)))
    counted: dict[str, dict[float, int]] = {}
    for place, value, n in _execute(question, ibis.union(*parts))[["place", "value", "rows"]].itertuples(index=False):
        counted.setdefault(columns[int(place)], {})[float(value) + 0.0] = int(n)
    return counted


def _of_texts(question: Question, rows: ir.Table, column: str) -> ColumnEdges:
    import ibis

    values = rows.filter(rows[column].notnull()).select(value=text_of(rows[column]))
    groups = values.group_by("value").aggregate(rows=values.count())
    named = _execute(question, groups.order_by(ibis.desc("rows")).limit(MOST_KNOWN + 1))
    counted = {value_text(value): int(n) for value, n in zip(named["value"], named["rows"], strict=True)}
    more = (0, 0, 0)
    if len(counted) > MOST_KNOWN:
        every = groups.aggregate(
            texts=groups.count(), singles=(groups.rows == 1).cast("int64").sum(), rows=groups.rows.sum()
        )
        whole: Mapping[str, Any] = _execute(question, every).iloc[0]
        singles = sum(n == 1 for n in counted.values())
        more = (
            int(whole["texts"]) - len(counted),
            int(whole["singles"]) - singles,
            int(whole["rows"]) - sum(counted.values()),
        )
    return ColumnEdges.of_texts(column, counted, dtype=column_type(rows[column].type()), more=more)


def _execute(question: Question, expression: ir.Table) -> Any:
    return question.source.execute(expression, reading=question.reading)
