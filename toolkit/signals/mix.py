"""Whether a metric moved because other requests came, or because the same requests went differently.

Each segmentation splits a change into mix (the segments' shares changed, at the means they have) and within (their
means changed). A mix shift asks for another look at who is served; a change within for work on the model or service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import MetricDefinition
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal
from toolkit.windows import Window

_SHOWN = 10
"""Bars of the figure; every split is in the rows."""

_COMPARISON = f"{CURRENT} - {REFERENCE}"


@dataclass(frozen=True)
class Mix:
    """A metric's change from the reference period to the current window, split by one segmentation.

    `p_adjusted`: of the mix, over all metrics and segmentations (Benjamini & Hochberg 1995).
    """

    key: str
    metric: MetricDefinition
    column: str
    values: tuple[str, ...]
    parts: stats.MixWithin
    p_adjusted: float | None

    @property
    def times_threshold(self) -> float:
        """The mix in practical thresholds."""
        return abs(self.parts.mix.value or 0.0) / self.metric.practical_threshold

    @property
    def evident(self) -> bool:
        """Whether the mix moved the metric, beyond chance and by its practical threshold."""
        value = self.parts.mix.value
        return (
            self.p_adjusted is not None
            and self.p_adjusted <= EVIDENCE_ALPHA
            and value is not None
            and abs(value) >= self.metric.practical_threshold
        )

    @property
    def harmful(self) -> bool | None:
        """Whether the mix moved the metric the wrong way; None where no way is the better one."""
        value = self.parts.mix.value or 0.0
        return {"increase": value < 0, "decrease": value > 0}.get(self.metric.direction)

    @property
    def largest(self) -> tuple[str, stats.SegmentShift]:
        """The segment that adds most to the mix, on either side of 0."""
        found = zip(self.values, self.parts.segments, strict=True)
        return max(found, key=lambda each: (abs(each[1].mix), each[0]))

    @property
    def text(self) -> str:
        """The split in one sentence."""
        total, mix, within = (
            _signed(self.metric, part.value) for part in (self.parts.total, self.parts.mix, self.parts.within)
        )
        value, shift = self.largest
        shares = " to ".join(format_number("segment_share", share) for share in (shift.share0, shift.share1))
        return (
            f"{self.metric.name} changed by {total}, {mix} of it by the mix of {self.column} "
            f"(most: {value}, {shares} of the requests that count) and {within} within"
        )


@dataclass(frozen=True)
class MixShift(Shown):
    """Every change of a metric that is a mean of requests, split by every segmentation.

    `absent`: key, name and reason of each metric that cannot be split.
    """

    nothing_to_draw: ClassVar[str] = "no change could be split"

    window: Window
    splits: tuple[Mix, ...]
    absent: tuple[tuple[str, str, str], ...]
    loss: str
    requests_per_week: float
    labelled_per_week: float

    @property
    def evident(self) -> tuple[Mix, ...]:
        """The splits whose mix moved the metric, those most beyond their practical threshold first."""
        return tuple(split for split in self.splits if split.evident)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Of each metric whose mix moved it, not for the better, the segmentation that shows it best."""
        found: dict[str, Mix] = {}
        for split in self.evident:
            if split.harmful is not False:
                found.setdefault(split.key, split)
        return tuple(self._signal(split) for split in found.values())

    def _signal(self, split: Mix) -> Signal:
        is_loss = split.key == self.loss
        return Signal(
            kind="mix",
            metric=split.key,
            segment="",
            name=f"{split.metric.name} by the mix of {split.column}",
            window=self.window.label,
            verdict="worse" if split.harmful else "changed",
            change=split.parts.mix,
            unit=split.metric.unit,
            times_threshold=split.times_threshold,
            excess_loss_per_week=stats.scaled(split.parts.mix, self.labelled_per_week) if is_loss else None,
            no_loss_reason="" if is_loss else "its share in the loss was not measured",
            text=split.text,
            family="inputs",
            columns=(split.column,),
            first_day=self.window.first_day,
            last_day=self.window.last_day,
            p_adjusted=split.p_adjusted,
            requests_per_week=self.requests_per_week,
        )

    @property
    @override
    def text(self) -> str:
        if not self.splits:
            reasons = "; ".join(f"{name}: {reason}" for _, name, reason in self.absent)
            return f"No change could be split{f' ({reasons})' if reasons else ''}."
        evident = self.evident
        lead = f"{len(self.splits)} splits of changes by segmentation."
        if not evident:
            return f"{lead} In none did the mix move a metric by its practical threshold: what changed, changed within."
        told = ". ".join(split.text for split in evident[:3])
        more = f" Also by {', '.join(f'{each.column} ({each.metric.name})' for each in evident[3:])}."
        return f"{lead} {told}.{more if len(evident) > 3 else ''}"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [row for split in self.splits for row in self._rows(split)]
        rows += [
            number_row(None, reason, key=key, statistic="mix", window=self.window.label)
            for key, _, reason in self.absent
        ]
        return rows

    def _rows(self, split: Mix) -> list[ResultRow]:
        where: dict[str, Any] = {
            "key": split.key,
            "window": self.window.label,
            "unit": split.metric.unit,
            "comparison": _COMPARISON,
        }
        rows = [
            estimate_row(estimate, statistic=f"{statistic}_by_{split.column}", **where)
            for statistic, estimate in (
                ("change", split.parts.total),
                ("mix", split.parts.mix),
                ("within", split.parts.within),
            )
        ]
        rows.append(
            number_row(
                split.p_adjusted,
                split.parts.mix.reason,
                key=split.key,
                statistic=f"mix_by_{split.column}_adjusted_p_value",
                window=self.window.label,
                method="Benjamini-Hochberg over metrics and segmentations",
            )
        )
        rows += [
            ResultRow(statistic=statistic, value=value, segment=f"{split.column}={name}", **where)
            for name, shift in zip(split.values, split.parts.segments, strict=True)
            for statistic, value in (("mix", shift.mix), ("within", shift.within))
        ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        lines: list[Mapping[str, object]] = [
            {
                "metric": split.metric.name,
                "by": split.column,
                "change": _signed(split.metric, split.parts.total.value),
                "mix": _signed(split.metric, split.parts.mix.value),
                "mix_interval_95": _interval(split.metric, split.parts.mix),
                "within": _signed(split.metric, split.parts.within.value),
                "within_interval_95": _interval(split.metric, split.parts.within),
                "mix_adjusted_p_value": split.p_adjusted,
                "most_by": split.largest[0],
            }
            for split in self.splits
        ]
        return lines or [{"metric": name, "change": f"absent: {reason}"} for _, name, reason in self.absent]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = self.splits[:_SHOWN]
        if not drawn:
            return ()
        alt = "Mix and within, in practical thresholds: " + "; ".join(
            f"{split.metric.name} by {split.column} {_signed(split.metric, split.parts.mix.value)} and "
            f"{_signed(split.metric, split.parts.within.value)}"
            for split in drawn
        )
        return (
            picture(
                lambda figure: _draw(figure, drawn), name="mix", alt=f"{alt}.", height_inches=1.1 + 0.42 * len(drawn)
            ),
        )


def mix_shift(observed: Observation) -> MixShift:
    """Split the change of each metric that is a mean of requests by each segmentation of more than one value.

    Of the cells that were measured; days are the clusters of every interval.
    """
    cells = observed.cells
    columns = [column for column in cells.segments if len(cells.values(column)) > 1]
    splits, absent = [], []
    for key, metric in observed.metrics.items():
        if reason := _not_split(observed, key, metric, columns):
            absent.append((key, metric.name, reason))
            continue
        splits += [(key, metric, column, *_split(observed, key, column)) for column in columns]
    adjusted = stats.adjust_p([parts.mix.p_value for *_, parts in splits], "benjamini-hochberg")
    found = [Mix(*split, p) for split, p in zip(splits, adjusted, strict=True)]
    found.sort(key=lambda split: (-split.times_threshold, split.key, split.column))
    return MixShift(
        observed.window,
        tuple(found),
        tuple(absent),
        observed.model.loss,
        observed.requests_per_week,
        observed.labelled_per_week,
    )


def _not_split(observed: Observation, key: str, metric: MetricDefinition, columns: Sequence[str]) -> str:
    """Why a metric's change cannot be split; "" if it can."""
    if not metric.adds_up:
        return "it is no mean of requests"
    if not columns:
        return "the model has no segment column of more than one value"
    for name in (REFERENCE, CURRENT):
        estimate = observed.cells.estimate(key, name)
        if estimate.value is None:
            return f"{name}: {estimate.reason}"
    return ""


def _split(observed: Observation, key: str, column: str) -> tuple[tuple[str, ...], stats.MixWithin]:
    cells = observed.cells
    values, tables = cells.values(column), []
    for population in (REFERENCE, CURRENT):
        rows = cells.frame[(cells.frame["population"] == population) & (cells.frame["segment"] == column)]
        for name in (f"{key}__n", f"{key}__sum"):
            by_day = rows.pivot_table(index="day", columns="segment_value", values=name, aggfunc="sum")
            tables.append(by_day.reindex(columns=values).fillna(0.0).to_numpy(dtype="float64"))
    return tuple(values), stats.mix_within(*tables)


def _signed(metric: MetricDefinition, value: float | None) -> str:
    text = format_number("value", value, unit=metric.unit)
    return f"+{text}" if value is not None and value > 0 else text


def _interval(metric: MetricDefinition, estimate: stats.Estimate) -> str:
    return format_interval("value", estimate.ci_lower, estimate.ci_upper, unit=metric.unit)


def _draw(figure: Any, splits: Sequence[Mix]) -> None:
    axes = figure.subplots()
    axes.axvspan(-1, 1, color="#e3e8ee", zorder=0)
    for offset, part, colour in ((0.19, "mix", PALETTE[1]), (-0.19, "within", PALETTE[0])):
        for place, split in enumerate(reversed(splits)):
            estimate: stats.Estimate = getattr(split.parts, part)
            unit = split.metric.practical_threshold
            label = part if place == 0 else None
            axes.barh(place + offset, (estimate.value or 0.0) / unit, height=0.36, color=colour, label=label)
            if estimate.ci_lower is not None and estimate.ci_upper is not None:
                ends = [estimate.ci_lower / unit, estimate.ci_upper / unit]
                axes.plot(ends, [place + offset] * 2, color="#333333", linewidth=1)
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    axes.set_yticks(range(len(splits)), [f"{split.metric.name} by {split.column}" for split in reversed(splits)])
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("part of the change, in practical thresholds (shaded: within one), with 95 % interval")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title("Other requests, or the same requests differently")
