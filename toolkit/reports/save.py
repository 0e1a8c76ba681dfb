"""The last cell of a template: hand the records to the report that is being made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from toolkit.archive.versions import FIGURES, RESULTS
from toolkit.archive.writing import explained
from toolkit.digests import document_bytes
from toolkit.errors import ArgumentError, TemplateError
from toolkit.records import Record, to_document
from toolkit.workspace import JOURNAL, run_folder

PROVENANCE = "provenance.json"

_FILE_NAME = re.compile(r"\w[\w-]*")


@dataclass(frozen=True)
class Saved:
    """What `save` did: how many rows of which records, how many figures, and whether it wrote them."""

    records: tuple[str, ...]
    rows: int
    figures: int
    written: bool

    def __str__(self) -> str:
        figures = f"{self.figures} figure{'' if self.figures == 1 else 's'}"
        held = f"{self.rows} rows of {', '.join(self.records) or 'no record'}; {figures}"
        return f"Saved: {held}." if self.written else f"Not saved, this is not a report's run. It would hold {held}."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>"


def save(**records: Record) -> Saved:
    """Write the records' rows and pictures into the report that is being made.

    Outside a run, in an analyst's own notebook, it checks the records, writes nothing and says so.

    Raises `ArgumentError` for what is not a result, or holds a number that JSON cannot; `TemplateError` when it was
    called before in the same run, `ArchiveError` when the archive cannot be written.

    >>> save()
    Not saved, this is not a report's run. It would hold 0 rows of no record; 0 figures.
    """
    document = to_document(records)
    for row in document["rows"]:
        _check_row(row)
    pictures = _name_pictures(records)
    folder = run_folder()
    if folder is not None:
        if (folder / RESULTS).exists():
            raise TemplateError("tk.reports.save was called twice; hand all records over in the last cell, once")
        with explained(folder):
            for name, png in pictures.items():
                (folder / FIGURES).mkdir(exist_ok=True)
                (folder / FIGURES / name).write_bytes(png)
            (folder / PROVENANCE).write_bytes(document_bytes(JOURNAL.to_dict()))
            (folder / RESULTS).write_bytes(document_bytes(document))
    return Saved(tuple(records), len(document["rows"]), len(pictures), written=folder is not None)


def _check_row(row: Mapping[str, Any]) -> None:
    for field, value in row.items():
        finite = not isinstance(value, float) or math.isfinite(value)
        if not finite or not isinstance(value, str | int | float | bool | None):
            raise ArgumentError(
                f"record {row['record']!r}, {row['key']} {row['statistic']}: {field} == {value!r} "
                f"({type(value).__name__}) has no JSON form; an absent number is None with a reason"
            )


def _name_pictures(records: Mapping[str, Record]) -> dict[str, bytes]:
    named: dict[str, bytes] = {}
    for record, result in records.items():
        for picture in result.to_pictures():
            name = f"{record}-{picture.name}.png"
            if not _FILE_NAME.fullmatch(picture.name):
                raise ArgumentError(f"picture name == {picture.name!r}, must be letters, digits, '_' and '-'")
            if name in named:
                raise ArgumentError(f"record {record!r} has two pictures named {picture.name!r}")
            named[name] = picture.png
    return named
