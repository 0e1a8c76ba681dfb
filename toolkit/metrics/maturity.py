"""How long labels take: the share of requests that have one, by the days since the request.

Days are counted as calendars do: a label that was observed on the day of its request came after 0 days. A day of labels
that was not over at `as_of` says nothing yet, so the last whole day is the last that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.checks import check_between
from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.data.instants import date_of, days_as_text
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.errors import Skipped
from toolkit.metrics.query import Population
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.stats.maturity import UNTIL_METHOD, MaturityCurve, maturity_curve
from toolkit.windows import Window, format_instant, parse_instant, start_of_day

if TYPE_CHECKING:
    import ibis.expr.types as ir

KEY = "label_maturity"
SHARE = 0.95
"""A window is mature when so many of the labels that will arrive are there."""

_ALL = "all"
_SHOWN_DAYS = (0, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 90, 180, 365)


class DelayCount(NamedTuple):
    """Answered requests of one day whose label took equally long.

    Attributes
    ----------
    watched_days: so many whole days after the request's day are over.
    delay_days: days until the first label; None: there is none yet.
    label: what the newest label says; None without one.
    """

    population: str
    request_day: str
    watched_days: int
    delay_days: int | None
    label: float | None
    requests: int


@dataclass(frozen=True)
class LabelMaturity(Shown):
    """When the labels of a model's requests arrive, and how long to wait for them.

    Attributes
    ----------
    share: of the labels that arrive, how many must be there to call a window mature.
    needed: the days until they are; the smallest, with its interval.
    """

    nothing_to_draw: ClassVar[str] = "no label has arrived"

    model: ModelDefinition
    window: Window
    as_of: datetime
    share: float
    counts: tuple[DelayCount, ...]
    curve: MaturityCurve
    needed: stats.Estimate

    @property
    def recommended_days(self) -> int | None:
        """What `maturity_days` of the model's label should be; None when no label has arrived."""
        return None if self.needed.value is None else int(self.needed.value)

    @property
    def declared(self) -> stats.Estimate:
        """The share of requests that have a label after the declared `maturity_days`."""
        return self.curve.share_by(self.model.label.maturity_days)

    @property
    @override
    def text(self) -> str:
        known = f"labels as known on {format_instant(self.as_of)}"
        of = f"{self.curve.n:,} answered requests of {self.window.label}, {known}"
        if self.recommended_days is None:
            return f"No label of {self.model.name} has arrived: {of}."
        interval = f"95 % interval {format_interval('needed_days', self.needed.ci_lower, self.needed.ci_upper)}"
        last = _percent(self.curve.steps[-1].share.value)
        return (
            f"{_percent(self.share)} of the labels of {self.model.name} that arrive are there "
            f"{_days(self.recommended_days)} after the request ({interval}; {of}). {self._against_declared()} "
            f"{last} of the requests have a label in the end{self._without()}."
        )

    def _without(self) -> str:
        return (
            f"; those without were watched for {_days(self.curve.longest or 0)} at most" if self.curve.waiting else ""
        )

    def _against_declared(self) -> str:
        declared, enough = self.model.label.maturity_days, self.recommended_days or 0
        waits = f"models/{self.model.key}.yml waits {_days(declared)}"
        if declared == enough:
            return f"{waits}, which is enough."
        if declared > enough:
            return f"{waits}, longer than it takes."
        there = _percent(self.declared.value)
        return f"{waits}, when {there} of the requests have one: maturity_days: {enough} is what it takes."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": KEY, "window": self.window.label}
        rows = [
            estimate_row(self.needed, statistic="needed_days", unit="days", **where),
            ResultRow(statistic="declared_days", value=self.model.label.maturity_days, unit="days", **where),
            estimate_row(self.declared, statistic="labelled_share_declared", unit="share", **where),
            ResultRow(statistic="requests", value=self.curve.n, **where),
            ResultRow(statistic="waiting", value=self.curve.waiting, **where),
        ]
        for step in self.curve.steps:
            statistic = f"labelled_share_{step.delay:g}_days"
            rows.append(estimate_row(step.share, statistic=statistic, unit="share", **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        marked = {self.model.label.maturity_days: "declared"}
        if self.recommended_days is not None:
            marked[self.recommended_days] = "declared, enough" if self.recommended_days in marked else "enough"
        last = self.curve.steps[-1].delay if self.curve.steps else -1.0
        days = sorted(day for day in {*_SHOWN_DAYS, *marked} if day <= last or day in marked)
        shares = {day: self.curve.share_by(day) for day in days}
        return [
            {
                "days after the request": day,
                "requests with a label": _percent(share.value),
                "interval_95": format_interval("share", share.ci_lower, share.ci_upper, unit="share"),
                "which": marked.get(day, ""),
            }
            for day, share in shares.items()
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.curve.steps:
            return ()
        alt = f"Share of the requests of {self.model.name} with a label by the days since the request: " + "; ".join(
            f"{row['days after the request']}: {row['requests with a label']}" for row in self.to_table()
        )
        return (picture(lambda figure: _draw(figure, self), name="label_maturity", alt=alt),)


def label_maturity(
    source: Source, model: ModelDefinition, *, as_of: str = "", window_days: int = 90, share: float = SHARE
) -> LabelMaturity:
    """Measure how long the labels of a model take, over the answered requests of the last whole days before `as_of`.

    One query counts the requests by their day and by the day of their first label. Requests without a label were
    watched for a while: the curve (Kaplan–Meier) takes them for just that long.

    Parameters
    ----------
    as_of: ISO instant; empty for the last day complete in the data. Later labels do not exist.
    window_days: days of requests; more than a label may take, else of slow labels nothing can be known.
    share: of the labels that arrive, how many must be there to call a window mature.

    Raises `ArgumentError`, `Skipped` when no request was answered, `NotReady` when there is none at all,
    `ContractError`.
    """
    check_between("share", share, 0, 1)
    instant = parse_instant(as_of) if as_of else source.complete_through()
    window = Window.last_days(window_days, before=instant)
    counts = count_delays(source, model, [Population(_ALL, None, window, served_only=False)], as_of=instant)
    if not counts:
        raise Skipped(f"model {model.key!r} answered no request in {window.label}")
    curve = curve_of(counts)
    end = curve.steps[-1].share.value if curve.steps else None
    needed = stats.Estimate.absent("no label has arrived", n=curve.n, method=UNTIL_METHOD)
    return LabelMaturity(
        model, window, instant, share, counts, curve, curve.delay_until(share * end) if end else needed
    )


def count_delays(
    source: Source, model: ModelDefinition, populations: Sequence[Population], *, as_of: datetime
) -> tuple[DelayCount, ...]:
    """The answered requests of each population by their day and by how long their first label took; one query.

    A label that was observed before its prediction breaks the contract and is none. Raises `ContractError`.
    """
    until = start_of_day(as_of)
    frame = source.execute(_statement(source, model, populations, as_of, until), reading="predictions and outcomes")
    found = []
    for row in frame.to_dict("records"):
        arrival, label = row["arrival_day"], row["label"]
        has_label = isinstance(arrival, str)
        day = date.fromisoformat(row["request_day"])
        found.append(
            DelayCount(
                str(row["population"]),
                str(row["request_day"]),
                (until.date() - day).days - 1,
                (date.fromisoformat(arrival) - day).days if has_label else None,
                float(label) if has_label else None,
                int(row["requests"]),
            )
        )
    return tuple(sorted(found, key=lambda c: (*c[:3], -1 if c.delay_days is None else c.delay_days, c.label or 0.0)))


def curve_of(counts: Sequence[DelayCount]) -> MaturityCurve:
    """The maturity curve of some counts."""
    return maturity_curve(
        [count.watched_days if count.delay_days is None else count.delay_days for count in counts],
        [0 if count.delay_days is None else count.requests for count in counts],
        [count.requests if count.delay_days is None else 0 for count in counts],
    )


def _statement(
    source: Source, model: ModelDefinition, populations: Sequence[Population], as_of: datetime, until: datetime
) -> ir.Table:
    """One row per population × request day × arrival day × label."""
    import ibis

    requests = ibis.union(*(_requests(source, model, population, as_of, until) for population in populations))
    since = min(population.window.start for population in populations)
    outcomes = source.read("outcomes", [LABEL], as_of=as_of, start=since)
    outcomes = outcomes.filter(outcomes.observed_at < until)
    pairs = requests.join(outcomes, "request_id")
    pairs = pairs.filter(pairs.observed_at >= pairs.last_made_at)
    labels = pairs.group_by("population", "request_id").aggregate(
        arrived_at=pairs.observed_at.min(), label=pairs[LABEL].cast("float64").argmax(pairs.observed_at)
    )
    joined = requests.left_join(labels, ["population", "request_id"])
    cells = joined.group_by(
        "population",
        request_day=date_of(joined.made_at),
        arrival_day=date_of(joined.arrived_at),
        label=joined.label,
    ).aggregate(requests=joined.count())
    return days_as_text(cells, "request_day", "arrival_day")


def _requests(
    source: Source, model: ModelDefinition, population: Population, as_of: datetime, until: datetime
) -> ir.Table:
    import ibis

    window = population.window
    rows = source.read("predictions", ["error", "served"], as_of=as_of, start=window.start, end=window.end)
    rows = rows.filter(rows.model == model.key, ~rows.error, rows.occurred_at < until)
    if population.version is not None:
        rows = rows.filter(rows.version == population.version)
    if population.served_only:
        rows = rows.filter(rows.served)
    requests = rows.group_by("request_id").aggregate(
        made_at=rows.occurred_at.min(), last_made_at=rows.occurred_at.max()
    )
    return requests.mutate(population=ibis.literal(population.name))


def _percent(share: float | None) -> str:
    return format_number("share", share, unit="share")


def _days(number: float) -> str:
    return f"{number:g} day{'' if number == 1 else 's'}"


def _draw(figure: Any, maturity: LabelMaturity) -> None:
    axes, curve = figure.subplots(), maturity.curve
    end = curve.longest or 0.0
    shares = [(0.0, 0.0, 0.0, 0.0)] if curve.steps[0].delay > 0 else []
    for step in curve.steps:
        value = step.share.value or 0.0
        lower, upper = (value if limit is None else limit for limit in (step.share.ci_lower, step.share.ci_upper))
        shares.append((step.delay, value, lower, upper))
    shares.append((max(end, shares[-1][0]) + 1, *shares[-1][1:]))
    days, values, lowers, uppers = zip(*shares, strict=True)
    axes.fill_between(days, lowers, uppers, step="post", color=PALETTE[0], alpha=0.2, linewidth=0)
    axes.step(days, values, where="post", color=PALETTE[0])
    declared = maturity.model.label.maturity_days
    axes.axvline(declared, color=PALETTE[1], linestyle="--", label=f"declared: {_days(declared)}")
    enough = maturity.recommended_days
    if enough is not None and enough != declared:
        axes.axvline(enough, color=PALETTE[2], label=f"{_percent(maturity.share)}: {_days(enough)}")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, max(1.5 * curve.steps[-1].delay, declared) + 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("days after the request")
    axes.set_ylabel("requests with a label")
    axes.set_title("When labels arrive")
    axes.legend(loc="lower right")
