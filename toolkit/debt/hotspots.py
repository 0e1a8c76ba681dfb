"""Hotspots: files that change often and are hard to change, from a repository's own history.

Changes × complexity is the order in which hard code is met by work. It says where debt bites, not how large it is: no
code metric predicted what engineers call debt (Jaspan and Green, IEEE Software 2023). So it stands beside the register
as evidence and is never turned into days. Source: Tornhill, Your Code as a Crime Scene, 2015.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from toolkit.checks import check_at_least
from toolkit.debt import complexity
from toolkit.debt.history import FileHistory, Histories
from toolkit.debt.items import DebtItem
from toolkit.debt.repository import SUBMODULE, SYMBOLIC_LINK, Entry, HistoryError, Repository, open_repository
from toolkit.display import PALETTE, Picture, format_count, picture, table_html
from toolkit.records import ResultRow, Shown, number_row
from toolkit.windows import format_instant
from toolkit.workspace import JOURNAL, Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN, _ROWS = 12, 100
"""Lines of the table and bars of the figure; files in the rows. Totals are over all."""


@dataclass(frozen=True)
class FileChanges:
    """A file as it is called at the newest commit, or as it was last called when it is gone.

    `complexity` is None with a `reason`; `items` are the keys of the open debt items whose paths name the file.
    """

    path: str
    changes: int
    authors: int
    added: int
    deleted: int
    binary_changes: int
    present: bool
    complexity: int | None
    reason: str
    items: tuple[str, ...] = ()

    @property
    def score(self) -> int | None:
        """Changes × complexity."""
        return None if self.complexity is None else self.changes * self.complexity


@dataclass(frozen=True, repr=False)
class Hotspots(Shown):
    """What changed in a repository up to a commit, highest score first, then most changed.

    With a `reason` the history could not be read, and everything else is empty. `commits` are without `merges`, which
    touch nothing of their own; `authors` counts addresses and names nobody.
    """

    nothing_to_draw: ClassVar[str] = "there is no history, or no changed file has a complexity above 0"

    repository: str
    reason: str = ""
    commit: str = ""
    committed_at: datetime | None = None
    since: datetime | None = None
    commits: int = 0
    merges: int = 0
    authors: int = 0
    files: tuple[FileChanges, ...] = ()
    counter: str = ""

    @property
    def ranked(self) -> tuple[FileChanges, ...]:
        """The files that have a score."""
        return tuple(file for file in self.files if file.score is not None)

    @property
    def changes(self) -> int:
        """Files touched, summed over the commits."""
        return sum(file.changes for file in self.files)

    @property
    def added(self) -> int:
        """Lines added, binary files apart."""
        return sum(file.added for file in self.files)

    @property
    def deleted(self) -> int:
        """Lines deleted, binary files apart."""
        return sum(file.deleted for file in self.files)

    @property
    def window(self) -> str:
        """The days looked at, both instants included; "" for the whole history."""
        if self.since is None or self.committed_at is None:
            return ""
        return f"{format_instant(self.since)} … {format_instant(self.committed_at)}"

    @property
    @override
    def text(self) -> str:
        if self.reason:
            return f"Absent: {self.reason}."
        assert self.committed_at is not None
        days = "In all its history up to"
        if self.since is not None:
            days = f"In the {(self.committed_at - self.since).days} days before"
        gone = sum(not file.present for file in self.files)
        unread = sum(file.present and file.complexity is None for file in self.files)
        top = "; ".join(f"{file.path} ({file.changes} × {file.complexity})" for file in self.ranked[:3])
        return (
            f"{days} the commit {self.commit[:12]} of {format_instant(self.committed_at)}, the newest looked at, the "
            f"repository {self.repository!r} has {format_count(self.commits, 'commit')} and "
            f"{format_count(self.merges, 'merge')} by {format_count(self.authors, 'author')}: "
            f"{format_count(self.changes, 'change')} of {format_count(len(self.files), 'file')}, "
            f"{format_count(self.added, 'line')} added and {self.deleted:,} deleted. "
            f"These days are the repository's own, not those of the data. {gone:,} of the files are gone; of "
            f"{unread:,} that are there no complexity is counted. Complexity: cyclomatic, summed over a file's "
            f"functions, by {self.counter}. "
            + (f"Most changes × complexity: {top}." if top else "No changed file has a complexity.")
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        if self.reason:
            return [ResultRow(self.repository, "hotspots", None, status="absent", reason=self.reason)]
        window, totals = self.window, self.repository
        rows = [
            ResultRow(totals, "commit", self.commit),
            *(
                ResultRow(totals, statistic, value, window=window)
                for statistic, value in (
                    ("commits", self.commits),
                    ("merges", self.merges),
                    ("authors", self.authors),
                    ("changes", self.changes),
                    ("binary_changes", sum(file.binary_changes for file in self.files)),
                    ("added_lines", self.added),
                    ("deleted_lines", self.deleted),
                    ("changed_files", len(self.files)),
                    ("gone_files", sum(not file.present for file in self.files)),
                    ("unread_files", sum(file.present and file.complexity is None for file in self.files)),
                )
            ),
        ]
        for file in [each for each in self.files if each.present][:_ROWS]:
            for statistic, value in (
                ("changes", file.changes),
                ("authors", file.authors),
                ("added_lines", file.added),
                ("deleted_lines", file.deleted),
            ):
                rows.append(ResultRow(file.path, statistic, value, window=window))
            for statistic, number, method in (
                ("complexity", file.complexity, self.counter),
                ("score", file.score, "changes x complexity"),
            ):
                rows.append(
                    number_row(number, file.reason, key=file.path, statistic=statistic, window=window, method=method)
                )
            rows += [ResultRow(file.path, "debt_item", key) for key in file.items]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "file": file.path,
                "changes": file.changes,
                "complexity": file.complexity,
                "changes_x_complexity": file.score,
                "authors": file.authors,
                "lines_added": file.added,
                "lines_deleted": file.deleted,
                "debt_items": ", ".join(file.items) or "none",
            }
            for file in self.ranked[:_SHOWN]
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [file for file in self.ranked[:_SHOWN] if file.score]
        if not drawn:
            return ()
        named = "; ".join(f"{file.path} {file.changes} × {file.complexity}" for file in drawn)
        return (
            picture(
                lambda figure: _draw(figure, drawn),
                name="files",
                alt=f"Changes × complexity, the highest: {named}",
                height_inches=1.1 + 0.27 * len(drawn),
            ),
        )

    @override
    def _repr_html_(self) -> str:
        if self.reason:
            return table_html([{"repository": self.repository, "hotspots": f"absent: {self.reason}"}], name="hotspots")
        return super()._repr_html_()


def hotspots(workspace: Workspace, *, window_days: int, items: Mapping[str, DebtItem] | None = None) -> Hotspots:
    """The hotspots of the repository that `toolkit.toml` names, in the `window_days` days before its head commit.

    The days are counted back from the commit, not from a clock and not from the data, so the same commit gives the
    same result. Files that an open item of `items` names by its paths carry its key.

    Without a repository, without git, or without its whole history the result is a stated absence, no error.
    """
    check_at_least("window_days", window_days, 1)
    settings = workspace.settings.repository
    if settings is None:
        return Hotspots("repository", reason='toolkit.toml names no repository; add [repository] with path = "…"')
    mined = mine(workspace.root / settings.path, window_days=window_days, shown=settings.path)
    open_items = [item for item in (items or {}).values() if item.status == "open"]
    return replace(mined, files=tuple(_with_items(file, open_items) for file in mined.files))


def mine(
    repository: Path, *, window_days: int | None = None, until: str = "HEAD", shown: str | None = None
) -> Hotspots:
    """Changes × complexity per file of a git repository, in one pass over its history; see `Hotspots`.

    Parameters
    ----------
    repository: the top folder of a work tree, or a bare repository.
    window_days: only commits of so many days before the newest (by the committer's date); None: all.
    until: the newest commit looked at, by any name that git knows; complexity is that of its files.
    shown: what the repository is called in the result and in the journal, instead of its path.

    A file is known by its last name and has the changes of all its names (see `toolkit.debt.history`); git finds
    renames at 50 % similarity. The commit alone decides: work tree, attributes and git's configuration do not.
    """
    name = shown if shown is not None else repository.name
    try:
        found = open_repository(repository, until=until, shown=name)
        return _mine(found, name, window_days)
    except HistoryError as err:
        return Hotspots(name, reason=str(err))


def _mine(repository: Repository, shown: str, window_days: int | None) -> Hotspots:
    since = None if window_days is None else repository.committed_at - timedelta(days=window_days)
    tree = repository.tree()
    histories = Histories(tree)
    for commit in repository.log(since):
        histories.add(commit)
    files = sorted(histories.files(), key=lambda file: file.name)
    counted = _count_complexities(repository, [file for file in files if file.name in tree and not file.replaced], tree)
    changed = [_describe(file, None if file.replaced else counted.get(file.name)) for file in files]
    changed.sort(key=lambda file: (-(file.score if file.score is not None else -1), -file.changes, file.path))
    JOURNAL.note_repository(shown, repository.commit)
    return Hotspots(
        repository=shown,
        commit=repository.commit,
        committed_at=repository.committed_at,
        since=since,
        commits=histories.commits,
        merges=histories.merges,
        authors=histories.authors,
        files=tuple(changed),
        counter=complexity.counter(),
    )


def _count_complexities(
    repository: Repository, files: Sequence[FileHistory], tree: Mapping[bytes, Entry]
) -> dict[bytes, complexity.Complexity]:
    reasons = {file.name: _reason_not_to_read(file.name, tree[file.name]) for file in files}
    counted = {name: complexity.Complexity(None, reason) for name, reason in reasons.items() if reason}
    readable = [name for name, reason in reasons.items() if not reason]
    contents = repository.contents(tree[name].blob for name in readable)
    return counted | {
        name: complexity.count_complexity(_text(name), content)
        for name, content in zip(readable, contents, strict=True)
    }


def _reason_not_to_read(name: bytes, entry: Entry) -> str:
    if entry.mode == SUBMODULE:
        return "a submodule"
    return "a symbolic link" if entry.mode == SYMBOLIC_LINK else complexity.reason_not_to_read(_text(name), entry.size)


def _describe(file: FileHistory, counted: complexity.Complexity | None) -> FileChanges:
    return FileChanges(
        path=_text(file.name),
        changes=file.changes,
        authors=len(file.authors),
        added=file.added,
        deleted=file.deleted,
        binary_changes=file.binary_changes,
        present=counted is not None,
        complexity=counted.value if counted else None,
        reason=counted.reason if counted else "the file is gone",
    )


def _text(name: bytes) -> str:
    r"""A name for people: git's names are bytes, and one that is not UTF-8 shows its bytes as `\xff`."""
    return name.decode(errors="backslashreplace")


def _with_items(file: FileChanges, items: Sequence[DebtItem]) -> FileChanges:
    named = tuple(item.key for item in items if any(_matches(pattern, file.path) for pattern in item.paths))
    return replace(file, items=named)


def _matches(pattern: str, path: str) -> bool:
    """Whether a glob names a path: `*` and `?` stay in a folder, `**` crosses folders; a folder names all in it."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.rstrip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(wild.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(f"{expression}(?:/.*)?", path, re.DOTALL) is not None


def _draw(figure: Figure, files: Sequence[FileChanges]) -> None:
    axes: Any = figure.add_subplot()
    shown = files[::-1]
    bars = axes.barh(range(len(shown)), [file.score for file in shown], color=PALETTE[0])
    axes.bar_label(bars, [f"{file.changes} × {file.complexity}" for file in shown], padding=4)
    axes.set_yticks(range(len(shown)), [_short(file.path) for file in shown])
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("changes × complexity")
    axes.set_title("Where code changes most and is hardest to change")


def _short(path: str) -> str:
    shown = "/".join(path.split("/")[-2:])
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown)
