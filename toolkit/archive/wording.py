"""A comparison in words and numbers as people read them; the text and the page say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.archive.changes import KINDS, Row, RowChange, is_number
from toolkit.archive.comparison import Comparison, Difference, Part
from toolkit.display import format_interval, format_number, shortened

NOT_THERE = "not there"
ARROW = "→"

_DIGEST = "sha256:"
_DIGEST_DIGITS = 12
_COMMIT_DIGITS = 40
_LONGEST = 80


def part_name(part: Part) -> str:
    """What a part is called: `as of` for `as_of`."""
    return part.name.replace("_", " ")


def input_sides(difference: Difference) -> tuple[str, str]:
    """One input before and after, as two short texts; of a table, only what differs in how it was read."""
    before, after = difference.before, difference.after
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [name for name in before if before[name] != after.get(name)]
        return _facts(before, names), _facts(after, names)
    return _input(before), _input(after)


def _input(value: Any) -> str:
    if isinstance(value, Mapping) and "fingerprint" in value:
        return _facts(value, [name for name in ("start", "end", "rows", "fingerprint") if value.get(name) is not None])
    return short(value)


def _facts(read: Mapping[str, Any], names: list[str]) -> str:
    told = {name: format_number(name, read[name]) if name == "rows" else short(read[name]) for name in names}
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def short(value: Any) -> str:
    """An input's value in few characters; a digest or a commit by its first ones.

    >>> short("sha256:" + 64 * "a"), short(["a", 1]), short(None)
    ('sha256:aaaaaaaaaaaa…', '["a", 1]', 'not there')
    """
    if value is None:
        return NOT_THERE
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if text.startswith(_DIGEST):
        return f"{text[: len(_DIGEST) + _DIGEST_DIGITS]}…"
    if len(text) == _COMMIT_DIGITS and set(text) <= set("0123456789abcdef"):
        return f"{text[:_DIGEST_DIGITS]}…"
    if text == "":
        return "empty"
    return shortened(text, _LONGEST)


def input_lines(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Each part that differs and one line for each difference; then those that do not, in one line."""
    for part in comparison.parts:
        for difference in part.differences:
            before, after = input_sides(difference)
            named = "" if difference.name == part.name else f"{difference.name}: "
            yield part_name(part), f"{named}{before} {ARROW} {after}"
    same = [part_name(part) for part in comparison.parts if not part.differences]
    if same:
        yield "the same", ", ".join(same)


def counts_text(comparison: Comparison) -> str:
    """How many rows there are of each kind.

    Kinds without a row are left out; the same ones are named last.
    """
    told = [f"{format_number('n', count)} {KINDS[kind]}" for kind, count in comparison.counts.items() if count]
    return ", ".join(told) or "no rows"


def figures_text(comparison: Comparison) -> str:
    """How many figures there are, and which are not the same."""
    count = len(comparison.figures)
    changed = [figure for figure in comparison.figures if figure.state != "same"]
    if not changed:
        return f"{count}, all the same" if count else "none"
    told = ", ".join(f"{figure.path.removeprefix('figures/')} ({figure.state})" for figure in changed)
    return f"{len(changed)} of {count} differ: {told}"


def row_name(row: Row) -> str:
    """Which row it is, without its record: key, segment, comparison."""
    return ", ".join(str(row[name]) for name in ("key", "segment", "comparison") if row.get(name))


def values(change: RowChange) -> tuple[str, str]:
    """The value before and after, with its interval; as many digits as it takes to tell them apart."""
    before, after = _value(change.before), _value(change.after)
    if before == after and change.before and change.after and change.absolute:
        return repr(change.before["value"]), repr(change.after["value"])
    return before, after


def _value(row: Row | None) -> str:
    if row is None:
        return NOT_THERE
    name, unit = str(row.get("statistic", "")), str(row.get("unit") or "")
    shown = format_number(name, row.get("value"), unit=unit)
    bounds = (row.get("ci_lower"), row.get("ci_upper"))
    return shown if bounds == (None, None) else f"{shown} ({format_interval(name, *bounds, unit=unit)})"


def distance(change: RowChange) -> str:
    """By how much the value changed: `+0.0041 (+2.4 %)`; "" where there are no two numbers.

    A change of a share is in points, so that it is not mistaken for the relative one.
    """
    if change.absolute is None:
        return ""
    name, unit = str(change.row.get("statistic", "")), str(change.row.get("unit") or "")
    plain = "difference" if name.endswith("p_value") else name
    moved = format_number(plain, change.absolute, unit=unit).replace(" %", " points")
    text = _signed(change.absolute, moved)
    if is_number(change.relative):
        text += f" ({_signed(change.relative, format_number('rel_change', change.relative))})"
    return text


def _signed(number: float, text: str) -> str:
    return f"+{text}" if number > 0 else text
