"""Every objective of a model that has a budget or watches the channel, and whether requests come at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.checks import check_at_least
from toolkit.data import ModelDefinition, Source
from toolkit.display import Picture, format_number, picture
from toolkit.metrics import MetricDefinition, ObjectiveDefinition, RatioKind, load_metrics, load_objectives
from toolkit.metrics.hourly import SLOT_MIN, HourlyCounts, count_by_hour
from toolkit.metrics.marks import Marks, list_marks
from toolkit.records import ResultRow, Shown, number_row
from toolkit.signals.budgets.absence import BASELINE_WEEKS, WINDOWS_MIN, Silence, look_for_silence
from toolkit.signals.budgets.channel import ChannelReading, read_freshness, read_label_arrival
from toolkit.signals.budgets.drawing import draw_burns
from toolkit.signals.budgets.readings import ALARM_DAYS, BudgetReading, read_budget
from toolkit.signals.signal import Signal
from toolkit.stats import Estimate
from toolkit.windows import Window, format_instant, parse_instant, start_of_day

REQUESTS = "requests"

_FINE_DAYS = max(ALARM_DAYS, 7 * BASELINE_WEEKS + 1) + 4
"""Days that are counted by five minutes: so far back rules are looked at, each over up to three days more."""

_HALF_MISSING = 0.5
"""What a missing share of requests is measured by: half of them."""


@dataclass(frozen=True)
class ErrorBudgets(Shown):
    """The error budgets of a model at an instant, what else of its channel is watched, and whether requests stopped.

    Attributes
    ----------
    end: the last full five minutes before `as_of`.
    silence: of all served requests. newest: when the newest of them occurred; None without one.
    marks: deployments and incidents of the longest period, to stand beside what burned.
    """

    nothing_to_draw: ClassVar[str] = "no budget has a request"

    model: ModelDefinition
    as_of: datetime
    end: datetime
    recent_days: int
    budgets: tuple[BudgetReading, ...]
    channel: tuple[ChannelReading, ...]
    silence: Silence
    newest: datetime | None
    marks: Marks

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Budgets that are overdrawn or rang, what of the channel is missed, and requests that stopped."""
        found = [each.signal for each in self.readings]
        return tuple(signal for signal in [*self._absent_signals(), *found] if signal is not None)

    @property
    def readings(self) -> list[BudgetReading | ChannelReading]:
        """Budgets, then what is watched of the channel."""
        return [*self.budgets, *self.channel]

    @property
    def pages(self) -> tuple[str, ...]:
        """The budgets for which a page is on."""
        return tuple(each.key for each in self.budgets if any(alarm.rule.severity == "page" for alarm in each.ringing))

    @property
    @override
    def text(self) -> str:
        parts = [self._requests_text()]
        if not (self.budgets or self.channel):
            parts.append(f"objectives.yml states no budget of {self.model.name} and watches nothing of its channel.")
        for one, many, readings in (
            ("budget", "budgets", self.budgets),
            ("watch of the channel", "watches of the channel", self.channel),
        ):
            states = dict.fromkeys(each.state for each in readings)
            listed = [f"{state}: {', '.join(r.key for r in readings if r.state == state)}" for state in states]
            if listed:
                parts.append(f"{len(readings)} {one if len(readings) == 1 else many}, {'; '.join(listed)}.")
        rang = [f"{each.key} ({each.rang})" for each in self.budgets if each.recent_alarms]
        if self.budgets:
            parts.append(f"Rules that rang in the last {self.recent_days} days: {', '.join(rang) or 'none'}.")
        return " ".join(parts)

    def _requests_text(self) -> str:
        if self.newest is None:
            return f"{self.model.name} served no request that is known on {format_instant(self.as_of)}."
        newest = f"newest {format_instant(self.newest)}"
        said = self.silence.text
        if self.silence.alarms:
            return f"Requests have stopped: {said} ({newest})."
        return f"{said[:1].upper()}{said[1:]} ({newest}, looked at {format_instant(self.end)})."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        where: dict[str, Any] = {"key": REQUESTS, "window": stats.window_name(self.silence.window_min)}
        state = "stopped" if self.silence.alarms else "no data" if self.newest is None else "as usual"
        if self.newest is not None and self.silence.expected is None:
            state = "not known"
        rows = [
            ResultRow(statistic="state", value=state, **where),
            ResultRow(statistic="requests", value=self.silence.requests, **where),
            number_row(self.silence.expected, self.silence.text, statistic="expected_requests", **where),
            number_row(
                None if self.newest is None else format_instant(self.newest),
                "the model served no request",
                statistic="newest_at",
                **where,
            ),
            ResultRow(key="objectives", statistic="budgets", value=len(self.budgets)),
            ResultRow(key="objectives", statistic="watches", value=len(self.channel)),
        ]
        return [*rows, *(row for each in self.readings for row in each.rows())]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        budgets = [
            self._line(
                each,
                rang=each.rang,
                gone=each.outlook,
                pages=_after(each.outage_page_min) if each.in_force and each.counted.n else "",
            )
            for each in self.budgets
        ]
        return [*budgets, *(self._line(each) for each in self.channel)]

    def _line(
        self, reading: BudgetReading | ChannelReading, *, rang: str = "", gone: str = "", pages: str = ""
    ) -> Mapping[str, object]:
        return {
            "objective": reading.key,
            "state": reading.state,
            "evidence": reading.evidence,
            f"rang_in_{self.recent_days}_days": rang,
            "budget_gone": gone,
            "total_outage_pages": pages,
            "owner": reading.objective.owner,
        }

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [each for each in self.budgets if each.in_force and each.counted.n]
        if not drawn:
            return ()
        alt = "What is left of each error budget: " + "; ".join(
            f"{each.key} {format_number('left_share', 1 - (each.consumed_share or 0.0))}, {each.state}, rules rang "
            f"{len(each.alarms)} times"
            for each in drawn
        )
        height = 0.6 + 2.1 * len(drawn)
        chart = picture(
            lambda figure: draw_burns(figure, drawn, self.marks.marks), name="burns", alt=alt, height_inches=height
        )
        return (chart,)

    def _absent_signals(self) -> list[Signal]:
        """Requests that stopped: of all, else of the budgets that count only some of them."""
        if self.silence.alarms:
            return [self._absent(REQUESTS, "Served requests", self.silence, self.newest)]
        return [
            self._absent(each.key, f"{each.metric.name}, requests that count", each.silence, None)
            for each in self.budgets
            if each.in_force and each.silence.alarms
        ]

    def _absent(self, metric: str, name: str, silence: Silence, newest: datetime | None) -> Signal:
        expected = silence.expected or 0.0
        missing = expected - silence.requests
        window = Window(self.end - timedelta(minutes=silence.window_min), self.end)
        return Signal(
            kind="absent_data",
            metric=metric,
            segment="",
            name=name,
            window=window.label,
            verdict="worse",
            change=Estimate.alone(-missing, n=silence.requests, method="requests less the usual", reason="a count"),
            unit="requests",
            times_threshold=missing / expected / _HALF_MISSING,
            excess_loss_per_week=None,
            no_loss_reason="what was not asked has no loss",
            text=silence.text,
            family="service",
            first_day=window.first_day if newest is None else newest.date(),
            last_day=window.last_day,
            p_adjusted=min(1.0, (silence.guard.p_value or 0.0) * len(WINDOWS_MIN) * (1 + len(self.budgets))),
            requests_per_week=missing * 7 * 1440 / silence.window_min,
        )


def error_budgets(source: Source, model: ModelDefinition, *, as_of: str = "", recent_days: int = 7) -> ErrorBudgets:
    """Read every objective of a model that has a budget or watches the channel, at an instant.

    One query counts requests; labels, deployments and incidents have one of their own, where they are asked for.

    Served requests of every version count, as users met them. Rules are looked at after every five minutes of the last
    28 days; a budget's own period may be longer.

    Parameters
    ----------
    as_of: ISO instant; empty for the last day complete in the data.
    recent_days: what rang or went missing in so many last days is a signal.

    Raises `ArgumentError`, `NotReady` when there is no prediction at all, `DefinitionError`, `ContractError`.
    """
    check_at_least("recent_days", recent_days, 1)
    instant = parse_instant(as_of) if as_of else source.complete_through()
    end = _last_slot(instant)
    objectives = {key: each for key, each in load_objectives(source.workspace).items() if each.model == model.key}
    metrics = load_metrics(source.workspace)
    budgeted = {key: each for key, each in objectives.items() if each.budget is not None}
    counts = _count(source, model, budgeted.values(), metrics, end=end, as_of=instant)
    budgets = [
        read_budget(key, each, metrics[each.subject], counts, end=end, recent_days=recent_days)
        for key, each in budgeted.items()
    ]
    adjusted = stats.adjust_p([each.chance if each.in_force else None for each in budgets], "benjamini-hochberg")
    channel = []
    for key, each in objectives.items():
        if each.watch == "freshness":
            channel.append(read_freshness(key, each, counts, end=end, recent_days=recent_days))
        elif each.watch == "label_arrival":
            channel.append(read_label_arrival(key, each, source, model, as_of=instant))
    return ErrorBudgets(
        model,
        instant,
        end,
        recent_days,
        tuple(replace(reading, p_adjusted=p) for reading, p in zip(budgets, adjusted, strict=True)),
        tuple(channel),
        look_for_silence(counts.request_totals(), end=end),
        counts.newest,
        list_marks(source, model=model.key, window=counts.window, as_of=instant),
    )


def _after(minutes: float | None) -> str:
    """When an outage is paged for, in words."""
    if minutes is None:
        return "never: too few requests"
    return f"after {minutes:.0f} min" if minutes < 120 else f"after {minutes / 60:.1f} h"


def _last_slot(instant: datetime) -> datetime:
    """The end of the last full five minutes."""
    whole = instant.replace(second=0, microsecond=0)
    return whole - timedelta(minutes=whole.minute % SLOT_MIN)


def _count(
    source: Source,
    model: ModelDefinition,
    budgeted: Collection[ObjectiveDefinition],
    metrics: Mapping[str, MetricDefinition],
    *,
    end: datetime,
    as_of: datetime,
) -> HourlyCounts:
    """The counts that all readings are sums of."""
    shares = {each.subject: metrics[each.subject] for each in budgeted}
    periods = [each.budget.period_days for each in budgeted if each.budget is not None]
    today = start_of_day(end)
    fine_from = today - timedelta(days=_FINE_DAYS)
    window = Window(min(today - timedelta(days=max(periods, default=0) + 1), fine_from), end)
    ratios = {key: metric for key, metric in shares.items() if isinstance(metric, RatioKind)}
    return count_by_hour(source, model, ratios, window=window, fine_from=fine_from, as_of=as_of)
