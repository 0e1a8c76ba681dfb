"""Examples of what people and services wrote, without what a scan finds in them; and which groups are too small.

A text is personal until proven otherwise. Only patterns are found (see `scan`), so whoever shows texts also keeps to
groups of at least `smallest_cell` units, and shows no word that only few of them wrote.
"""

from __future__ import annotations

from typing import NamedTuple

from toolkit.privacy.exceptions import load_privacy
from toolkit.privacy.scan import KINDS, scan_text
from toolkit.privacy.texts import readings
from toolkit.workspace import Workspace

WITHHELD = "withheld: it holds what looks like personal data"


class Masked(NamedTuple):
    """A text that may be shown.

    Attributes
    ----------
    text: with `<e-mail address>` and the like for what was found; "" where it is withheld.
    found: how many values were taken out.
    reason: why it is withheld, else "".
    """

    text: str
    found: int
    reason: str = ""


def mask_personal_data(text: str) -> Masked:
    """The text with the personal data that a scan finds in it replaced by their kind.

    Where a value is spelled so that only a reading of the text finds it, it is the reading that is given; where even
    that does not come out clean, nothing.

    >>> mask_personal_data("Ask ada@example.org, she knows.").text
    'Ask <e-mail address>, she knows.'
    >>> mask_personal_data("It was late.")
    Masked(text='It was late.', found=0, reason='')
    """
    for candidate in (text, readings(text).joined):
        masked, found = _replace(candidate)
        if not scan_text(masked):
            return Masked(masked, found)
    return Masked("", len(scan_text(text)), WITHHELD)


def _replace(text: str) -> tuple[str, int]:
    found = 0
    for kind in KINDS.values():
        for match in sorted(kind.find(text), reverse=True):
            text = f"{text[: match.start]}<{kind.one}>{text[match.end :]}"
            found += 1
    return text, found


def smallest_cell(workspace: Workspace) -> int:
    """How many units a group must have before anything of it is shown: `smallest_cell` of `privacy.yml`, or 5.

    Raises `DefinitionError`.
    """
    return load_privacy(workspace).smallest_cell


def too_small(units: int, smallest: int) -> str:
    """Why a group of so many units is not shown; "" if it may be.

    >>> too_small(2, 5)
    'suppressed: fewer than 5 users'
    """
    return f"suppressed: fewer than {smallest} users" if units < smallest else ""
