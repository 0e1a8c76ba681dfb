"""`toolkit import`: own files into the workspace's tables, with the mapping guessed, said and, on a terminal, asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.checks import check_in
from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import ArgumentError, ParameterError

if TYPE_CHECKING:
    from toolkit.data.imports import Imported
    from toolkit.data.mapping import TableMapping
    from toolkit.data.questions import Choose, Question
    from toolkit.data.wishes import Wishes
    from toolkit.workspace import Workspace

MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="CONTRACT=OWN",
        help="Which own column a column of the contract is; outcomes.request_id=OWN for one table only, OWN empty for "
        "none.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="CONTRACT=VALUE", help="The same value in every row, such as version=3.", show_default=False
    ),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE", help="Of times that name none, such as Europe/Paris; else they are UTC.", show_default=False
    ),
]
DatesOption = Annotated[
    str | None,
    typer.Option(metavar="ORDER", help="day-first or month-first, where 03/04/2026 could be both.", show_default=False),
]
PositiveOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="The label that is a yes, where labels are two other words.", show_default=False),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Take what was guessed; ask nothing.")]


@dataclass(frozen=True)
class Said:
    """What the command line said about columns: of `--map` and `--set`, by table ("" for any) and contract column."""

    columns: Mapping[tuple[str, str], str]
    constants: Mapping[tuple[str, str], str]
    timezone: str | None
    dates: str | None
    positive: str | None

    def about(self, table: str, names: Sequence[str], *, others: Mapping[str, Sequence[str]] | None = None) -> Wishes:
        """What is said about one file of `table` with columns `names`; `others` are the columns of the other files.

        What is said of no table holds for each table that has such a column, unless only another file has the own one.
        """
        from toolkit.data.contracts import CONTRACTS
        from toolkit.data.wishes import Wishes

        own = {}
        for (where, column), name in self.columns.items():
            elsewhere = any(
                name in columns and column in CONTRACTS[other].columns for other, columns in (others or {}).items()
            )
            meant = where == table or (not where and (name in names or not name or not elsewhere))
            if meant and column in CONTRACTS[table].columns:
                own[column] = name
        constants = {
            column: value
            for (where, column), value in self.constants.items()
            if where in {"", table} and column in CONTRACTS[table].columns
        }
        return Wishes(own, constants, self.timezone, self.dates, self.positive)


def import_(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="predictions, outcomes or another table.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="CSV, JSON lines or Parquet, also with .gz.")],
    *,
    mapped: MapOption = None,
    constant: SetOption = None,
    timezone: TimezoneOption = None,
    dates: DatesOption = None,
    positive: PositiveOption = None,
    yes: YesOption = False,
    as_json: AsJson = False,
) -> None:
    """Import own files into a table.

    How their columns map onto the contract is guessed and said; on a terminal it is asked. A row that cannot be one is
    quarantined with its reason. The same file imported again adds nothing.
    """
    from toolkit.data.contracts import CONTRACTS
    from toolkit.data.imports import import_file
    from toolkit.data.places import settings_for_import
    from toolkit.workspace import SETTINGS_FILE, open_workspace
    from toolkit.workspace.edits import write_files

    check_in(table, CONTRACTS, noun="table")
    said = read_said(mapped or [], constant or [], timezone, dates, positive, tables=[table])
    workspace = open_workspace()
    settings = settings_for_import(workspace, table)
    choose = chooser(yes=yes, as_json=as_json)
    done: list[tuple[TableMapping, Imported]] = []
    for path in files:
        with progress() as tell:
            mapping = _map(workspace, table, path, said, choose, tell)
        if not as_json:
            print_mapping(mapping)
        confirm(yes=yes, as_json=as_json)
        with progress() as tell:
            imported = import_file(workspace, mapping, progress=tell)
        if settings is not None:
            write_files({workspace.root / SETTINGS_FILE: settings.encode("utf-8")})
            workspace, settings = open_workspace(workspace.root), None
        if not as_json:
            print_text(imported.text)
        done.append((mapping, imported))
    if as_json:
        print_document({"imports": [describe(mapping, imported) for mapping, imported in done]})


def _map(
    workspace: Workspace, table: str, path: Path, said: Said, choose: Choose, tell: Callable[[str], None]
) -> TableMapping:
    """How a file is read: as is said, else as one like it was read before, else as is guessed."""
    import tempfile

    from toolkit.data.column_facts import look_at_file
    from toolkit.data.mapping import guess_mapping, label_columns
    from toolkit.data.own_files import open_engine, open_file
    from toolkit.data.synonyms import how_named
    from toolkit.data.wishes import earlier_import

    file = open_file(path)
    tell(f"{file.shown}: looking at its columns")
    with tempfile.TemporaryDirectory() as scratch, open_engine(Path(scratch)) as engine:
        facts = look_at_file(file, engine)
    before = earlier_import(workspace, table, file.names)
    wishes = said.about(table, file.names).after(before)
    others = label_columns(facts) - set(wishes.columns.values()) if table == "predictions" else set()
    # Predictions and labels in one file have the number of the row in common, if no id.
    whole = bool(label_columns(facts)) and any(
        how_named("predictions", "score", name) is not None for name in file.names
    )
    models = workspace.keys("models")
    mapping = guess_mapping(
        table,
        facts,
        wishes=wishes,
        choose=choose,
        model=models[0] if len(models) == 1 else model_key(path),
        # Rows that suddenly have no answer are a wrong mapping, unless that is said.
        needed=[each for each in ("score", "prediction") if each in before.columns and wishes.columns.get(each) != ""],
        others=others,
        whole=whole,
        binary=before.binary,
    )
    if not others:
        return mapping
    told = f"left out, as labels: {', '.join(sorted(others))}; import them with 'toolkit import outcomes {path}'"
    return replace(mapping, left_out=tuple(sorted(others)), assumptions=(*mapping.assumptions, told))


def read_said(
    mapped: Sequence[str],
    constants: Sequence[str],
    timezone: str | None,
    dates: str | None,
    positive: str | None,
    *,
    tables: Sequence[str],
) -> Said:
    """Check what the command line says about columns, for files of these tables.

    Raises `ParameterError`, `UnknownNameError` and `ArgumentError`.
    """
    from zoneinfo import available_timezones

    if timezone is not None:
        check_in(timezone, available_timezones(), noun="time zone")
    if dates is not None:
        check_in(dates, ["day-first", "month-first"], noun="order of dates")
    columns = _read_pairs(mapped, "--map", "--map request_id=id", tables)
    values = _read_pairs(constants, "--set", "--set version=3", tables)
    for where, column in values:
        if (where, column) in columns:
            raise ParameterError(f"--map {column} and --set {column} are both given; a column has one or the other")
    for (_, column), value in values.items():
        _check_constant(column, value, tables)
    return Said(columns, values, timezone, dates, positive)


def _read_pairs(given: Sequence[str], option: str, example: str, tables: Sequence[str]) -> dict[tuple[str, str], str]:
    from toolkit.data.contracts import CONTRACTS

    found: dict[tuple[str, str], str] = {}
    for text in given:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals):
            raise ParameterError(f"{option} {text!r}, must be contract=own, such as {example}")
        where, dot, column = key.rpartition(".")
        if dot:
            check_in(where, tables, noun="table")
        known = [name for table in ([where] if dot else tables) for name in CONTRACTS[table].columns]
        check_in(column, dict.fromkeys(known), noun=f"column of the contract ({option})")
        if (where, column) in found:
            raise ParameterError(f"{option} {key} is given twice: {found[where, column]!r} and {value!r}")
        found[where, column] = value
    return found


def _check_constant(column: str, value: str, tables: Sequence[str]) -> None:
    from toolkit.data.contracts import CONTRACTS
    from toolkit.windows import parse_instant

    spec = next(CONTRACTS[table].columns[column] for table in tables if column in CONTRACTS[table].columns)
    if not value:
        raise ParameterError(f"--set {column}= has no value")
    if spec.kind == "instant":
        parse_instant(value, name=f"--set {column}")
    elif spec.kind == "boolean":
        check_in(value, ["true", "false"], noun=f"value of {column}")
    elif spec.kind == "number":
        try:
            float(value)
        except ValueError:
            raise ParameterError(f"--set {column}={value}: {column} is a number") from None


def is_asked(*, yes: bool, as_json: bool) -> bool:
    """Whether somebody is there to be asked."""
    return not yes and not as_json and sys.stdin.isatty() and sys.stdout.isatty()


def chooser(*, yes: bool, as_json: bool) -> Choose:
    """What answers a question that a mapping leaves open: the first option, somebody, or a refusal with the options."""
    from toolkit.data.questions import refuse, take_first

    if is_asked(yes=yes, as_json=as_json):
        return _ask
    return take_first if yes else refuse


def _ask(question: Question) -> str:
    print_text(f"{question.file}: {question.what}?")
    for number, (option, why) in enumerate(zip(question.options, question.reasons, strict=True), start=1):
        print_text(f"  {number}  {option}  ({why})")
    while True:
        answer = str(typer.prompt("Which", default="1"))
        if answer in question.options:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(question.options):
            return question.options[int(answer) - 1]
        print_text(f"{answer!r} is none of them; type a number from 1 to {len(question.options)}")


def confirm(*, yes: bool, as_json: bool) -> None:
    """Ask whether the mapping is right, if somebody is there. Raises `ArgumentError` when it is not."""
    if is_asked(yes=yes, as_json=as_json) and not typer.confirm("Is this right?", default=True):
        raise ArgumentError("nothing was imported; say what is otherwise with --map, --set, --timezone and --dates")


def print_mapping(mapping: TableMapping) -> None:
    """Which own column is which of the contract, why, and what was assumed."""
    print_text(f"{mapping.facts.file.shown} → {mapping.table}")
    print_table(["contract", "own column", "why"], _rows(mapping))
    if mapping.extras:
        kept = ", ".join(f"{name} ({own.kind})" for name, own in mapping.extras.items())
        print_text(f"kept as they are: {kept}")
    if mapping.assumptions:
        print_text("assumed:")
        print_text("\n".join(f"  - {each}" for each in mapping.assumptions))


def _rows(mapping: TableMapping) -> list[list[str]]:
    rows = [[name, each.own.name, each.why] for name, each in mapping.assigned.items()]
    rows += [[name, "", f"{value!r} in every row"] for name, value in mapping.constants.items()]
    return rows + [[name, "", DERIVED[how]] for name, how in mapping.derived.items()]


def describe(mapping: TableMapping, imported: Imported) -> dict[str, Any]:
    """A mapping and what came of it, for `--json`."""
    return {
        "file": imported.file,
        "table": imported.table,
        "columns": {name: {"own": each.own.name, "why": each.why} for name, each in mapping.assigned.items()},
        "constants": dict(mapping.constants),
        "derived": dict(mapping.derived),
        "kept": {name: own.kind for name, own in mapping.extras.items()},
        "left_out": list(mapping.left_out),
        "assumptions": [*mapping.assumptions, *imported.notes],
        "rows": imported.rows,
        "first_day": imported.first,
        "last_day": imported.last,
        "folder": imported.folder,
        "already": imported.already,
        "quarantine": imported.quarantine,
        "quarantined": [each._asdict() for each in imported.quarantined],
    }


DERIVED = {
    "request": "that of the request",
    "no score": "where there is no score",
    "row number": "the number of the row",
}
"""How a column comes about that no own column holds, in words."""

GENERIC_NAMES = {"predictions", "prediction", "preds", "scores", "data", "both", "export", "rows", "events", "log"}
"""Names of files that say nothing about the model."""


def model_key(path: Path, *, otherwise: str = "model") -> str:
    """The key of the model that a file's name suggests; `otherwise` when it says nothing.

    >>> model_key(Path("Churn scores.csv.gz")), model_key(Path("predictions.csv"), otherwise="team")
    ('churn-scores', 'team')
    """
    key = slug(path.name.partition(".")[0])
    return otherwise if key in GENERIC_NAMES or not key else key


def slug(name: str) -> str:
    """A name in lower case, with hyphens for what is neither letter nor digit."""
    import re

    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
