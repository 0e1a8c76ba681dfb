"""What users said, counted in the engine: by week and user, by category, by term; only frequent terms come back.

A report belongs to the model that served the request it names; one that names only a unit, to every model that served
that unit. A term is a word in lower case: what stands between spaces, digits and punctuation, whatever the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.data.instants import week_of
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.windows import Window

TABLE = "feedback"
SEPARATORS = "[\t\r\n -@\\[-`{-~\u00a0¡¿“”„‚‘’«»…–—·•、。，！？「」]+"
"""What stands between two words, in the patterns of every engine."""

MOST_TERMS = 2000
_MOST_CATEGORIES = 30
_EXAMPLES_EACH = 3
_LATE = timedelta(days=28)
"""How long before the first report a request may have been made and still be reported on."""


class Ratings(NamedTuple):
    """Ratings of a week or a period, each user once with the mean of theirs: how many, mean and sample variance."""

    users: int
    mean: float | None
    variance: float | None


@dataclass(frozen=True)
class FeedbackWeek:
    """Seven days: served requests, user reports, the users who made them, and their ratings."""

    first_day: date
    requests: int
    reports: int
    users: int
    ratings: Ratings


@dataclass(frozen=True)
class CategoryCount:
    """A category: the users of each week before with such a report, users × weeks now, and the users now."""

    category: str
    users_by_week0: tuple[int, ...]
    user_weeks1: int
    users1: int

    @property
    def user_weeks0(self) -> int:
        """Users × weeks before."""
        return sum(self.users_by_week0)


@dataclass(frozen=True)
class TermCount:
    """A term: the reports before and now that use it."""

    term: str
    reports0: int
    reports1: int


@dataclass(frozen=True)
class Example:
    """What one user wrote, not redacted yet, and the category it is of ("" without one)."""

    category: str
    text: str


@dataclass(frozen=True)
class FeedbackCounts:
    """What users said about a model in two windows of whole weeks, one right after the other.

    Attributes
    ----------
    weeks: every week of both, in order; the last `current_weeks` are the current window.
    ratings0, ratings1: of the earlier and of the current window.
    users1: users who reported in the current window.
    others: reports of both windows that belong to no request or unit of this model.
    terms: the most frequent ones that at least `smallest` users used; `term_totals` count every term, before and now.
    examples: the latest texts of each category that at least `smallest` users reported in the current window.
    """

    weeks: tuple[FeedbackWeek, ...]
    current_weeks: int
    ratings0: Ratings
    ratings1: Ratings
    users1: int
    others: int
    categories: tuple[CategoryCount, ...]
    terms: tuple[TermCount, ...]
    term_totals: tuple[int, int]
    examples: tuple[Example, ...]


def count_feedback(
    source: Source, model: str, *, earlier: Window, current: Window, as_of: datetime, smallest: int
) -> FeedbackCounts:
    """Count the user reports about a model's served requests.

    Parameters
    ----------
    earlier, current: of whole weeks, the one right after the other.
    smallest: a term, and a category's examples, come back where so many users stand behind them.

    Raises `ArgumentError`, `ContractError`.
    """
    check_at_least("smallest", smallest, 1)
    if earlier.end != current.start or earlier.days % 7 or current.days % 7:
        raise ArgumentError(
            f"earlier == {earlier.label}, current == {current.label}: both must be whole weeks, the one right after "
            "the other"
        )
    has = source.columns(TABLE)
    all_reports, predictions = _tables(source, has, earlier, current, as_of, model)
    reports = _of_model(all_reports, predictions, has)
    reports = reports.mutate(week=week_of(reports.occurred_at, earlier.start), now=reports.occurred_at >= current.start)
    requests = predictions.filter(predictions.occurred_at >= earlier.start)
    requests = requests.mutate(week=week_of(requests.occurred_at, earlier.start))
    weeks, current_weeks = _weeks(source, reports, requests, has, earlier, current), round(current.days / 7)
    before, now, users1 = _periods(source, reports, has)
    counted = sum(week.reports for week in weeks)
    total = int(source.execute(all_reports.aggregate(n=all_reports.count()), reading=TABLE)["n"].iloc[0])
    texts = "text" in has and counted
    terms, totals = _terms(source, reports, smallest) if texts else ((), (0, 0))
    return FeedbackCounts(
        weeks,
        current_weeks,
        before,
        now,
        users1,
        total - counted,
        _categories(source, reports, len(weeks) - current_weeks) if "category" in has and counted else (),
        terms,
        totals,
        _examples(source, reports, has, smallest) if texts else (),
    )


def _tables(
    source: Source, has: Sequence[str], earlier: Window, current: Window, as_of: datetime, model: str
) -> tuple[ir.Table, ir.Table]:
    wanted = [name for name in ("request_id", "unit_id", "rating", "category", "text") if name in has]
    reports = source.read(TABLE, wanted, as_of=as_of, start=earlier.start, end=current.end)
    predictions = source.read(
        "predictions", ["unit_id", "served"], as_of=as_of, start=earlier.start - _LATE, end=current.end
    )
    return reports, predictions.filter(predictions.model == model, predictions.served)


def _of_model(reports: ir.Table, predictions: ir.Table, has: Sequence[str]) -> ir.Table:
    """The reports that belong to the model, each with its `user`. The small side of each join stands on the right."""
    import ibis

    empty = ibis.null("string")
    reports = reports.mutate(
        request_id=reports.request_id if "request_id" in has else empty,
        unit_id=reports.unit_id if "unit_id" in has else empty,
    )
    asked = reports.filter(reports.request_id.notnull()).select(asked_id="request_id").distinct()
    made = predictions.inner_join(asked, predictions.request_id == asked.asked_id)
    made = made.group_by("asked_id").aggregate(asked_unit=made.unit_id.min())
    named = reports.filter(reports.request_id.isnull()).select(named_id="unit_id").distinct()
    met = predictions.inner_join(named, predictions.unit_id == named.named_id).select("named_id").distinct()
    joined = reports.left_join(made, reports.request_id == made.asked_id)
    joined = joined.left_join(met, joined.unit_id == met.named_id)
    served = joined.asked_id.notnull() | (joined.request_id.isnull() & joined.named_id.notnull())
    kept = joined.filter(served)
    optional = [name for name in ("rating", "category", "text") if name in has]
    return kept.select("feedback_id", "occurred_at", *optional, user=ibis.coalesce(kept.unit_id, kept.asked_unit))


def _ratings(table: ir.Table, has: Sequence[str]) -> dict[str, Any]:
    """What to sum over users: `rating` is each one's mean."""
    if "rating" not in has:
        return {}
    return {
        "raters": table.rating.count(),
        "rating_mean": table.rating.mean(),
        "rating_variance": table.rating.var(how="sample"),
    }


def _by_user(reports: ir.Table, has: Sequence[str], by: str) -> ir.Table:
    rating = {"rating": reports.rating.cast("float64").mean()} if "rating" in has else {}
    return reports.group_by(by, "user").aggregate(reports=reports.count(), **rating)


def _read_ratings(row: Any) -> Ratings:
    users = int(getattr(row, "raters", 0))
    if not users:
        return Ratings(0, None, None)
    return Ratings(users, float(row.rating_mean), float(row.rating_variance) if users > 1 else None)


def _weeks(
    source: Source, reports: ir.Table, requests: ir.Table, has: Sequence[str], earlier: Window, current: Window
) -> tuple[FeedbackWeek, ...]:
    users = _by_user(reports, has, "week")
    by_week = users.group_by("week").aggregate(users=users.count(), reports=users.reports.sum(), **_ratings(users, has))
    said = {int(row.week): row for row in source.execute(by_week, reading=TABLE).itertuples(index=False)}
    made = source.execute(requests.group_by("week").aggregate(requests=requests.count()), reading="predictions")
    served = {int(row.week): int(row.requests) for row in made.itertuples(index=False)}
    return tuple(
        FeedbackWeek(
            (earlier.start + timedelta(weeks=week)).date(),
            served.get(week, 0),
            int(said[week].reports) if week in said else 0,
            int(said[week].users) if week in said else 0,
            _read_ratings(said[week]) if week in said else Ratings(0, None, None),
        )
        for week in range(round((earlier.days + current.days) / 7))
    )


def _periods(source: Source, reports: ir.Table, has: Sequence[str]) -> tuple[Ratings, Ratings, int]:
    users = _by_user(reports, has, "now")
    both = users.group_by("now").aggregate(users=users.count(), **_ratings(users, has))
    rows = {bool(row.now): row for row in source.execute(both, reading=TABLE).itertuples(index=False)}
    before, now = (
        _read_ratings(rows[period]) if period in rows else Ratings(0, None, None) for period in (False, True)
    )
    return before, now, int(rows[True].users) if True in rows else 0


def _categories(source: Source, reports: ir.Table, before: int) -> tuple[CategoryCount, ...]:
    """The most frequent categories; `before` is how many weeks the earlier window has."""
    import ibis

    known = reports.filter(reports.category.notnull())
    each = known.group_by("category", "week", "user").aggregate(now=known.now.cast("int64").max())
    totals = each.group_by("category").aggregate(
        user_weeks=each.count(), user_weeks1=each.now.sum(), users1=each.user.nunique(where=each.now == 1)
    )
    top = totals.order_by(ibis.desc("user_weeks1"), ibis.desc("user_weeks"), "category").limit(_MOST_CATEGORIES)
    weeks = each.group_by("category", "week").aggregate(users=each.count())
    frame = source.execute(weeks.inner_join(top, "category").order_by("category", "week"), reading=TABLE)
    found: dict[str, list[Any]] = {}
    for row in frame.itertuples(index=False):
        found.setdefault(str(row.category), []).append(row)
    counts = [
        CategoryCount(category, _users_by_week(rows, before), int(rows[0].user_weeks1), int(rows[0].users1))
        for category, rows in found.items()
    ]
    return tuple(sorted(counts, key=lambda each: (-each.user_weeks1, -each.user_weeks0, each.category)))


def _users_by_week(rows: Sequence[Any], weeks: int) -> tuple[int, ...]:
    users = {int(row.week): int(row.users) for row in rows}
    return tuple(users.get(week, 0) for week in range(weeks))


def _terms(source: Source, reports: ir.Table, smallest: int) -> tuple[tuple[TermCount, ...], tuple[int, int]]:
    """Each term once in a report; those of few users stay in the engine, and are in the totals."""
    import ibis

    words = reports.filter(reports.text.notnull()).select(
        "feedback_id",
        "user",
        "now",
        term=reports.text.lower().re_replace(SEPARATORS, " ").strip().split(" ").unnest(),
    )
    words = words.filter(words.term != "").distinct()
    counts = words.group_by("term").aggregate(
        reports0=(~words.now).cast("int64").sum(), reports1=words.now.cast("int64").sum(), users=words.user.nunique()
    )
    counts = counts.mutate(
        total0=counts.reports0.sum().over(ibis.window()), total1=counts.reports1.sum().over(ibis.window())
    )
    frequent = counts.filter(counts.users >= smallest).mutate(reports=counts.reports0 + counts.reports1)
    frame = source.execute(frequent.order_by(ibis.desc("reports"), "term").limit(MOST_TERMS), reading=TABLE)
    if frame.empty:
        return (), (0, 0)
    terms = sorted(
        (TermCount(str(row.term), int(row.reports0), int(row.reports1)) for row in frame.itertuples(index=False)),
        key=lambda each: (-(each.reports0 + each.reports1), each.term),
    )
    return tuple(terms), (int(frame["total0"].iloc[0]), int(frame["total1"].iloc[0]))


def _examples(source: Source, reports: ir.Table, has: Sequence[str], smallest: int) -> tuple[Example, ...]:
    import ibis

    category = reports.category.fill_null("") if "category" in has else ibis.literal("")
    now = reports.filter(reports.now).mutate(category=category)
    large = now.group_by("category").aggregate(users=now.user.nunique())
    large = large.filter(large.users >= smallest).select(large_category="category")
    texts = now.filter(now.text.notnull()).inner_join(large, now.category == large.large_category)
    latest = ibis.window(group_by="category", order_by=[ibis.desc("occurred_at"), "feedback_id"])
    placed = texts.mutate(place=ibis.row_number().over(latest))
    shown = placed.filter(placed.place < _EXAMPLES_EACH).select("category", "place", "text")
    frame = source.execute(shown.order_by("category", "place"), reading=TABLE)
    rows = sorted(frame.itertuples(index=False), key=lambda row: (row.category, row.place))
    return tuple(Example(str(row.category), str(row.text)) for row in rows)
