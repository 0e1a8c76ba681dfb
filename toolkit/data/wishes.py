"""What is known of a file before it is looked at: what is said of it, and how files like it were read before."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from toolkit.workspace import Workspace

RECORD = "import.json"
"""In the folder of an import: which file it was, how it was mapped, what was assumed and counted."""


@dataclass(frozen=True)
class EarlierImport:
    """How the columns of one file were read.

    Attributes
    ----------
    columns: by contract column the own one.
    constants: by contract column what stood in every row.
    kept: own columns that are none of the contract.
    timezone: of times that name none. dates: day-first or month-first, where that was seen or said.
    positive: the label that is a yes. binary: labels are from 0 to 1.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    timezone: str | None = None
    dates: str | None = None
    positive: str | None = None
    binary: bool = False

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Of the record that an import leaves; those of older versions say less."""
        return cls(
            record["columns"],
            record["constants"],
            frozenset(record["extras"].values()) | frozenset(record.get("left_out", ())),
            record["timezone"],
            record.get("dates"),
            record.get("positive"),
            bool(record.get("binary")),
        )

    def alike(self, names: Collection[str]) -> int:
        """How many of these names its file had.

        >>> EarlierImport({"score": "p"}, kept=frozenset({"plan"})).alike(["p", "plan", "region"])
        2
        """
        return len((self.kept | set(self.columns.values())) & set(names))


@dataclass(frozen=True)
class Wishes:
    """What was said on the command line about one file, and how a file like it was read before.

    Own columns and constants by contract column; the time zone; the order of day and month; the text that is a yes in
    the column of labels. What is said comes before what was.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    dates: str | None = None
    positive: str | None = None
    before: EarlierImport = field(default_factory=EarlierImport)

    def after(self, before: EarlierImport) -> Self:
        """The same wishes where a file was read before."""
        return replace(
            self,
            timezone=self.timezone or before.timezone,
            dates=self.dates or before.dates,
            positive=self.positive or before.positive,
            before=before,
        )


def earlier_import(workspace: Workspace, table: str, names: Collection[str]) -> EarlierImport:
    """The import of a table whose file had the most of these columns, of several the latest; empty if none had any."""
    paths = (workspace.root / "data" / table).glob(f"*/{RECORD}")
    in_order = sorted(paths, key=lambda path: path.stat().st_mtime_ns)
    found = [EarlierImport.of(json.loads(path.read_text(encoding="utf-8"))) for path in in_order]
    best = max(reversed(found), key=lambda each: each.alike(names), default=EarlierImport())
    return best if best.alike(names) else EarlierImport()
