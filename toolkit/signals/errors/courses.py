"""How one kind of error went: since when it is there, whether it was gone, whether there is more of it than before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal

from toolkit import stats
from toolkit.digests import digest_value
from toolkit.display import shortened
from toolkit.metrics.error_texts import ErrorText, ErrorTexts, masked_parts, shorten_text
from toolkit.metrics.marks import Mark
from toolkit.privacy import mask_personal_data, too_small
from toolkit.signals.signal import EVIDENCE_ALPHA

Course = Literal["new", "back", "more", "fewer", "steady", "unclear"]

_LEAST_HISTORY_DAYS = 7
"""Days with requests before the window without which an error cannot be called new."""

_LONGEST_NAME = 120
_LEAST_QUIET_DAYS = 7
_LEAST_EXPECTED = 3.0
"""An error was gone when it stayed away so long, longer than ever before, and so many bursts of it were to be expected:
of three none comes by chance in 5 % of the cases."""

_NEAR = timedelta(days=3)
"""How long after a deployment something may begin and still have it named beside it."""


@dataclass(frozen=True)
class RecurringError:
    """What one kind of message did.

    Attributes
    ----------
    key: `error-` and a digest of the fingerprint: the same in every run.
    fingerprint: the message with what differs masked; None where it may not be shown, and `reason` says why.
    parts: what was masked in it, and how often.
    example: one message, redacted; None where there is none to show.
    requests, users, texts: failed requests of the window, the units that met them, different messages among them.
    first_at, last_at: in the whole history.
    course: `new` since the window began; `back` after it had been gone; `more` or `fewer` than before, beyond chance;
        `steady`; `unclear` where the history is too short.
    onset_at: when it began, or began again; None for the others.
    after: the deployment that it began after, in words, or "": a hint, no cause.
    change: its share of the requests in the window minus that before (of the time that it was gone, if it is back).
    p_adjusted: over all fingerprints of the window.
    days: failed requests by day.
    """

    key: str
    fingerprint: str | None
    reason: str
    parts: Mapping[str, int]
    example: str | None
    request_id: str | None
    requests: int
    users: int
    texts: int
    first_at: datetime
    last_at: datetime
    course: Course
    onset_at: datetime | None
    after: str
    change: stats.Estimate
    p_adjusted: float | None
    days: Mapping[date, int]

    @property
    def name(self) -> str:
        """The beginning of the message, or what stands for it."""
        if self.fingerprint is None:
            return f"{self.key} ({self.reason})"
        return shortened(self.fingerprint, _LONGEST_NAME)

    @property
    def since(self) -> str:
        """How it goes, in words."""
        onset = "" if self.onset_at is None else f" since {self.onset_at:%Y-%m-%d %H:%M}"
        return f"{self.course}{onset}{f', {self.after}' if self.after else ''}"


def judge_errors(counted: ErrorTexts, deployments: Sequence[Mark], *, smallest: int) -> tuple[RecurringError, ...]:
    """What each message of the current window did.

    p-values are adjusted over all messages of both windows: a rare one is looked at because it happened to come now.

    Parameters
    ----------
    smallest: the fewest users that a message must have had to be shown.
    """
    errors = [_judge(text, counted, deployments, smallest) for text in counted.texts]
    others = [1.0] * (counted.ever - len(errors))
    adjusted = stats.adjust_p([*(error.change.p_value for error in errors), *others], "benjamini-hochberg")
    return tuple(_with_course(error, p) for error, p in zip(errors, adjusted, strict=False))


@dataclass(frozen=True)
class _Past:
    """What a fingerprint is compared with: when it began, failed requests and requests then, and how it bursts."""

    course: Course
    onset_at: datetime | None
    since: date | None
    events: int
    requests: int
    burst: float


def _judge(text: ErrorText, counted: ErrorTexts, deployments: Sequence[Mark], smallest: int) -> RecurringError:
    past = _past(text, counted)
    requests = sum(day.requests for day in counted.days if day.day >= counted.current.first_day)
    if past.requests and requests:
        change = stats.compare_rates(
            past.events, past.requests, text.requests, requests, dispersion=past.burst
        ).difference
    else:
        change = stats.Estimate.absent("there was no request before to compare with", n=requests, method="")
    reason = too_small(text.users, smallest)
    shown, example = mask_personal_data(text.fingerprint), mask_personal_data(shorten_text(text.example))
    reason = reason or shown.reason
    after = "" if past.onset_at is None else _name_latest(deployments, before=past.onset_at, since=past.since)
    return RecurringError(
        key=f"error-{digest_value(text.fingerprint)[7:15]}",
        fingerprint=None if reason else shown.text,
        reason=reason,
        parts={} if reason else masked_parts(text.fingerprint),
        example=None if reason or example.reason else example.text,
        request_id=None if reason else text.request_id,
        requests=text.requests,
        users=text.users,
        texts=text.texts,
        first_at=text.days[0].first_at,
        last_at=text.days[-1].last_at,
        course=past.course,
        onset_at=past.onset_at,
        after=after,
        change=change,
        p_adjusted=None,
        days={day.day: day.requests for day in text.days},
    )


def _past(text: ErrorText, counted: ErrorTexts) -> _Past:
    begin = counted.current.first_day
    earlier_days = {day.day: day.requests for day in counted.days if day.day < begin}
    before = [day for day in text.days if day.day < begin]
    first_now = next(day for day in text.days if day.day >= begin)
    events, requests = sum(day.requests for day in before), sum(earlier_days.values())
    if not before:
        known = len(earlier_days) >= _LEAST_HISTORY_DAYS
        onset = first_now.first_at if known else None
        return _Past("new" if known else "unclear", onset, None, 0, requests if known else 0, 1.0)
    last_before = before[-1].day
    quiet = sum(day.requests for day in counted.days if last_before < day.day < first_now.day)
    active = {day: n for day, n in earlier_days.items() if before[0].day <= day <= last_before}
    by_day = {day.day: day.requests for day in before}
    expected = events / sum(active.values()) * quiet
    burst = stats.burst_size([by_day.get(day, 0) for day in active], list(active.values()))
    gaps = [(later.day - sooner.day).days for sooner, later in pairwise(before)]
    away = (first_now.day - last_before).days
    if away > max([_LEAST_QUIET_DAYS, *gaps]) and expected / burst >= _LEAST_EXPECTED:
        return _Past("back", first_now.first_at, last_before, 0, quiet, 1.0)
    burst = stats.burst_size([by_day.get(day, 0) for day in earlier_days], list(earlier_days.values()))
    return _Past("steady", None, None, events, requests, burst)


def _with_course(error: RecurringError, p_adjusted: float | None) -> RecurringError:
    course = error.course
    if course == "steady" and p_adjusted is not None and p_adjusted <= EVIDENCE_ALPHA:
        course = "more" if (error.change.value or 0.0) > 0 else "fewer"
    return replace(error, course=course, p_adjusted=p_adjusted)


def _name_latest(deployments: Sequence[Mark], *, before: datetime, since: date | None) -> str:
    """The latest deployment in the three days before an instant, and after the day `since`, in words; "" without one.

    >>> from toolkit.windows import parse_instant
    >>> mark = Mark("deployment", parse_instant("2030-01-02T10:00Z"), None, "deploy of version 2")
    >>> _name_latest([mark], before=parse_instant("2030-01-02T13:00Z"), since=None)
    '3 h after deploy of version 2'
    """
    near = [
        mark for mark in deployments if before - _NEAR <= mark.at <= before and (since is None or mark.day >= since)
    ]
    if not near:
        return ""
    latest = max(near, key=lambda mark: (mark.at, mark.name))
    return f"{_in_words(before - latest.at)} after {latest.name}"


def _in_words(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"
