"""The embedded source: DuckDB over Parquet, through Ibis.

Every part of a table that is read is first checked against its contract and fingerprinted, in one aggregate query in
the engine, and noted in the journal. Nothing here brings events into Python. One engine thread, because parallel
floating-point sums differ from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.checks import check_in, unknown_name_message
from toolkit.data.contracts import CONTRACTS, Column, Table
from toolkit.digests import digest_value
from toolkit.errors import ContractError, NotReady
from toolkit.windows import format_instant, start_of_day
from toolkit.workspace import JOURNAL, SETTINGS_FILE, Read, Workspace

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

FINGERPRINT_METHOD = "duckdb-row-hash-sum/1"
"""Rows, and the exact sum of each row's 64-bit hash: another row, or another value in one, changes it."""

_EXAMPLES = 3
ResultT = TypeVar("ResultT")


def open_source(workspace: Workspace) -> Source:
    """Connect to the workspace's data. Nothing is read yet."""
    import ibis

    connection = ibis.duckdb.connect(threads=1)
    connection.raw_sql("SET TimeZone = 'UTC'")
    connection.raw_sql("SET enable_progress_bar = false")
    return Source(workspace, connection)


@dataclass
class Source:
    """A connection and the workspace's mapping of its tables onto the contracts."""

    workspace: Workspace
    connection: Any
    _opened: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def tables(self) -> list[str]:
        """The contract tables that the workspace has configured."""
        return sorted(self.workspace.settings.tables)

    def columns(self, table: str) -> list[str]:
        """The columns of a table, by the contract's names where it has them."""
        return list(self._open(table).columns)

    def complete_through(self) -> datetime:
        """The end of the last day complete in the data: the start of the UTC day of the newest prediction.

        Raises `NotReady` when there is no prediction at all, `ContractError` when they cannot be read or have no time.
        """
        table, contract = self._open("predictions"), CONTRACTS["predictions"]
        self._check_columns(contract, table, [*contract.key, contract.time])
        newest = self._run("predictions", lambda: table["occurred_at"].max().execute())
        if newest is None or newest != newest:  # noqa: PLR0124 - NaT is the one value that differs from itself
            raise NotReady("predictions holds no rows yet, so no day is complete")
        return start_of_day(newest.to_pydatetime())

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

        Returns a lazy Ibis table at the contract's grain. Raises `ContractError` (table, column, rule, row counts).
        """
        contract = CONTRACTS[table]
        opened = self._open(table)
        wanted = list(dict.fromkeys([*contract.key, contract.time, *columns]))
        self._check_columns(contract, opened, wanted)
        time = opened[contract.time]
        known = [time <= as_of]
        if start is not None:
            known.append(time >= start)
        if end is not None:
            known.append(time < end)
        known_rows = opened.filter(known)
        rows, fingerprint, nan_as_missing = self._check_rows(contract, known_rows, wanted)
        JOURNAL.note_read(
            Read(
                table=table,
                columns=tuple(wanted),
                start=format_instant(start) if start else None,
                end=format_instant(end) if end else None,
                as_of=format_instant(as_of),
                rows=rows,
                fingerprint=fingerprint,
                method=FINGERPRINT_METHOD,
                nan_as_missing=nan_as_missing,
            )
        )
        part = known_rows.select(*wanted)
        return part.mutate(
            **{name: part[name].isnan().ifelse(None, part[name]) for name in wanted if part[name].type().is_floating()}
        )

    def execute(self, expression: ir.Table, *, reading: str) -> pd.DataFrame:
        """Run a query in the engine and bring its (small) result back; `reading` names its tables for errors."""
        return self._run(reading, expression.execute)

    def _open(self, name: str) -> ir.Table:
        if name in self._opened:
            return self._opened[name]
        check_in(name, CONTRACTS, noun="table")
        settings = self.workspace.settings.tables.get(name)
        if settings is None:
            raise ContractError(
                f"table {name!r} is needed and not configured; add [tables.{name}] with a path to {SETTINGS_FILE}"
            )
        pattern = self.workspace.root / settings.path
        if not any(self.workspace.root.glob(settings.path)):
            raise ContractError(f"{name}: no file matches {settings.path!r} ([tables.{name}] in {SETTINGS_FILE})")
        # Parquet's minimum and maximum leave NaN out. Unless told so, DuckDB concludes from them that there is none and
        # answers isnan() without looking (https://github.com/duckdb/duckdb/issues/25521): a sum would be NaN.
        table = self._run(name, lambda: self.connection.read_parquet(str(pattern), can_have_nan=True))
        for own in settings.columns.values():
            if own not in table.columns:
                raise ContractError(f"{name}: " + unknown_name_message(own, table.columns, noun="mapped column"))
        self._opened[name] = table.rename(settings.columns) if settings.columns else table
        return self._opened[name]

    def _run(self, reading: str, query: Callable[[], ResultT]) -> ResultT:
        import duckdb

        try:
            return query()
        except duckdb.Error as err:
            first_line = str(err).splitlines()[0].replace(str(self.workspace.root), ".")
            raise ContractError(f"{reading}: the data could not be read: {first_line}") from err

    def _check_columns(self, contract: Table, table: ir.Table, wanted: list[str]) -> None:
        for name in wanted:
            if name not in table.columns:
                raise ContractError(f"{contract.name}: " + unknown_name_message(name, table.columns, noun="column"))
            column = contract.columns.get(name)
            problem = column and _type_problem(column, table[name].type())
            if problem:
                raise ContractError(f"{contract.name}.{name}: {problem}")

    def _check_rows(
        self, contract: Table, part: ir.Table, wanted: list[str]
    ) -> tuple[int, str, tuple[tuple[str, int], ...]]:
        """Count what breaks the contract, the rows with their fingerprint, and the NaN by column, in one query."""
        import ibis

        floating = [name for name in wanted if part[name].type().is_floating()]
        broken = {rule: mask for name in wanted for rule, mask in _rules(contract, name, part)}
        keys = ibis.struct({name: part[name] for name in contract.key})
        row = ibis.struct({name: part[name] for name in wanted})
        counts = self.execute(
            part.aggregate(
                rows=part.count(),
                distinct=keys.nunique(),
                hash_sum=row.hash().cast("decimal(38, 0)").sum(),
                **{f"rule_{index}": mask.sum() for index, mask in enumerate(broken.values())},
                **{f"nan_{index}": part[name].isnan().sum() for index, name in enumerate(floating)},
            ),
            reading=contract.name,
        ).iloc[0]
        rows = int(counts["rows"])
        problems = []
        for index, (rule, mask) in enumerate(broken.items()):
            count = counts[f"rule_{index}"]
            if rows and count > 0:
                problems.append(self.describe_breach(contract.name, part, rule, mask, count=int(count), rows=rows))
        if rows - int(counts["distinct"]) > 0:
            key = " × ".join(contract.key)
            problems.append(
                f"{contract.name}: {rows - int(counts['distinct']):,} of {rows:,} rows repeat a key ({key})"
            )
        if problems:
            raise ContractError("\n".join(problems))
        nan = [(name, counts[f"nan_{index}"]) for index, name in enumerate(floating)]
        fingerprint = digest_value({"rows": rows, "hash_sum": str(int(counts["hash_sum"])) if rows else "0"})
        return rows, fingerprint, tuple((name, int(count)) for name, count in nan if rows and count > 0)

    def describe_breach(self, table: str, part: ir.Table, rule: str, mask: Any, *, count: int, rows: int) -> str:
        """One line on a broken rule: table, column and rule, how many rows of how many, and the keys of a few."""
        keys = list(CONTRACTS[table].key)
        examples = self.execute(part.filter(mask).order_by(keys).select(keys).limit(_EXAMPLES), reading=table)
        shown = examples.astype("object").where(examples.notna(), "missing")
        listed = "; ".join(" × ".join(str(value) for value in row) for row in shown.itertuples(index=False))
        return f"{table}.{rule}: {count:,} of {rows:,} rows break this, such as {listed}"


def _type_problem(column: Column, dtype: Any) -> str | None:
    fits = {
        "text": dtype.is_string(),
        "number": dtype.is_numeric() or dtype.is_boolean(),
        "boolean": dtype.is_boolean(),
        "instant": dtype.is_timestamp() and dtype.timezone is not None,
    }[column.kind]
    if fits:
        return None
    if column.kind == "instant" and dtype.is_timestamp():
        return "timestamps have no time zone; write them in UTC with a time zone (Parquet: isAdjustedToUTC)"
    return f"is of type {dtype}, must be {'an' if column.kind == 'instant' else 'a'} {column.kind}"


def _rules(contract: Table, name: str, part: ir.Table) -> list[tuple[str, Any]]:
    """Each rule of one column in words, with the rows that break it."""
    column, values = contract.columns.get(name), part[name]
    rules = []
    is_floating = values.type().is_floating()
    if name in contract.key or (column and column.required):
        missing = values.isnull() | values.isnan() if is_floating else values.isnull()
        rules.append((f"{name} must not be missing", missing))
    elif column and column.nan_only_if and is_floating:
        rules.append(_nan_rule(name, values, column.nan_only_if, part))
    if column and column.required_unless:
        rules.append(_stand_in_rule(name, values, column.required_unless, part))
    if column and column.not_before and column.not_before in part.columns:
        early = (values < part[column.not_before]).fill_null(False)
        rules.append((f"{name} must not be before {column.not_before}", early))
    if column and is_floating:
        rules.append((f"{name} must be finite", values.isinf()))
    if column and column.low is not None:
        bounds = f"from {column.low:g} to {column.high:g}" if column.high is not None else f"at least {column.low:g}"
        outside = values.cast("float64") < column.low
        if column.high is not None:
            outside = outside | (values.cast("float64") > column.high)
        if is_floating:
            outside = outside & ~values.isnan() & ~values.isinf()
        rules.append((f"{name} must be {bounds}", outside))
    return rules


def _nan_rule(name: str, values: Any, allowing: str, part: ir.Table) -> tuple[str, Any]:
    """NaN only where the column `allowing` is true; a table without such a column allows none."""
    nan = values.isnan().fill_null(False)
    if allowing in part.columns and part[allowing].type().is_boolean():
        nan = nan & ~part[allowing].fill_null(False)
    return f"{name} must not be NaN unless {allowing} is true (NULL says that there is none)", nan


def _stand_in_rule(name: str, values: Any, other: str, part: ir.Table) -> tuple[str, Any]:
    """Missing only where the column `other` is there; a table without such a column needs `name` in every row."""
    missing = values.isnull()
    return f"{name} must not be missing where {other} is", (
        missing & part[other].isnull() if other in part.columns else missing
    )
