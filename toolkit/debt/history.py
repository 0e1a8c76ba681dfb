"""What happened to each file, under every name it had.

Commits come children first. A file is known by the name it bears at the newest commit; passing a rename, its older
name stands for it from there on. Memory grows with the number of files, not of commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.debt.repository import Commit, Touch


@dataclass(eq=False)
class FileHistory:
    """One file's counts. `changes` are the commits that touched it, merges apart; a binary file has no lines.

    `replaced`: the name that it had is another file's by now.
    """

    name: bytes
    changes: int = 0
    added: int = 0
    deleted: int = 0
    binary_changes: int = 0
    authors: set[int] = field(default_factory=set)
    replaced: bool = False
    became: FileHistory | None = None

    def count(self, touch: Touch, author: int) -> None:
        """Add what one commit did to it."""
        self.changes += 1
        self.authors.add(author)
        if touch.added is None or touch.deleted is None:
            self.binary_changes += 1
        else:
            self.added += touch.added
            self.deleted += touch.deleted

    def take_over(self, other: FileHistory) -> None:
        """Count what was counted for `other`, which turned out to be this file under an older name."""
        self.changes += other.changes
        self.added += other.added
        self.deleted += other.deleted
        self.binary_changes += other.binary_changes
        self.authors |= other.authors
        other.became = self


class Histories:
    """The histories of all files, filled commit by commit.

    Parameters
    ----------
    living: the names that are there at the newest commit.

    A name whose bearer came by a rename and that is found deleted before belonged to another file, which is gone. A
    name that is gone, that nobody was seen to create, and from which a rename leads away, was changed on a branch
    beside the rename: its changes are the renamed file's. A file that was deleted and made again is one file.
    """

    def __init__(self, living: Collection[bytes]) -> None:
        self.commits = 0
        self.merges = 0
        self._living = living
        self._files: list[FileHistory] = []
        self._bearers: dict[bytes, FileHistory] = {}
        self._created: set[bytes] = set()
        self._came_by_rename: set[bytes] = set()
        self._authors: dict[bytes, int] = {}

    @property
    def authors(self) -> int:
        """How many addresses the commits have; a merge's counts too."""
        return len(self._authors)

    def add(self, commit: Commit) -> None:
        """Count one commit."""
        author = self._authors.setdefault(commit.author, len(self._authors))
        if commit.merges:
            self.merges += 1
            return
        self.commits += 1
        bearers = [self._bearer(touch) for touch in commit.touches]
        for touch, file in zip(commit.touches, bearers, strict=True):
            file.count(touch, author)
            if touch.letter == "A":
                self._created.add(touch.name)
        renames = [(touch.old, touch.name, file) for touch, file in zip(commit.touches, bearers, strict=True)]
        self._pass_renames([(old, name, file) for old, name, file in renames if old is not None])

    def files(self) -> Iterator[FileHistory]:
        """Each file once, in no particular order."""
        return (file for file in self._files if file.became is None)

    def _bearer(self, touch: Touch) -> FileHistory:
        name = touch.name
        if touch.letter == "D" and name in self._came_by_rename:
            self._came_by_rename.discard(name)
            replaced = self._new(name)
            replaced.replaced = True
            return replaced
        return self._bearers.get(name) or self._new(name)

    def _new(self, name: bytes) -> FileHistory:
        file = FileHistory(name)
        self._files.append(file)
        self._bearers[name] = file
        return file

    def _pass_renames(self, renames: list[tuple[bytes, bytes, FileHistory]]) -> None:
        for old, name, file in renames:
            before = self._bearers.get(old)
            if before is not None and before is not file and self._was_beside(old, before):
                file.take_over(before)
            self._bearers[old] = file
            self._came_by_rename.discard(old)
            self._created.discard(old)
            self._came_by_rename.add(name)

    def _was_beside(self, old: bytes, before: FileHistory) -> bool:
        """Whether what was counted under a name that a rename leads away from is the renamed file, on a branch."""
        seen_to_begin = old in self._created or old in self._came_by_rename
        return before.name == old and old not in self._living and not seen_to_begin
