"""Cells day by day, kept under what they are made of: a new day costs one day, the same question nothing.

The sums of a day depend on that day's requests and on the labels known for them, so each day of a population is kept by
the fingerprints of both and by what is asked. What needs the order of a whole window (AUC, quantiles) is kept for the
window. When nothing is kept, one statement measures everything.

A number must not depend on what happens to be kept. Where the engine adds a day's rows in their own order, a day has
the same sums whichever days are measured with it; elsewhere days are kept together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import LABEL, label_arrivals
from toolkit.data.days import window_of_days
from toolkit.digests import digest_value
from toolkit.errors import ContractError
from toolkit.metrics.kinds import CELL, MetricDefinition
from toolkit.metrics.query import Population, Question, statement
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

Columns = dict[str, list[Any]]
"""A frame as JSON says it; NaN is None."""

_TEXTS = {"population", "segment", "segment_value", "day"}


def measure_cells(question: Question) -> pd.DataFrame:
    """The cells of a question, from what is kept and from the engine: one row per cell, see `Cells` for the columns."""
    cache, wanted = question.source.cache, Wanted.of(question)
    days = cache.recall("cells", wanted.days)
    ranks = cache.recall("ranks", wanted.ranks)
    if not days and not ranks:
        found = _execute(question, statement(question))
        days, ranks = _by_day(question, found, wanted.days), _ranked(question, found, wanted.ranks)
        cache.keep("cells", wanted.days, days)
        cache.keep("ranks", wanted.ranks, ranks)
        return found if found.empty else _frame(days, ranks)
    if missing := {day: key for day, key in wanted.days.items() if day not in days}:
        new = _by_day(question, _execute(question, question.sums(question.requests(_spans(missing)))), missing)
        cache.keep("cells", missing, new)
        days |= new
    if not ranks.keys() >= wanted.ranks.keys():
        base = question.requests()
        ranks = _ranked(question, _execute(question, question.ranks(base, question.cells(base))), wanted.ranks)
        cache.keep("ranks", wanted.ranks, ranks)
    return _frame(days, ranks)


class Wanted(NamedTuple):
    """What a question needs, each with all that it depends on: days as `<day> <population>`, and the whole window."""

    days: dict[str, dict[str, Any]]
    ranks: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, question: Question) -> Wanted:
        """What a question needs of the data as they are now."""
        days = {f"{day} {each.name}": key for each in question.populations for day, key in _day_keys(question, each)}
        if not question.source.sums_in_row_order("predictions"):
            beside = digest_value(days)
            days = {day: key | {"beside": beside} for day, key in days.items()}
        whole = {"days": days, "metrics": _asked(question.ordered), "within": question.auc_within}
        return cls(days, {"ranks": whole} if question.ordered else {})


def day_fingerprints(question: Question, population: Population) -> dict[str, dict[str, Any]]:
    """By day of a population all that its requests depend on, as the question reads them."""
    source, window, own = question.source, population.window, question.prediction_columns
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


def _day_keys(question: Question, population: Population) -> Iterable[tuple[str, dict[str, Any]]]:
    """The days of a population, each with all that its sums depend on."""
    adding = {key: metric for key, metric in question.metrics.items() if key not in question.ordered}
    for day, made_of in day_fingerprints(question, population).items():
        yield day, made_of | {"metrics": _asked(adding)}


def _asked(metrics: Mapping[str, MetricDefinition]) -> dict[str, str]:
    return {key: metric.identity for key, metric in metrics.items()}


def _execute(question: Question, expression: ir.Table) -> pd.DataFrame:
    found = question.source.execute(expression, reading=question.reading)
    _check_finite(question, found)
    return found


def _check_finite(question: Question, found: pd.DataFrame) -> None:
    """Raise `ContractError` for sums that overflow: nothing can be made of them, nor can they be kept."""
    sums = {f"{key}__sum" for key in question.metrics if key not in question.ordered}
    wrong = {
        name.partition("__")[0]
        for name in found.columns
        if name not in CELL and _is_wrong(found[name], may_be_missing=name not in sums)
    }
    if not wrong:
        return
    metrics = ", ".join(key for key in question.metrics if key in wrong)
    whose, filtered = (f"metrics {metrics}", ", or leave them out with a filter") if metrics else (LABEL, "")
    raise ContractError(
        f"{question.reading}: {whose}: some values are infinite or too large to be added up; correct them{filtered}"
    )


def _is_wrong(column: Any, *, may_be_missing: bool) -> bool:
    """Whether any number of a column is infinite, or none though it must be one; numbers may be in lists."""
    import numpy as np

    values = [np.asarray(value) for value in column] if column.dtype == object else [column.to_numpy()]
    numbers = [value for value in values if value.dtype.kind == "f"]
    return any(np.isinf(value).any() or (not may_be_missing and np.isnan(value).any()) for value in numbers)


def _spans(missing: Iterable[str]) -> dict[str, Window]:
    """By population from the first to the last of its days; those between come along."""
    days: dict[str, list[str]] = {}
    for place in missing:
        day, _, population = place.partition(" ")
        days.setdefault(population, []).append(day)
    return {population: window_of_days(min(of_days), max(of_days)) for population, of_days in days.items()}


def _by_day(question: Question, found: pd.DataFrame, days: Iterable[str]) -> dict[str, Columns]:
    """The sums of each day; none for a day whose rows were all left out."""
    own = [name for name in found.columns if not _is_ranked(question, name)]
    ordered = found[own].sort_values(list(CELL))
    groups = {f"{day} {population}": rows for (population, day), rows in ordered.groupby(["population", "day"])}
    # What another question calls this population is its own affair.
    return {place: _columns(groups.get(place, ordered.head(0)).drop(columns=["population", "day"])) for place in days}


def _ranked(question: Question, found: pd.DataFrame, keys: Iterable[str]) -> dict[str, Columns]:
    """What the metrics that need order bring, by cell."""
    own = [name for name in found.columns if _is_ranked(question, name)]
    rows = found[[*CELL, *own]].dropna(how="all", subset=own) if own else found.head(0)
    return {key: _columns(rows.sort_values(list(CELL))) for key in keys}


def _is_ranked(question: Question, column: str) -> bool:
    return any(column.startswith(f"{key}__") for key in question.ordered)


def _columns(rows: pd.DataFrame) -> Columns:
    return {name: [_plain(value) for value in values] for name, values in rows.to_dict("list").items()}


def _plain(value: Any) -> Any:
    """What an engine brings back as JSON says it: exact decimals as numbers, arrays as lists, NaN as None."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _frame(days: Mapping[str, Columns], ranks: Mapping[str, Columns]) -> pd.DataFrame:
    """The cells, whatever was kept and whatever is new."""
    columns: Columns = {name: [] for name in ("population", "day", *next(iter(days.values())))}
    for place, sums in days.items():
        day, _, population = place.partition(" ")
        rows = len(sums["requests"])
        for name, values in (sums | {"population": [population] * rows, "day": [day] * rows}).items():
            columns[name] += values
    cells = _numbers(columns)
    for ranked in ranks.values():
        cells = cells.merge(_numbers(ranked), on=list(CELL), how="left")
    return cells[[*CELL, *sorted(set(cells.columns) - set(CELL))]]


def _numbers(columns: Columns) -> pd.DataFrame:
    """A frame in which all but keys and lists are numbers, NaN where there is none."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    lists = {name for name, values in columns.items() if any(isinstance(value, list) for value in values)}
    return frame.assign(
        **{name: pd.to_numeric(frame[name]) for name in frame.columns if name not in _TEXTS and name not in lists}
    )
