"""What is kept of a run that published nothing: a failure's half-run notebook, a report that the gate held back."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

from toolkit.archive import versions
from toolkit.reports.run import Run

_OWNER_ONLY_FOLDER, _OWNER_ONLY_FILE = 0o700, 0o600


def keep(run: Run, staged: Path, shelf: str, *, private: bool) -> str:
    """Move a staged folder onto a shelf of the archive, under the moment at which the run began.

    Parameters
    ----------
    shelf: `versions.FAILED` or `versions.QUARANTINE`.
    private: whether only the user who ran it may read it.

    Returns where it lies, as seen from the workspace.
    """
    parent = run.workspace.reports / shelf / run.series.template / run.series.subject
    parent.mkdir(parents=True, exist_ok=True)
    if private:
        for path in staged.rglob("*"):
            path.chmod(_OWNER_ONLY_FOLDER if path.is_dir() else _OWNER_ONLY_FILE)
        staged.chmod(_OWNER_ONLY_FOLDER)
    first = versions.stamp(run.started_at)
    names = chain([first], (f"{first}-{number}" for number in count(2)))
    folder = parent / next(name for name in names if versions.move_folder(staged, parent / name))
    return folder.relative_to(run.workspace.root).as_posix()
