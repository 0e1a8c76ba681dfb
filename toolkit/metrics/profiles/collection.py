"""Profiles of populations by day, from what is kept and from the engine: a new day costs that day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from toolkit.data import ModelDefinition, Source
from toolkit.data.connections import EMBEDDED
from toolkit.data.days import day_runs, window_of_days
from toolkit.metrics.daily import day_fingerprints
from toolkit.metrics.profiles.column_types import Types, types_by_day
from toolkit.metrics.profiles.counting import Counting
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import Profile
from toolkit.metrics.profiles.profile_days import ProfileKey, Profiles
from toolkit.metrics.profiles.requests import Place, facts_of, profile_question, requests_of
from toolkit.metrics.profiles.streaming import Streaming
from toolkit.metrics.query import Population, Question

RUN_ROWS = 5_000_000
"""Requests that are grouped by their texts at once: as many different ones fit in memory."""

MOST_DAYS = 31
"""Days of a run: to tell which of them a request is of takes as many comparisons."""

_KIND = "profiles"


def collect_profiles(
    source: Source,
    model: ModelDefinition,
    populations: Sequence[Population],
    edges: Mapping[str, ColumnEdges],
    *,
    as_of: datetime,
    segments: Sequence[str] = (),
    run_rows: int = RUN_ROWS,
) -> Profiles:
    """Count the columns of `edges` for each population, by day and by the values of each segment.

    A column that is not there, or not any more of a type that fits its edges, has no counts; its type by day says so.
    A day that was counted before, of the same rows and on the same edges, is not counted again.

    Parameters
    ----------
    edges: by column, see `reference_edges`: those of the reference for every population.
    segments: columns of predictions, and segments that metrics.yml names; every one is a segmentation of its own.
    run_rows: consecutive days are counted together up to so many requests.

    Raises `UnknownNameError`, `DefinitionError`, `ContractError`.
    """
    questions = [profile_question(source, model, each, edges, as_of=as_of, segments=segments) for each in populations]
    fingerprints = [day_fingerprints(question, each) for question, each in zip(questions, populations, strict=True)]
    types = types_by_day(source, edges, sorted({day for each in fingerprints for day in each}))
    cells: dict[ProfileKey, Profile] = {}
    for population, question, made_of in zip(populations, questions, fingerprints, strict=True):
        for day, profiles in _of_days(question, edges, made_of, types, run_rows).items():
            for place, profile in profiles.items():
                key = ProfileKey(population.name, date.fromisoformat(day), place.segment, place.value)
                cells[key] = profile
    return Profiles(dict(edges), cells)


def _of_days(
    question: Question,
    edges: Mapping[str, ColumnEdges],
    fingerprints: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, Types],
    run_rows: int,
) -> dict[str, dict[Place, Profile]]:
    """By day the profiles of one population, from what is kept and else counted."""
    cache = question.source.cache
    digests = {name: edges[name].digest for name in sorted(edges)}
    keys = {day: {"of": key, "edges": digests, "types": types[day]} for day, key in fingerprints.items()}
    found = {day: _from_dicts(day, stored, edges) for day, stored in cache.recall(_KIND, keys).items()}
    missing = [day for day in keys if day not in found]
    rows = {day.day: day.rows for day in facts_of(question).days}
    for run in day_runs({day: rows[day] for day in missing}, most_rows=run_rows, most_days=MOST_DAYS):
        new = _count(question, edges, run, types)
        cache.keep(_KIND, {day: keys[day] for day in run}, {day: _to_dicts(new[day]) for day in run})
        found |= new
    return found


def _count(
    question: Question, edges: Mapping[str, ColumnEdges], run: Sequence[str], types: Mapping[str, Types]
) -> dict[str, dict[Place, Profile]]:
    """The profiles of a run of days; none for a day whose rows were all left out."""
    requests = requests_of(question, window_of_days(run[0], run[-1]))
    source, wanted = question.source, [edges[name] for name in sorted(edges)]
    connection = source.opened("predictions").connection
    if connection.engine == EMBEDDED:
        streaming = Streaming.of(requests, run, wanted, question.segments)
        profiles = streaming.run(connection, question.reading)
    else:
        counting = Counting.of(requests, run, wanted, question.segments)
        profiles = counting.run(lambda query: source.execute(query, reading=question.reading))
    found: dict[str, dict[Place, Profile]] = {day: {} for day in run}
    for place, profile in profiles.items():
        found[place.day][place] = _as_it_was(profile, types[place.day])
    return found


def _as_it_was(profile: Profile, types: Types) -> Profile:
    """With the types of its columns, and without those that there were not."""
    columns = {name: counts for name, counts in profile.columns.items() if name in types}
    return Profile(profile.rows, columns, types)


def _to_dicts(profiles: Mapping[Place, Profile]) -> list[Any]:
    return [[place.segment, place.value, profiles[place].to_dict()] for place in sorted(profiles)]


def _from_dicts(day: str, stored: Sequence[Any], edges: Mapping[str, ColumnEdges]) -> dict[Place, Profile]:
    return {Place(day, segment, value): Profile.from_dict(profile, edges) for segment, value, profile in stored}
