"""What arrived, before anything is left out: the rows of the feedback channel as they are, counted by day.

`Source.read` leaves rows out that break their contract. Whoever asks how the channel does must see them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.data.contracts import CONTRACTS
from toolkit.data.instants import date_of, days_as_text, seconds_between
from toolkit.data.parts import Part
from toolkit.data.rules import check_columns
from toolkit.data.source import Source
from toolkit.digests import digest_value
from toolkit.windows import Window
from toolkit.workspace import JOURNAL, Read

if TYPE_CHECKING:
    import ibis.expr.types as ir

RECEIVED = "received_at"


def arrived(source: Source, table: str, columns: Iterable[str], *, as_of: datetime, window: Window) -> ir.Table:
    """The rows of a table in a window as they are: none is left out, and only the columns' types are checked.

    A row that was received after `as_of` is not known yet, where the table says when it was received. Raises
    `ContractError` for a column that is missing or of a wrong type.
    """
    contract, part = CONTRACTS[table], Part(window.start, window.end, as_of)
    opened = source.opened(table)
    wanted = tuple(dict.fromkeys([*contract.key, contract.time, *columns]))
    check_columns(contract, opened.table, wanted)
    rows = part.of(opened.table, contract.time)
    if RECEIVED in wanted:
        rows = rows.filter(rows[RECEIVED].isnull() | (rows[RECEIVED] <= as_of))
    rows = rows.select(*wanted)
    counts = source.execute(
        rows.aggregate(rows=rows.count(), hash_sum=source.row_hash(table, rows, wanted).sum()), reading=table
    ).iloc[0]
    held = int(counts["rows"])
    JOURNAL.note_read(
        Read(
            table=table,
            columns=wanted,
            **part.to_dict(),
            rows=held,
            fingerprint=digest_value({"rows": held, "hash_sum": str(int(counts["hash_sum"])) if held else "0"}),
            method=opened.connection.hash_method,
        )
    )
    return rows


@dataclass(frozen=True)
class DayCounts:
    """The predictions of one UTC day.

    Attributes
    ----------
    rows: all of them. repeated: those whose key another row has too, without one of each; on the day of the last.
    received: rows that say when they were received. late: received later than is allowed; skewed: received before they
        occurred; out_of_order: received after a row of the same day that occurred later.
    scored: rows with a score. near: scores near the threshold.
    """

    day: str
    rows: int = 0
    repeated: int = 0
    received: int = 0
    late: int = 0
    skewed: int = 0
    out_of_order: int = 0
    scored: int = 0
    near: int = 0


def count_days(
    source: Source, predictions: ir.Table, *, late_after_s: float, threshold: Any, within: float
) -> dict[str, DayCounts]:
    """Count predictions by the day on which they occurred. A day without rows is not in it.

    Parameters
    ----------
    predictions: as they arrived; what it has no column for (`received_at`, `score`) is counted as 0.
    threshold: the decision threshold, as a number or a column of the rows.
    """
    rows = predictions.mutate(day=date_of(predictions.occurred_at))
    measures: dict[str, Any] = {"rows": rows.count()}
    if RECEIVED in rows.columns:
        measures |= {
            "received": rows[RECEIVED].count(),
            "late": _count(seconds_between(rows.occurred_at, rows[RECEIVED]) > late_after_s),
            "skewed": _count(rows[RECEIVED] < rows.occurred_at),
        }
    if "score" in rows.columns:
        score = rows.score.cast("float64")
        distance = (score - (rows[threshold] if isinstance(threshold, str) else threshold)).abs()
        usable = score.notnull() & ~score.isnan()
        measures |= {"scored": _count(usable), "near": _count(usable & (distance <= within))}
    tables = [rows.group_by("day").aggregate(**measures), _repeats(rows)]
    if RECEIVED in rows.columns:
        tables.append(_out_of_order(rows))
    found: dict[str, dict[str, int]] = {}
    for table in tables:
        for row in source.execute(days_as_text(table), reading="predictions").to_dict("records"):
            day = found.setdefault(str(row.pop("day")), {})
            day.update({name: int(value) for name, value in row.items()})
    return {day: DayCounts(day, **counts) for day, counts in sorted(found.items())}


def _count(condition: Any) -> Any:
    return condition.ifelse(1, 0).sum()


def _repeats(rows: ir.Table) -> ir.Table:
    keys = rows.group_by(list(CONTRACTS["predictions"].key)).aggregate(copies=rows.count(), day=rows.day.max())
    keys = keys.filter(keys.copies > 1)
    return keys.group_by("day").aggregate(repeated=(keys.copies - 1).sum())


def _out_of_order(rows: ir.Table) -> ir.Table:
    """By day the rows that were received after one of the same day that occurred later.

    Rows received at once are in no order. A day of arrival is looked at by itself, so that engines can share the work.
    """
    import ibis

    rows = rows.filter(rows[RECEIVED].notnull())
    steps = rows.group_by(RECEIVED).aggregate(newest=rows.occurred_at.max())
    before = ibis.window(group_by=date_of(steps[RECEIVED]), order_by=RECEIVED, preceding=(None, 1), following=None)
    steps = steps.select(received=steps[RECEIVED], newest_before=steps.newest.max().over(before))
    placed = rows.join(steps, rows[RECEIVED] == steps.received)
    return placed.group_by("day").aggregate(out_of_order=_count(placed.occurred_at < placed.newest_before))


@dataclass(frozen=True)
class Delays:
    """How long rows took from when they occurred to when they were received, in seconds."""

    rows: int
    median_s: float
    p95_s: float
    longest_s: float


def measure_delays(source: Source, predictions: ir.Table) -> Delays | None:
    """The delays of the rows that say when they were received; None when none does."""
    rows = predictions.filter(predictions[RECEIVED].notnull())
    delay = seconds_between(rows.occurred_at, rows[RECEIVED])
    row = source.execute(
        rows.aggregate(
            rows=rows.count(), median_s=delay.quantile(0.5), p95_s=delay.quantile(0.95), longest_s=delay.max()
        ),
        reading="predictions",
    ).iloc[0]
    if not row["rows"]:
        return None
    return Delays(int(row["rows"]), *(float(row[name]) for name in ("median_s", "p95_s", "longest_s")))


@dataclass(frozen=True)
class LabelArrival:
    """Of the answered requests that were at least `age_days` old, how many had a label by then."""

    age_days: int
    requests: int
    labelled: int

    @property
    def share(self) -> float | None:
        """The share with a label; None when no request was so old."""
        return self.labelled / self.requests if self.requests else None


def count_labels(
    source: Source, predictions: ir.Table, outcomes: ir.Table, ages_days: Iterable[int], *, as_of: datetime
) -> tuple[LabelArrival, ...]:
    """How the labels of answered requests arrived with their age; the first label of a request counts."""
    answered = predictions.filter(~predictions.error)
    requests = answered.group_by("request_id").aggregate(occurred_at=answered.occurred_at.min())
    labels = outcomes.group_by("request_id").aggregate(first_observed_at=outcomes.observed_at.min())
    joined = requests.left_join(labels, "request_id")
    waited_s = seconds_between(joined.occurred_at, joined.first_observed_at)
    sums: dict[str, Any] = {}
    for age in ages_days:
        old = joined.occurred_at <= as_of - timedelta(days=age)
        sums |= {f"requests_{age}": _count(old), f"labelled_{age}": _count(old & (waited_s <= age * 86_400))}
    row = source.execute(joined.aggregate(**sums), reading="predictions and outcomes").fillna(0).iloc[0]
    return tuple(LabelArrival(age, int(row[f"requests_{age}"]), int(row[f"labelled_{age}"])) for age in ages_days)


@dataclass(frozen=True)
class OutcomeCounts:
    """Labels that arrived: rows, rows whose key another has too, those of known requests, and those before them."""

    rows: int
    repeated: int
    of_requests: int
    early: int


def count_outcomes(source: Source, predictions: ir.Table, outcomes: ir.Table) -> OutcomeCounts:
    """Count labels, and those that were observed before their prediction occurred: a clock is wrong."""
    keys = outcomes.group_by(list(CONTRACTS["outcomes"].key)).aggregate(copies=outcomes.count())
    made = predictions.group_by("request_id").aggregate(made_at=predictions.occurred_at.max())
    labels = outcomes.join(made, "request_id")
    first = source.execute(
        keys.aggregate(rows=keys.copies.sum(), repeated=(keys.copies - 1).sum()), reading="outcomes"
    ).fillna(0)
    second = source.execute(
        labels.aggregate(of_requests=labels.count(), early=_count(labels.observed_at < labels.made_at)),
        reading="predictions and outcomes",
    ).fillna(0)
    return OutcomeCounts(
        *(int(first[name].iloc[0]) for name in ("rows", "repeated")),
        *(int(second[name].iloc[0]) for name in ("of_requests", "early")),
    )


def count_deliveries(source: Source, *, as_of: datetime, window: Window) -> dict[str, int]:
    """What became of the predictions that services offered to their writers, by outcome."""
    rows = source.read("deliveries", ["events"], as_of=as_of, start=window.start, end=window.end)
    rows = rows.filter(rows["table"] == "predictions")
    found = source.execute(rows.group_by("outcome").aggregate(events=rows.events.sum()), reading="deliveries")
    return {
        str(outcome): int(events) for outcome, events in sorted(zip(found["outcome"], found["events"], strict=True))
    }
