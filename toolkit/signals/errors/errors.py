"""Recurring errors: failed requests by what the service said, which of them are new, back, or more frequent.

Errors need no labels, so the window is the last whole days up to `as_of`, as long as the observation's; it is compared
with the weeks right before it. A message is shown only where enough users met it (`smallest_cell` of privacy.yml).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from typing_extensions import override

from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.display import Picture, format_interval, format_number
from toolkit.metrics import MetricDefinition
from toolkit.metrics.error_texts import TEXT, DayRequests, count_error_texts
from toolkit.metrics.marks import Mark, list_deployments
from toolkit.privacy import smallest_cell
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.errors.courses import RecurringError, judge_errors
from toolkit.signals.errors.pictures import ErrorCourse, draw_courses
from toolkit.signals.observation import Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window

DEFAULT_THRESHOLD = 0.001
"""The practical threshold of one error's share of the requests, where no metric of the error rate has one."""

_SHOWN = 12
_DRAWN = 6


@dataclass(frozen=True)
class RecurringErrors(Shown):
    """The errors of a model's served requests by message, the signalled ones first, then by how many met them.

    Attributes
    ----------
    threshold: how much an error's share of the requests must rise to matter; `threshold_of` says where it comes from.
    requests, failed, unsaid: of the window: served requests, those that failed, and those that did not say why.
    fingerprints: different ones in the window; `errors` are the most frequent of them.
    reason: why there is nothing to say, or "".
    """

    nothing_to_draw: ClassVar[str] = "no failed request said why"

    window: Window
    earlier: Window
    threshold: float
    threshold_of: str
    requests: int = 0
    failed: int = 0
    unsaid: int = 0
    fingerprints: int = 0
    errors: tuple[RecurringError, ...] = ()
    deployments: tuple[Mark, ...] = ()
    day_requests: tuple[DayRequests, ...] = ()
    reason: str = ""

    @cached_property
    def alarming(self) -> tuple[RecurringError, ...]:
        """The errors that are new, back or more frequent, beyond chance and by at least the practical threshold."""
        return tuple(error for error in self.errors if self._alarms(error))

    def _alarms(self, error: RecurringError) -> bool:
        return (
            error.course in {"new", "back", "more"}
            and error.p_adjusted is not None
            and error.p_adjusted <= EVIDENCE_ALPHA
            and (error.change.value or 0.0) >= self.threshold
        )

    @property
    def signals(self) -> tuple[Signal, ...]:
        """One signal for each alarming error."""
        weeks = self.window.days / 7
        return tuple(
            Signal(
                kind="error",
                family="service",
                metric=error.key,
                segment="",
                name=error.name,
                window=self.window.label,
                verdict="worse",
                change=error.change,
                unit="share",
                times_threshold=(error.change.value or 0.0) / self.threshold,
                excess_loss_per_week=None,
                no_loss_reason="a failed request has no label, so its loss is not known",
                text=self._sentence(error),
                first_day=self.window.first_day if error.onset_at is None else error.onset_at.date(),
                last_day=error.last_at.date(),
                dated=error.onset_at is not None,
                p_adjusted=error.p_adjusted,
                requests_per_week=error.requests / weeks,
                units_per_week=None if error.reason else error.users / weeks,
            )
            for error in self.alarming
        )

    def _sentence(self, error: RecurringError) -> str:
        share = format_number("share", error.requests / self.requests if self.requests else None, unit="share")
        users = "" if error.reason else f" of {error.users:,} users"
        return f"{error.requests:,} requests ({share}){users} failed with “{error.name}”: {error.since}"

    @property
    @override
    def text(self) -> str:
        if self.reason:
            return f"Errors by message are absent: {self.reason}."
        if not self.failed:
            return f"None of {self.requests:,} served requests failed in {self.window.label}."
        unsaid = f"; {self.unsaid:,} of them did not say why" if self.unsaid else ""
        lead = (
            f"{self.failed:,} of {self.requests:,} served requests failed in {self.window.label}, with "
            f"{_messages(self.fingerprints, 'different ')}{unsaid}."
        )
        found = self.alarming
        reasons = Counter(error.reason for error in self.errors if error.fingerprint is None)
        listed = ", ".join(f"{_messages(count)} ({reason})" for reason, count in reasons.items())
        hidden = f" Not shown: {listed}." if listed else ""
        bar = format_number("share", self.threshold, unit="share")
        if not found:
            return (
                f"{lead} None is new, back or more frequent than in {self.earlier.label} beyond chance and by {bar} of "
                f"the requests ({self.threshold_of}).{hidden}"
            )
        shown = "; ".join(self._sentence(error) for error in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return f"{lead} {shown}{more}.{hidden}"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"window": self.window.label}
        absent = self.reason or "nothing was served"
        failed = self.failed / self.requests if self.requests else None
        rows = [
            number_row(failed, absent, key="errors", statistic="failed_share", n=self.requests, unit="share", **where),
            number_row(None if self.reason else self.unsaid, absent, key="errors", statistic="without_text", **where),
            number_row(None if self.reason else self.fingerprints, absent, key="errors", statistic="messages", **where),
            ResultRow(
                key="errors",
                statistic="practical_threshold",
                value=self.threshold,
                unit="share",
                method=self.threshold_of,
                **where,
            ),
        ]
        for error in self.errors:
            rows += _rows_of(error, where)
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "message": error.name,
                "requests": error.requests,
                "users": error.reason or error.users,
                "change": format_number("change", error.change.value, unit="share"),
                "interval_95": format_interval("change", error.change.ci_lower, error.change.ci_upper, unit="share"),
                "adjusted_p_value": error.p_adjusted,
                "course": error.since,
                "first_seen": f"{error.first_at:%Y-%m-%d %H:%M}",
                "last_seen": f"{error.last_at:%Y-%m-%d %H:%M}",
                "masked": ", ".join(f"{count} × {part}" for part, count in error.parts.items()) or "nothing",
                "example": error.example or "",
            }
            for error in self.errors[:_SHOWN]
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = self.errors[:_DRAWN]
        if not drawn:
            return ()
        return (
            draw_courses(
                [ErrorCourse(error.name, error.days, error in self.alarming) for error in drawn],
                {day.day: day.requests for day in self.day_requests},
                window=self.window,
                deployments=self.deployments,
            ),
        )


def _messages(count: int, what: str = "") -> str:
    return f"{count} {what}message{'' if count == 1 else 's'}"


def _rows_of(error: RecurringError, where: Mapping[str, Any]) -> list[ResultRow]:
    return [
        number_row(error.fingerprint, error.reason, key=error.key, statistic="message", **where),
        number_row(error.example, error.reason or "there is none", key=error.key, statistic="example", **where),
        ResultRow(key=error.key, statistic="requests", value=error.requests, **where),
        number_row(None if error.reason else error.users, error.reason, key=error.key, statistic="users", **where),
        ResultRow(key=error.key, statistic="different_texts", value=error.texts, **where),
        estimate_row(
            error.change, key=error.key, statistic="change", unit="share", comparison="current - earlier", **where
        ),
        ResultRow(
            key=error.key,
            statistic="course",
            value=error.since,
            p_value=error.p_adjusted,
            method="Benjamini-Hochberg over the window's messages",
            **where,
        ),
    ]


def recurring_errors(source: Source, observed: Observation, *, history_days: int = 91) -> RecurringErrors:
    """Group the failed requests that a model served by what the service said, and say which of it is new or back.

    The window is the last whole days before the observation's `as_of`, as many as it has; it is compared with the
    `history_days` right before. Messages are counted by fingerprint in the engine. A rise is tested exactly, as if
    errors came in bursts as large as they did before; p-values are adjusted over all messages of the window.

    Raises `ContractError`, `ArgumentError`.
    """
    check_at_least("history_days", history_days, 1)
    window = Window.last_days(max(1, round(observed.window.days)), before=observed.as_of)
    earlier = Window(window.start - timedelta(days=history_days), window.start)
    threshold, threshold_of = _threshold(observed.metrics)
    empty = RecurringErrors(window, earlier, threshold, threshold_of)
    if TEXT not in source.columns("predictions"):
        return replace(empty, reason=f"predictions have no column {TEXT}: what the service said is not known")
    counted = count_error_texts(source, observed.model.key, earlier=earlier, current=window, as_of=observed.as_of)
    now = [day for day in counted.days if day.day >= window.first_day]
    deployments = list_deployments(
        source, model=observed.model.key, window=Window(earlier.start, window.end), as_of=observed.as_of
    )
    found = replace(
        empty,
        requests=sum(day.requests for day in now),
        failed=sum(day.failed for day in now),
        unsaid=sum(day.unsaid for day in now),
        fingerprints=counted.fingerprints,
        errors=judge_errors(counted, deployments, smallest=smallest_cell(source.workspace)),
        deployments=deployments,
        day_requests=counted.days,
    )
    ordered = sorted(found.errors, key=lambda error: (error not in found.alarming, -error.requests, error.key))
    return replace(found, errors=tuple(ordered))


def _threshold(metrics: Mapping[str, MetricDefinition]) -> tuple[float, str]:
    for key, metric in metrics.items():
        if metric.kind == "proportion" and getattr(metric, "column", None) == "error":
            return metric.practical_threshold, f"the practical threshold of {key}"
    return DEFAULT_THRESHOLD, "no metric of the error rate says what matters"
