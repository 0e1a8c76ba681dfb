"""The errors of the toolkit: one tree, and every leaf is also a builtin.

A caller catches what it means (`Refused`, `UsageError`) or the builtin it would expect (`ValueError`). Each class
carries the exit code of the command line: 1 a run failed, 2 wrong usage or an invalid definition (nothing was run),
3 the one thing asked for was refused, 4 verification failed.

>>> issubclass(ParameterError, ValueError), ParameterError.exit_code
(True, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


class ToolkitError(Exception):
    """Anything the toolkit raises on purpose; its text is written for the person who reads it."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would print the repr of its argument: quotes and escaped newlines.
        return str(self.args[0]) if self.args else type(self).__name__

    @property
    def announcement(self) -> str:
        """The text as it is announced, the same in the terminal and in a form."""
        return f"error: {self}"


class UsageError(ToolkitError):
    """What was asked for cannot be: nothing was run."""

    exit_code = 2


class ArgumentError(UsageError, ValueError):
    """A function was given a value outside what it allows."""


class ParameterError(UsageError, ValueError):
    """A template was given an unknown, missing or ill-typed parameter."""


class UnknownNameError(UsageError, KeyError):
    """A name (template, metric, experiment, report, ...) that is not there."""


class DefinitionError(UsageError, ValueError):
    """A definition file is not what it should be.

    Attributes
    ----------
    path: the file.
    """

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path

    @classmethod
    def joined(cls, errors: Sequence[DefinitionError]) -> DefinitionError:
        """The problems of several files as one error; its path is the first one's."""
        return DefinitionError("\n".join(map(str, errors)), path=errors[0].path)


class WorkspaceVersionError(DefinitionError):
    """The workspace is of another version than this toolkit reads.

    Attributes
    ----------
    fix: what to do.
    """

    def __init__(self, message: str, *, path: Path | None = None, fix: str = "toolkit upgrade") -> None:
        super().__init__(message, path=path)
        self.fix = fix


class TemplateError(UsageError, ValueError):
    """A template notebook breaks a rule that the runner relies on."""


class WorkspaceError(UsageError, FileNotFoundError):
    """There is no workspace here, or it lacks a part."""


class WorkspaceExistsError(UsageError, FileExistsError):
    """A workspace would be laid over files that are already there."""


class MissingExtraError(UsageError, ImportError):
    """An optional part of the toolkit is not installed."""


class Refused(ToolkitError):
    """The toolkit declines to make a report, for a reason worth recording. Not a failure."""

    exit_code = 3

    @property
    def announcement(self) -> str:
        """`refused`, which reason, and the text."""
        return f"refused ({type(self).__name__}): {self}"


class NotReady(Refused, RuntimeError):
    """The data are not complete yet.

    Attributes
    ----------
    ready_on: the instant (UTC) from which asking again makes sense, if it is known.
    """

    def __init__(self, message: str, *, ready_on: datetime | None = None) -> None:
        super().__init__(message)
        self.ready_on = ready_on


class Blocked(Refused, RuntimeError):
    """A rule forbids it."""


class Skipped(Refused, RuntimeError):
    """There is nothing to report on."""


class ContractError(Refused, ValueError):
    """A table breaks its data contract; the text names table, column, rule and row counts."""


class RunError(ToolkitError, RuntimeError):
    """A report's notebook failed; the text names the cell and the cause.

    Attributes
    ----------
    transient: whether another try may do better, as the kernel never came to run a cell.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class RunStopped(RunError):
    """A run was ended before it was finished, because somebody asked for it: nothing was published or recorded."""


class ArchiveError(ToolkitError, OSError):
    """The report archive could not be read or written."""


class LedgerError(ToolkitError, OSError):
    """The ledger could not be read or written."""


class VerificationError(ToolkitError, ValueError):
    """A published report or the ledger is not what was recorded."""

    exit_code = 4
