"""What a command says: what was asked for on stdout; messages, progress and errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from toolkit.errors import DefinitionError, NotReady, ToolkitError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
"""The option that every command has."""

OfModel = Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only of this model.")]
"""The option of commands whose items are of models."""

KnownAt = Annotated[
    str | None, typer.Option("--as-of", metavar="ISO", help="As known at this instant; now by default.")
]
"""The option of commands that list where things stand."""

INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended: 128 and the signal's number."""

_UNLIMITED = 10_000
"""Columns of a pipe or a file, where nothing needs to be wrapped."""


def print_text(text: str, *, to_stderr: bool = False) -> None:
    """One or more lines."""
    typer.echo(text, err=to_stderr)


def print_document(document: Mapping[str, Any]) -> None:
    """One JSON document; the same value gives the same text."""
    from toolkit.digests import document_bytes

    typer.echo(document_bytes(document).decode(), nl=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their column names; a terminal wraps long cells, a pipe gets each row whole."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED)
    with console.capture() as captured:
        console.print(table)
    print_text("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_facts(facts: Mapping[str, object], *, indent: str = "") -> None:
    """A nested mapping as indented `name: value` lines, without empty values; one line for each mapping in a list."""
    for name, value in facts.items():
        if value in (None, "", [], {}, ()):
            continue
        if isinstance(value, Mapping):
            print_text(f"{indent}{name}:")
            print_facts(value, indent=indent + "  ")
        elif isinstance(value, list | tuple) and isinstance(value[0], Mapping):
            print_text(f"{indent}{name}:")
            for item in value:
                print_text(f"{indent}  - " + "; ".join(f"{key}: {_inline(part)}" for key, part in item.items()))
        else:
            print_text(f"{indent}{name}: {_inline(value)}")


def _inline(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that tells one step: a moving line in a terminal, plain lines in a log."""
    if not sys.stderr.isatty():
        yield lambda text: print_text(f"==> {text}", to_stderr=True)
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(Text(text))


def complain(err: ToolkitError | TyperException, *, as_json: bool) -> None:
    """Say on stderr why nothing, or not all, was done, and with `--json` also as a document on stdout."""
    kind = type(err).__name__
    message = _usage_message(err) if isinstance(err, TyperException) else str(err)
    if kind == "NoArgsIsHelpError":  # a group without a command: its help is the message
        print_text(message, to_stderr=True)
        message = "a command is missing"
    else:
        announcement = err.announcement if isinstance(err, ToolkitError) else f"error: {message}"
        print_text(announcement, to_stderr=True)
    if not as_json:
        return
    error: dict[str, Any] = {"type": kind, "message": message, "exit_code": err.exit_code}
    if isinstance(err, NotReady) and err.ready_on is not None:
        from toolkit.windows import format_instant

        error["ready_on"] = format_instant(err.ready_on)
    if isinstance(err, DefinitionError) and err.path is not None:
        error["path"] = str(err.path)
    print_document({"error": error})


def _usage_message(err: TyperException) -> str:
    """What the command line makes of wrong usage; where a template's parameter was meant, how that is written."""
    message = err.format_message()
    command = getattr(err, "cmd", None)
    if command is None or command.name != "run":
        return message
    option = "" if getattr(err, "possibilities", None) else getattr(err, "option_name", "")
    if not option and not message.startswith("Got unexpected extra argument"):
        return message
    return f"{message}; a template's parameter is written -p {option.strip('-').replace('-', '_') or 'KEY'}=VALUE"
