"""Production data as the toolkit reads it: checked against its contract, fingerprinted, and noted in the journal.

Every part of a table that is read is first looked at in the engine: how many rows each day has, their fingerprint, and
which rows break the contract. Those few are left out and counted with examples (the quarantine); many are an error.
For files that lie beside the workspace what was found is kept under their state on disk, so that a new day's file is
looked at once and the others not again. Nothing here brings events into Python, at most hashes of their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from toolkit.checks import check_in
from toolkit.data.cache import FOLDER, Cache
from toolkit.data.connections import EMBEDDED, Connection, connect
from toolkit.data.contracts import CONTRACTS, Table
from toolkit.data.facts import DayFacts, Facts, facts_query, read_facts
from toolkit.data.instants import date_of, days_as_text
from toolkit.data.parts import Part
from toolkit.data.repeats import count_repeats
from toolkit.data.rules import any_broken, check_columns, floating_columns, row_rules
from toolkit.data.tables import FILE, OpenedTable, open_table
from toolkit.digests import digest_value
from toolkit.errors import ContractError, NotReady
from toolkit.windows import start_of_day
from toolkit.workspace import JOURNAL, SETTINGS_FILE, Quarantine, Read, Workspace

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

_EXAMPLES = 3


@dataclass(frozen=True)
class Look:
    """A part of a table after it was looked at.

    Attributes
    ----------
    rows: those that may be used, lazily.
    facts: what is known of all of them by day, of those that are left out too.
    repeated: rows that are left out because an earlier one has their key, which may be one of another day.
    """

    rows: ir.Table
    facts: Facts
    repeated: int


def open_source(workspace: Workspace) -> Source:
    """The workspace's data. Nothing is connected or read yet."""
    return Source(workspace)


@dataclass
class Source:
    """The workspace's mapping of its tables onto the contracts, and the connections to where they lie."""

    workspace: Workspace
    _connections: dict[str | None, Connection] = field(default_factory=dict, repr=False)
    _opened: dict[str, OpenedTable] = field(default_factory=dict, repr=False)
    _looks: dict[tuple[str, tuple[str, ...], Part], Look] = field(default_factory=dict, repr=False)
    _unchecked: dict[tuple[str, Part], dict[str, str]] = field(default_factory=dict, repr=False)

    @property
    def tables(self) -> list[str]:
        """The contract tables that the workspace has configured."""
        return sorted(self.workspace.settings.tables)

    @property
    def cache(self) -> Cache:
        """Where what is derived from the data is kept."""
        return Cache(self.workspace.root / FOLDER)

    @property
    def embedded(self) -> Any:
        """The Ibis backend of the embedded engine, which reads what is kept in the cache."""
        return self._connect(None).backend

    def columns(self, table: str) -> list[str]:
        """The columns of a table, by the contract's names where it has them."""
        return list(self.opened(table).table.columns)

    def opened(self, name: str) -> OpenedTable:
        """A configured table as its engine sees it: nothing is checked but that it is there. Raises `ContractError`."""
        if name not in self._opened:
            check_in(name, CONTRACTS, noun="table")
            settings = self.workspace.settings.tables.get(name)
            if settings is None:
                raise ContractError(
                    f"table {name!r} is needed and not configured; add [tables.{name}] with a path to {SETTINGS_FILE}"
                )
            connection = self._connect(settings.source)
            self._opened[name] = connection.run(name, lambda: open_table(CONTRACTS[name], settings, connection))
        return self._opened[name]

    def complete_through(self) -> datetime:
        """The end of the last day complete in the data: the start of the UTC day of the newest prediction.

        Raises `NotReady` when there is no prediction at all, `ContractError` when they cannot be read or have no time.
        """
        opened, contract = self.opened("predictions"), CONTRACTS["predictions"]
        check_columns(contract, opened.table, [*contract.key, contract.time])
        key = {"newest": contract.time, "table": contract.name, "mapping": opened.mapping}
        newest = self._of_states(key, opened, lambda: self._newest(contract, opened))
        if newest is None:
            raise NotReady("predictions holds no rows yet, so no day is complete")
        return start_of_day(datetime.fromisoformat(newest))

    def version_days(self) -> list[list[str]]:
        """Model, version, first and last day of each version of each model in predictions, whatever else they hold.

        Raises `ContractError` when they cannot be read or have no time.
        """
        opened, contract = self.opened("predictions"), CONTRACTS["predictions"]
        check_columns(contract, opened.table, [*contract.key, contract.time])
        key = {"versions": contract.time, "table": contract.name, "mapping": opened.mapping}
        found: list[list[str]] = self._of_states(key, opened, lambda: self._version_days(contract, opened))
        return found

    def read(
        self,
        table: str,
        columns: Iterable[str],
        *,
        as_of: datetime,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> ir.Table:
        """The rows known at `as_of` with `columns`, from `start` and before `end`; just these rows are checked.

        Rows that break a rule of their contract, and all but the first of those that repeat a key, are left out; the
        journal counts them. NaN is read as missing.

        Returns a lazy Ibis table at the contract's grain. Raises `ContractError` (table, column, rule, row counts)
        for columns that are missing or of a wrong type, and when more rows break a rule than may be left out.
        """
        return self._look_at(table, columns, Part(start, end, as_of)).rows

    def facts(
        self,
        table: str,
        columns: Iterable[str],
        *,
        as_of: datetime,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Facts:
        """What is known by day about the rows that `read` would return, those that it would leave out included."""
        return self._look_at(table, columns, Part(start, end, as_of)).facts

    def day_fingerprints(
        self,
        table: str,
        columns: Iterable[str],
        *,
        as_of: datetime,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> dict[str, str]:
        """By day what all that is made of the day's rows alone depends on.

        Where a key is repeated, which rows of a day count depends on other days, and so does every day's fingerprint.
        """
        look = self._look_at(table, columns, Part(start, end, as_of))
        days = look.facts.by_day()
        if not look.repeated:
            return days
        return {day: digest_value([fingerprint, look.facts.fingerprint]) for day, fingerprint in days.items()}

    def unchecked_days(
        self, table: str, *, as_of: datetime, start: datetime | None = None, end: datetime | None = None
    ) -> dict[str, str]:
        """By day the fingerprint of the keys of a part as they are: none is checked, and none is noted as read."""
        contract, part = CONTRACTS[table], Part(start, end, as_of)
        if (table, part) not in self._unchecked:
            opened, wanted = self.opened(table), tuple(dict.fromkeys([*contract.key, contract.time]))
            check_columns(contract, opened.table, wanted)
            self._unchecked[table, part] = self._facts(contract, opened, wanted, part).by_day()
        return self._unchecked[table, part]

    def row_hash(self, table: str, rows: ir.Table, columns: Sequence[str]) -> Any:
        """A 64-bit hash of some columns of each row, as the engine of `table` makes it."""
        return self.opened(table).connection.row_hash(rows, columns)

    def sums_in_row_order(self, table: str) -> bool:
        """Whether the engine of `table` adds up the rows of a day in the same order whatever else it reads."""
        return self.opened(table).connection.engine == EMBEDDED

    def execute(self, expression: ir.Table, *, reading: str) -> pd.DataFrame:
        """Run a query in the engine and bring its (small) result back; `reading` names its tables for errors."""
        return self._connection_of(expression, reading).run(reading, expression.execute)

    def quarantine(self, table: str, rows: ir.Table, rule: str, mask: Any) -> None:
        """Note that the rows of a table that break a rule between tables are left out.

        Raises `ContractError` when they are more than the table's settings allow.
        """
        counts = self.execute(rows.aggregate(rows=rows.count(), broken=mask.cast("int64").sum()), reading=table)
        broken, of_rows = (int(counts[name].fillna(0).iloc[0]) for name in ("broken", "rows"))
        if broken:
            self._leave_out(table, [Quarantine(table, rule, broken, of_rows, self._examples(table, rows.filter(mask)))])

    def _look_at(self, name: str, columns: Iterable[str], part: Part) -> Look:
        contract = CONTRACTS[name]
        wanted = tuple(dict.fromkeys([*contract.key, contract.time, *columns]))
        key = (name, wanted, part)
        if key not in self._looks:
            self._looks[key] = self._look(contract, wanted, part)
        return self._looks[key]

    def _look(self, contract: Table, wanted: tuple[str, ...], part: Part) -> Look:
        opened = self.opened(contract.name)
        check_columns(contract, opened.table, wanted)
        facts = self._facts(contract, opened, wanted, part)
        quarantines = self._broken(contract, opened, wanted, part, facts) if facts.bad else []
        rows = part.of(opened.table, contract.time)
        if facts.bad:
            rows = rows.filter(~any_broken(row_rules(contract, rows, wanted)))
        if repeated := self._count_repeats(contract, opened, rows, part, facts):
            place = opened.place_in_key(rows, wanted)
            examples = self._examples(contract.name, place.filter(place.place_in_key == 1))
            rule = f"{' × '.join(contract.key)} must not repeat"
            quarantines.append(Quarantine(contract.name, rule, repeated, facts.rows, examples))
            rows = place.filter(place.place_in_key == 0)
        self._leave_out(contract.name, quarantines, rows=facts.bad + repeated)
        JOURNAL.note_read(
            Read(
                table=contract.name,
                columns=wanted,
                **part.to_dict(),
                rows=facts.rows,
                fingerprint=facts.fingerprint,
                method=opened.connection.hash_method,
                nan_as_missing=tuple(facts.nan.items()),
            )
        )
        # What a table that is not in files gets after the look, nobody has looked at.
        nan = [name for name in floating_columns(rows, wanted) if name in facts.nan or not opened.files]
        return Look(_nan_as_missing(rows.select(*wanted), nan), facts, repeated)

    def _facts(self, contract: Table, opened: OpenedTable, wanted: Sequence[str], part: Part) -> Facts:
        """By day. Of local files every file's days are found once and kept; elsewhere the part is queried."""
        if not opened.files:
            time = opened.table[contract.time]
            within = opened.table.filter(part.mask(time) | time.isnull())
            return Facts.of(day for _, day in self._measure(contract, opened, within, wanted))
        whole = [day for day in self._facts_of_files(contract, opened, wanted) if part.has_day(day.day)]
        ends = [day for end in part.ragged() for day in self._facts_of_end(contract, opened, wanted, end)]
        return Facts.of([*whole, *ends])

    def _facts_of_files(self, contract: Table, opened: OpenedTable, wanted: Sequence[str]) -> list[DayFacts]:
        """The facts of all days of all files; files whose state on disk is known are not read."""
        states = opened.states()
        common = self._facts_key(contract, opened, wanted)
        keys = {file: common | {"files": {file: states[file]}} for file in states if states[file]}
        known = self.cache.recall("facts", keys)
        if missing := [file for file in states if file not in known]:
            found: dict[str, list[dict[str, Any]]] = {file: [] for file in missing}
            for file, day in self._measure(contract, opened, opened.only(missing), wanted, by_file=True):
                found[file].append(day.to_dict())
            self.cache.keep("facts", {file: keys[file] for file in missing if file in keys}, found)
            known |= found
        return [DayFacts.from_dict(day) for days in known.values() for day in days]

    def _facts_of_end(self, contract: Table, opened: OpenedTable, wanted: Sequence[str], end: Part) -> list[DayFacts]:
        """The facts of a piece of a day at the end of a part."""
        key = self._facts_key(contract, opened, wanted) | {"part": end.to_dict()}

        def measure() -> list[dict[str, Any]]:
            within = end.of(opened.table, contract.time)
            return [day.to_dict() for _, day in self._measure(contract, opened, within, wanted)]

        return [DayFacts.from_dict(day) for day in self._of_states(key, opened, measure)]

    def _of_states(self, key: Mapping[str, Any], opened: OpenedTable, find: Callable[[], Any]) -> Any:
        """What is found in all files of a table, as JSON types: kept while the state of each is known and the same."""
        states = opened.states()
        keys = {"found": {**key, "files": states}} if states and all(states.values()) else {}
        known = self.cache.recall("facts", keys)
        if "found" not in known:
            known["found"] = find()
            self.cache.keep("facts", keys, known)
        return known["found"]

    def _newest(self, contract: Table, opened: OpenedTable) -> str | None:
        """The instant of the newest row as ISO text; None without one."""
        newest = opened.table.aggregate(newest=opened.table[contract.time].max())
        found = self.execute(newest, reading=contract.name)["newest"][0]
        if found is None or found != found:  # noqa: PLR0124 - NaT is the one value that differs from itself
            return None
        instant: datetime = found.to_pydatetime()
        return instant.isoformat()

    def _version_days(self, contract: Table, opened: OpenedTable) -> list[list[str]]:
        rows = opened.table.filter(opened.table[contract.time].notnull())
        day = date_of(rows[contract.time])
        spans = days_as_text(
            rows.group_by("model", "version").aggregate(first=day.min(), last=day.max()), "first", "last"
        )
        return sorted([*map(str, row)] for row in self.execute(spans, reading=contract.name).to_numpy())

    def _facts_key(self, contract: Table, opened: OpenedTable, wanted: Sequence[str]) -> dict[str, Any]:
        return {
            "table": contract.name,
            "mapping": opened.mapping,
            "columns": list(wanted),
            "method": opened.connection.hash_method,
            "rules": [rule.text for rule in row_rules(contract, opened.table, wanted)],
        }

    def _measure(
        self, contract: Table, opened: OpenedTable, part: ir.Table, wanted: Sequence[str], *, by_file: bool = False
    ) -> list[tuple[str, DayFacts]]:
        """The facts of some rows by file and day, in one query; the file is "" unless asked for."""
        rules, floating = row_rules(contract, part, wanted), floating_columns(part, wanted)
        by = [FILE] if by_file else []
        query = facts_query(
            part, rules, floating, time=contract.time, row_hash=opened.connection.row_hash(part, wanted), by=by
        )
        frame = self.execute(query, reading=contract.name)
        files = frame[FILE].map(opened.relative) if by_file else [""] * len(frame)
        return list(zip(files, read_facts(frame, rules, floating), strict=True))

    def _count_repeats(self, contract: Table, opened: OpenedTable, rows: ir.Table, part: Part, facts: Facts) -> int:
        """Rows beyond the first of each key."""
        states = opened.states()
        # Which columns are read matters only where rows are left out for what is in them.
        same_rows = not facts.bad and states and all(states.values())
        key = {
            "table": contract.name,
            **({"mapping": opened.mapping, "files": states} if same_rows else {"fingerprint": facts.fingerprint}),
            "method": opened.connection.hash_method,
            "part": part.to_dict(),
        }
        known = self.cache.recall("repeats", {"rows": key})
        if not known:
            find = partial(count_repeats, opened.connection, rows, contract.key, most_rows=facts.rows)
            known = {"rows": opened.connection.run(contract.name, find)}
            self.cache.keep("repeats", {"rows": key}, known)
        return int(known["rows"])

    def _broken(
        self, contract: Table, opened: OpenedTable, wanted: Sequence[str], part: Part, facts: Facts
    ) -> list[Quarantine]:
        """Each rule that rows of a part break, rows without a time included."""
        time = opened.table[contract.time]
        rows = opened.table.filter(part.mask(time) | time.isnull())
        return [
            Quarantine(
                contract.name, rule.text, count, facts.rows, self._examples(contract.name, rows.filter(rule.broken))
            )
            for rule in row_rules(contract, rows, wanted)
            if (count := facts.broken.get(rule.text))
        ]

    def _leave_out(self, table: str, quarantines: Sequence[Quarantine], *, rows: int | None = None) -> None:
        """Note what is left out; `rows` in all, where one may break several rules. Raises when that is too much."""
        if not quarantines:
            return
        left_out, of_rows = rows or quarantines[0].rows, quarantines[0].of_rows
        allowed = self.workspace.settings.tables[table].max_quarantined_share
        if left_out > allowed * of_rows:
            limit = (
                f"{table}: {left_out:,} of {of_rows:,} rows break the contract, and a share of at most {allowed:g} may "
                f"be left out (max_quarantined_share of [tables.{table}] in {SETTINGS_FILE})"
            )
            raise ContractError("\n".join([*(quarantine.text for quarantine in quarantines), limit]))
        for quarantine in quarantines:
            JOURNAL.note_quarantine(quarantine)

    def _examples(self, table: str, rows: ir.Table) -> tuple[str, ...]:
        """The keys of a few rows."""
        keys = list(CONTRACTS[table].key)
        examples = self.execute(rows.order_by(keys).select(keys).limit(_EXAMPLES), reading=table)
        shown = examples.astype("object").where(examples.notna(), "missing")
        return tuple(" × ".join(str(value) for value in row) for row in shown.itertuples(index=False))

    def _connect(self, source: str | None) -> Connection:
        if source not in self._connections:
            self._connections[source] = connect(self.workspace, source)
        return self._connections[source]

    def _connection_of(self, expression: ir.Expr, reading: str) -> Connection:
        """The one connection by which a query can be answered. Raises `ContractError` when its tables lie apart."""
        from ibis.common.exceptions import IbisError

        try:
            backend = expression.get_backend()
        except IbisError:
            places = {name: opened.connection.place for name, opened in sorted(self._opened.items())}
            shown = "; ".join(f"{name}: {place}" for name, place in places.items())
            raise ContractError(
                f"{reading}: tables that are joined must lie in one source, and these do not ({shown})"
            ) from None
        return next(connection for connection in self._connections.values() if connection.backend is backend)


def _nan_as_missing(rows: ir.Table, columns: Iterable[str]) -> ir.Table:
    """NULL for NaN: an engine's aggregates leave one out and not the other."""
    return rows.mutate(**{name: rows[name].isnan().ifelse(None, rows[name]) for name in columns})
