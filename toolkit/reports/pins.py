"""What a manifest pins of a report's inputs, and bringing it back: from the files as they are, else from git.

A pinned file that has changed since is laid into a workspace of its own, beside links to everything that is read from
the real one. Nothing in the real one is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from toolkit.digests import digest_bytes
from toolkit.reports.templates import shipped_folder
from toolkit.workspace import SETTINGS_FILE, Workspace, git_environment

_MOST_COMMITS = 2000
_MOST_BLOBS = 500
_DEFINITIONS = ("*.yml", "*/*.yml")


class PinError(Exception):
    """What a manifest pins cannot be had; each of `reasons` says what, and why."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True)
class Pins:
    """What a manifest pins.

    Attributes
    ----------
    parameters: every value, the resolved instant included.
    definitions: workspace path to digest.
    sequence, hash: the ledger's last entry that the report read.
    commit, toolkit_commit: of the workspace and of the toolkit's source checkout, where they were known.
    """

    template: str
    origin: str
    template_digest: str
    parameters: Mapping[str, Any]
    definitions: Mapping[str, str]
    sequence: int
    hash: str
    commit: str | None
    toolkit_commit: str | None


def read_pins(manifest: Mapping[str, Any]) -> Pins:
    """What a manifest pins. Raises `PinError` when it does not say something, as an older one may not."""
    try:
        return Pins(
            template=manifest["template"]["name"],
            origin=manifest["template"]["origin"],
            template_digest=manifest["template"]["digest"],
            parameters=manifest["parameters"],
            definitions={each["path"]: each["digest"] for each in manifest["definitions"]},
            sequence=manifest["ledger"]["sequence"],
            hash=manifest["ledger"]["hash"],
            commit=manifest["workspace"]["commit"],
            toolkit_commit=manifest["toolkit"]["commit"],
        )
    except (KeyError, TypeError) as err:
        schema = manifest.get("schema_version")
        raise PinError(f"its manifest, of schema {schema}, does not pin all that a run needs: {err}") from None


def find_pinned_template(workspace: Workspace, pins: Pins) -> tuple[bytes, str]:
    """The notebook that ran, and where it was found; "" for the file as it is today.

    Raises `PinError`.
    """
    name, shipped = f"{pins.template}.ipynb", shipped_folder()
    own = (workspace.root, f"{workspace.templates.name}/{name}", pins.commit)
    theirs = (shipped.parent, f"{shipped.name}/{name}", pins.toolkit_commit)
    places = (own, theirs) if pins.origin == "workspace" else (theirs, own)
    for folder, path, _ in places:
        if (data := read_pinned(folder / path, pins.template_digest)) is not None:
            return data, ""
    for folder, path, commit in places:
        if found := find_in_history(folder, path, pins.template_digest, commit):
            return found
    raise PinError(
        f"the template {pins.template} has changed, and the notebook that ran ({_short(pins.template_digest)}) is "
        f"neither here nor in the git history of {workspace.templates.name}/{name}"
    )


def find_pinned_definitions(workspace: Workspace, pins: Pins) -> dict[str, tuple[bytes, str]]:
    """The pinned definitions that are no longer what they were: path to content, and where it was found.

    Raises `PinError` with one reason for each that cannot be had.
    """
    found, missing = {}, []
    for path, digest in pins.definitions.items():
        if read_pinned(workspace.root / path, digest) is not None:
            continue
        if restored := find_in_history(workspace.root, path, digest, pins.commit):
            found[path] = restored
        else:
            state = "has changed" if (workspace.root / path).is_file() else "is gone"
            missing.append(
                f"the definition {path} {state}, and the version that was used ({_short(digest)}) is not in the "
                "workspace's git history"
            )
    if missing:
        raise PinError(*missing)
    return found


def find_later_definitions(workspace: Workspace, pins: Pins) -> set[str]:
    """Definition files of today that were not there: neither used, nor in the workspace's commit, if that is known."""
    if pins.commit is None:
        return set()
    listed = _git(workspace.root, "ls-tree", "-r", "-z", "--name-only", pins.commit)
    if listed is None:
        return set()
    known = {os.fsdecode(name) for name in listed.split(b"\0")} | set(pins.definitions)
    paths = (path for pattern in _DEFINITIONS for path in workspace.root.glob(pattern))
    return {path.relative_to(workspace.root).as_posix() for path in paths} - known


def read_pinned(path: Path, digest: str) -> bytes | None:
    """A file's content if it has the digest."""
    data = path.read_bytes() if path.is_file() else None
    return data if data is not None and digest_bytes(data) == digest else None


def find_in_history(folder: Path, path: str, digest: str, commit: str | None) -> tuple[bytes, str] | None:
    """A file's content with the digest from the git history around `folder`, and where it was found.

    The commit that the manifest names is asked first, then what any branch has had at the path, newest first: at most
    500 contents of 2,000 commits.
    """
    if commit is not None:
        data = _git(folder, "cat-file", "blob", f"{commit}:./{path}")
        if data is not None and digest_bytes(data) == digest:
            return data, f"git commit {commit[:12]}"
    for blob in _blobs(folder, path):
        data = _git(folder, "cat-file", "blob", blob)
        if data is not None and digest_bytes(data) == digest:
            return data, f"git blob {blob[:12]}"
    return None


def _blobs(folder: Path, path: str) -> list[str]:
    """Every content that git remembers at a path, newest first."""
    options = ("--all", "--full-history", "--raw", "--no-abbrev", "--no-renames", "-m", "--format=")
    log = _git(folder, "log", *options, f"--max-count={_MOST_COMMITS}", "--", path) or b""
    found: dict[str, None] = {}
    for line in log.decode(errors="replace").splitlines():
        if line.startswith(":"):  # :modes, then the blob before and after
            old, new = line.split()[2:4]
            found |= {blob: None for blob in (new, old) if set(blob) != {"0"}}
    return list(found)[:_MOST_BLOBS]


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says about the repository around a folder; None when there is no git or it fails."""
    if shutil.which("git") is None or not folder.is_dir():
        return None
    command = ["git", "--no-replace-objects", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env=git_environment())
    return done.stdout if done.returncode == 0 else None


def _short(digest: str) -> str:
    return f"{digest[:19]}…"


def lay_workspace(workspace: Workspace, folder: Path, files: Mapping[str, bytes], without: set[str]) -> Path:
    """A workspace in `folder` that reads as the real one but for `files`, and lacks those in `without`.

    Everything else is linked. What the settings name outside of the workspace (`../data`, `..`) is found too: the
    folders above are mirrored by links as far up as the settings reach.
    """
    settings = files[SETTINGS_FILE] if SETTINGS_FILE in files else (workspace.root / SETTINGS_FILE).read_bytes()
    line = [*reversed(workspace.root.parents[: _reach(settings)]), workspace.root]
    target = folder / "around"
    for real, child in pairwise(line):
        _link_entries(real, target, but={child.name})
        target /= child.name
    _lay(workspace.root, target, files, without)
    return target


def _reach(settings: bytes) -> int:
    """How many folders above the workspace its settings name."""
    document = tomllib.loads(settings.decode())
    named = [*document.get("tables", {}).values(), document.get("repository", {})]
    paths = [str(each.get("path", "")) for each in named if isinstance(each, dict)]
    relative = [os.path.normpath(path) for path in paths if path and not Path(path).is_absolute()]
    return max((Path(path).parts.count(os.pardir) for path in relative), default=0)


def _lay(real: Path, target: Path, files: Mapping[str, bytes], without: set[str]) -> None:
    """Link what is in a folder, write `files`, leave out `without`; a folder that holds either is made anew."""
    own = {path.partition("/")[0] for path in (*files, *without)}
    _link_entries(real, target, but=own)
    for name in sorted(own):
        below_files, below_without = _below(files, name), set(_paths_below(without, name))
        if name in files:
            (target / name).write_bytes(files[name])
        elif below_files or below_without:
            _lay(real / name, target / name, below_files, below_without)


def _below(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    return {path: files[f"{name}/{path}"] for path in _paths_below(files, name)}


def _paths_below(paths: Iterable[str], name: str) -> Iterator[str]:
    return (path.removeprefix(f"{name}/") for path in paths if path.startswith(f"{name}/"))


def _link_entries(real: Path, target: Path, *, but: set[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(real.iterdir()) if real.is_dir() else ():
        if entry.name not in but:
            (target / entry.name).symlink_to(entry)
