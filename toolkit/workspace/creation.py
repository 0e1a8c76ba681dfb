"""Making a workspace: built whole beside its place, then moved there, so that nothing half-written is ever found."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import WorkspaceError, WorkspaceExistsError
from toolkit.workspace.folder import SETTINGS_FILE

SKELETON = Path(__file__).parent / "skeleton"
"""The files of an empty workspace, commented; `gitignore` gets its dot when it is laid."""

_EMPTY_FOLDERS = ("data", "notebooks", "templates")
_SHOWN = 5


def create_workspace(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Make a workspace at `folder`, which must be new or empty, and return its full path.

    Parameters
    ----------
    fill: lays the files into an empty folder; when it fails or is interrupted, nothing remains.

    Raises `WorkspaceExistsError` when something is there already, `WorkspaceError` when the place cannot be written.
    """
    root = folder.resolve()
    check_free(folder)
    staging = root.parent / f".{root.name}.{os.getpid()}.making"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except OSError as err:
        raise WorkspaceError(f"{folder} cannot be made: {err.strerror} ({err.filename})") from err
    try:
        fill(staging)
        check_free(folder)
        if root.exists():  # empty, and perhaps the folder that the caller stands in: move into it, settings last
            for path in sorted(staging.iterdir(), key=lambda path: path.name == SETTINGS_FILE):
                path.rename(root / path.name)
        else:
            staging.rename(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return root


def check_free(folder: Path) -> None:
    """Raise `WorkspaceExistsError` unless `folder` is new or empty."""
    root = folder.resolve()
    if not root.exists():
        return
    if not root.is_dir():
        raise WorkspaceExistsError(f"{folder} is a file; choose the name of a new folder, or of an empty one")
    held = sorted(path.name for path in root.iterdir())
    if held:
        more = f", … ({len(held)} in all)" if len(held) > _SHOWN else ""
        what = "is a workspace already" if SETTINGS_FILE in held else "is not empty"
        raise WorkspaceExistsError(
            f"{folder} {what}: it holds {', '.join(held[:_SHOWN])}{more}. Choose a new folder, or an empty one"
        )


def lay_skeleton(folder: Path) -> None:
    """Lay an empty workspace into `folder`: settings, starting metrics, and examples to copy for the rest."""
    shutil.copytree(SKELETON, folder, dirs_exist_ok=True)
    (folder / "gitignore").rename(folder / ".gitignore")  # under its real name it would apply inside the package
    for name in _EMPTY_FOLDERS:
        (folder / name).mkdir()


def start_repository(root: Path) -> str:
    """Make the workspace a git repository, unless it lies in one or git is missing; returns what was done."""
    if shutil.which("git") is None:
        return "git is missing, so the workspace is no repository and reports name no commit of its definitions"
    inside = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--show-toplevel"],
        check=False,
        capture_output=True,
        text=True,
    )
    if inside.returncode == 0:
        return f"the workspace lies in the git repository {inside.stdout.strip()}, so it was given none of its own"
    made = subprocess.run(["git", "init", "--quiet", str(root)], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        return f"git could not make a repository: {made.stderr.strip()}"
    return "made a git repository; commit the definitions, so that reports can name the commit they used"
