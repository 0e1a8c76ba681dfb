"""Edits of a plan: the plan as one text that is the same for the same promises, and what differs between two of them.

The text leaves out what has its default, so that a key which a later version of the toolkit adds is no edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

MOST_CHANGES = 8
"""Changes of a plan that a sentence names; more are counted."""

_NAMES = ("metric", "name", "segment", "column")  # what an item of a plan's lists is called by


def plan_document(plan: ExperimentPlan) -> str:
    """The promises of a plan as JSON text, without those that were left at their default."""
    held = plan.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(held, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def list_changes(before: str, after: str) -> tuple[str, ...]:
    """What differs between two plans' texts: one line for each key, in the order of the keys.

    >>> before = '{"alpha":0.05,"guardrails":[{"metric":"latency","margin":2}]}'
    >>> list_changes(before, '{"alpha":0.1,"guardrails":[{"metric":"latency","margin":5}],"power":0.9}')
    ('alpha: 0.05 → 0.1', 'guardrails.latency.margin: 2 → 5', 'power: its default → 0.9')
    """
    was, now = (dict(_leaves("", json.loads(text))) for text in (before, after))
    keys = sorted(was.keys() | now.keys())
    return tuple(f"{key}: {_shown(was, key)} → {_shown(now, key)}" for key in keys if was.get(key) != now.get(key))


def list_in_words(changes: tuple[str, ...]) -> str:
    """Changes in one line; those beyond `MOST_CHANGES` are counted."""
    more = len(changes) - MOST_CHANGES
    return "; ".join(changes[:MOST_CHANGES]) + (f"; and {more} more" if more > 0 else "")


def _leaves(at: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every value that holds no other, by its path; an item of a list by its name, where it has one."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(f"{at}.{key}" if at else str(key), part)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, start=1):
            name = next((str(item[key]) for key in _NAMES if item.get(key)), str(number))
            yield from _leaves(f"{at}.{name}", item)
    else:
        yield at, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(held: Mapping[str, str], key: str) -> str:
    return held.get(key, "its default")
