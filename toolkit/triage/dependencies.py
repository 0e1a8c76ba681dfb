"""What work needs other work before it: circles, and all that one piece needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def find_circle(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A circle of what needs each other, closed, from its first key on, each needing the next; () when there is none.

    >>> find_circle({"c": ["b"], "b": ["a"], "a": ["c"]})
    ('a', 'c', 'b', 'a')
    >>> find_circle({"b": ["a"], "a": []})
    ()
    """
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as err:
        circle = err.args[1][:0:-1]  # graphlib's: closed, each before what needs it
        first = circle.index(min(circle))
        return (*circle[first:], *circle[:first], circle[first])
    return ()


def all_needed(key: str, needs: Mapping[str, Iterable[str]]) -> set[str]:
    """The key itself, and all that it needs, directly or not.

    >>> sorted(all_needed("c", {"c": ["b"], "b": ["a"], "a": []}))
    ['a', 'b', 'c']
    """
    found, waiting = {key}, [key]
    while waiting:
        more = set(needs.get(waiting.pop(), ())) - found
        found |= more
        waiting += more
    return found
