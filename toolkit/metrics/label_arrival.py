"""Whether labels arrive as they used to: the pipeline that feeds labels breaks too, and no metric would say so.

What is there of a window is held against what the reference period lets expect of requests of the same age. Days are
the clusters of the interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.data import ModelDefinition, Source
from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.metrics.maturity import SHARE, DelayCount, count_delays, curve_of
from toolkit.metrics.query import Population
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.stats.maturity import MaturityCurve

KEY = "label_arrival"
METHOD = "labelled share - share expected by age, day clusters"

FEW = 0.01
"""A share of labels that is missing: less is not worth a word."""

_ENOUGH_EXPECTED = 20
"""On a day on which fewer labels are due, half of them may be missing by chance."""

Verdict = Literal["as expected", "fewer", "stopped", "not mature", "not known"]


class ArrivalDay(NamedTuple):
    """The labels of a population's requests that arrived on one day, and how many were due."""

    day: str
    arrived: int
    expected: float


@dataclass(frozen=True)
class LabelArrival(Shown):
    """The labels of a population, against what the reference population's maturity curve lets expect.

    Attributes
    ----------
    labelled_share, expected_share: of the population's answered requests; None when there is none, or no reference.
    gap: the first minus the second; the reference's own error is in it, at its largest.
    mature_share: of the labels that will arrive, how many are to be expected by now.
    stopped_on: the first of the last days on which fewer than half of the labels that were due arrived; "" if none.
    """

    nothing_to_draw: ClassVar[str] = "no label was due"

    model: ModelDefinition
    population: Population
    reference: Population
    requests: int
    labelled_share: float | None
    expected_share: float | None
    gap: stats.Estimate
    mature_share: float | None
    stopped_on: str
    days: tuple[ArrivalDay, ...]

    @property
    def verdict(self) -> Verdict:
        """What that means; `fewer` when the gap is evident and at least one in a hundred."""
        if self.gap.value is None or self.mature_share is None:
            return "not known"
        if self.stopped_on:
            return "stopped"
        alike = self.gap.se == 0.0  # every day lacks the same share: no interval, and no chance either
        if self.gap.value <= -FEW and (alike or (self.gap.ci_upper is not None and self.gap.ci_upper < 0)):
            return "fewer"
        return "as expected" if self.mature_share >= SHARE else "not mature"

    @property
    def provisional(self) -> str:
        """In what way metrics that need labels are not final; "" when nothing speaks against them."""
        if self.verdict in {"as expected", "not known"}:
            return ""
        there, expected = _percent(self.labelled_share), _percent(self.expected_share)
        final = f"provisional: labels of {expected} expected, {there} there"
        if self.verdict == "not mature":
            return f"{final}; {_percent(self.mature_share)} of those that will arrive are due"
        return f"{final}; since {self.stopped_on} fewer than half of those due arrived" if self.stopped_on else final

    @property
    @override
    def text(self) -> str:
        if self.gap.value is None:
            return f"Whether labels arrive as they used to is not known: {self.gap.reason}."
        lower, upper = self.gap.ci_lower, self.gap.ci_upper
        limits = (
            "" if lower is None or upper is None else f", 95 % interval {100 * lower:+.3g} to {100 * upper:+.3g} pp"
        )
        said = {
            "as expected": "Labels arrive as they used to",
            "fewer": "Labels are missing",
            "stopped": f"Since {self.stopped_on} fewer than half of the labels that were due have arrived",
            "not mature": f"Only {_percent(self.mature_share)} of the labels that will arrive are due",
        }[self.verdict]
        return (
            f"{said}: {_percent(self.labelled_share)} of {self.requests:,} answered requests "
            f"({self.population.text}) have one, where {self.reference.window.label} lets expect "
            f"{_percent(self.expected_share)} at their age (difference {100 * self.gap.value:+.3g} pp{limits})."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": KEY, "segment": "", "window": self.population.window.label}
        rows = [
            number_row(value, self.gap.reason, statistic=statistic, unit="share", n=self.requests, **where)
            for statistic, value in (
                ("labelled_share", self.labelled_share),
                ("expected_labelled_share", self.expected_share),
                ("mature_share", self.mature_share),
            )
        ]
        rows.append(estimate_row(self.gap, statistic="labelled_share_gap", unit="share", **where))
        rows.append(ResultRow(statistic="verdict", value=self.verdict, **where))
        reason = "on the last days on which labels were due, at least half of them arrived"
        rows.append(number_row(self.stopped_on or None, reason, statistic="stopped_on", **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {"day": day.day, "labels that arrived": day.arrived, "due": round(day.expected, 1)} for day in self.days
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not any(day.expected for day in self.days):
            return ()
        arrived, due = sum(day.arrived for day in self.days), sum(day.expected for day in self.days)
        alt = f"Labels that arrived by day beside those that were due: {arrived:,} of {due:,.0f}; {self.verdict}"
        return (picture(lambda figure: _draw(figure, self.days), name="label_arrival", alt=alt),)


def label_arrival(
    source: Source, model: ModelDefinition, *, reference: Population, population: Population, as_of: datetime
) -> LabelArrival:
    """Hold a population's labels, as known at `as_of`, against the maturity curve of `reference`; one query.

    Raises `ContractError`.
    """
    counts = count_delays(source, model, [reference, population], as_of=as_of)
    return compare_arrival(model, counts, reference=reference, population=population, as_of=as_of)


def compare_arrival(
    model: ModelDefinition,
    counts: Sequence[DelayCount],
    *,
    reference: Population,
    population: Population,
    as_of: datetime,
) -> LabelArrival:
    """What `label_arrival` says of counts that are there already."""
    before = [count for count in counts if count.population == reference.name]
    now = [count for count in counts if count.population == population.name]
    curve = curve_of(before)
    requests = sum(count.requests for count in now)
    known = LabelArrival(
        model,
        population,
        reference,
        requests,
        _labelled(now) / requests if requests else None,
        None,
        stats.Estimate.absent(_why_unknown(requests, curve), n=requests, method=METHOD),
        None,
        "",
        (),
    )
    return known if not requests or not curve.steps else _compared(known, curve, now, until=as_of)


def _why_unknown(requests: int, curve: MaturityCurve) -> str:
    if not requests:
        return "no request was answered"
    return "no label of the reference period has arrived" if curve.n else "no request of the reference was answered"


def _labelled(counts: Sequence[DelayCount]) -> int:
    return sum(count.requests for count in counts if count.delay_days is not None)


def _compared(
    known: LabelArrival, curve: MaturityCurve, counts: Sequence[DelayCount], *, until: datetime
) -> LabelArrival:
    requests: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    watched: dict[str, int] = {}
    for count in counts:
        requests[count.request_day] += count.requests
        labelled[count.request_day] += count.requests if count.delay_days is not None else 0
        watched[count.request_day] = count.watched_days
    shares = {day: _share_at(curve, age) for day, age in watched.items()}
    expected = {day: requests[day] * (share.value or 0.0) for day, share in shares.items()}
    days = sorted(requests)
    gap = stats.ratio(
        [labelled[day] - expected[day] for day in days],
        [requests[day] for day in days],
        n=known.requests,
        method=METHOD,
    )
    own_error = sum(requests[day] * (shares[day].se or 0.0) for day in days) / known.requests
    if gap.value is not None and gap.se and own_error:
        se = (gap.se**2 + own_error**2) ** 0.5
        gap = stats.from_standard_error(gap.value, se, n=gap.n, df=gap.df, method=METHOD)
    arrivals = _arrivals(curve, counts, requests, last=until.date() - timedelta(days=1))
    total = sum(expected.values()) / known.requests
    end = curve.steps[-1].share.value or 1.0
    return LabelArrival(
        known.model,
        known.population,
        known.reference,
        known.requests,
        known.labelled_share,
        total,
        gap,
        total / end,
        _stopped_on(arrivals),
        arrivals,
    )


def _share_at(curve: MaturityCurve, age: int) -> stats.Estimate:
    """The curve's share; beyond its end that of its end: what the reference period never waited for is not expected."""
    longest = curve.longest
    return curve.share_by(age if longest is None else min(age, longest))


def _arrivals(
    curve: MaturityCurve, counts: Sequence[DelayCount], requests: Mapping[str, int], *, last: date
) -> tuple[ArrivalDay, ...]:
    """By day the labels that arrived, and that were due: of each day's requests as many as used to come then."""
    shares = [0.0, *(step.share.value or 0.0 for step in curve.steps)]
    due = {step.delay: share - before for step, before, share in zip(curve.steps, shares, shares[1:], strict=False)}
    arrived: Counter[date] = Counter()
    for count in counts:
        if count.delay_days is not None:
            arrived[date.fromisoformat(count.request_day) + timedelta(days=count.delay_days)] += count.requests
    expected: dict[date, float] = {}
    for day, number in requests.items():
        for delay, share in due.items():
            when = date.fromisoformat(day) + timedelta(days=delay)
            expected[when] = expected.get(when, 0.0) + number * share
    every = sorted(when for when in {*arrived, *expected} if when <= last)
    return tuple(ArrivalDay(when.isoformat(), arrived[when], expected.get(when, 0.0)) for when in every)


def _stopped_on(days: Sequence[ArrivalDay]) -> str:
    """The first of the days at the end on which fewer than half of enough labels that were due arrived."""
    stopped = ""
    for day in reversed([day for day in days if day.expected >= _ENOUGH_EXPECTED]):
        if day.arrived >= day.expected / 2:
            break
        stopped = day.day
    return stopped


def _percent(share: float | None) -> str:
    return format_number("share", share, unit="share")


def _draw(figure: Any, days: Sequence[ArrivalDay]) -> None:
    axes = figure.subplots()
    dates = [date.fromisoformat(day.day) for day in days]
    axes.bar(dates, [day.arrived for day in days], color=PALETTE[0], width=0.8, label="arrived")
    axes.plot(
        dates, [day.expected for day in days], "_", color=PALETTE[1], markersize=9, markeredgewidth=2, label="due"
    )
    axes.set_ylabel("labels a day")
    axes.set_title("Labels that arrived, and that were due")
    axes.legend()
    figure.autofmt_xdate()
