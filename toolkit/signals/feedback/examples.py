"""What users wrote, as it may be shown: without personal data, and without words that only few of them use."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from toolkit.display import shortened
from toolkit.metrics.feedback_counts import SEPARATORS, Example
from toolkit.privacy import KINDS, mask_personal_data

RARE = "…"
"""Stands for a word that too few users use, which may be a name, and for a longer number."""

_LONGEST = 200
_SPLIT = re.compile(f"({SEPARATORS})")
_MASKS = re.compile("(" + "|".join(f"<{re.escape(kind.one)}>" for kind in KINDS.values()) + ")")
_LONG_NUMBER = re.compile("[0-9]{3,}")
_RUN = re.compile(f"{RARE}{SEPARATORS}{RARE}|{RARE}{RARE}")


@dataclass(frozen=True)
class ShownExample:
    """A user's words as they may be shown; None where they may not, and `reason` says why."""

    category: str
    text: str | None
    reason: str


def show_examples(examples: Sequence[Example], terms: Collection[str]) -> tuple[ShownExample, ...]:
    """The examples with personal data masked, and every word that is not among the frequent `terms`."""
    return tuple(_show(example, frozenset(terms)) for example in examples)


def show_category(category: str) -> str:
    """A category as it may be shown: it is a word of the team's, unless users typed it in."""
    masked = mask_personal_data(category)
    return masked.reason or masked.text


def _show(example: Example, terms: frozenset[str]) -> ShownExample:
    masked, category = mask_personal_data(example.text), show_category(example.category)
    if masked.reason:
        return ShownExample(category, None, masked.reason)
    shown = mask_rare_words(masked.text, terms)
    if not any(character.isalpha() for character in shown):
        return ShownExample(category, None, "suppressed: none of its words is used by enough users")
    return ShownExample(category, shortened(shown, _LONGEST), "")


def mask_rare_words(text: str, terms: Collection[str]) -> str:
    """The text with `…` for each word, or run of words, that is not among the terms, and for longer numbers.

    >>> mask_rare_words("Ada Lovelace was late, 40 minutes; order 123456", {"was", "late", "minutes", "order"})
    '… was late, 40 minutes; order …'
    """
    parts = _MASKS.split(text)
    # Of what is split by a group, every second part is a match of it.
    shown = "".join(part if place % 2 else _without_rare(part, terms) for place, part in enumerate(parts))
    return _RUN.sub(RARE, shown)


def _without_rare(text: str, terms: Collection[str]) -> str:
    parts = _SPLIT.split(text)
    return "".join(
        _LONG_NUMBER.sub(RARE, part) if place % 2 else part if not part or part.lower() in terms else RARE
        for place, part in enumerate(parts)
    )
