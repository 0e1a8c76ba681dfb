"""Trends: the results that a template's readers follow, over versions or periods, drawn small and in words.

A drawing is a few path texts in a box of fixed size, so that a page can place thousands. A value that is absent is a
gap in the line, never a zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from toolkit.display import format_interval, format_number

if TYPE_CHECKING:
    from toolkit.archive.indexed import KeyResult

WIDTH, HEIGHT = 240, 56
"""The box of a drawing, in its own units; a page may show it in any size."""

MOST_POINTS = 100
"""Points in one drawing, the latest ones; the words count all."""

_MARGIN = 4
_Value = TypeVar("_Value")


class Point(NamedTuple):
    """One report's value with its interval; what is absent is None. Its name is like `version 3` or `2013-04`."""

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Drawing:
    """SVG path texts: the interval as a band, the value as a line, where zero is, and the latest value's place.

    Attributes
    ----------
    zero: the height of zero, or None when it is out of sight.
    last: where the latest value is, or None when that is absent.
    """

    band: str
    line: str
    zero: float | None
    last: tuple[float, float] | None


@dataclass(frozen=True)
class Trend:
    """One result over reports of one kind, oldest first; `noun` is what one of them is, a version or a period."""

    record: str
    key: str
    statistic: str
    unit: str
    points: tuple[Point, ...]
    noun: str = "version"

    def label(self, subject: str) -> str:
        """What it is, for people: its key, unless that is the subject itself, and its statistic.

        >>> Trend("changes", "log_loss", "current", "nats", ()).label("delay")
        'Log loss, current'
        >>> Trend("register", "all", "open_items", "", ()).label("all")
        'Open items'
        """
        parts = [part.replace("_", " ") for part in (self.key, self.statistic) if part and part != subject]
        text = ", ".join(parts)
        return text[:1].upper() + text[1:]

    @property
    def present(self) -> tuple[Point, ...]:
        """The points that have a value."""
        return tuple(point for point in self.points if point.value is not None)

    def show(self, value: float | None, *, with_unit: bool = True) -> str:
        """A value as text, with its unit."""
        text = format_number(self.statistic, value, unit=self.unit)
        silent = not with_unit or value is None or self.unit in {"", "share"} or text.endswith(self.unit)
        return text if silent else f"{text} {self.unit}"

    def interval(self, point: Point) -> str:
        """A point's interval as text, "" when it has none."""
        if point.lower is None and point.upper is None:
            return ""
        return format_interval(self.statistic, point.lower, point.upper, unit=self.unit)

    def words(self, *, with_unit: bool = True) -> str:
        """The trend in one phrase, first and last value.

        >>> points = (Point("version 1", 0.173), Point("version 2", None), Point("version 3", 0.163))
        >>> Trend("changes", "brier", "current", "", points).words()
        '0.173 → 0.163 over 3 versions, absent in 1'
        >>> Trend("changes", "brier", "current", "", points[:2]).words()
        'absent; last 0.173 in version 1'
        """
        present = self.present
        if not present:
            return "absent"
        first, last = present[0], present[-1]
        if last is not self.points[-1]:
            return f"absent; last {self.show(last.value, with_unit=with_unit)} in {last.name}"
        if len(self.points) == 1:
            return self.show(last.value, with_unit=with_unit)
        then, now = self.show(first.value, with_unit=False), self.show(last.value, with_unit=with_unit)
        text = f"{then} → {now} over {len(self.points)} {self.noun}s"
        missing = len(self.points) - len(present)
        return f"{text}, absent in {missing}" if missing else text

    def move(self) -> str:
        """How the latest value lies to the interval of the point before it; "" inside, or when it cannot be said.

        >>> Trend("a", "b", "c", "", (Point("version 1", 0.5, 0.4, 0.6), Point("version 2", 0.7, 0.6, 0.8))).move()
        'above the interval of version 1, 0.4 to 0.6'
        """
        if len(self.points) < 2:
            return ""
        before, latest = self.points[-2:]
        if before.lower is None or before.upper is None or latest.value is None:
            return ""
        if before.lower <= latest.value <= before.upper:
            return ""
        side = "above" if latest.value > before.upper else "below"
        return f"{side} the interval of {before.name}, {self.interval(before)}"

    def draw(self) -> Drawing | None:
        """The drawing of the latest points; None when fewer than two of them have a value."""
        points = self.points[-MOST_POINTS:]
        if sum(point.value is not None for point in points) < 2:
            return None
        return _draw(points)


def read_trends(reports: Sequence[tuple[str, Sequence[KeyResult]]], *, noun: str = "version") -> list[Trend]:
    """The trends of reports of one kind, in the order in which the latest has them; then those that it lacks.

    A result that a report holds several times, such as one for each of three variants, has no trend: nothing here tells
    which is which. Under another unit it is another result.

    Parameters
    ----------
    reports: name and key results of each, oldest first; a result that one lacks is absent there.
    noun: what one of them is.
    """
    found: dict[tuple[str, str, str, str], dict[int, KeyResult]] = {}
    several = set()
    for place in reversed(range(len(reports))):
        for result in reports[place][1]:
            name = (result.record, result.key, result.statistic, result.unit)
            if found.setdefault(name, {}).setdefault(place, result) is not result:
                several.add(name)
    trends = []
    for name, results in found.items():
        first = min(results)  # a metric that came later has no gap before it came
        points = tuple(_point(label, results.get(first + n)) for n, (label, _) in enumerate(reports[first:]))
        if name not in several:
            trends.append(Trend(*name, points, noun))
    return trends


def _point(name: str, result: KeyResult | None) -> Point:
    return Point(name, None) if result is None else Point(name, result.value, result.ci_lower, result.ci_upper)


def _draw(points: Sequence[Point]) -> Drawing:
    seen = [each for point in points for each in point[1:] if each is not None]
    lowest, highest = min(seen), max(seen)
    span = highest - lowest

    def place(index: int, value: float) -> tuple[float, float]:
        x = _MARGIN + index * (WIDTH - 2 * _MARGIN) / (len(points) - 1)
        share = (value - lowest) / span if span else 0.5
        return round(x, 1), round(HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN), 1)

    line = [_path([place(index, value) for index, value in run]) for run in _runs([point.value for point in points])]
    band = []
    for stretch in _runs([_bounds(point) for point in points]):
        lower = [place(index, bounds[0]) for index, bounds in stretch]
        upper = [place(index, bounds[1]) for index, bounds in stretch]
        band.append(_path([*upper, *reversed(lower)]) + "z")
    latest = points[-1].value
    return Drawing(
        band="".join(band),
        line="".join(line),
        zero=place(0, 0.0)[1] if lowest < 0 < highest else None,
        last=None if latest is None else place(len(points) - 1, latest),
    )


def _bounds(point: Point) -> tuple[float, float] | None:
    """A point's interval, if both its ends are known."""
    return None if point.lower is None or point.upper is None else (point.lower, point.upper)


def _runs(values: Sequence[_Value | None]) -> Iterator[list[tuple[int, _Value]]]:
    """The stretches without a gap, each value with its place."""
    for present, run in groupby(enumerate(values), key=lambda pair: pair[1] is not None):
        if present:
            yield [(index, value) for index, value in run if value is not None]


def _path(places: Sequence[tuple[float, float]]) -> str:
    """A path through places; through one place a stroke of no length, which a round cap makes a dot."""
    (x, y), *others = places
    return f"M{x:g} {y:g}" + ("".join(f"L{x:g} {y:g}" for x, y in others) or "h0")


def svg(trend: Trend, subject: str) -> str:
    """A trend as an inline SVG that says in words what it shows; "" when there is nothing to draw."""
    drawing = trend.draw()
    if drawing is None:
        return ""
    parts = [f"<title>{escape(trend.label(subject))}</title><desc>{escape(trend.words())}</desc>"]
    if drawing.zero is not None:
        parts.append(f'<path class="zero" d="M0 {drawing.zero:g}H{WIDTH}"/>')
    if drawing.band:
        parts.append(f'<path class="band" d="{drawing.band}"/>')
    parts.append(f'<path class="line" d="{drawing.line}"/>')
    if drawing.last is not None:
        parts.append(f'<circle cx="{drawing.last[0]:g}" cy="{drawing.last[1]:g}" r="3.5"/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
