"""What this process really opened: definition files and tables with their digests, repositories with their commit.

A report is executed in a process of its own, so the journal of that process is the provenance of that report. It is
the one piece of state that is shared across rooms; `reports.save` writes it out, nothing else reads it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Read:
    """One table as it was read: which columns, from when to when, how many rows, and their fingerprint.

    `nan_as_missing`: each column whose NaN were read as missing values, and how many.
    """

    table: str
    columns: tuple[str, ...]
    start: str | None
    end: str | None
    as_of: str | None
    rows: int
    fingerprint: str
    method: str
    nan_as_missing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, order=True)
class Quarantine:
    """Rows of a table that were left out because they break its contract: how many of how many, and a few keys."""

    table: str
    rule: str
    rows: int
    of_rows: int
    examples: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """It in one line.

        >>> Quarantine("predictions", "score must be finite", 1, 3000, ("r7 × delay × 1",)).text
        'predictions.score must be finite: 1 of 3,000 rows break this, such as r7 × delay × 1'
        """
        such = f", such as {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.table}.{self.rule}: {self.rows:,} of {self.of_rows:,} rows break this{such}"


@dataclass
class Journal:
    """What was opened so far; each once, whatever the order.

    Definitions are workspace path to digest, repositories the path by which the workspace names them to commit.
    """

    definitions: dict[str, str] = field(default_factory=dict)
    reads: set[Read] = field(default_factory=set)
    quarantines: set[Quarantine] = field(default_factory=set)
    repositories: dict[str, str] = field(default_factory=dict)

    def note_definition(self, path: str, digest: str) -> None:
        """Remember that a definition file was used, and its digest."""
        self.definitions[path] = digest

    def note_read(self, read: Read) -> None:
        """Remember that a part of a table was read."""
        self.reads.add(read)

    def note_quarantine(self, quarantine: Quarantine) -> None:
        """Remember that rows were left out."""
        self.quarantines.add(quarantine)

    def note_repository(self, path: str, commit: str) -> None:
        """Remember that a repository's history was mined up to a commit; `path` is as the workspace names it."""
        self.repositories[path] = commit

    def to_dict(self) -> dict[str, Any]:
        """Every list in a stable order, as JSON types."""
        ordered = sorted(self.reads, key=lambda read: tuple(str(part) for part in asdict(read).values()))
        return {
            "definitions": [{"path": path, "digest": self.definitions[path]} for path in sorted(self.definitions)],
            "sources": [
                asdict(read) | {"columns": list(read.columns), "nan_as_missing": dict(read.nan_as_missing)}
                for read in ordered
            ],
            "quarantined": [
                asdict(quarantine) | {"examples": list(quarantine.examples)} for quarantine in sorted(self.quarantines)
            ],
            "repositories": [{"path": path, "commit": self.repositories[path]} for path in sorted(self.repositories)],
        }


JOURNAL = Journal()
"""The journal of this process."""
