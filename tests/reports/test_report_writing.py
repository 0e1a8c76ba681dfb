from __future__ import annotations

from errno import EACCES, EDQUOT, ENOENT, ENOSPC
from pathlib import Path
from typing import Any

import nbformat
import pytest

from toolkit.archive.writing import explained
from toolkit.errors import ArchiveError, LedgerError, RunError
from toolkit.ledger import open_ledger
from toolkit.reports import RunRequest, run_report
from toolkit.reports.engine import CellFailure, Execution
from toolkit.workspace import Workspace

FOLDER = Path("/w/reports")


def explain(err: OSError) -> str:
    with pytest.raises(ArchiveError) as caught, explained(FOLDER):
        raise err
    assert caught.value.__cause__ is err
    return str(caught.value)


@pytest.mark.parametrize("name", [None, "/w/reports/.staging/x", "/w"])
def test_the_archive_is_named_as_people_know_it(name: str | None) -> None:
    assert explain(OSError(ENOSPC, "No space left on device", name)) == (
        "reports/ has no room left (No space left on device), and nothing in it was changed. "
        "Free some space, then run the command again"
    )


def test_another_place_is_named_as_it_is() -> None:
    assert explain(OSError(EDQUOT, "Disk quota exceeded", "/home/ada/kernel.json")) == (
        "/home/ada/kernel.json has no room left (Disk quota exceeded), and nothing in it was changed. "
        "Free some space, then run the command again"
    )
    assert explain(OSError(EACCES, "Permission denied", "/w/reports/a")) == (
        "reports/ cannot be written (Permission denied), and nothing in it was changed. "
        "Make it writable for this user, then run the command again"
    )


@pytest.mark.parametrize("err", [LedgerError("full"), FileNotFoundError(ENOENT, "no such file"), ValueError("x")])
def test_other_errors_pass_as_they_are(err: Exception) -> None:
    with pytest.raises(type(err)) as caught, explained(FOLDER):
        raise err
    assert caught.value is err


def fail_with(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, failure: CellFailure) -> None:
    notebook: Any = nbformat.read(workspace.templates / "fails.ipynb", as_version=4)
    monkeypatch.setattr("toolkit.reports.engine.execute", lambda *_, **__: Execution(notebook, failure=failure))


def test_a_failure_that_cannot_be_kept_still_says_why_the_run_failed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, workspace, CellFailure(3, "ValueError", "the cause"))

    def refuse(*_: object) -> bool:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("toolkit.archive.versions.move_folder", refuse)
    with pytest.raises(RunError) as caught:
        run_report(RunRequest(workspace.root, "fails"))
    assert str(caught.value) == (
        "fails failed in code cell 3 of 4 (quotient = 1 / divisor): ValueError: the cause. "
        "The half-run notebook could not be kept: reports/ has no room left (No space left on device), "
        "and nothing in it was changed. Free some space, then run the command again"
    )
    with open_ledger(workspace.ledger) as ledger:
        (entry,) = ledger.entries()
    assert (entry.kind, entry.data["reason"], entry.data["kept"]) == ("report.failed", "ValueError: the cause", None)
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_an_archive_that_the_notebook_could_not_write_is_no_failure_of_the_notebook(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, workspace, CellFailure(3, "ArchiveError", "reports/ has no room left"))
    with pytest.raises(ArchiveError, match="^reports/ has no room left$"):
        run_report(RunRequest(workspace.root, "fails"))
    with open_ledger(workspace.ledger) as ledger:
        assert ledger.entries() == []
    assert [path.name for path in workspace.reports.iterdir()] == [".staging"]
