"""What this process really opened: definition files and tables, each with its digest.

A report is executed in a process of its own, so the journal of that process is the provenance of that report. It is
the one piece of state that is shared across rooms; `reports.save` writes it out, nothing else reads it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Read:
    """One table as it was read: which columns, from when to when, how many rows, and their fingerprint."""

    table: str
    columns: tuple[str, ...]
    start: str | None
    end: str | None
    as_of: str | None
    rows: int
    fingerprint: str
    method: str


@dataclass
class Journal:
    """Definitions (workspace path to digest) and tables read so far; each once, whatever the order."""

    definitions: dict[str, str] = field(default_factory=dict)
    reads: set[Read] = field(default_factory=set)

    def note_definition(self, path: str, digest: str) -> None:
        """Remember that a definition file was used, and its digest."""
        self.definitions[path] = digest

    def note_read(self, read: Read) -> None:
        """Remember that a part of a table was read."""
        self.reads.add(read)

    def to_dict(self) -> dict[str, Any]:
        """Both lists in a stable order, as JSON types."""
        ordered = sorted(self.reads, key=lambda read: tuple(str(part) for part in asdict(read).values()))
        return {
            "definitions": [{"path": path, "digest": self.definitions[path]} for path in sorted(self.definitions)],
            "sources": [asdict(read) | {"columns": list(read.columns)} for read in ordered],
        }


JOURNAL = Journal()
"""The journal of this process."""
