"""Rows that a run left out because they break the data's contract, as its report and its manifest tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from toolkit.privacy import scan_text
from toolkit.workspace import Quarantine

_WITHHELD = "(keys that look like personal data)"


def read_quarantines(entries: Iterable[Mapping[str, Any]]) -> list[Quarantine]:
    """What a run's journal says was left out, without examples whose keys are an e-mail address or the like."""
    quarantines = [Quarantine(**{**entry, "examples": tuple(entry["examples"])}) for entry in entries]
    return [replace(each, examples=(_WITHHELD,)) if scan_text(each.text) else each for each in quarantines]


def describe_quarantines(quarantines: Iterable[Quarantine]) -> list[dict[str, Any]]:
    """The same for the manifest."""
    return [asdict(each) | {"examples": list(each.examples)} for each in quarantines]
