"""What a gallery shows, as values: one shelf for each report with all its versions, and what was refused or failed.

Versions come from the index, the order of events from the ledger: a clock that was set back moves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

from toolkit.archive import versions
from toolkit.archive.trend import Trend, read_trends
from toolkit.archive.versions import REFUSED, RUN_FAILED
from toolkit.windows import format_instant

if TYPE_CHECKING:
    from toolkit.archive.indexed import Indexed
    from toolkit.archive.versions import Reference
    from toolkit.ledger import Entry
    from toolkit.workspace import Workspace

_PERIOD = re.compile(r"(?P<subject>.+)-(?P<period>[0-9]{4}-([0-9]{2}(-[0-9]{2})?|Q[1-4]|W[0-9]{2}))")

Place = tuple[int, int | str]
"""Where an event stands in the order of events; versions that the ledger does not know yet come last."""


@dataclass(frozen=True)
class Stopped:
    """Runs of one report that were refused or failed for the same reason, one after the other.

    Attributes
    ----------
    state: `refused` or `failed`.
    type: of the refusal, such as `NotReady`; "" of a failure.
    runs: how many there were.
    when: of the last one.
    kept: link to the half-run notebook of the last one; "" when there is none, or no longer.
    """

    state: str
    series: str
    type: str
    reason: str
    runs: int
    when: str
    kept: str
    place: Place

    @property
    def word(self) -> str:
        """What happened, such as `refused (NotReady), 2 times`."""
        word = f"{self.state} ({self.type})" if self.type else self.state
        return f"{word}, {self.runs} times" if self.runs > 1 else word


@dataclass(frozen=True)
class Shelf:
    """Every version of one report, the newest number first.

    Attributes
    ----------
    places: of each version, in the order of events.
    stopped: what came of the last run, when it published nothing.
    pairs: versions that have a page beside the version before them.
    """

    versions: tuple[Indexed, ...]
    places: tuple[Place, ...]
    stopped: Stopped | None
    pairs: frozenset[tuple[int, int]] = frozenset()

    @property
    def latest(self) -> Indexed:
        """The version with the highest number."""
        return self.versions[0]

    @property
    def previous(self) -> Indexed | None:
        """The version before the latest, if there is one."""
        return self.versions[1] if len(self.versions) > 1 else None

    @property
    def reference(self) -> Reference:
        """Of the latest version."""
        return self.latest.reference

    def events(self) -> Iterator[tuple[Place, Indexed]]:
        """Every version with its place in the order of events."""
        return zip(self.places, self.versions, strict=True)

    @property
    def changed_from(self) -> str:
        """What the version before found, when the latest found something else; else ""."""
        before = self.previous
        if before is None or before.problem or self.latest.problem or before.headline == self.latest.headline:
            return ""
        return before.headline

    @cached_property
    def trends(self) -> list[Trend]:
        """The results that its readers follow."""
        return read_trends([(f"version {number(each)}", each.trends) for each in reversed(self.versions)])


@dataclass(frozen=True)
class Periods:
    """Reports of one template whose subjects differ only in the period at their end, such as `delay-2013-04`.

    Attributes
    ----------
    subject: what they have in common.
    shelves: one for each period, the earliest first.
    """

    subject: str
    shelves: tuple[Shelf, ...]

    @property
    def names(self) -> list[str]:
        """The periods, such as `2013-04`."""
        return [shelf.reference.subject.removeprefix(f"{self.subject}-") for shelf in self.shelves]

    @cached_property
    def trends(self) -> list[Trend]:
        """The results of each period's latest version."""
        latest = (shelf.latest.trends for shelf in self.shelves)
        return read_trends(list(zip(self.names, latest, strict=True)), noun="period")


def find_periods(shelves: Iterable[Shelf]) -> list[Periods]:
    """The subjects of one template that have several periods of the same kind: months, quarters, weeks or days.

    Parameters
    ----------
    shelves: of one template.
    """
    found: dict[tuple[str, str], list[Shelf]] = {}
    for shelf in shelves:
        if match := _PERIOD.fullmatch(shelf.reference.subject):
            kind = re.sub("[0-9]", "", match["period"])
            found.setdefault((match["subject"], kind), []).append(shelf)
    return [
        Periods(subject, tuple(sorted(of_kind, key=lambda shelf: shelf.reference.subject)))
        for (subject, _), of_kind in found.items()
        if len(of_kind) > 1
    ]


def number(version: Indexed) -> int:
    """A version's number."""
    return version.reference.version or 0


def page_link(reference: Reference) -> str:
    """A version's page, from the archive's folder."""
    return quote(f"{reference.series}/{reference.folder_name}/{versions.PAGE}")


def pair_path(before: Reference, after: Reference) -> str:
    """The page of two versions of one report beside each other, below the archive's folder."""
    return f"{versions.COMPARE}/{after.series}/{before.folder_name}-{after.folder_name}.html"


def show_minute(instant: str | None) -> str:
    """An instant to the minute; "" for none.

    >>> show_minute("2026-11-27T20:29:06.559181Z"), show_minute(None)
    ('2026-11-27 20:29Z', '')
    """
    day, at, time = (instant or "").partition("T")
    return f"{day} {time[:5]}Z" if at else day


def show_day(instant: str | None) -> str:
    """An instant as its day, if it is at midnight; else to the minute.

    >>> show_day("2013-05-01T00:00:00Z"), show_day("2013-05-01T12:30:00Z")
    ('2013-05-01', '2013-05-01 12:30Z')
    """
    return show_minute(instant).removesuffix(" 00:00Z")


def arrange_shelves(
    versions: Iterable[Indexed], published: Mapping[str, int], stopped: Sequence[Stopped]
) -> list[Shelf]:
    """Shelves, the one with the newest publication first.

    Parameters
    ----------
    published: reference to the ledger's sequence number; a version that is not there yet was published last.
    stopped: newest first.
    """
    ordered = sorted(versions, key=lambda version: version.reference, reverse=True)
    last_stopped = {each.series: each for each in reversed(stopped)}
    shelves = []
    for series, of_series in groupby(ordered, key=lambda version: version.reference.series):
        own = tuple(of_series)
        places = tuple(_place(version, published) for version in own)
        after = last_stopped.get(series)
        shelves.append(Shelf(own, places, after if after and after.place > max(places) else None))
    return sorted(shelves, key=lambda shelf: max(shelf.places), reverse=True)


def find_unresolved(shelves: Iterable[Shelf], stopped: Iterable[Stopped]) -> list[Stopped]:
    """What came of the last run of each report that published nothing, newest first; also where nothing ever was.

    Parameters
    ----------
    stopped: newest first.
    """
    after = {shelf.reference.series: shelf.stopped for shelf in shelves}
    last = {each.series: each for each in reversed(list(stopped))}
    return sorted(
        (each for each in last.values() if after.get(each.series, each) is each),
        key=lambda each: each.place,
        reverse=True,
    )


def _place(version: Indexed, published: Mapping[str, int]) -> Place:
    sequence = published.get(str(version.reference))
    return (1, version.finished_at or "") if sequence is None else (0, sequence)


def read_stopped(workspace: Workspace, entries: Iterable[Entry]) -> list[Stopped]:
    """Refusals and failures, newest first; the same told again in a row is one.

    Parameters
    ----------
    entries: of the kinds `report.refused` and `report.failed`.
    """
    newest_first = sorted(entries, key=lambda entry: entry.sequence, reverse=True)
    told = groupby(newest_first, key=lambda entry: (entry.kind, entry.subject, entry.data.get("reason", "")))
    return [_stopped(workspace, list(same)) for _, same in told]


def _stopped(workspace: Workspace, same: Sequence[Entry]) -> Stopped:
    newest = same[0]
    return Stopped(
        state={RUN_FAILED: "failed", REFUSED: "refused"}[newest.kind],
        series=newest.subject,
        type=str(newest.data.get("type", "")),
        reason=str(newest.data.get("reason", "")),
        runs=len(same),
        when=show_minute(format_instant(newest.recorded_at)),
        kept=_kept(workspace, newest),
        place=(0, newest.sequence),
    )


def _kept(workspace: Workspace, entry: Entry) -> str:
    """A link to what was kept of a failure, if it is still there."""
    kept = entry.data.get("kept")
    page = workspace.root / str(kept) / versions.PAGE if kept else None
    if page is None or workspace.reports not in page.parents or not page.is_file():
        return ""
    return quote(page.relative_to(workspace.reports).as_posix())
