"""Labels and the predictions they belong to, as they were known at an instant.

Labels arrive late. What is known of a day's requests therefore changes for a while after the day; `Arrivals` says how
each arrival day touched each request day, so that a new day of labels costs that day and the days that it touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.data.contracts import CONTRACTS
from toolkit.data.days import window_of_days
from toolkit.data.instants import date_of, days_as_text
from toolkit.data.parts import Part
from toolkit.digests import digest_value

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.data.source import Source
    from toolkit.windows import Window

LABEL = "label"
EARLY = "observed_at must not be before the prediction's occurred_at"
"""The rule between outcomes and predictions: nothing had been predicted yet, or a clock is wrong."""

_LOOK_BACK = timedelta(days=31)
"""How far before a window labels of its requests are looked for: none can be right, and one that is older is missed."""


@dataclass(frozen=True, order=True)
class Arrival:
    """The labels that arrived on one day for the requests of one day: rows and hash sum."""

    arrival_day: str
    request_day: str
    rows: int
    hash_sum: int


@dataclass(frozen=True)
class Arrivals:
    """The labels known at an instant, by arrival day and request day."""

    cells: tuple[Arrival, ...]

    @property
    def rows(self) -> int:
        """Labels that belong to a request."""
        return sum(cell.rows for cell in self.cells)

    def by_request_day(self) -> dict[str, str]:
        """The fingerprint of the labels of each request day; a day without labels is not in it."""
        days: dict[str, list[Arrival]] = {}
        for cell in self.cells:
            days.setdefault(cell.request_day, []).append(cell)
        return {
            day: digest_value({"rows": sum(c.rows for c in cells), "hash_sum": str(sum(c.hash_sum for c in cells))})
            for day, cells in days.items()
        }


def latest_labels(source: Source, *, as_of: datetime, since: datetime | None = None) -> ir.Table:
    """One row per labelled request: request_id, label and observed_at of the latest label known at `as_of`.

    Labels that arrived before `since` (the start of the requests' window) are not looked for.
    """
    return _latest(source.read("outcomes", [LABEL], as_of=as_of, start=since))


def _latest(outcomes: ir.Table) -> ir.Table:
    return outcomes.aggregate(
        by="request_id",
        label=outcomes.label.cast("float64").argmax(outcomes.observed_at),
        observed_at=outcomes.observed_at.max(),
    )


def labelled_predictions(
    source: Source,
    columns: Iterable[str],
    *,
    model: str,
    window: Window,
    as_of: datetime,
    within: Window | None = None,
) -> ir.Table:
    """One row per request and version of `model` in `window`, with `columns`; `within`: only those of a part of it.

    When `columns` holds `label`, it is the latest label known at `as_of`, or missing. A label that was observed before
    its prediction was made breaks the contract: nothing had been predicted yet, or a clock is wrong. Like other rows
    that do, a few such labels are left out and counted, those from up to 31 days before the window too.

    Raises `ContractError`.
    """
    wanted = list(dict.fromkeys(columns))
    own = [name for name in wanted if name != LABEL]
    predictions = source.read("predictions", own, as_of=as_of, start=window.start, end=window.end)
    predictions = predictions.filter(predictions.model == model)
    asked = predictions if within is None else _between(predictions, within)
    if LABEL not in wanted:
        return asked
    first = _first_early_day(source, model=model, columns=own, window=window, as_of=as_of)
    start = window.start if first is None else min(window.start, first)
    outcomes = source.read("outcomes", [LABEL], as_of=as_of, start=start)
    if first is not None:
        outcomes = _without_early(source, predictions, outcomes)
    if within is not None:  # what was observed before them is none of their labels
        outcomes = outcomes.filter(outcomes.observed_at >= within.start)
    labels = _latest(outcomes).select("request_id", LABEL)
    return asked.left_join(labels, "request_id").drop("request_id_right")


def _between(predictions: ir.Table, window: Window) -> ir.Table:
    return predictions.filter(predictions.occurred_at >= window.start, predictions.occurred_at < window.end)


def _without_early(source: Source, predictions: ir.Table, outcomes: ir.Table) -> ir.Table:
    """The outcomes but for those observed before a prediction of their request; raises when these are too many."""
    made = predictions.group_by("request_id").aggregate(last_occurred_at=predictions.occurred_at.max())
    labels = outcomes.left_join(made, "request_id").drop("request_id_right")
    early = (labels.observed_at < labels.last_occurred_at).fill_null(False)
    source.quarantine("outcomes", labels.filter(labels.last_occurred_at.notnull()), EARLY, early)
    return labels.filter(~early).drop("last_occurred_at")


def _first_early_day(
    source: Source, *, model: str, columns: Sequence[str], window: Window, as_of: datetime
) -> datetime | None:
    """The day of the first label that was observed before its prediction in `window`; None when none was.

    A day of requests that was looked at before, beside the same outcomes up to it, is not read again.
    """
    part = {"as_of": as_of, "start": window.start - _LOOK_BACK, "end": window.end}
    made = source.facts("predictions", columns, as_of=as_of, start=window.start, end=window.end).by_day()
    until = _until_each(source.unchecked_days("outcomes", **part), made)
    keys = {
        day: {"model": model, "predictions": fingerprint, "outcomes": until[day]}
        for day, fingerprint in made.items()
        if day
    }

    def measure(days: list[str]) -> dict[str, str | None]:
        made = _made(source, model, columns, window, as_of)
        return _first_by_day(source, _of_days(made, "request_day", days, keys), window, as_of, days)

    days = [day for day in _by_day(source, "early", keys, measure).values() if day is not None]
    return window_of_days(min(days), min(days)).start if days else None


def _first_by_day(
    source: Source, made: ir.Table, window: Window, as_of: datetime, days: Sequence[str]
) -> dict[str, str | None]:
    """By request day the day of the first label from before its prediction; one query, over keys and times alone."""
    end = min(window.end, window_of_days(max(days), max(days)).end)
    part = Part(window.start - _LOOK_BACK, end, as_of)
    outcomes = part.of(source.opened("outcomes").table, CONTRACTS["outcomes"].time)
    outcomes = outcomes.select("request_id", "observed_at", arrival_day=date_of(outcomes.observed_at))
    # The predictions come last: the engine lays them in memory, and passes over the outcomes.
    pairs = outcomes.join(made, "request_id")
    early = pairs.filter(pairs.observed_at < pairs.occurred_at)
    firsts = early.group_by("request_day").aggregate(first=early.arrival_day.min())
    counted = source.execute(days_as_text(firsts, "request_day", "first"), reading="predictions and outcomes")
    found = dict(zip(counted["request_day"], counted["first"], strict=True))
    return {day: found.get(day) for day in days}


def label_arrivals(source: Source, *, model: str, columns: Sequence[str], window: Window, as_of: datetime) -> Arrivals:
    """How the labels known at `as_of` belong to the requests of a model in `window`, by arrival and request day.

    An arrival day that was looked at before, beside the same predictions, is not read again. `columns` are those of
    predictions that are being read; labels from before the window are not looked for.
    """
    made = source.facts("predictions", columns, as_of=as_of, start=window.start, end=window.end).by_day()
    arrived = source.facts("outcomes", [LABEL], as_of=as_of, start=window.start).by_day()
    until = _until_each(made, arrived)
    keys = {
        day: {"model": model, "outcomes": fingerprint, "predictions": until[day]}
        for day, fingerprint in arrived.items()
        if day
    }

    def measure(days: list[str]) -> dict[str, list[list[Any]]]:
        outcomes = source.read("outcomes", [LABEL], as_of=as_of, start=window.start)
        row_hash = source.row_hash("outcomes", outcomes, ["request_id", "observed_at", LABEL])
        outcomes = outcomes.mutate(arrival_day=date_of(outcomes.observed_at), row_hash=row_hash)
        made = _made(source, model, columns, window, as_of)
        return _measure(source, made, _of_days(outcomes, "arrival_day", days, keys), days)

    found = _by_day(source, "arrivals", keys, measure)
    return Arrivals(tuple(sorted(Arrival(*cell) for cells in found.values() for cell in cells)))


def _by_day(
    source: Source, kind: str, keys: Mapping[str, Any], measure: Callable[[list[str]], dict[str, Any]]
) -> dict[str, Any]:
    """What is kept of the days of `keys`, and what is measured of the others, which is kept then."""
    known = source.cache.recall(kind, keys)
    missing = [day for day in keys if day not in known]
    if not missing:
        return known
    found = measure(missing)
    source.cache.keep(kind, {day: keys[day] for day in missing}, found)
    return known | found


def _made(source: Source, model: str, columns: Sequence[str], window: Window, as_of: datetime) -> ir.Table:
    """The requests of a model in a window: request_id, occurred_at, request_day."""
    predictions = source.read("predictions", columns, as_of=as_of, start=window.start, end=window.end)
    return predictions.filter(predictions.model == model).select(
        "request_id", "occurred_at", request_day=date_of(predictions.occurred_at)
    )


def _until_each(made: Mapping[str, str], days: Iterable[str]) -> dict[str, str]:
    """By day a digest of the fingerprints of all days up to it, each made of the one before: a year costs no square."""
    found: dict[str, str] = {}
    digest, waiting = "", sorted(made)[::-1]
    for day in sorted(days):
        while waiting and waiting[-1] <= day:
            other = waiting.pop()
            digest = digest_value([digest, other, made[other]])
        found[day] = digest
    return found


def _of_days(rows: ir.Table, column: str, days: Sequence[str], every: Collection[str]) -> ir.Table:
    """The rows of some of the days; not filtered where these are all of them."""
    if len(days) == len(every):
        return rows
    return rows.filter(rows[column].isin([date.fromisoformat(day) for day in days]))


def _measure(source: Source, made: ir.Table, outcomes: ir.Table, days: Sequence[str]) -> dict[str, list[list[Any]]]:
    """The cells of some arrival days, by arrival day; one query."""
    pairs = made.join(outcomes, "request_id")
    cells = pairs.group_by("arrival_day", "request_day").aggregate(
        rows=pairs.count(),
        hash_sum=pairs.row_hash.sum(),
    )
    counted = source.execute(days_as_text(cells, "arrival_day", "request_day"), reading="predictions and outcomes")
    found: dict[str, list[list[Any]]] = {day: [] for day in days}
    for row in counted.to_dict("records"):
        arrival, request = str(row["arrival_day"]), str(row["request_day"])
        found[arrival].append([arrival, request, int(row["rows"]), int(row["hash_sum"])])
    return found
