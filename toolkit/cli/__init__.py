"""The command line: one command, one function; the files are called by their noun.

stdout holds what was asked for, as text or with `--json` as one JSON document; messages, progress and errors go to
stderr. Exit codes: 0 done, 1 a run failed, 2 wrong usage or an invalid definition (nothing was run), 3 refused with the
reason, 4 verification failed, 130 interrupted. Heavy imports happen in the command that needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from toolkit import __version__
from toolkit.cli import (
    archive,
    backlog,
    backlog_words,
    comparisons,
    definitions,
    drafts,
    due,
    experiments,
    feedback,
    gallery,
    hand_over,
    importing,
    record,
    reports,
    run,
    schemas,
    signals,
    workspaces,
)
from toolkit.cli.output import INTERRUPTED, AsJson, complain, print_document, print_text
from toolkit.errors import ArgumentError, ToolkitError

app = typer.Typer(
    name="toolkit",
    help="Turns production feedback on models into prioritised improvements, and proves that they worked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the rich one costs more to import than everything else here
)
app.command("init")(workspaces.init)
app.command("import")(importing.import_)
app.command("upgrade")(workspaces.upgrade)
app.command("doctor")(workspaces.doctor)
app.command("templates")(definitions.templates)
app.command("metrics")(definitions.metrics)
app.command("models")(definitions.models)
app.command("schemas")(schemas.schemas)
app.command("run")(run.run)
app.command("due")(due.due)

_archive = typer.Typer(help="The archive of published reports.", no_args_is_help=True)
_archive.command("list")(reports.list_)
_archive.command("show")(reports.show)
_archive.command("verify")(reports.verify)
_archive.command("compare")(comparisons.compare)
_archive.command("reproduce")(comparisons.reproduce)
_archive.command("gallery")(gallery.gallery)
_archive.command("prune")(archive.prune)
_archive.command("push")(archive.push)
_archive.command("pull")(archive.pull)
app.add_typer(_archive, name="reports")

_ledger = typer.Typer(help="The record of what was published and refused.", no_args_is_help=True)
_ledger.command("log")(record.log)
_ledger.command("verify")(record.verify)
app.add_typer(_ledger, name="ledger")

_experiments = typer.Typer(help="The experiments: their state, looks and results.", no_args_is_help=True)
_experiments.command("list")(experiments.list_)
_experiments.command("show")(experiments.show)
_experiments.command("draft")(drafts.draft_experiment)
app.add_typer(_experiments, name="experiment")

_signals = typer.Typer(help="The signals: where each stands, and what people said of it.", no_args_is_help=True)
_signals.command("list")(signals.list_)
_signals.command("acknowledge")(signals.acknowledge)
_signals.command("mute")(signals.mute)
app.add_typer(_signals, name="signal")

_backlog = typer.Typer(help="The backlog: where each item stands, and what people said of it.", no_args_is_help=True)
_backlog.command("list")(backlog.list_)
_backlog.command("start")(backlog_words.start)
_backlog.command("done")(backlog_words.done)
_backlog.command("drop")(backlog_words.drop)
_backlog.command("reopen")(backlog_words.reopen)
_backlog.command("override")(backlog_words.override)
_backlog.command("export")(hand_over.export)
_backlog.command("import")(hand_over.import_)
app.add_typer(_backlog, name="backlog")

_debt = typer.Typer(help="The debt: what a team owes its product.", no_args_is_help=True)
_debt.command("draft")(drafts.draft_debt)
app.add_typer(_debt, name="debt")

_feedback = typer.Typer(help="What users said about the model's answers.", no_args_is_help=True)
_feedback.command("add")(feedback.add)
app.add_typer(_feedback, name="feedback")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the version; everything else is a command."""
    if version:
        if as_json:
            print_document({"version": __version__})
        else:
            print_text(f"toolkit {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise ArgumentError("a command is missing; 'toolkit --help' lists them")
    if as_json:
        raise ArgumentError(f"write --json behind the command: toolkit {context.invoked_subcommand} … --json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    An error of the toolkit or of usage is told in one place, here; any other exception is a defect and stays a
    traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        code = app(given, prog_name="toolkit", standalone_mode=False)
    except (ToolkitError, TyperException) as err:
        complain(err, as_json=as_json)
        return err.exit_code
    if code == INTERRUPTED:  # Typer has caught the KeyboardInterrupt
        print_text("interrupted", to_stderr=True)
    return code or 0
