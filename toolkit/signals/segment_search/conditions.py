"""What the search may say of a request: the columns it looks at, and how the reference cut them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toolkit.checks import check_in
from toolkit.data import Source
from toolkit.errors import ArgumentError
from toolkit.metrics.conjunctions import Coding, Segment
from toolkit.metrics.kinds import MISSING
from toolkit.metrics.profiles.edges import OTHER
from toolkit.metrics.profiles.reference import reference_edges
from toolkit.signals.observation import REFERENCE, Observation

MOST_COLUMNS = 8
"""Columns that are searched unless others are named: all sets of up to three of eight are 92 groupings."""

MOST_NAMED = 12
"""Columns that may be named: 298 groupings."""


class Conditions(NamedTuple):
    """The codings of the columns that are searched, and the columns that are not: by name, with the reason."""

    codings: tuple[Coding, ...]
    left_out: dict[str, str]


def choose_conditions(source: Source, observation: Observation, columns: Sequence[str], *, bins: int) -> Conditions:
    """The columns asked for, or the model's segments and then its features, each cut where the reference says.

    Raises `UnknownNameError` for a column that is not there, `ArgumentError` for too many.
    """
    available = set(source.columns("predictions"))
    segments = observation.cells.segments
    if len(columns) > MOST_NAMED:
        raise ArgumentError(f"{len(columns)} columns are named, must be at most {MOST_NAMED}")
    for column in columns:
        check_in(column, [*available, *segments], noun="column of predictions")
    features = observation.model.version(observation.version).features
    wanted = list(dict.fromkeys(columns or [*segments, *(each for each in features if each in available)]))
    left_out = {} if columns else dict.fromkeys(wanted[MOST_COLUMNS:], f"beyond the first {MOST_COLUMNS} columns")
    looked_at = [column for column in wanted if column not in left_out]
    population = observation.cells.population(REFERENCE)
    edges = reference_edges(
        source,
        observation.model,
        population,
        [column for column in looked_at if column in available],
        as_of=observation.as_of,
        bins=bins,
    )
    codings = []
    for column in looked_at:
        coding = Coding.of(edges[column]) if column in available else _named(observation, column)
        if coding is None:
            left_out[column] = "the reference has no two values of it to tell apart"
        else:
            codings.append(coding)
    return Conditions(tuple(codings), left_out)


def describe(segment: Segment, codings: Sequence[Coding]) -> tuple[tuple[str, str], ...]:
    """A conjunction in words: columns by name, with the label of the value that each must have."""
    return tuple(sorted((codings[column].column, codings[column].labels[code]) for column, code in segment))


def _named(observation: Observation, segment: str) -> Coding | None:
    """A segment that metrics.yml defines, whose values in the reference the cells have."""
    days = observation.cells.frame
    days = days[(days["population"] == REFERENCE) & (days["segment"] == segment)]
    values = sorted(set(days["segment_value"]) - {MISSING, OTHER})
    return Coding(segment, values=tuple(values)) if len(values) > 1 else None
