"""Which signals are one problem, and why.

Two signals are linked when they share rows (one's segment is the other's or lies inside it), time (their days overlap)
and a family of causes. Inputs are many and drift for many reasons, so that two of them also need a column in common,
or the same owner of their columns and the same nature: data that broke, or a world that moved. Each link says why it
is there. What people have said in `groups.yml` comes first and holds against every rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from toolkit.signals.groups.memory import GroupRule
from toolkit.signals.signal import Family, Kind, Signal

_ALL_REQUESTS = "all requests"

_ABOUT: Mapping[Family, str] = {
    "inputs": "both about inputs",
    "model": "both about what the model does",
    "labels": "both about labels",
    "service": "both about the service",
    "users": "both about what users say",
    "governance": "both about how the model is looked after",
}
FAULTS: frozenset[Kind] = frozenset({"missing", "schema", "unseen", "absent_data"})
"""Kinds that say that data broke; the other kinds of inputs say that the world moved."""

_NEXT_CONDITION = re.compile(r", (?=[^=,]+=)")


class Link(NamedTuple):
    """Two signals that are one problem, by their keys, and why."""

    one: str
    other: str
    why: str


class Linked(NamedTuple):
    """Signals that are one problem, and the links that hold them together."""

    signals: tuple[Signal, ...]
    links: tuple[Link, ...]

    @property
    def why_merged(self) -> str:
        """Why they are one line, in a sentence; "" for one signal alone."""
        return describe_links(self.links)


def split_segment(segment: str) -> frozenset[str]:
    """The conditions of a segment; none for everything.

    >>> sorted(split_segment("carrier=FL, dest=Paris, Texas"))
    ['carrier=FL', 'dest=Paris, Texas']
    """
    return frozenset(_NEXT_CONDITION.split(segment)) if segment else frozenset()


def split_conditions(segment: str) -> dict[str, str] | None:
    """The conditions of a segment, column to value; None for one that is not made of such.

    >>> split_conditions("carrier=FL, origin=JFK"), split_conditions(""), split_conditions("the night shift")
    ({'carrier': 'FL', 'origin': 'JFK'}, {}, None)
    """
    parts = sorted(split_segment(segment))
    pairs = [part.partition("=") for part in parts]
    return {column: value for column, _, value in pairs} if all(equals for _, equals, _ in pairs) else None


def share_rows(one: Signal, other: Signal) -> str:
    """How the rows of two signals are shared, in words; "" if they are not."""
    first, second = split_segment(one.segment), split_segment(other.segment)
    if first == second:
        return f"on the same rows ({one.segment or _ALL_REQUESTS})"
    if first < second or second < first:
        wide = one if first < second else other
        return f"on rows within {wide.segment or _ALL_REQUESTS}"
    return ""


def share_days(one: Signal, other: Signal) -> str:
    """How the days of two signals are shared, in words; "" if they are not. Without days, those of the report count."""
    first, last, other_first, other_last = one.first_day, one.last_day, other.first_day, other.last_day
    if first is None or last is None or other_first is None or other_last is None:
        return "in the same report"
    if (first, last) == (other_first, other_last):
        return "in the same days"
    return "in overlapping days" if first <= other_last and other_first <= last else ""


def link_signals(one: Signal, other: Signal, owners: Mapping[str, str]) -> Link | None:
    """The link between two signals by the rules; None if they are two problems.

    Parameters
    ----------
    owners: who answers for each feature, by column.
    """
    if one.family != other.family:
        return None
    cause = _share_columns(one, other, owners) if one.family == "inputs" else _ABOUT[one.family]
    parts = (cause, share_rows(one, other), share_days(one, other))
    return Link(one.key, other.key, ", ".join(parts)) if all(parts) else None


def _share_columns(one: Signal, other: Signal, owners: Mapping[str, str]) -> str:
    """What two signals about inputs have in common, in words; "" if nothing."""
    first, second = _columns(one, owners), _columns(other, owners)
    if shared := sorted(first & second):
        return f"both about {', '.join(shared)}"
    if (one.kind in FAULTS) != (other.kind in FAULTS):
        return ""
    nature = "data that broke" if one.kind in FAULTS else "inputs that moved"
    owned = sorted({owners[c] for c in first if c in owners} & {owners[c] for c in second if c in owners})
    return f"{nature}, from {', '.join(owned)}" if owned else ""


def _columns(signal: Signal, owners: Mapping[str, str]) -> set[str]:
    return set(signal.columns) or ({signal.metric} & set(owners))


def group_linked(
    signals: Sequence[Signal], *, owners: Mapping[str, str], rules: Sequence[GroupRule] = ()
) -> tuple[Linked, ...]:
    """The signals as problems, in the order of their first signals; each signal is in one of them.

    Signals that share a key are one: the first is kept. Links by `groups.yml` come before those by rules, and of these
    those within one segment before those between two. No link is followed that would bring together two signals which
    `groups.yml` keeps apart.

    Parameters
    ----------
    owners: who answers for each feature, by column.
    """
    by_key = {signal.key: signal for signal in reversed(signals)}
    unique = list(reversed(by_key))
    apart = {frozenset(pair) for rule in rules for pair in combinations(rule.split, 2)}
    clusters: dict[str, tuple[str, ...]] = {key: (key,) for key in unique}
    kept: list[Link] = []
    for link in [*_said(rules, by_key), *_ruled([by_key[key] for key in unique], owners)]:
        one, other = clusters[link.one], clusters[link.other]
        if one is other or any(frozenset((a, b)) in apart for a in one for b in other):
            continue
        joined = (*one, *other)
        clusters |= dict.fromkeys(joined, joined)
        kept.append(link)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for key in unique:
        found.setdefault(clusters[key], tuple(each for each in unique if clusters[each] is clusters[key]))
    return tuple(
        Linked(tuple(by_key[key] for key in keys), tuple(link for link in kept if link.one in keys))
        for keys in found.values()
    )


def _said(rules: Sequence[GroupRule], known: Mapping[str, Signal]) -> list[Link]:
    links = []
    for rule in rules:
        there = [key for key in rule.merge if key in known]
        links += [Link(there[0], key, f"one problem, says {rule.by}: {rule.why}") for key in there[1:]]
    return links


def _ruled(signals: Sequence[Signal], owners: Mapping[str, str]) -> list[Link]:
    same: list[Link] = []
    nested: list[Link] = []
    for one, other in combinations(sorted(signals, key=lambda each: each.key), 2):
        link = link_signals(one, other, owners)
        if link is not None:
            (same if one.segment == other.segment else nested).append(link)
    return [*same, *nested]


def describe_links(links: Sequence[Link]) -> str:
    """Links in a sentence: which signals, and why.

    >>> describe_links([Link("a", "b", "both about labels"), Link("a", "c", "both about labels")])
    'a, b, c: both about labels'
    """
    reasons: dict[str, list[str]] = {}
    for link in links:
        reasons.setdefault(link.why, []).extend((link.one, link.other))
    return "; ".join(f"{', '.join(dict.fromkeys(keys))}: {why}" for why, keys in reasons.items())
