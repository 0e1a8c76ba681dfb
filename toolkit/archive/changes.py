"""What became of one result row between two reports: the same, moved, over a threshold, another word, gone.

When two numbers are the same: two floats, when they differ by at most the relative tolerance times the larger one, or
by at most the absolute tolerance. Engines agree to 1e-9, and what should be 0 is left with the rounding of its sum.
Whole numbers, texts, yes and no are the same only when they are equal, and a value under another unit is another text,
not a move. Of a row, its interval, p-value and n count like its value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

Kind = Literal[
    "crossed",
    "flipped_sign",
    "became_absent",
    "became_known",
    "appeared",
    "vanished",
    "moved",
    "changed_text",
    "same",
]

KINDS: dict[Kind, str] = {
    "crossed": "crossed a threshold",
    "flipped_sign": "flipped sign",
    "became_absent": "became absent",
    "became_known": "became known",
    "appeared": "appeared",
    "vanished": "vanished",
    "moved": "moved",
    "changed_text": "changed text",
    "same": "same",
}
"""Every kind of change in the words people read, in the order in which a reviewer should see them."""

REL_TOLERANCE, ABS_TOLERANCE = 1e-9, 1e-12

SIGNIFICANT_P = 0.05
"""The p-value whose crossing is told; what was decided by another one shows in the verdict that it led to."""

VERDICTS = ("decision", "verdict", "outcome", "against_margin", "last_decision", "place", "status")
"""Statistics whose value is a judgement in words: another word is a threshold crossed. The first are shown first."""

THRESHOLDS: dict[str, tuple[str, ...]] = {
    "margin": ("bound",),
    "practical_threshold": ("change", "difference"),
    "limit": (),
    "objective": (),
    "target": (),
    "threshold": (),
}
"""Statistics that are a threshold, and those of the same record, key, segment and comparison that are held against it;
none named: every number of the same unit. What is held against a practical threshold is so without its sign."""

_BOUNDS = ("ci_lower", "ci_upper")
_NUMBERS = ("value", *_BOUNDS, "p_value", "n")
_WORDS = ("unit", "method", "status", "reason")
_INTERVALS = {"above": ("lay above", "lies above"), "holds": ("held", "holds"), "below": ("lay below", "lies below")}
_MOST_BITS = 1000  # a whole number beyond what a float holds is compared like a text

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far two floats may lie apart and still be the same; see the module."""

    relative: float = REL_TOLERANCE
    absolute: float = ABS_TOLERANCE

    def holds(self, before: object, after: object) -> bool:
        """Whether two values are the same.

        >>> Tolerance().holds(0.3, 0.1 + 0.2), Tolerance().holds(3, 4), Tolerance().holds(1, True)
        (True, False, False)
        """
        floats = isinstance(before, float) or isinstance(after, float)
        if floats and is_number(before) and is_number(after):
            return math.isclose(before, after, rel_tol=self.relative, abs_tol=self.absolute)
        return before == after and isinstance(before, bool) == isinstance(after, bool)


@dataclass(frozen=True)
class RowChange:
    """One row of both reports, or of one of them.

    Attributes
    ----------
    kind: what became of it, the first of `KINDS` that applies.
    before, after: the row in each report; None where it is not there.
    why: what it crossed and how it changed beside its value, in words.
    absolute, relative: by how much the value changed; None where there are not two numbers of one unit. `relative` is
        to the magnitude before, and None where that is 0.
    """

    kind: Kind
    before: Row | None
    after: Row | None
    why: tuple[str, ...] = ()
    absolute: float | None = None
    relative: float | None = None

    @property
    def row(self) -> Row:
        """The row after, else before: for what both have in common."""
        return (self.before if self.after is None else self.after) or {}


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; yes and no are none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() <= _MOST_BITS
    return isinstance(value, float)


def classify(
    before: Row | None,
    after: Row | None,
    tolerance: Tolerance,
    siblings_before: Sequence[Row] = (),
    siblings_after: Sequence[Row] = (),
) -> RowChange:
    """What became of a row; `siblings` are the thresholds of the same record, key, segment and comparison.

    >>> classify({"value": 2.0}, {"value": 3.0}, Tolerance()).relative
    0.5
    """
    if before is None or after is None:
        return RowChange("appeared" if before is None else "vanished", before, after)
    absent = [row.get("value") is None for row in (before, after)]
    if absent[0] != absent[1]:
        kind: Kind = "became_absent" if absent[1] else "became_known"
        reason = (after if absent[1] else before).get("reason")
        return RowChange(kind, before, after, (str(reason),) if reason else ())
    words = _word_changes(before, after)
    numbers = [name for name in _NUMBERS if not tolerance.holds(before.get(name), after.get(name))]
    if not words and not numbers:
        return RowChange("same", before, after)
    if before.get("unit") != after.get("unit"):
        return RowChange("changed_text", before, after, words)
    old, new = before.get("value"), after.get("value")
    crossed = _crossings(before, after, siblings_before, siblings_after)
    why = (*crossed, *(() if "value" in numbers else _beside_value(numbers)), *words)
    if "value" in numbers and is_number(old) and is_number(new):
        kind = "crossed" if crossed else "flipped_sign" if old < 0 < new or new < 0 < old else "moved"
        return RowChange(kind, before, after, why, *_distance(old, new))
    kind = "crossed" if crossed else "changed_text" if "value" in numbers or not numbers else "moved"
    return RowChange(kind, before, after, why)


def _word_changes(before: Row, after: Row) -> tuple[str, ...]:
    pairs = ((name, before.get(name) or "", after.get(name) or "") for name in _WORDS)
    return tuple(f"{name}: {old or 'none'} → {new or 'none'}" for name, old, new in pairs if old != new)


def _beside_value(numbers: Sequence[str]) -> tuple[str, ...]:
    """What moved while the value stayed."""
    names = {"ci_lower": "interval", "ci_upper": "interval", "p_value": "p-value", "n": "n"}
    told = dict.fromkeys(names[name] for name in numbers if name in names)
    return (f"{', '.join(told)} moved",) if told else ()


def _distance(before: float, after: float) -> tuple[float | None, float | None]:
    absolute = after - before
    relative = absolute / abs(before) if abs(before) > 0 else None
    return _finite(absolute), _finite(relative)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _crossings(before: Row, after: Row, siblings_before: Sequence[Row], siblings_after: Sequence[Row]) -> list[str]:
    """Every threshold that lies between the two, in words."""
    statistic, old, new = str(before.get("statistic", "")), before.get("value"), after.get("value")
    crossed = []
    if statistic in VERDICTS and old != new and (isinstance(old, str) or isinstance(new, str)):
        crossed.append(f"the {statistic.replace('_', ' ')} changed")
    old_side, new_side = _side_of_zero(before), _side_of_zero(after)
    if old_side is not None and new_side is not None and old_side != new_side:
        crossed.append(f"its interval {_INTERVALS[old_side][0]} 0, and now {_INTERVALS[new_side][1]} 0")
    crossed += _p_crossings(statistic, before, after)
    limits = {limit["statistic"]: limit for limit in siblings_after}
    for earlier in siblings_before:
        name = earlier["statistic"]
        if name in limits:
            sides = (_is_beyond(before, earlier), _is_beyond(after, limits[name]))
            if None not in sides and sides[0] != sides[1]:
                crossed.append(f"now {'beyond' if sides[1] else 'within'} the {name.replace('_', ' ')}")
    return crossed


def _side_of_zero(row: Row) -> str | None:
    """Where a row's interval lies; an absent bound is open. None where there is no interval."""
    lower, upper = (row.get(name) for name in _BOUNDS)
    if lower is None and upper is None:
        return None
    if lower is not None and lower > 0:
        return "above"
    return "below" if upper is not None and upper < 0 else "holds"


def _p_crossings(statistic: str, before: Row, after: Row) -> list[str]:
    names = ["p_value", *(["value"] if statistic == "p_value" or statistic.endswith("_p_value") else [])]
    told = []
    for name in names:
        old, new = before.get(name), after.get(name)
        if is_number(old) and is_number(new) and (old < SIGNIFICANT_P) != (new < SIGNIFICANT_P):
            told.append(f"p now {'below' if new < SIGNIFICANT_P else 'not below'} {SIGNIFICANT_P}")
    return told


def _is_beyond(row: Row, limit: Row) -> bool | None:
    """Whether a row's value lies above a threshold; None where it is not held against it."""
    statistic, name, value, most = row.get("statistic"), limit["statistic"], row.get("value"), limit.get("value")
    held = THRESHOLDS[name]
    if statistic in THRESHOLDS or (held and statistic not in held) or row.get("unit") != limit.get("unit"):
        return None
    if not is_number(value) or not is_number(most):
        return None
    return (abs(value) if name == "practical_threshold" else value) > most
