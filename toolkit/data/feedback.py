"""Adding what users said to the workspace's own feedback table: checked, free of personal data, each report once."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from toolkit.checks import check_in
from toolkit.data.contracts import CONTRACTS
from toolkit.data.event_lines import LineEncoder
from toolkit.data.files import FORMATS
from toolkit.data.schemas import arrow_schema
from toolkit.data.source import open_source
from toolkit.digests import digest_value
from toolkit.errors import ArgumentError, Blocked, ContractError, DefinitionError
from toolkit.privacy import PRIVACY_FILE, judge, load_exceptions, scan_text
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import SETTINGS_FILE, TableSettings, Workspace
from toolkit.workspace.edits import write_files

TABLE = "feedback"
DEFAULT_PATH = "data/feedback/*.jsonl"

_CONTRACT = CONTRACTS[TABLE]
_SHOWN = 8
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Reports whose clock was ahead are looked for, too."""


class Report(NamedTuple):
    """One user report: where it was given, for messages; all its columns; and those that were given."""

    where: str
    event: dict[str, Any]
    given: frozenset[str]


@dataclass(frozen=True)
class Added:
    """What was done.

    Attributes
    ----------
    added: ids of the reports that are new. present: of those that were there already, word for word.
    file: the new file, from the workspace; None when nothing was new.
    to_configure: what is missing in `toolkit.toml`, or "".
    """

    added: tuple[str, ...]
    present: tuple[str, ...]
    file: str | None
    to_configure: str


def add_feedback(workspace: Workspace, given: Sequence[tuple[str, Mapping[str, Any]]], *, now: datetime) -> Added:
    """Add user reports, all of them or none, as one new file beside those of the table.

    Parameters
    ----------
    given: each report with where it was given (`line 3`): columns of the contract, instants as ISO text. Without
        `feedback_id` a report is named by its content, without `occurred_at` it was said `now`.

    A report that is there already is not added again. Raises `ArgumentError` for one that breaks the contract or is
    there and says something else, `Blocked` for personal data, `ContractError` and `DefinitionError` for a table that
    cannot be added to.
    """
    settings = workspace.settings.tables.get(TABLE)
    place = settings or TableSettings(path=DEFAULT_PATH)
    form, pattern = _place(workspace, place)
    reports = _check(given, now)
    _refuse_personal_data(workspace, reports, on=now.date())
    known = _known(workspace, place, [report.event["feedback_id"] for report in reports])
    new = [report for report in reports if not _is_known(report, known)]
    present = tuple(report.event["feedback_id"] for report in reports if report not in new)
    hint = "" if settings else f'[tables.{TABLE}]\npath = "{DEFAULT_PATH}"'
    if not new:
        return Added((), present, None, hint)
    rows = [report.event for report in new]
    name = f"{now:%Y-%m-%d}-{digest_value([row['feedback_id'] for row in rows])[7:19]}"
    file = _fill(pattern, name)
    own = {column: place.columns.get(column, column) for column in _CONTRACT.columns}
    content = _parquet(rows, own) if form == "parquet" else _lines(rows, own)
    write_files({workspace.root / file: content})
    return Added(tuple(row["feedback_id"] for row in rows), present, file, hint)


def _check(given: Sequence[tuple[str, Mapping[str, Any]]], now: datetime) -> list[Report]:
    """The reports, complete and valid; all problems in one error."""
    encoder, problems = LineEncoder(_CONTRACT), []
    reports: dict[str, Report] = {}
    for where, values in given:
        try:
            event = _complete(values, now)
            encoder.encode(event)
        except (ArgumentError, ContractError, TypeError, ValueError) as err:
            problems.append(f"{where}: {str(err).removeprefix(f'{TABLE}: ')}")
            continue
        key = event["feedback_id"]
        report = Report(where, event, frozenset(name for name, value in values.items() if value is not None))
        other = reports.setdefault(key, report)
        if other.event != event:
            problems.append(f"{where}: feedback_id {key!r} stands in {other.where} too, with other words")
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ArgumentError("\n".join([*problems[:_SHOWN], *more, "Nothing was added."]))
    return list(reports.values())


def _complete(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    for name in values:
        check_in(name, _CONTRACT.columns, noun="column of feedback", error=ArgumentError)
    event = {name: values.get(name) for name in _CONTRACT.columns}
    said = event["occurred_at"]
    event["occurred_at"] = parse_instant(said, name="occurred_at") if isinstance(said, str) else said or now
    if event["feedback_id"] is None:
        parts = {name: None if value is None else str(value) for name, value in event.items() if name != "feedback_id"}
        event["feedback_id"] = f"f-{digest_value(parts)[7:23]}"
    return event


def _refuse_personal_data(workspace: Workspace, reports: Sequence[Report], *, on: date) -> None:
    hits = [
        hit
        for report in reports
        for column in ("category", "text")
        if report.event[column]
        for hit in scan_text(report.event[column], where=f"{report.where}, {column}")
    ]
    if not hits:
        return
    standing = judge(hits, load_exceptions(workspace), template=TABLE, on=on).standing
    if standing:
        more = [f"  … and {len(standing) - _SHOWN} more"] if len(standing) > _SHOWN else []
        raise Blocked(
            "\n".join(
                [
                    "the feedback holds what looks like personal data, and nothing was added:",
                    *(f"  {hit}" for hit in standing[:_SHOWN]),
                    *more,
                    f"Take them out, or say in {PRIVACY_FILE} why they may stay (kind, value, reason, owner, expires)",
                ]
            )
        )


def _place(workspace: Workspace, settings: TableSettings) -> tuple[str, str]:
    """The format of the table's files, and the pattern of their names. Raises for a table that takes no new file."""
    table = f"[tables.{TABLE}] in {SETTINGS_FILE}"
    if settings.source is not None or settings.path is None:
        raise DefinitionError(f"feedback lies in {settings.place} ({table}); add it there: it is only read from here")
    if settings.expressions:
        made = ", ".join(settings.expressions)
        raise DefinitionError(
            f"{table} makes {made} by an expression, which cannot be turned round; add it at its origin"
        )
    pattern = settings.path
    if not has_magic(pattern):
        if PurePosixPath(pattern).suffix:
            raise DefinitionError(
                f"{table} names one file, {pattern!r}, and feedback is added as a new file; name a folder or a "
                f"pattern, such as path = {DEFAULT_PATH!r}"
            )
        pattern = f"{pattern.rstrip('/')}/*.{'parquet' if _holds_parquet(workspace.root / pattern) else 'jsonl'}"
    form = next((form for form, ends in FORMATS.items() if pattern.casefold().endswith(ends)), None)
    if form not in {"parquet", "json"}:
        raise DefinitionError(
            f"{table} names {pattern!r}; feedback is added as Parquet or JSON lines (*.parquet, *.jsonl)"
        )
    if not fnmatchcase(_fill(pattern, "x"), pattern.replace("**/", "")):
        raise DefinitionError(
            f"{table} names {pattern!r}; a new file can be named only where nothing but * is left open"
        )
    return form, pattern


def _holds_parquet(folder: Path) -> bool:
    return any(file.name.casefold().endswith(FORMATS["parquet"]) for file in folder.rglob("*"))


def _fill(pattern: str, name: str) -> str:
    """A path that the pattern means: `**` is no folder, `*` is the name."""
    return "/".join(part.replace("*", name) for part in pattern.split("/") if part != "**")


def _known(workspace: Workspace, settings: TableSettings, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The reports with these ids that the table holds."""
    assert settings.path is not None
    folder = workspace.root / settings.path
    if not any(workspace.root.glob(settings.path)) or (folder.is_dir() and not any(folder.rglob("*.*"))):
        return {}
    tables = {**workspace.settings.tables, TABLE: settings}
    source = open_source(replace(workspace, settings=workspace.settings.model_copy(update={"tables": tables})))
    columns = [name for name in _CONTRACT.columns if name in source.columns(TABLE)]
    rows = source.read(TABLE, columns, as_of=_EVER)
    frame = source.execute(rows.filter(rows.feedback_id.isin(list(ids))), reading=TABLE)
    held = frame.astype("object").where(frame.notna(), None).to_dict("records")
    return {row["feedback_id"]: row for row in held}


def _is_known(report: Report, known: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether it is there already. Raises `ArgumentError` when it is there with other words."""
    held = known.get(report.event["feedback_id"])
    if held is None:
        return False
    differing = [
        name for name in report.event if name in report.given & held.keys() and held[name] != report.event[name]
    ]
    if differing:
        raise ArgumentError(
            f"{report.where}: feedback_id {report.event['feedback_id']!r} is there already with another "
            f"{', '.join(differing)}; what a user said is not changed, so give it another id. Nothing was added."
        )
    return True


def _lines(rows: Sequence[Mapping[str, Any]], own: Mapping[str, str]) -> bytes:
    def plain(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in row.items():
            yield own[name], format_instant(value) if isinstance(value, datetime) else value

    return "".join(json.dumps(dict(plain(row)), ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: Sequence[Mapping[str, Any]], own: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(TABLE))
    buffer = io.BytesIO()
    pq.write_table(table.rename_columns([own[name] for name in table.column_names]), buffer)
    return buffer.getvalue()
