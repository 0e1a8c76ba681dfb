"""One published version as the index knows it, read from the version's own files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.archive.headline import find_headline, read_title
from toolkit.archive.versions import MANIFEST, NOTEBOOK, PAGE, RESULTS, Reference, Slot
from toolkit.errors import ArgumentError
from toolkit.windows import parse_instant

_LONGEST_OUTPUT = 2_000
"""Characters of one output's text that can be found: what a result says about itself is short, a printed log is not."""

_WORDS = ("record", "key", "segment", "comparison", "statistic", "value", "reason")
"""Fields of a result row whose text can be found."""


class KeyResult(NamedTuple):
    """One number of a report that is worth following from version to version."""

    record: str
    key: str
    statistic: str
    value: float
    unit: str
    ci_lower: float | None
    ci_upper: float | None


@dataclass(frozen=True)
class Indexed:
    """One published version, as its files say; what a file does not say, or cannot be read from it, is None or empty.

    Attributes
    ----------
    title, headline: the page's title, and what was found.
    as_of, finished_at: ISO instants, as the manifest has them.
    parameters: name to JSON value.
    slot, batch: the slot of a schedule, and the batch, that the run was part of.
    rows: how many `results.json` has.
    trends: the key results that the manifest names.
    problem: which file cannot be read, and who says what was changed; None when all of them can.
    """

    reference: Reference
    title: str = ""
    headline: str = ""
    as_of: str | None = None
    finished_at: str | None = None
    template_digest: str | None = None
    toolkit_version: str | None = None
    parameters: Mapping[str, Any] | None = None
    slot: Slot | None = None
    batch: str | None = None
    rows: int | None = None
    trends: tuple[KeyResult, ...] = ()
    problem: str | None = None

    @property
    def subject(self) -> str:
        """What the report is about."""
        return self.reference.subject


class Texts(NamedTuple):
    """What can be found of a version by its words, beside its reference, title, headline and parameters."""

    results: str = ""
    prose: str = ""


def read_version(folder: Path, reference: Reference) -> tuple[Indexed, Texts]:
    """Read a version's files. It raises nothing: the first file that cannot be read is the version's `problem`."""
    found: dict[str, Any] = {}
    words = {"results": "", "prose": ""}
    name = MANIFEST
    try:
        manifest = _load(folder / name)
        found |= _describe(manifest)
        name = RESULTS
        results = _load(folder / name)
        found |= _summarise(results, manifest.get("trends"))
        words["results"] = _find_words(results)
        name = NOTEBOOK
        words["prose"] = _find_prose(_load(folder / name))
        name = PAGE
        found["title"] = _clean(read_title(folder / name))
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        found["problem"] = (
            f"{reference}: {name} cannot be read; 'toolkit reports verify {reference}' says what was changed"
        )
    return Indexed(reference, **found), Texts(**words)


def _load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _describe(manifest: dict[str, Any]) -> dict[str, Any]:
    slot = manifest.get("slot")
    parameters = manifest.get("parameters")
    return {
        "as_of": _text(manifest.get("as_of")),
        "finished_at": _text(manifest.get("finished_at")),
        "template_digest": _text((manifest.get("template") or {}).get("digest")),
        "toolkit_version": _text((manifest.get("toolkit") or {}).get("version")),
        "parameters": parameters if isinstance(parameters, dict) else None,
        "slot": Slot(_clean(slot["schedule"]), _clean(slot["at"])) if slot else None,
        "batch": _text(manifest.get("batch")),
    }


def _summarise(results: dict[str, Any], trends: object) -> dict[str, Any]:
    rows = results["rows"]
    return {
        "headline": _clean(find_headline(results)),
        "rows": len(rows),
        "trends": tuple(_find_trends(rows, trends)),
    }


def _find_words(results: dict[str, Any]) -> str:
    fields = (row.get(field) for row in results["rows"] for field in _WORDS)
    return _clean("\n".join(dict.fromkeys(field for field in fields if field and isinstance(field, str))))


def _find_trends(rows: list[dict[str, Any]], names: object) -> Iterator[KeyResult]:
    """The rows of whole populations that the manifest calls trends (`record.statistic`) and that hold a number."""
    wanted = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    for row in rows if wanted else ():
        value = _number(row["value"])
        if value is not None and f"{row['record']}.{row['statistic']}" in wanted and not row.get("segment"):
            yield KeyResult(
                record=_clean(str(row["record"])),
                key=_clean(str(row["key"])),
                statistic=_clean(str(row["statistic"])),
                value=value,
                unit=_clean(str(row.get("unit") or "")),
                ci_lower=_number(row.get("ci_lower")),
                ci_upper=_number(row.get("ci_upper")),
            )


def _find_prose(notebook: dict[str, Any]) -> str:
    """Markdown cells, and what results say about themselves."""
    return _clean("\n".join(_find_text(notebook["cells"])))


def _find_text(cells: list[dict[str, Any]]) -> Iterator[str]:
    for cell in cells:
        if cell.get("cell_type") == "markdown":
            yield _joined(cell["source"])
        for output in cell.get("outputs", ()):
            if text := output.get("data", {}).get("text/plain"):
                yield _joined(text)[:_LONGEST_OUTPUT]


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str | None:
    return _clean(value) if isinstance(value, str) else None


def _clean(text: str) -> str:
    """`text` without lone surrogates, which JSON can hold and no database can."""
    return text.encode("utf-8", "replace").decode()


def microseconds(instant: str | datetime | None) -> int | None:
    """An instant as a whole number that orders as time does; None for what is no instant."""
    try:
        parsed = parse_instant(instant) if isinstance(instant, str) else instant
    except ArgumentError:
        return None
    return None if parsed is None else round(parsed.timestamp() * 1_000_000)
