"""A git repository through the git executable: its history as one stream, its files as they were at a commit.

Nothing but the commit decides what comes out: not the work tree, not its attributes, not the user's configuration.
Names are bytes, as git keeps them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, NamedTuple

from toolkit.workspace import git_environment

SYMBOLIC_LINK, SUBMODULE = b"120000", b"160000"

_CHUNK = 1 << 16
_SETTINGS = (
    *("-c", "core.bare=true"),  # a bare repository has no work tree whose attributes could be read
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "core.bigFileThreshold=512m"),
    *("-c", "log.showRoot=true"),
    *("-c", "mailmap.file="),
)
_LOG = (
    *("log", "-z", "--topo-order", "--raw", "--numstat", "--find-renames", "-l1000", "--diff-algorithm=myers"),
    *("--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--no-show-signature", "--encoding=UTF-8"),
    "--format=format:%x01%ct%x01%P%x01%aE",
)


class HistoryError(Exception):
    """The history cannot be read; the text says why, and what would help."""


class Touch(NamedTuple):
    """One file in one commit: git's letter for what happened, its name after and before, lines added and deleted.

    `old` is set for a rename only; the lines are None for a binary file.
    """

    letter: str
    name: bytes
    old: bytes | None
    added: int | None
    deleted: int | None


class Commit(NamedTuple):
    """One commit: whether it merges, its author's address by the repository's mailmap, and what it touched."""

    merges: bool
    author: bytes
    touches: list[Touch]


class Entry(NamedTuple):
    """One file of a commit's tree: its mode, blob and size in bytes."""

    mode: bytes
    blob: bytes
    size: int


@dataclass(frozen=True)
class Repository:
    """A repository at one commit."""

    git_dir: Path
    commit: str
    committed_at: datetime

    def log(self, since: datetime | None) -> Iterator[Commit]:
        """Every ancestor committed at or after `since`, children before parents; merges touch nothing of their own.

        One pass over one stream: what is held at a time is one commit. Raises `HistoryError`.
        """
        ages = [] if since is None else [f"--max-age={int(since.timestamp())}"]
        with _reading(self._command(*_LOG, *ages, self.commit, "--")) as (_, stream):
            yield from read_log(split(stream))

    def tree(self) -> dict[bytes, Entry]:
        """Every file at the commit by name. Raises `HistoryError`."""
        entries = {}
        with _reading(self._command("ls-tree", "-r", "-z", "--long", "--full-tree", self.commit)) as (_, stream):
            for line in split(stream):
                facts, _, name = line.partition(b"\t")
                mode, _, blob, size = facts.split()
                entries[name] = Entry(mode, blob, int(size) if size.isdigit() else 0)
        return entries

    def contents(self, blobs: Iterator[bytes]) -> Iterator[bytes]:
        """The contents of blobs, one at a time, in their order. Raises `HistoryError`."""
        with _reading(self._command("cat-file", "--batch")) as (requests, stream):
            for blob in blobs:
                requests.write(blob + b"\n")
                requests.flush()
                head = stream.readline().split()
                if len(head) != 3:
                    raise HistoryError(f"the repository lacks the blob {blob.decode()}; 'git fsck' says what is broken")
                yield stream.read(int(head[2]))
                stream.read(1)
            requests.close()

    def _command(self, *arguments: str) -> list[str]:
        mailmap = ("-c", f"mailmap.blob={self.commit}:.mailmap")
        return ["git", "--no-replace-objects", f"--git-dir={self.git_dir}", *_SETTINGS, *mailmap, *arguments]


def open_repository(path: Path, *, until: str, shown: str) -> Repository:
    """The repository whose top folder is `path`, at the commit that `until` names.

    Raises `HistoryError` when there is no git, no repository, no commit, or not its whole history.
    """
    if shutil.which("git") is None:
        raise HistoryError("git is not installed; install it, and the history can be read")
    if not path.is_dir():
        raise HistoryError(f"there is no folder {shown!r}")
    found = _git(path, "rev-parse", "--absolute-git-dir", "--is-shallow-repository", "--show-cdup")
    if found.returncode:
        said = found.stderr.strip().removeprefix("fatal: ").partition("\n")[0]
        none = "not a git repository" in said
        raise HistoryError(f"{shown!r} is not a git repository" if none else f"git cannot read {shown!r}: {said}")
    git_dir, shallow, up = (*found.stdout.splitlines(), "")[:3]
    if up:
        raise HistoryError(f"{shown!r} lies inside a git repository; name its top folder, {up!r} from there")
    if shallow == "true":
        raise HistoryError(
            f"{shown!r} is a shallow clone, so older commits are missing; 'git fetch --unshallow' there brings them"
        )
    if _git(path, "config", "--get-regexp", r"^remote\..*\.partialclonefilter$").returncode == 0:
        raise HistoryError(
            f"{shown!r} is a partial clone, so the contents of older files are missing; clone it without --filter"
        )
    head = _git(path, "log", "--max-count=1", "--no-show-signature", "--format=%H %ct", "--end-of-options", until, "--")
    if head.returncode:
        unborn = until == "HEAD"
        raise HistoryError(f"{shown!r} has no commit yet" if unborn else f"{shown!r} has no commit {until!r}")
    commit, instant = head.stdout.split()
    return Repository(Path(git_dir), commit, datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(instant)))


def split(stream: IO[bytes]) -> Iterator[bytes]:
    """The parts of a stream that NUL ends, read piece by piece."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *parts, rest = (rest + chunk).split(b"\0")
        yield from parts
    if rest:
        yield rest


def read_log(parts: Iterator[bytes]) -> Iterator[Commit]:
    r"""Commits out of the parts of `git log -z --raw --numstat` in our format; names may hold anything but NUL.

    A part is a commit's head (`\1 …`, with its first raw record behind a line break), a raw record (`:modes blobs
    letter`, then one name or two), or lines (`added TAB deleted TAB name`; a rename's two names follow instead).
    """
    commit: Commit | None = None
    raw: list[tuple[str, bytes, bytes | None]] = []
    lines: dict[bytes, tuple[int | None, int | None]] = {}
    for part in parts:
        record = part
        if part.startswith(b"\1"):
            if commit is not None:
                yield _whole(commit, raw, lines)
            head, _, record = part.partition(b"\n")
            _, _, parents, author = head.split(b"\1", 3)
            commit, raw, lines = Commit(len(parents.split()) > 1, author.lower(), []), [], {}
        if record.startswith(b":"):
            letter = record.rpartition(b" ")[2][:1].decode()
            old = next(parts) if letter in "RC" else None
            raw.append((letter, next(parts), old))
        elif record:
            added, deleted, name = record.split(b"\t", 2)
            if not name:
                next(parts)
                name = next(parts)
            lines[name] = (None, None) if added == b"-" else (int(added), int(deleted))
    if commit is not None:
        yield _whole(commit, raw, lines)


def _whole(
    commit: Commit,
    raw: list[tuple[str, bytes, bytes | None]],
    lines: dict[bytes, tuple[int | None, int | None]],
) -> Commit:
    for letter, name, old in raw:
        if name not in lines:
            shown = name.decode(errors="backslashreplace")
            raise HistoryError(f"git's log breaks off at {shown!r}; 'git fsck' says what is broken")
        commit.touches.append(Touch(letter, name, old, *lines[name]))
    return commit


@contextmanager
def _reading(command: list[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A running git: what it reads and what it writes. It is ended when the caller has read enough."""
    with tempfile.TemporaryFile() as said:
        git = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=git_environment()
        )
        assert git.stdin is not None
        assert git.stdout is not None
        try:
            yield git.stdin, git.stdout
            git.stdin.close()
            git.stdout.read()
        except BaseException:
            git.kill()
            raise
        finally:
            git.stdout.close()
            git.wait()
            if not git.stdin.closed:
                git.stdin.close()
        if git.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace").strip().partition("\n")[0]
            raise HistoryError(f"git failed: {text or f'exit code {git.returncode}'}")


def _git(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=git_environment())
