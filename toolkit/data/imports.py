"""Own files into a workspace: converted by DuckDB into Parquet by UTC day; what cannot be a row is quarantined.

An import is one folder, `data/<table>/<digest of the file>/`, made beside its place and moved there whole: an import
that dies leaves nothing, and the same file imported twice adds nothing. Rows that are left out lie in
`data/quarantine/<table>/<digest>.parquet`, each with its reason: none is dropped silently.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data.column_facts import MOST
from toolkit.data.contracts import CONTRACTS
from toolkit.data.conversion import (
    NO_LABEL,
    Target,
    after_requests,
    convert,
    kinds_of,
    named_values,
    read_there,
    targets,
)
from toolkit.data.mapping import FROM_REQUEST, TableMapping
from toolkit.data.own_files import MEMORY_MIB, bad_lines, explained, open_engine
from toolkit.data.places import parquet_files
from toolkit.data.values import quoted
from toolkit.data.wishes import RECORD
from toolkit.digests import digest_file, document_bytes
from toolkit.errors import ArgumentError, ContractError
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

MOST_WRONG_SHARE = 1 - MOST
"""When more than this share of a file's rows cannot be read, the mapping must be wrong, and nothing is imported."""

_SHOWN = 60
_DIGEST = 12


class Quarantined(NamedTuple):
    """Rows that were left out for one reason, with the first of them: its number in the file, and what shows it."""

    reason: str
    rows: int
    row: int
    example: str

    @property
    def text(self) -> str:
        """The reason, how often, and where it is seen."""
        example = self.example if len(self.example) <= _SHOWN else self.example[:_SHOWN] + "…"
        where = "line" if self.reason.startswith("the line") else "row"
        return f"{self.rows:,} × {self.reason}, such as {where} {self.row:,}: {example}"


@dataclass(frozen=True)
class Imported:
    """What came of one file.

    `rows` were added, of days `first` to `last` (UTC); `already`: this very file was imported before, and nothing was
    done. Paths are relative to the workspace; there is no `folder` when no row was added.
    """

    table: str
    file: str
    rows: int
    first: str | None
    last: str | None
    folder: str | None
    quarantined: tuple[Quarantined, ...] = ()
    quarantine: str | None = None
    notes: tuple[str, ...] = ()
    already: bool = False

    @property
    def text(self) -> str:
        """The import in lines."""
        if self.already:
            return (
                f"{self.file} was imported already, as {self.folder}: nothing was added. "
                "To import it anew, remove that folder"
            )
        added = f"{self.file}: no new row for {self.table}"
        if self.rows:
            added = (
                f"{self.file}: {self.rows:,} rows of {self.table}, {self.first} … {self.last} (UTC), in {self.folder}"
            )
        lines = [added, *self.notes]
        if self.quarantined:
            count = sum(each.rows for each in self.quarantined)
            lines.append(f"rows left out: {count:,}, with their reasons in {self.quarantine}")
            lines += [f"  {each.text}" for each in self.quarantined]
        return "\n".join(lines)


def import_file(
    workspace: Workspace,
    mapping: TableMapping,
    *,
    progress: Callable[[str], None] = lambda _: None,
    memory_mib: int = MEMORY_MIB,
) -> Imported:
    """Import one file into a workspace, as `mapping` says.

    Raises `ContractError` when more rows are wrong than a right mapping leaves, `ArgumentError` when the file cannot
    be read, or another import is running.
    """
    file, table = mapping.facts.file, mapping.table
    progress(f"{file.shown}: taking its digest")
    digest = digest_file(file.path).removeprefix("sha256:")[:_DIGEST]
    folder = workspace.root / "data" / table / digest
    with _alone(workspace.root) as scratch:
        if folder.is_dir():
            return Imported(table, file.shown, 0, None, None, _relative(folder, workspace), already=True)
        with open_engine(scratch / "spill", memory_mib=memory_mib) as engine, explained(file.shown):
            run = _Run(workspace, mapping, engine, scratch, digest)
            progress(f"{file.shown}: reading its rows")
            run.stage()
            progress(f"{file.shown}: looking for repeated keys")
            run.find_repeated()
            run.check()
            run.note_labels()
            progress(f"{file.shown}: writing {table} by day")
            return run.publish(folder)


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """An empty scratch folder in the workspace's data, for one import at a time; nothing remains of it."""
    data = root / "data"
    data.mkdir(exist_ok=True)
    with (data / ".importing.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArgumentError("another import is running in this workspace; try again when it is done") from None
        scratch = data / ".importing"
        shutil.rmtree(scratch, ignore_errors=True)  # of an import that died
        (scratch / "spill").mkdir(parents=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class _Run:
    """One import: its rows staged as Parquet, then judged, then moved to their place."""

    def __init__(
        self, workspace: Workspace, mapping: TableMapping, engine: DuckDBPyConnection, scratch: Path, digest: str
    ) -> None:
        self.workspace, self.mapping, self.engine = workspace, mapping, engine
        self.scratch, self.digest = scratch, digest
        self.contract = CONTRACTS[mapping.table]
        self.notes: list[str] = []
        self.reasons: tuple[Quarantined, ...] = ()
        self.there = read_there(engine, parquet_files(workspace, mapping.table))
        kinds = kinds_of(self.there) if self.there else {}
        self.columns: list[Target] = targets(mapping, digest=digest, there=kinds)
        new = sorted(set(mapping.extras) - set(kinds)) if kinds else []
        if new:
            self.notes.append(f"columns that rows imported before do not have: {', '.join(new)}")

    @property
    def staged(self) -> DuckDBPyRelation:
        return self.engine.read_parquet(str(self.scratch / "staged.parquet"))

    def stage(self) -> None:
        """Read the file once, value by value; then hold labels against their requests."""
        first = self.scratch / "read.parquet"
        rows = self.mapping.facts.file.rows(self.engine)
        convert(rows, self.mapping, self.columns).write_parquet(str(first))
        self._note_clock(first)
        staged = self.scratch / "staged.parquet"
        if self.mapping.table != "outcomes":
            first.rename(staged)
            return
        labels = self._labels(self.engine.read_parquet(str(first)))
        files = parquet_files(self.workspace, "predictions")
        predictions = self.engine.read_parquet(files, union_by_name=True) if files else None
        if predictions is not None:
            derived = self.mapping.derived.get("observed_at") == FROM_REQUEST
            labels = after_requests(labels, predictions, self.columns, derived=derived)
        labels.write_parquet(str(staged))
        first.unlink()
        if predictions is not None:
            self._check_matched(predictions)

    def _labels(self, rows: DuckDBPyRelation) -> DuckDBPyRelation:
        """The rows that are labels: in a file of requests and their labels some wait for theirs, and that is said."""
        ((waiting,),) = rows.aggregate(f"count_if(reason = {quoted(NO_LABEL)})").fetchall()
        if not waiting:
            return rows
        self.notes.append(f"requests without a label yet: {waiting:,}")
        return rows.filter(f"reason IS DISTINCT FROM {quoted(NO_LABEL)}")

    def _note_clock(self, staged: Path) -> None:
        rows = self.engine.read_parquet(str(staged))
        ((skipped, twice),) = rows.aggregate("count_if(clock = 1), count_if(clock = 2)").fetchall()
        zone = self.mapping.timezone
        if skipped:
            self.notes.append(
                f"rows with a time that the clocks of {zone} skipped: {skipped:,}, taken as if they had not been put on"
            )
        if twice:
            self.notes.append(f"rows with a time that the clocks of {zone} showed twice: {twice:,}, taken as the later")

    def _check_matched(self, predictions: DuckDBPyRelation) -> None:
        request = next(f"v{place}" for place, each in enumerate(self.columns) if each.name == "request_id")
        counts = f"count(*), count_if(matched), min({request})"
        labels = self.staged.filter(f"{request} IS NOT NULL")
        ((rows, matched, example),) = labels.aggregate(counts).fetchall()
        if rows and not matched:
            ((theirs,),) = predictions.aggregate("min(request_id)").fetchall()
            ours, known = (_bare(ids, name) for ids, name in ((labels, request), (predictions, "request_id")))
            ((alike,),) = ours.join(known, "id", how="semi").aggregate("count(*)").fetchall()
            advice = "name the right column with --map outcomes.request_id=COLUMN"
            if alike:
                advice = f"without zeros in front and .0 behind {alike:,} are the same: write both files alike"
            raise ContractError(
                f"{self.mapping.facts.file.shown}: none of its {rows:,} labels is of a request in the predictions. "
                f"Labels have ids such as {example!r}, predictions such as {theirs!r}; {advice}"
            )
        if rows > matched:
            self.notes.append(f"labels of requests that are not among the predictions: {rows - matched:,} of {rows:,}")

    def find_repeated(self) -> None:
        """Put into the table `repeated` the rows whose key is there already, or came before in the file."""
        places = {each.name: f"v{place}" for place, each in enumerate(self.columns)}
        keys = [places[name] for name in self.contract.key]
        listed = ", ".join(keys)
        good = self.staged.filter("reason IS NULL").project(f"row, {listed}, hash({listed}) AS h")
        known = None
        if self.there is not None:
            cast = [_key(self.contract.columns[name].kind, name) for name in self.contract.key]
            renamed = [f"{value} AS {place}" for value, place in zip(cast, keys, strict=True)]
            known = self.there.project(", ".join(renamed)).project(f"{listed}, hash({listed}) AS h")
        hashes = good.project("h, 0 AS old")
        every = hashes.union(known.project("h, 1 AS old")) if known is not None else hashes
        # Only rows whose hash is there twice are compared by their keys: they are few, whatever the file's size.
        counted = every.aggregate("h, count(*) AS n, min(old) AS new", "h").filter("n > 1 AND new = 0").project("h")
        counted.to_table("suspects")
        suspects = self.engine.table("suspects")
        again = good.join(suspects, "h", how="semi")
        placed = again.project(f"row, {listed}, row_number() OVER (PARTITION BY {listed} ORDER BY row) AS place")
        there = "false AS there"
        if known is not None:
            theirs = known.join(suspects, "h", how="semi").project(f"{listed}, true AS there").distinct()
            placed = _left(placed, theirs, keys)
            there = "coalesce(there, false) AS there"
        placed.project(f"row, place, {there}").filter("there OR place > 1").project(
            f"row, CASE WHEN there THEN {quoted(self._there_already)} ELSE {quoted(self._twice)} END AS reason"
        ).to_table("repeated")

    @property
    def _there_already(self) -> str:
        return f"the key ({' × '.join(self.contract.key)}) is there already"

    @property
    def _twice(self) -> str:
        return f"the key ({' × '.join(self.contract.key)}) came before in the file; the first row is kept"

    def quarantined(self) -> DuckDBPyRelation:
        """Every row that is left out: `row`, `reason`, `given`, and `of_line`, whether `row` is a line's number."""
        names = "to_json({" + ", ".join(f"{quoted(each.name)}: v{p}" for p, each in enumerate(self.columns)) + "})"
        good = self.staged.filter("reason IS NULL").project(f"row, {names}::VARCHAR AS given")
        wrong = self.staged.filter("reason IS NOT NULL").project(
            f"row, reason, coalesce(given, {names}::VARCHAR) AS given"
        )
        repeated = self.engine.table("repeated").join(good, "row").project("row, reason, given")
        found = wrong.union(repeated).project("*, false AS of_line")
        lines = bad_lines(self.mapping.facts.file, self.engine)
        return found if lines is None else found.union(lines.project("*, true AS of_line"))

    def check(self) -> None:
        """Write the quarantine, and raise `ContractError` when it holds more than a right mapping leaves."""
        self.quarantined().order("row").write_parquet(str(self.scratch / "quarantine.parquet"), compression="zstd")
        left_out = self.engine.read_parquet(str(self.scratch / "quarantine.parquet"))
        counted = left_out.aggregate(
            "reason, count(*) AS rows, min(row) AS row, arg_min(given, row) AS given", "reason"
        )
        reasons = counted.order("rows DESC, reason").fetchall()
        self.reasons = tuple(Quarantined(r, n, row, self._example(r, given)) for r, n, row, given in reasons)
        ((rows,),) = self.staged.aggregate("count(*)").fetchall()
        ((lines,),) = left_out.filter("of_line").aggregate("count(*)").fetchall()
        wrong = sum(each.rows for each in self.reasons if each.reason != self._there_already)
        if wrong > MOST_WRONG_SHARE * (rows + lines):
            told = "\n".join(f"  {each.text}" for each in self.reasons)
            raise ContractError(
                f"{self.mapping.facts.file.shown}: {wrong:,} of {rows + lines:,} rows cannot be rows of "
                f"{self.mapping.table}, and nothing was imported. Is the mapping right? Correct it with --map, --dates "
                f"or --set\n{told}"
            )

    def note_labels(self) -> None:
        """Say how many labels are a yes, where they are yes and no: wrong words for it show nowhere else.

        Raises `ContractError` when no label is what was said to be the yes.
        """
        positive, label = self.mapping.positive, self.mapping.assigned.get("label")
        if label is None or (positive is None and not self.mapping.binary):
            return
        value = next(f"v{place}" for place, each in enumerate(self.columns) if each.name == "label")
        counts = f"count(*), count_if({value} = 1), count_if({value} NOT IN (0, 1))"
        ((rows, yes, between),) = self.staged.filter("reason IS NULL").aggregate(counts).fetchall()
        if rows and positive is not None and not yes and label.own.distinct > 1:
            file, own = self.mapping.facts.file.shown, label.own
            raise ContractError(
                f"{file}: none of its {rows:,} labels is {positive!r}, which is said to be the yes; {own.name} holds "
                f"{own.range_text}. Say which is yes with --positive"
            )
        if rows and not between:
            self.notes.append(f"labels that are a yes: {yes:,} of {rows:,} ({yes / rows:.1%})")

    def _example(self, reason: str, given: str) -> str:
        """What of a row shows the reason: the own column that it is about, or the key; a line as it is."""
        if reason.startswith("the line"):
            return given
        row: dict[str, object] = json.loads(given)
        about = self.mapping.assigned.get(reason.partition(" ")[0])
        extra = self.mapping.extras.get(reason.partition(" ")[0])
        own = about.own.name if about else extra.name if extra else None
        for name in filter(None, (own, reason.partition(" ")[0])):
            if name in row:
                return f"{name} is {row[name]!r}" if row[name] is not None else f"{name} is empty"
        return " × ".join(str(row[name]) for name in self.contract.key if name in row) or given

    def publish(self, folder: Path) -> Imported:
        """Write the good rows by day, and move everything to its place: the quarantine first, the folder last."""
        time = next(f"v{place}" for place, each in enumerate(self.columns) if each.name == self.contract.time)
        good = self.staged.filter("reason IS NULL").join(self.engine.table("repeated"), "row", how="anti")
        ((rows, first, last),) = good.aggregate(f"count(*), {_day(f'min({time})')}, {_day(f'max({time})')}").fetchall()
        quarantine = self._keep_quarantine() if self.reasons else None
        file = self.mapping.facts.file.shown
        if not rows:
            return Imported(self.mapping.table, file, 0, None, None, None, self.reasons, quarantine, tuple(self.notes))
        out, made = self.scratch / "days", self.scratch / "made"
        by_day = good.project(f"{named_values(self.columns)}, {_day(time)} AS __day")
        by_day.write_parquet(str(out), partition_by=["__day"], compression="zstd")
        made.mkdir()
        for day in sorted(out.iterdir()):
            for number, part in enumerate(sorted(day.iterdir())):
                name = day.name.partition("=")[2] + (f"-{number}" if number else "")
                part.rename(made / f"{name}.parquet")
        imported = Imported(
            self.mapping.table,
            file,
            int(rows),
            str(first),
            str(last),
            _relative(folder, self.workspace),
            self.reasons,
            quarantine,
            tuple(self.notes),
        )
        (made / RECORD).write_bytes(document_bytes(self._record(imported)))
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.rename(folder)
        return imported

    def _keep_quarantine(self) -> str:
        target = self.workspace.root / "data" / "quarantine" / self.mapping.table / f"{self.digest}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.scratch / "quarantine.parquet").rename(target)
        return _relative(target, self.workspace)

    def _record(self, imported: Imported) -> dict[str, Any]:
        mapping = self.mapping
        return {
            "file": imported.file,
            "digest": self.digest,
            "columns": {name: each.own.name for name, each in mapping.assigned.items()},
            "constants": dict(mapping.constants),
            "extras": {name: own.name for name, own in mapping.extras.items()},
            "assumptions": [*mapping.assumptions, *imported.notes],
            "left_out": list(mapping.left_out),
            "timezone": mapping.timezone,
            "dates": mapping.dates,
            "positive": mapping.positive,
            "binary": mapping.binary,
            "rows": imported.rows,
            "quarantined": {each.reason: each.rows for each in imported.quarantined},
        }


def _bare(ids: DuckDBPyRelation, name: str) -> DuckDBPyRelation:
    """Ids without what a spreadsheet or a data frame takes from numbers or gives them: leading zeros, and .0."""
    return ids.project(f"ltrim(regexp_replace({name}::VARCHAR, '\\.0+$', ''), '0') AS id").distinct()


def _left(rows: DuckDBPyRelation, theirs: DuckDBPyRelation, keys: list[str]) -> DuckDBPyRelation:
    """A left join on all keys."""
    renamed = theirs.project(", ".join([*(f"{key} AS t_{key}" for key in keys), "there"]))
    return rows.join(renamed, " AND ".join(f"{key} = t_{key}" for key in keys), how="left")


def _key(kind: str, name: str) -> str:
    return f"CAST({name} AS {'TIMESTAMPTZ' if kind == 'instant' else 'VARCHAR'})"


def _day(value: str) -> str:
    return f"strftime(timezone('UTC', {value}), '%Y-%m-%d')"


def _relative(path: Path, workspace: Workspace) -> str:
    return path.relative_to(workspace.root).as_posix()
