"""Unit-day tables: what each unit did on each day, summed from the events once and kept by day.

An experiment then sums a few million unit-days, not its events again, and one more day costs one day. A day's file lies
in the workspace's `cache/`, named by all that went into it; a changed day, measure or key makes another file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_in
from toolkit.data.cache import Cache
from toolkit.data.days import day_runs, window_of_days
from toolkit.data.instants import date_of
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

RUN_ROWS = 4_000_000
"""Events that are summed at once: their units fit in memory, and days that are not in the events' order are scanned
once per run."""

_KIND = "unit-days"
_BATCH_ROWS = 100_000
_OWN = ("day", "events")
"""Columns that every unit-day table has besides its unit, keys and measures."""


class DayOfEvents(NamedTuple):
    """One day of the events: how many there are, and their fingerprint (see `Facts.by_day`)."""

    rows: int
    fingerprint: str


@dataclass(frozen=True)
class UnitDays:
    """A unit-day table: one row per unit × day × keys that has an event.

    Columns: the unit, day (a date in UTC), the keys, events (how many), each measure summed, 0 where no event has it,
    and the smallest value of each of `lows`. Sums add up: over days to a unit's, over units to the events'.

    Attributes
    ----------
    measures: columns of the events that are summed, numbers or booleans.
    definition: the digest of how the events' columns are made: another one makes other files.
    keys: further columns to keep apart, such as an experiment's variant and whether the unit was exposed by then.
    unit, time: columns of the events.
    lows: columns of which the smallest value is kept.
    in_order: whether a day's rows are in the order of unit and keys. Then its file is the same bytes however many days
        were summed with it, and so is all that is added up in the order of its rows.
    """

    measures: tuple[str, ...]
    definition: str
    keys: tuple[str, ...] = ()
    unit: str = "unit_id"
    time: str = "occurred_at"
    lows: tuple[str, ...] = ()
    in_order: bool = False

    def __post_init__(self) -> None:
        names = [self.unit, *self.keys, *self.measures, *self.lows]
        for name in (*_OWN, *names):
            if (*_OWN, *names).count(name) > 1:
                raise ArgumentError(f"{name!r} cannot be twice in a unit-day table, which has {', '.join(_OWN)} itself")

    def path(self, day: str, fingerprint: str, cache: Cache) -> Path:
        """Where the file of a day lies, whether or not it is there."""
        names = {"unit": self.unit, "time": self.time, "keys": list(self.keys), "measures": list(self.measures)}
        made = {"definition": self.definition, "lows": list(self.lows), "in_order": self.in_order}
        key = {"day": day, "events": fingerprint} | made | names
        return cache.path(_KIND, key, ".parquet")

    def build(
        self,
        events: ir.Table | Callable[[str, str], ir.Table],
        days: Mapping[str, DayOfEvents],
        cache: Cache,
        *,
        run_rows: int = RUN_ROWS,
    ) -> dict[str, Path]:
        """The file of each day (ISO date), built where it is not there yet.

        Parameters
        ----------
        events: lazy, with the columns that are named here, without events that should not count; `time` is an instant.
            Or a function that gives them for a run of days from its first and last: where other tables take part, only
            it can leave out their other days.
        days: the days that are wanted, with their facts; what is not named is not read.
        run_rows: consecutive days are summed together up to so many events.

        Raises `UnknownNameError`; an error of the engine comes as it is.
        """
        if not callable(events):
            self._check(events)
        paths = {day: self.path(day, facts.fingerprint, cache) for day, facts in sorted(days.items())}
        missing = {day: days[day].rows for day, path in paths.items() if not path.is_file()}
        for run in day_runs(missing, most_rows=run_rows):
            rows = events(run[0], run[-1]) if callable(events) else events
            self._build_run(rows, run, {day: paths[day] for day in run}, cache)
        return paths

    def read(self, paths: Mapping[str, Path], backend: Any) -> ir.Table:
        """The days that `build` gave, as one lazy table of a DuckDB backend."""
        if not paths:
            raise ArgumentError("no day is given; a unit-day table needs at least one")
        return backend.read_parquet([str(paths[day]) for day in sorted(paths)])

    def sums(self, events: ir.Table, first: str, last: str) -> ir.Table:
        """The unit-days from `first` to `last`, both included, as an expression over the events."""
        import ibis

        window = window_of_days(first, last)
        # Bounds on the instant itself let the engine skip the files and row groups of other days.
        rows = events.filter(events[self.time] >= window.start, events[self.time] < window.end)
        rows = rows.select(
            self.unit,
            *self.keys,
            day=date_of(rows[self.time]),
            **{name: _number(rows[name]) for name in (*self.measures, *self.lows)},
        )
        sums = {"events": rows.count(), **{name: rows[name].sum().fill_null(0.0) for name in self.measures}}
        sums |= {name: rows[name].min() for name in self.lows}
        if first == last:  # a key less to hash
            units = rows.group_by(self.unit, *self.keys).aggregate(**sums)
            return units.mutate(day=ibis.literal(first).cast("date")).relocate("day", after=self.unit)
        return rows.group_by(self.unit, "day", *self.keys).aggregate(**sums)

    def _check(self, events: ir.Table) -> None:
        for name in (self.unit, self.time, *self.keys, *self.measures, *self.lows):
            check_in(name, events.columns, noun="column of the events")

    def _build_run(self, events: ir.Table, run: Sequence[str], paths: Mapping[str, Path], cache: Cache) -> None:
        self._check(events)
        sums = self.sums(events, run[0], run[-1])
        if self.in_order:
            sums = sums.order_by("day", self.unit, *self.keys)
        staging = cache.root / _KIND / f".{os.getpid()}.{os.urandom(4).hex()}"
        staging.mkdir(parents=True)
        try:
            if sums.get_backend().name == "duckdb":
                written = _copy(sums, staging, run)
            else:
                ordered = sums if self.in_order else sums.order_by("day", self.unit, *self.keys)
                written = _write_days(ordered.to_pyarrow_batches(chunk_size=_BATCH_ROWS), staging)
            for day in run:
                source = written.get(day) or _write_empty(sums, staging / f"{day}.parquet")
                cache.publish(paths[day], partial(os.replace, source))
        finally:
            shutil.rmtree(staging)


def _copy(sums: ir.Table, staging: Path, run: Sequence[str]) -> dict[str, Path]:
    """DuckDB writes the days itself: a folder each, or one file."""
    import pyarrow.parquet as pq

    folder, backend = staging / "days", sums.get_backend()
    if len(run) == 1:
        backend.to_parquet(sums, folder, compression="zstd")
        return {run[0]: folder}
    backend.to_parquet(sums, folder, partition_by="day", write_partition_columns=True, compression="zstd")
    written = {}
    for part in folder.glob("day=*"):
        files = sorted(part.iterdir())
        if len(files) > 1:  # one per thread of the engine
            batches = (batch for file in files for batch in pq.ParquetFile(file).iter_batches())
            files = list(_write_days(batches, part).values())
        written[part.name.removeprefix("day=")] = files[0]
    return written


def _write_days(batches: Iterable[pa.RecordBatch], folder: Path) -> dict[str, Path]:
    """A file per day of rows that come ordered by day; memory holds one batch."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    written: dict[str, Path] = {}
    with ExitStack() as open_file:
        writer: Any = None
        for batch in batches:
            for day in pc.unique(batch["day"]).to_pylist():
                if day.isoformat() not in written:
                    open_file.close()
                    path = written[day.isoformat()] = folder / f"{day.isoformat()}.parquet"
                    writer = open_file.enter_context(pq.ParquetWriter(path, batch.schema, compression="zstd"))
                writer.write_batch(batch.filter(pc.equal(batch["day"], day)))
    return written


def _write_empty(sums: ir.Table, path: Path) -> Path:
    """A day without events is a file too, so that it is looked at once."""
    import pyarrow.parquet as pq

    schema: pa.Schema = sums.schema().to_pyarrow()
    pq.write_table(schema.empty_table(), path, compression="zstd")
    return path


def _number(column: Any) -> Any:
    """The column as a float; of a boolean PostgreSQL makes an integer first."""
    return column.cast("int32").cast("float64") if column.type().is_boolean() else column.cast("float64")
