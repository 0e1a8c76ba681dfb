"""User feedback as pictures: reports and ratings by week, and the words that there are more of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.metrics.feedback_counts import FeedbackWeek
from toolkit.stats import Estimate, TermOdds
from toolkit.windows import Window


def draw_weeks(weeks: Sequence[FeedbackWeek], ratings: Sequence[Estimate], *, window: Window) -> Picture:
    """Users who reported per 1,000 requests, and the mean rating with its interval, by week; a gap is suppressed."""
    last, rating = weeks[-1], ratings[-1]
    alt = (
        f"User feedback by week, {weeks[0].first_day} to {last.first_day + timedelta(days=6)}. In the last week "
        f"{last.reports:,} reports of {last.requests:,} requests; mean rating {format_number('value', rating.value)}."
    )
    rated = any(each.value is not None for each in ratings)
    return picture(
        lambda figure: _draw_weeks(figure, weeks, ratings if rated else (), window),
        name="feedback_weeks",
        alt=alt,
        height_inches=3.6 if rated else 2.2,
    )


def _draw_weeks(figure: Any, weeks: Sequence[FeedbackWeek], ratings: Sequence[Estimate], window: Window) -> None:
    panels = figure.subplots(2 if ratings else 1, 1, sharex=True, squeeze=False)[:, 0]
    middles = [week.first_day + timedelta(days=3) for week in weeks]
    for axes in panels:
        axes.axvspan(window.start.date(), window.end.date(), color="#e3e8ee", zorder=0)
    shares = [1000 * week.users / week.requests if week.requests else 0.0 for week in weeks]
    panels[0].bar(middles, shares, color=PALETTE[0], width=6)
    panels[0].set_ylabel("per 1,000 requests")
    panels[0].set_title("Users who reported something (shaded: the window)")
    if ratings:
        for middle, rating in zip(middles, ratings, strict=True):
            if rating.value is None:
                continue
            panels[1].plot(middle, rating.value, "o", color=PALETTE[0], markersize=4)
            if rating.ci_lower is not None:
                panels[1].plot([middle] * 2, [rating.ci_lower, rating.ci_upper], color=PALETTE[0], linewidth=1)
        panels[1].set_ylabel("mean rating")
        panels[1].set_title("Ratings, each user once, with 95 % interval")
    figure.autofmt_xdate()


def draw_terms(terms: Sequence[TermOdds]) -> Picture:
    """The terms that users write more often than before, by how far beyond chance."""
    alt = "Words that users write more often than before: " + "; ".join(
        f"{term.term}, {term.count1} reports now and {term.count0} before" for term in terms
    )
    return picture(
        lambda figure: _draw_terms(figure, terms), name="feedback_terms", alt=alt, height_inches=0.9 + 0.26 * len(terms)
    )


def _draw_terms(figure: Any, terms: Sequence[TermOdds]) -> None:
    axes = figure.subplots()
    places = range(len(terms))
    axes.barh(places, [term.z for term in reversed(terms)], color=PALETTE[1], height=0.6)
    axes.set_yticks(places, [term.term for term in reversed(terms)])
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("log odds against before, in standard errors")
    axes.set_title("What users write more often than before")
