"""From the engine's counts to the columns judged: one reading of every day, whatever is compared with what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from toolkit.data import CONTRACTS
from toolkit.metrics import Population
from toolkit.metrics.profiles import ColumnEdges, Profile, collect_profiles, reference_edges
from toolkit.signals.drift.comparing import Period, compare_columns
from toolkit.signals.drift.comparison import Drift
from toolkit.signals.drift.dating import changed_on
from toolkit.signals.drift.judging import ColumnDrift, adjusted
from toolkit.signals.drift.references import Reference, references_of
from toolkit.signals.observation import CURRENT, REFERENCE
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.data import Source
    from toolkit.metrics.profiles import Profiles
    from toolkit.signals.observation import Observation

_OUTPUTS = ("score", "prediction")


def drift(
    source: Source,
    observation: Observation,
    *,
    references: Sequence[str] = ("fixed", "weekdays"),
    segments: Sequence[str] = (),
    latest: bool = False,
) -> Drift:
    """How the inputs of a model, and what it answered, differ from a reference: column by column.

    Parameters
    ----------
    references: `fixed` (the version's own reference period), `weekdays` (the same weekdays of the weeks before),
        `last_year` (the same week a year before); the first decides, the others say whether it is news.
    segments: columns by whose values every column is compared too; all of it is one family of tests.
    latest: look at the last whole days before `as_of` instead of the observed window, which waits for labels.

    Raises `ContractError`, and `UnknownNameError` for a reference or segment that is not there.
    """
    window = _window(observation, latest=latest)
    model, version = observation.model, observation.version
    chosen = references_of(observation, window, references)
    there = source.columns("predictions")
    columns = _columns(observation, there)
    edges = reference_edges(
        source,
        model,
        observation.cells.population(REFERENCE),
        [column for column in columns if column in there],
        as_of=observation.as_of,
    )
    current = Population(CURRENT, version, window, served_only=True)
    populations = (current, *(reference.population for reference in chosen))
    profiles = collect_profiles(source, model, populations, edges, as_of=observation.as_of, segments=segments)
    found, absent = _compare(profiles, edges, chosen, columns, segments)
    of_all = (profile for key, profile in profiles.cells.items() if key.population == CURRENT and not key.segment)
    return Drift(
        model=model.key,
        version=version,
        window=window,
        rows=sum(profile.rows for profile in of_all),
        references=tuple((each.name, each.text_of(_days_there(profiles, each))) for each in chosen),
        absent=absent,
        columns=tuple(_dated(column, profiles) for column in adjusted(found)),
        outputs=tuple(column for column in columns if column in _OUTPUTS),
    )


def _window(observation: Observation, *, latest: bool) -> Window:
    if not latest:
        return observation.window
    return Window.last_days(int(observation.window.days), before=observation.as_of)


def _columns(observation: Observation, there: Sequence[str]) -> list[str]:
    """The features of the version, or without any all columns beyond the contract's; and what it answered."""
    features = observation.model.version(observation.version).features
    own = features or [column for column in there if column not in CONTRACTS["predictions"].columns]
    return [*dict.fromkeys([*own, *(column for column in _OUTPUTS if column in there)])]


def _compare(
    profiles: Profiles,
    edges: Mapping[str, ColumnEdges],
    references: Sequence[Reference],
    columns: Sequence[str],
    segments: Sequence[str],
) -> tuple[list[ColumnDrift], dict[str, str]]:
    """Every column against every reference, in everything and in each segment; and which references have no rows."""
    if not any(key.population == CURRENT for key in profiles.cells):
        return [], {reference.name: "the window has no requests" for reference in references}
    parts = [("", profiles)]
    parts += [
        (f"{segment}={value}", profiles.segment(segment, value))
        for segment in segments
        for value in profiles.population(CURRENT).values(segment)
    ]
    nows = [_period(part.population(CURRENT)) for _, part in parts]
    found: list[ColumnDrift] = []
    absent: dict[str, str] = {}
    for reference in references:
        name, days = reference.population.name, _days_there(profiles, reference)
        if not days:
            absent[reference.name] = f"no requests in {reference.text}"
            continue
        for (segment, part), now in zip(parts, nows, strict=True):
            then = _period(part.population(name), days)
            if then.total.rows or not segment:
                found += compare_columns(edges, then, now, columns=columns, against=reference.name, segment=segment)
    return found, absent


def _days_there(profiles: Profiles, reference: Reference) -> list[date]:
    """The days of a reference that have requests."""
    name = reference.population.name
    if not any(key.population == name for key in profiles.cells):
        return []
    return [day for day in profiles.population(name).days if reference.has_day(day)]


def _dated(column: ColumnDrift, profiles: Profiles) -> ColumnDrift:
    """With the day since when a changed column is so, looked for in the window and in what was read before it."""
    if column.segment or not column.changes or column.reference is None or column.current is None:
        return column
    days = {
        key.day: profile.columns[column.column]
        for key, profile in profiles.cells.items()
        if key.population in {"weekdays", CURRENT} and not key.segment and column.column in profile.columns
    }
    return replace(column, since=changed_on(column.changes[0].aspect, column.reference, column.current, days))


def _period(profiles: Profiles, days: Collection[date] | None = None) -> Period:
    chosen = [profile for day, profile in profiles.by_day.items() if days is None or day in days]
    return Period(Profile.sum(chosen), tuple(chosen))
