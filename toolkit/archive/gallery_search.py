"""What the gallery's script searches: every version and what was refused or failed, as JSON that is safe in a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from toolkit.archive.shelf import Shelf, Stopped, number, show_day, show_minute

STATES = ("published", "damaged", "refused", "failed")
"""What can come of a run; rows hold the place of theirs, and the script knows the order."""

MOST_STOPPED_SEARCHED = 2000
"""Refusals and failures that the search finds."""


def embedded_json(value: Any) -> str:
    r"""JSON that stands in a page: no character of it can end the block or begin another element.

    >>> embedded_json({"said": "</script>"})
    '{"said":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def search_data(shelves: Sequence[Shelf], stopped: Sequence[Stopped]) -> dict[str, Any]:
    """What the script searches: one row for each version and each refusal or failure, newest first.

    A text that many rows share is written once, in `texts`; rows hold its number.
    """
    texts: dict[str, int] = {}

    def text(value: str) -> int:
        return texts.setdefault(value, len(texts))

    rows = []
    for shelf in shelves:
        for place, version in shelf.events():
            given = {key: value for key, value in sorted((version.parameters or {}).items()) if key != "as_of"}
            row = [
                STATES.index("damaged" if version.problem else "published"),
                text(version.reference.series),
                number(version),
                text(version.problem or version.headline),
                show_day(version.as_of),
                show_minute(version.finished_at),
                text(" ".join(f"{key}={_given(value)}" for key, value in given.items())),
            ]
            rows.append((place, row))
    for each in stopped[:MOST_STOPPED_SEARCHED]:
        row = [STATES.index(each.state), text(each.series), each.kept, text(each.reason), "", each.when]
        rows.append((each.place, [*row, text(each.word)]))
    rows.sort(key=lambda pair: pair[0], reverse=True)
    return {
        "states": STATES,
        "titles": name_titles(shelves),
        "pairs": {shelf.reference.series: sorted(shelf.pairs) for shelf in shelves if shelf.pairs},
        "texts": list(texts),
        "rows": [row for _, row in rows],
    }


def _given(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def name_titles(shelves: Sequence[Shelf]) -> dict[str, str]:
    """The title of each template's newest report that has one; templates in the order of the page."""
    titles: dict[str, str] = {}
    for shelf in shelves:
        template = shelf.reference.template
        titles[template] = titles.get(template) or shelf.latest.title
    return {template: title or template for template, title in titles.items()}
