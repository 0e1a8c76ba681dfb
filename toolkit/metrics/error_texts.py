"""What failed requests said, by kind of message: the engine masks what differs from one to the next, and counts.

A message becomes its fingerprint when quoted values, URLs, e-mail addresses, paths, and numbers and identifiers in
them are replaced by what they are. Only the most frequent fingerprints come back, with their counts by day and one
message each. The same patterns mean the same in DuckDB, PostgreSQL, Spark and Python: no look-around, no classes but
those of ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.data.instants import date_of, day_of, days_as_text

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.windows import Window

TEXT = "error_text"
MOST_TEXTS = 50
"""Fingerprints that come back; the others are counted."""

_LONGEST_READ, _LONGEST_SHOWN = 2000, 300
_KEPT = "¤"
"""Stands before a number that is kept, while the others are masked: a status code says what kind of failure it is."""

_WORD = "([^A-Za-z0-9])"
"""What comes before a word. It is put back."""


class Mask(NamedTuple):
    """A pattern, and what stands for each match; `{1}` is its first group."""

    pattern: str
    stands: str


_SPACES = (Mask("[ \t\r\n]+", " "),)
_WORDS = (
    Mask('"[^"]*"', "<quoted>"),
    Mask("`[^`]*`", "<quoted>"),
    Mask(f"{_WORD}'[^']*'", "{1}<quoted>"),
    Mask("[A-Za-z][A-Za-z0-9+.-]*://[^ <>)]+", "<url>"),
    Mask("[^ <>(),;:=]+@[^ <>(),;:=]+", "<email>"),
    Mask("([^A-Za-z0-9_<])([~]|[A-Za-z]:)?([/\\\\][A-Za-z0-9_.@%+~-]+)+", "{1}<path>"),
    Mask(
        "(^|[^0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        "{1}<value>",
    ),
    Mask(f"{_WORD}[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}", "{1}<value>"),
    Mask(f"{_WORD}0x[0-9a-fA-F]+", "{1}<value>"),
    Mask(f"{_WORD}[0-9a-fA-F]{{8,}}", "{1}<value>"),
    Mask(f"{_WORD}[A-Za-z]{{1,8}}[0-9]{{3,}}[0-9A-Za-z]*", "{1}<value>"),
    # Five hexadecimal digits and more, of which one of the first is a number: no words, but short commits and the like.
    Mask(
        f"{_WORD}([a-fA-F][0-9][0-9a-fA-F]{{3}}|[a-fA-F]{{2}}[0-9][0-9a-fA-F]{{2}}|[a-fA-F]{{3}}[0-9][0-9a-fA-F]"
        "|[a-fA-F]{4,7}[0-9])[0-9a-fA-F]*",
        "{1}<value>",
    ),
)
_NUMBERS = (
    Mask(
        "([Ss][Tt][Aa][Tt][Uu][Ss]|[Cc][Oo][Dd][Ee]|[Ee][Rr][Rr][Nn][Oo]|[Hh][Tt][Tt][Pp]|[Hh][Tt][Tt][Pp]/[0-9.]+)"
        "([ =:#(]+)([0-9]{1,3})([^0-9A-Za-z.])",
        "{1}{2}" + _KEPT + "{3}{4}",
    ),
    Mask("([^A-Za-z0-9¤])-?[0-9][0-9a-fA-F]*", "{1}<value>"),
    Mask("<value>([.,:/+-]? ?<value>)+", "<value>"),
    Mask(_KEPT, ""),
)
_LISTS = (Mask("<quoted>(, ?<quoted>)+", "<quoted>"),)
MASKS = (*_SPACES, *_WORDS, *_NUMBERS, *_LISTS)
"""In the order in which they are applied, to the text with a space at both ends."""

PARTS = {
    "quoted": "quoted value",
    "url": "URL",
    "email": "e-mail address",
    "path": "path",
    "value": "number or identifier",
}
"""What may be masked, in words."""

_LONG_NUMBER = Mask("([^A-Za-z0-9])[0-9]{5,}", "{1}<value>")


def normalise_text(text: str) -> str:
    """The fingerprint of one message, as the engine would make it.

    >>> normalise_text("user 'ada' not found (id 8f2a11c09d), HTTP 404 after 30.5 s")
    'user <quoted> not found (id <value>), HTTP 404 after <value> s'
    """
    return _mask(text, MASKS)[:_LONGEST_SHOWN]


def shorten_text(text: str) -> str:
    """One message as it may be shown: with its small numbers, such as seconds and counts, and nothing else masked less.

    >>> shorten_text("user 'ada' not found (id 8f2a11c09d), HTTP 404 after 30.5 s")
    'user <quoted> not found (id <value>), HTTP 404 after 30.5 s'
    """
    return _mask(text, (*_SPACES, *_WORDS, _LONG_NUMBER, *_LISTS))[:_LONGEST_SHOWN]


def masked_parts(fingerprint: str) -> dict[str, int]:
    """What was masked in a message of this fingerprint, and how often.

    >>> masked_parts("user <quoted> not found (id <value>)")
    {'quoted value': 1, 'number or identifier': 1}
    """
    counts = {words: fingerprint.count(f"<{part}>") for part, words in PARTS.items()}
    return {words: count for words, count in counts.items() if count}


def _mask(text: str, masks: Sequence[Mask]) -> str:
    padded = f" {text[:_LONGEST_READ]} "
    for pattern, stands in masks:
        padded = re.sub(pattern, stands.replace("{", "\\").replace("}", ""), padded)
    return padded.strip(" ")


def _fingerprint(text: ir.StringValue, engine: str) -> ir.StringValue:
    """The same in the engine; Spark writes a group as `$1`."""
    import ibis

    sign = "$" if engine == "pyspark" else "\\"
    space = ibis.literal(" ")
    padded = space.concat(text.left(_LONGEST_READ), space)
    for pattern, stands in MASKS:
        padded = padded.re_replace(pattern, stands.replace("{", sign).replace("}", ""))
    return padded.strip().left(_LONGEST_SHOWN)


@dataclass(frozen=True)
class TextDay:
    """One fingerprint on one day: how many requests failed with it, and the first and last of them."""

    day: date
    requests: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class ErrorText:
    """One fingerprint that failed requests of the current window had.

    Attributes
    ----------
    requests, users, texts: in the current window: failed requests, the units that met it, different messages.
    example: one of the messages, not redacted yet; request_id: a request of the window that failed with it.
    days: all days on which it was met, in order, from the beginning of the earlier window on.
    """

    fingerprint: str
    requests: int
    users: int
    texts: int
    example: str
    request_id: str
    days: tuple[TextDay, ...]


@dataclass(frozen=True)
class DayRequests:
    """The served requests of one day, those of them that failed, and those that failed without saying why."""

    day: date
    requests: int
    failed: int
    unsaid: int


@dataclass(frozen=True)
class ErrorTexts:
    """What the failed requests of a model said in two windows, one right after the other.

    Attributes
    ----------
    days: every day with a served request, in order.
    ever: different fingerprints in both windows; not counted where the current one has none.
    fingerprints: different ones in the current window; `texts` are the most frequent of them.
    """

    earlier: Window
    current: Window
    days: tuple[DayRequests, ...]
    ever: int
    fingerprints: int
    texts: tuple[ErrorText, ...]


def count_error_texts(
    source: Source, model: str, *, earlier: Window, current: Window, as_of: datetime, most: int = MOST_TEXTS
) -> ErrorTexts:
    """Count what failed requests that `model` served said, by fingerprint and day; two queries.

    `earlier` ends where `current` begins. Raises `ContractError`, also where predictions have no such column.
    """
    check_at_least("most", most, 1)
    rows = source.read(
        "predictions",
        ["unit_id", "error", "served", TEXT],
        as_of=as_of,
        start=earlier.start,
        end=current.end,
    )
    rows = rows.filter(rows.model == model, rows.served)
    rows = rows.mutate(says=rows.error & rows[TEXT].notnull() & (rows[TEXT].strip() != ""))
    said = rows.filter(rows.says)
    engine = source.opened("predictions").connection.engine
    said = said.select(
        "request_id",
        "unit_id",
        "occurred_at",
        TEXT,
        fingerprint=_fingerprint(said[TEXT], engine),
        day=day_of(said.occurred_at),
        now=said.occurred_at >= current.start,
    )
    counted = _count_texts(source, said, most)
    return ErrorTexts(earlier, current, _count_days(source, rows), *counted)


def _count_days(source: Source, rows: ir.Table) -> tuple[DayRequests, ...]:
    counts = rows.group_by(day=date_of(rows.occurred_at)).aggregate(
        requests=rows.count(),
        failed=rows.error.cast("int64").sum(),
        said=rows.says.cast("int64").sum(),
    )
    frame = source.execute(days_as_text(counts).order_by("day"), reading="predictions")
    return tuple(
        DayRequests(date.fromisoformat(str(row.day)), int(row.requests), int(row.failed), int(row.failed - row.said))
        for row in frame.itertuples(index=False)
    )


def _count_texts(source: Source, said: ir.Table, most: int) -> tuple[int, int, tuple[ErrorText, ...]]:
    """How many fingerprints both windows have, and the current one; the most frequent of it with their days."""
    import ibis

    found = said.group_by("fingerprint").aggregate(
        now_requests=said.now.cast("int64").sum(),
        now_users=said.unit_id.nunique(where=said.now),
        now_texts=said[TEXT].nunique(where=said.now),
        example=said[TEXT].max(where=said.now),
        example_request=said.request_id.max(where=said.now),
    )
    met_now = (found.now_requests > 0).cast("int64")
    found = found.mutate(ever=found.count().over(ibis.window()), fingerprints=met_now.sum().over(ibis.window()))
    top = found.filter(found.now_requests > 0).order_by(ibis.desc("now_requests"), "fingerprint").limit(most)
    days = said.group_by("fingerprint", "day").aggregate(
        requests=said.count(), first_at=said.occurred_at.min(), last_at=said.occurred_at.max()
    )
    joined = days.inner_join(top, "fingerprint")
    frame = source.execute(joined.order_by(ibis.desc("now_requests"), "fingerprint", "day"), reading="predictions")
    texts: dict[str, list[Any]] = {}
    for row in frame.itertuples(index=False):
        texts.setdefault(row.fingerprint, []).append(row)
    ever, now = (int(frame[name].iloc[0]) if len(frame) else 0 for name in ("ever", "fingerprints"))
    # PostgreSQL orders texts by its locale, so the order is made here again.
    ordered = sorted(texts.items(), key=lambda item: (-int(item[1][0].now_requests), item[0]))
    return ever, now, tuple(_error_text(fingerprint, rows) for fingerprint, rows in ordered)


def _error_text(fingerprint: str, rows: Sequence[Any]) -> ErrorText:
    first = rows[0]
    return ErrorText(
        fingerprint,
        int(first.now_requests),
        int(first.now_users),
        int(first.now_texts),
        str(first.example),
        str(first.example_request),
        tuple(
            TextDay(
                date.fromisoformat(str(row.day)),
                int(row.requests),
                row.first_at.to_pydatetime(),
                row.last_at.to_pydatetime(),
            )
            for row in rows
        ),
    )
