"""Days by their ISO text: the window that they make, and which of them are read together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from toolkit.windows import Window, parse_instant

_DAY = timedelta(days=1)


def window_of_days(first: str, last: str) -> Window:
    """From the first to the last day, both included.

    >>> window_of_days("2030-01-01", "2030-01-07").days
    7
    """
    return Window(parse_instant(first), parse_instant(last) + _DAY)


def day_runs(rows: Mapping[str, int], *, most_rows: int, most_days: int | None = None) -> Iterator[list[str]]:
    """Days without a gap between them, in order: of `most_rows` rows together, or a single day.

    Parameters
    ----------
    rows: of each day.

    >>> list(day_runs({"2030-01-01": 5, "2030-01-02": 5, "2030-01-03": 1, "2030-01-07": 1}, most_rows=9))
    [['2030-01-01'], ['2030-01-02', '2030-01-03'], ['2030-01-07']]
    """
    run: list[str] = []
    held = 0
    for day in sorted(rows):
        follows = run and date.fromisoformat(day) - date.fromisoformat(run[-1]) == _DAY
        if run and (not follows or held + rows[day] > most_rows or len(run) == most_days):
            yield run
            run, held = [], 0
        run.append(day)
        held += rows[day]
    if run:
        yield run
