"""Why a metric moved: its change split into mix and within, by each segment column.

Split are the model's loss, and of the other metrics of its quality and operation the one that moved most. What came in
may move far and harm nobody, so inputs are not split; they have their line among the metrics.
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
from toolkit.reviews.moves import MetricMoves
from toolkit.reviews.period import PREVIOUS, REVIEWED, PeriodReview

_NAMED = 3
"""So many segments are named beside a split."""


@dataclass(frozen=True)
class Split:
    """A metric's change by the values of one segment column, in their order."""

    key: str
    metric: MetricDefinition
    column: str
    values: tuple[str, ...]
    parts: stats.MixWithin

    @property
    def largest(self) -> tuple[tuple[str, float], ...]:
        """The segments that add most to the change, on either side of 0, with what they add."""
        added = [
            (value, shift.mix + shift.within) for value, shift in zip(self.values, self.parts.segments, strict=True)
        ]
        return tuple(sorted(added, key=lambda each: (-abs(each[1]), each[0]))[:_NAMED])


@dataclass(frozen=True)
class Splits(Shown):
    """Changes split by each segment column of more than one value.

    `absent`: key, name and reason of each metric that could not be split.
    """

    nothing_to_draw: ClassVar[str] = "no change could be split"

    window: str
    splits: tuple[Split, ...]
    absent: tuple[tuple[str, str, str], ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of the metrics that were split."""
        return tuple(dict.fromkeys(split.key for split in self.splits))

    @property
    @override
    def text(self) -> str:
        parts = []
        for key in self.metrics:
            mine = [split for split in self.splits if split.key == key]
            first = mine[0]
            halves = "; ".join(
                f"by {split.column}, {_signed(split, split.parts.mix.value)} from mix and "
                f"{_signed(split, split.parts.within.value)} within"
                for split in mine
            )
            total = first.parts.total
            parts.append(
                f"{first.metric.name} changed by {_signed(first, total.value)} ({_interval(first, total)}): {halves}."
            )
        parts += [f"{name} is not split: {reason}." for _, name, reason in self.absent]
        return " ".join(parts)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for split in self.splits:
            where: dict[str, Any] = {
                "key": split.key,
                "window": self.window,
                "unit": split.metric.unit,
                "comparison": f"{REVIEWED} - {PREVIOUS}",
            }
            rows += [
                estimate_row(estimate, statistic=f"{statistic}_by_{split.column}", **where)
                for statistic, estimate in (
                    ("change", split.parts.total),
                    ("mix", split.parts.mix),
                    ("within", split.parts.within),
                )
            ]
            rows += [
                ResultRow(statistic=statistic, value=value, segment=f"{split.column}={name}", **where)
                for name, shift in zip(split.values, split.parts.segments, strict=True)
                for statistic, value in (("mix", shift.mix), ("within", shift.within))
            ]
        rows += [
            number_row(None, reason, key=key, statistic="change", window=self.window) for key, _, reason in self.absent
        ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        lines: list[Mapping[str, object]] = [
            {
                "metric": split.metric.name,
                "by": split.column,
                "change": _signed(split, split.parts.total.value),
                "mix": _signed(split, split.parts.mix.value),
                "mix_interval_95": _interval(split, split.parts.mix),
                "within": _signed(split, split.parts.within.value),
                "within_interval_95": _interval(split, split.parts.within),
                "most_in": ", ".join(f"{value} {_signed(split, added)}" for value, added in split.largest),
            }
            for split in self.splits
        ]
        return lines or [{"metric": name, "change": f"absent: {reason}"} for _, name, reason in self.absent]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        return [self._picture(key, name) for key, name in zip(self.metrics, ("loss", "moved-most"), strict=False)]

    def _picture(self, key: str, name: str) -> Picture:
        mine = [split for split in self.splits if split.key == key]
        alt = f"{mine[0].metric.name}: change {_signed(mine[0], mine[0].parts.total.value)}. " + "; ".join(
            f"by {split.column}, mix {_signed(split, split.parts.mix.value)}, "
            f"within {_signed(split, split.parts.within.value)}"
            for split in mine
        )
        return picture(
            lambda figure: _draw(figure, mine), name=name, alt=f"{alt}.", height_inches=1.2 + 0.55 * len(mine)
        )


def split_changes(review: PeriodReview, moves: MetricMoves) -> Splits:
    """Split the change of the model's loss, and of the other metric that moved most, by each segment column.

    A column with one value splits nothing, so it has no split.
    """
    keys = [review.model.loss]
    others = [
        move
        for move in moves.moves
        if move.metric.role in {"quality", "operation"}
        and move.metric.adds_up  # what is no ratio of sums over requests has no split
        and move.verdict in {"worse", "better", "changed"}
        and move.key != review.model.loss
    ]
    keys += [move.key for move in sorted(others, key=lambda move: -move.times_threshold)[:1]]
    splits, absent = [], []
    for key in keys:
        change = next(move.change for move in moves.moves if move.key == key)
        if review.no_previous or change.value is None:
            absent.append((key, review.metrics[key].name, review.no_previous or change.reason))
            continue
        splits += [
            _split(review, key, column) for column in review.cells.segments if len(review.cells.values(column)) > 1
        ]
    return Splits(review.window.label, tuple(splits), tuple(absent))


def _split(review: PeriodReview, key: str, column: str) -> Split:
    cells = review.cells
    values = cells.values(column)
    tables = []
    for population in (PREVIOUS, REVIEWED):
        rows = cells.frame[(cells.frame["population"] == population) & (cells.frame["segment"] == column)]
        for name in (f"{key}__n", f"{key}__sum"):
            by_day = rows.pivot_table(index="day", columns="segment_value", values=name, aggfunc="sum")
            tables.append(by_day.reindex(columns=values).fillna(0.0).to_numpy(dtype="float64"))
    return Split(key, review.metrics[key], column, tuple(values), stats.mix_within(*tables))


def _signed(split: Split, value: float | None) -> str:
    text = format_number("value", value, unit=split.metric.unit)
    return f"+{text}" if value is not None and value > 0 else text


def _interval(split: Split, estimate: stats.Estimate) -> str:
    return format_interval("value", estimate.ci_lower, estimate.ci_upper, unit=split.metric.unit)


def _draw(figure: Any, splits: Sequence[Split]) -> None:
    axes = figure.subplots()
    percent = splits[0].metric.unit == "share"
    scale = 100 if percent else 1
    total = splits[0].parts.total.value or 0.0
    for offset, part, colour in ((0.19, "mix", PALETTE[1]), (-0.19, "within", PALETTE[0])):
        for place, split in enumerate(reversed(splits)):
            estimate: stats.Estimate = getattr(split.parts, part)
            label = part if place == 0 else None
            axes.barh(place + offset, scale * (estimate.value or 0.0), height=0.36, color=colour, label=label)
            if estimate.ci_lower is not None and estimate.ci_upper is not None:
                ends = [scale * estimate.ci_lower, scale * estimate.ci_upper]
                axes.plot(ends, [place + offset] * 2, color="#333333", linewidth=1)
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    axes.axvline(scale * total, color=PALETTE[3], linewidth=1, linestyle="--", label="change")
    axes.set_yticks(range(len(splits)), [f"by {split.column}" for split in reversed(splits)])
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    unit = "%-points" if percent else splits[0].metric.unit
    axes.set_xlabel(f"part of the change{f', {unit}' if unit else ''}, with 95 % interval")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(f"{splits[0].metric.name}: mix and within")
