"""User feedback: how much of it there is, how it rates, what it is about, and which words it has more of than before.

Users need no label to complain, so the window is the last whole weeks up to `as_of`, about as long as the
observation's; it is compared with the weeks right before it. Every user counts once a week, however often they report.
What fewer than `smallest_cell` users (privacy.yml) stand behind is suppressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.checks import check_at_least, check_in
from toolkit.data import Source
from toolkit.display import Picture, format_interval, format_number
from toolkit.errors import ArgumentError
from toolkit.metrics.feedback_counts import TABLE, FeedbackCounts, FeedbackWeek, Ratings, count_feedback
from toolkit.privacy import smallest_cell, too_small
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.feedback.examples import ShownExample, show_category, show_examples
from toolkit.signals.feedback.pictures import draw_terms, draw_weeks
from toolkit.signals.observation import Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window

REPORTS, RATING = "feedback_reports", "feedback_rating"

PRACTICAL_RISE = 0.25
"""So much more of something is reported than before, as a share of it, before it matters."""

PRACTICAL_RATING = 0.2
"""So many standard deviations of the ratings before they matter: a small effect, after Cohen (1988)."""

_SHORTEST_TERM = 3
_LEAST_Z = 1.96
_SHOWN = 12


@dataclass(frozen=True)
class FeedbackChange:
    """One thing that users say, before and now.

    Attributes
    ----------
    metric: `feedback_reports` or `feedback_rating`. segment: `category=…`, or "" for all reports.
    before, now: of reports, users × weeks per request; of ratings, the mean of the users' own. `change`: now - before.
    times_threshold: the change in practical thresholds; below 0 for the better.
    reason: why it is not shown or not compared, else "".
    """

    metric: str
    segment: str
    users: int
    before: float | None
    now: float | None
    change: stats.Estimate
    times_threshold: float | None
    p_adjusted: float | None
    reason: str

    @property
    def name(self) -> str:
        """What it is, as people call it."""
        if self.metric == RATING:
            return "user rating"
        return f"user reports of {self.segment.partition('=')[2]}" if self.segment else "user reports"

    @property
    def _unit(self) -> tuple[float, str]:
        """How people read it, ratings as they are: what to multiply with, and what to say after the number."""
        return (1.0, "") if self.metric == RATING else (1000.0, " per 1,000 requests")

    @property
    def shown(self) -> str:
        """The change as people read it: reports per 1,000 requests, ratings in their own unit."""
        if self.change.value is None:
            return f"absent: {self.reason or self.change.reason}"
        scale, unit = self._unit
        return f"{scale * self.change.value:+.3g}{unit}"

    @property
    def shown_interval(self) -> str:
        """Its interval, in the same unit."""
        scale, _ = self._unit
        ends = (None if end is None else scale * end for end in (self.change.ci_lower, self.change.ci_upper))
        return format_interval("value", *ends)

    @property
    def sentence(self) -> str:
        """What it was and what it is, in the same unit; of one that was compared."""
        scale, unit = self._unit
        before, now = (format_number("value", round(scale * (end or 0.0), 2)) for end in (self.before, self.now))
        way = "fell" if (self.change.value or 0.0) < 0 else "rose"
        return f"{self.name} {way} from {before} to {now}{unit}"

    @property
    def alarming(self) -> bool:
        """Whether it got worse beyond chance, and by at least its practical threshold."""
        return (
            not self.reason
            and self.p_adjusted is not None
            and self.p_adjusted <= EVIDENCE_ALPHA
            and self.times_threshold is not None
            and self.times_threshold >= 1
        )


@dataclass(frozen=True)
class UserFeedback(Shown):
    """What users said about a model: its volume, ratings, categories, terms and a few examples.

    Attributes
    ----------
    changes: all reports, the ratings, then each category that at least `smallest` users reported in the window.
    small_categories: how many others there are; not even their names are shown.
    terms: the most over-used terms first; of at least `smallest` users. Explanations, never signals.
    others: reports of the time that belong to no request or unit that this model served.
    reason: why there is nothing to say, or "".
    """

    nothing_to_draw: ClassVar[str] = "no user reported anything"

    window: Window
    earlier: Window
    smallest: int
    weeks: tuple[FeedbackWeek, ...] = ()
    changes: tuple[FeedbackChange, ...] = ()
    terms: tuple[stats.TermOdds, ...] = ()
    examples: tuple[ShownExample, ...] = ()
    small_categories: int = 0
    others: int = 0
    reason: str = ""

    @property
    def current_weeks(self) -> tuple[FeedbackWeek, ...]:
        """The weeks of the window."""
        return self.weeks[len(self.weeks) - round(self.window.days / 7) :]

    @property
    def reports(self) -> int:
        """User reports of the window."""
        return sum(week.reports for week in self.current_weeks)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """One signal for each change for the worse that is evident and practical."""
        weeks = self.window.days / 7
        return tuple(
            Signal(
                kind="feedback",
                family="users",
                metric=change.metric,
                segment=change.segment,
                name=change.name,
                window=self.window.label,
                verdict="worse",
                change=change.change,
                unit="" if change.metric == RATING else "share",
                times_threshold=change.times_threshold or 0.0,
                excess_loss_per_week=None,
                no_loss_reason="what users say has no loss of the model's",
                text=change.sentence,
                first_day=self.window.first_day,
                last_day=self.window.last_day,
                p_adjusted=change.p_adjusted,
                units_per_week=change.users / weeks,
            )
            for change in self.changes
            if change.alarming
        )

    @property
    @override
    def text(self) -> str:
        if self.reason:
            return f"User feedback is absent: {self.reason}."
        lead = f"{self.reports:,} user reports in {self.window.label}, compared with {self.earlier.label}."
        found = "; ".join(change.sentence for change in self.changes if change.alarming)
        said = [
            found or "Neither volume, nor ratings, nor a category got worse beyond chance and by a practical amount",
            f"More often than before: {', '.join(term.term for term in self.over_used[:8])}" if self.over_used else "",
            f"Categories not shown: {self.small_categories} ({too_small(0, self.smallest)})"
            if self.small_categories
            else "",
            f"{self.others:,} reports belong to no request or unit of this model" if self.others else "",
        ]
        return " ".join([lead, *(f"{part[0].upper()}{part[1:]}." for part in said if part)])

    @property
    def over_used(self) -> tuple[stats.TermOdds, ...]:
        """The terms that users write more often than before, beyond chance taken alone."""
        return tuple(term for term in self.terms if term.z >= _LEAST_Z and len(term.term) >= _SHORTEST_TERM)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        window = self.window.label
        rows = [
            number_row(
                None if self.reason else self.reports, self.reason, key=REPORTS, statistic="reports", window=window
            )
        ]
        for week in self.weeks:
            where: dict[str, Any] = {"window": _window_of(week).label}
            rows.append(ResultRow(key=REPORTS, statistic="reports", value=week.reports, n=week.requests, **where))
            rows.append(estimate_row(self.rating_of(week.ratings), key=RATING, statistic="mean", **where))
        for change in self.changes:
            segment = change.segment
            where = {"key": change.metric, "segment": segment, "window": window}
            rows.append(number_row(None if change.reason else change.users, change.reason, statistic="users", **where))
            rows.append(estimate_row(change.change, statistic="change", comparison="current - earlier", **where))
            rows.append(
                number_row(
                    change.p_adjusted,
                    change.reason or change.change.reason or "nothing was tested",
                    statistic="adjusted_p_value",
                    method="Benjamini-Hochberg over all that users say",
                    **where,
                )
            )
        rows += [
            ResultRow(
                key="feedback_terms",
                statistic="log_odds",
                segment=f"term={term.term}",
                value=term.log_odds,
                n=term.count1,
                window=window,
                method="log odds ratio with a pooled prior (Monroe et al. 2008)",
            )
            for term in self.over_used[:_SHOWN]
        ]
        rows += [
            number_row(
                example.text,
                example.reason,
                key="feedback_example",
                statistic="text",
                segment=f"category={example.category}" if example.category else "",
                window=window,
            )
            for example in self.examples
        ]
        return rows

    def rating_of(self, ratings: Ratings) -> stats.Estimate:
        """A week's mean rating; absent where too few users rated."""
        reason = too_small(ratings.users, self.smallest) if ratings.users else "nobody rated"
        if reason:
            return stats.Estimate.absent(reason, n=0, method="")
        return stats.mean(ratings.users, ratings.mean, ratings.variance, method="t, each user once")

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "what": change.name,
                "users": change.reason or change.users,
                "change": change.shown,
                "interval_95": change.shown_interval,
                "practical_thresholds": change.times_threshold,
                "adjusted_p_value": change.p_adjusted,
                "signal": change.alarming,
                "example": next(
                    (e.text for e in self.examples if e.text and f"category={e.category}" == change.segment), ""
                ),
            }
            for change in self.changes[:_SHOWN]
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not any(week.reports for week in self.weeks):
            return ()
        weeks = draw_weeks(self.weeks, [self.rating_of(week.ratings) for week in self.weeks], window=self.window)
        terms = self.over_used[:_SHOWN]
        return (weeks, draw_terms(terms)) if terms else (weeks,)


def _window_of(week: FeedbackWeek) -> Window:
    return Window.of(week.first_day.isoformat(), (week.first_day + timedelta(days=7)).isoformat())


def user_feedback(
    source: Source,
    observed: Observation,
    *,
    history_weeks: int = 13,
    better: Literal["higher", "lower"] = "higher",
) -> UserFeedback:
    """Compare what users said in the last whole weeks with the `history_weeks` before.

    Parameters
    ----------
    better: which ratings are good ones, on the scale of the workspace.

    Reports are counted as users × weeks per served request and tested exactly, as if they came in bursts as large as
    before; ratings by Welch's test, each user once. p-values are adjusted over volume, ratings and all categories.
    Raises `ContractError`, `ArgumentError`.
    """
    check_at_least("history_weeks", history_weeks, 1)
    check_in(better, ("higher", "lower"), noun="better rating", error=ArgumentError)
    window = Window.last_days(7 * max(1, round(observed.window.days / 7)), before=observed.as_of)
    earlier = Window(window.start - timedelta(weeks=history_weeks), window.start)
    smallest = smallest_cell(source.workspace)
    if TABLE not in source.tables:
        return UserFeedback(window, earlier, smallest, reason="the workspace has no table of feedback")
    counts = count_feedback(
        source, observed.model.key, earlier=earlier, current=window, as_of=observed.as_of, smallest=smallest
    )
    if not sum(week.reports for week in counts.weeks):
        reason = f"no user report since {earlier.start:%Y-%m-%d} belongs to a request or unit of {observed.model.name}"
        return UserFeedback(window, earlier, smallest, others=counts.others, reason=reason)
    changes = _changes(counts, smallest, better)
    return UserFeedback(
        window,
        earlier,
        smallest,
        counts.weeks,
        changes,
        stats.weighted_log_odds(
            {term.term: (term.reports0, term.reports1) for term in counts.terms}, counts.term_totals
        ),
        show_examples(counts.examples, {term.term for term in counts.terms}),
        len(counts.categories) - sum(bool(change.segment) for change in changes),
        counts.others,
    )


def _changes(counts: FeedbackCounts, smallest: int, better: str) -> tuple[FeedbackChange, ...]:
    before, now = counts.weeks[: -counts.current_weeks], counts.weeks[-counts.current_weeks :]
    served = _Served(tuple(week.requests for week in before), sum(week.requests for week in now))
    reports = tuple(week.users for week in before), sum(week.users for week in now)
    found = [
        _compare_reports("", *reports, counts.users1, served, smallest),
        _compare_ratings(counts.ratings0, counts.ratings1, smallest, better),
    ]
    found += [
        _compare_reports(
            f"category={show_category(each.category)}",
            each.users_by_week0,
            each.user_weeks1,
            each.users1,
            served,
            smallest,
        )
        for each in counts.categories
        if not too_small(each.users1, smallest)
    ]
    adjusted = stats.adjust_p([change.change.p_value for change in found], "benjamini-hochberg")
    return tuple(replace(each, p_adjusted=p) for each, p in zip(found, adjusted, strict=True))


class _Served(NamedTuple):
    """Served requests: of each week before, and of the window."""

    before: tuple[int, ...]
    now: int


def _compare_reports(
    segment: str, before: Sequence[int], now: int, users: int, served: _Served, smallest: int
) -> FeedbackChange:
    """Users × weeks with a report: `before` by week, `now` in all."""
    reason, requests = too_small(users, smallest), sum(served.before)
    if not (requests and served.now):
        reason = reason or "no request was served before or in the window"
    if reason:
        return _absent(REPORTS, segment, users, reason)
    burst = stats.burst_size(before, served.before)
    compared = stats.compare_rates(sum(before), requests, now, served.now, dispersion=burst)
    base = max(sum(before), 1) / requests  # where there was none before, one
    rise = (now / served.now - base) / base
    rates = compared.rate0.value, compared.rate1.value
    return FeedbackChange(REPORTS, segment, users, *rates, compared.difference, rise / PRACTICAL_RISE, None, "")


def _absent(metric: str, segment: str, users: int, reason: str) -> FeedbackChange:
    absent = stats.Estimate.absent(reason, n=0, method="")
    return FeedbackChange(metric, segment, users, None, None, absent, None, None, reason)


def _compare_ratings(before: Ratings, now: Ratings, smallest: int, better: str) -> FeedbackChange:
    users = min(before.users, now.users)
    reason = too_small(users, smallest) if users else _say_who_is_missing(before.users, now.users)
    if reason:
        return _absent(RATING, "", now.users, reason)
    change = stats.welch(before.users, before.mean, before.variance, now.users, now.mean, now.variance)
    spread = (before.variance or 0.0) ** 0.5
    if change.value is None or not spread:
        why = change.reason or "every user rated the same before, so nothing says how much matters"
        return FeedbackChange(RATING, "", now.users, before.mean, now.mean, change, None, None, why)
    worse = -change.value if better == "higher" else change.value
    times = worse / (PRACTICAL_RATING * spread)
    return FeedbackChange(RATING, "", now.users, before.mean, now.mean, change, times, None, "")


def _say_who_is_missing(before: int, now: int) -> str:
    if before or now:
        return "nobody rated in the window" if before else "nobody rated before the window"
    return "nobody rated before or in the window"
