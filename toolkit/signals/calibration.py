"""Calibration: whether the scores still mean what they say, and what their error cost.

The Brier loss splits exactly into what a calibrated model of the same scores would lose, mean p(1 - p), and the excess
over it. The excess is zero when every score is the true probability, so its growth against the reference period,
summed over a week's requests, is the loss that recalibration could at most win back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import SCORE_BIN, SCORE_BINS
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import Signal

_SMALLEST_BIN = 50
"""A bin of fewer labelled requests is not drawn."""


@dataclass(frozen=True)
class ScoreBin:
    """A twentieth of the score: its labelled requests, their mean score and share of positive labels."""

    population: str
    lower: float
    upper: float
    n: int
    mean_score: float
    label_share: stats.Estimate


@dataclass(frozen=True)
class Calibration(Shown):
    """Calibration in the large, the excess loss it costs, and the reliability of each score bin.

    Attributes
    ----------
    threshold: the practical threshold of the gap; None when the workspace has no metric of kind calibration.
    gap: mean label minus mean score in each period; `gap_change` their difference.
    excess: mean excess Brier loss per request in each period; `excess_change` their difference.
    spread_change: change of mean p(1 - p): what the model's own scores say it should have lost more or less.
    loss_change: change of the mean Brier loss; the sum of `excess_change` and `spread_change`.
    per_week: `excess_change` times the labelled requests of a week.
    """

    nothing_to_draw: ClassVar[str] = f"no score bin has {_SMALLEST_BIN} labelled requests"

    window: str
    threshold: float | None
    gap: dict[str, stats.Estimate]
    gap_change: stats.Estimate
    excess: dict[str, stats.Estimate]
    excess_change: stats.Estimate
    spread_change: stats.Estimate
    loss_change: stats.Estimate
    per_week: stats.Estimate
    bins: tuple[ScoreBin, ...]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """One signal when the excess loss grew beyond chance and the gap is at least its practical threshold."""
        gap, excess = self.gap[CURRENT].value, self.per_week.ci_lower
        if gap is None or excess is None or self.threshold is None or excess <= 0 or abs(gap) < self.threshold:
            return ()
        return (
            Signal(
                kind="calibration",
                metric="calibration",
                segment="",
                name="calibration",
                window=self.window,
                verdict="worse",
                change=self.gap_change,
                unit="share",
                times_threshold=abs(gap) / self.threshold,
                excess_loss_per_week=self.per_week,
                no_loss_reason="",
                text=self._sentence(),
            ),
        )

    def _sentence(self) -> str:
        gap = self.gap[CURRENT].value or 0.0
        way = "too low" if gap > 0 else "too high"
        return f"scores are {format_number('gap_share', abs(gap))} {way} on average"

    @property
    @override
    def text(self) -> str:
        if self.gap[CURRENT].value is None or self.loss_change.value is None:
            return f"Calibration is absent: {self.gap[CURRENT].reason or self.loss_change.reason}."
        now = self.gap[CURRENT]
        return (
            f"In the current window {self._sentence()} (mean label - mean score: "
            f"{format_interval('gap', now.ci_lower, now.ci_upper, unit='share')}). "
            f"The mean loss changed by {self.loss_change.value:+.4f}: {self.excess_change.value:+.4f} from calibration "
            f"and {self.spread_change.value:+.4f} that the scores themselves foresaw."
            f"{'' if self.threshold else ' No metric of kind calibration says which gap is worth acting on.'}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for period in (REFERENCE, CURRENT):
            rows.append(self._row("gap", period, self.gap[period], unit="share"))
            rows.append(self._row("excess_loss", period, self.excess[period], unit="Brier"))
        rows += [
            self._row("gap", "change", self.gap_change, unit="share"),
            self._row("excess_loss", "change", self.excess_change, unit="Brier"),
            self._row("foreseen_loss", "change", self.spread_change, unit="Brier"),
            self._row("loss", "change", self.loss_change, unit="Brier"),
            self._row("excess_loss", "per_week", self.per_week, unit="Brier"),
        ]
        for item in self.bins:
            segment = f"score={item.lower:.2f}-{item.upper:.2f}"
            rows.append(
                estimate_row(
                    item.label_share,
                    key="reliability",
                    statistic=f"{item.population}_label_share",
                    segment=segment,
                    window=self.window,
                    unit="share",
                )
            )
            rows.append(
                ResultRow(
                    key="reliability",
                    statistic=f"{item.population}_mean_score",
                    segment=segment,
                    window=self.window,
                    value=item.mean_score,
                    n=item.n,
                    unit="share",
                )
            )
        return rows

    def _row(self, key: str, statistic: str, estimate: stats.Estimate, *, unit: str) -> ResultRow:
        return estimate_row(estimate, key=key, statistic=statistic, window=self.window, unit=unit)

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        lines = (
            ("mean label - mean score, reference", self.gap[REFERENCE], "share"),
            ("mean label - mean score, current", self.gap[CURRENT], "share"),
            ("excess loss per request, reference", self.excess[REFERENCE], ""),
            ("excess loss per request, current", self.excess[CURRENT], ""),
            ("newly excess loss per week", self.per_week, ""),
        )
        return [
            {
                "quantity": name,
                "value": format_number("value", estimate.value, unit=unit),
                "interval_95": format_interval("value", estimate.ci_lower, estimate.ci_upper, unit=unit),
                "labelled_requests": estimate.n,
            }
            for name, estimate, unit in lines
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [item for item in self.bins if item.n >= _SMALLEST_BIN and item.label_share.value is not None]
        if not drawn:
            return ()
        worst = max(
            (item for item in drawn if item.population == CURRENT),
            key=lambda item: abs((item.label_share.value or 0.0) - item.mean_score),
            default=None,
        )
        alt = "Share of positive labels against mean score, by score bin, in reference and current window."
        if worst is not None:
            share = format_number("label_share", worst.label_share.value)
            alt += f" Furthest from the diagonal now: scores near {worst.mean_score:.2f}, labels {share}."
        return (
            picture(
                lambda figure: _draw(figure, drawn), name="reliability", alt=alt, width_inches=4.6, height_inches=4.2
            ),
        )


def calibration(observation: Observation) -> Calibration:
    """Measure the calibration of a model's scores in both periods. Intervals have days as clusters."""
    cells = observation.cells
    gap = {name: cells.difference_of_sums("label_sum", "score_sum", "labelled", name) for name in (REFERENCE, CURRENT)}
    excess = {
        name: cells.difference_of_sums("brier_sum", "expected_brier_sum", "labelled", name)
        for name in (REFERENCE, CURRENT)
    }
    spread = [cells.ratio("expected_brier_sum", "labelled", name) for name in (REFERENCE, CURRENT)]
    loss = [cells.ratio("brier_sum", "labelled", name) for name in (REFERENCE, CURRENT)]
    excess_change = stats.difference(excess[REFERENCE], excess[CURRENT])
    thresholds = [metric.practical_threshold for metric in observation.metrics.values() if metric.kind == "calibration"]
    return Calibration(
        window=observation.window.label,
        threshold=thresholds[0] if thresholds else None,
        gap=gap,
        gap_change=stats.difference(gap[REFERENCE], gap[CURRENT]),
        excess=excess,
        excess_change=excess_change,
        spread_change=stats.difference(*spread),
        loss_change=stats.difference(*loss),
        per_week=stats.scaled(excess_change, cells.total("labelled", CURRENT) / observation.weeks),
        bins=tuple(_bins(observation)),
    )


def _bins(observation: Observation) -> list[ScoreBin]:
    cells = observation.cells
    bins = []
    for population in (REFERENCE, CURRENT):
        for value in sorted((value for value in cells.values(SCORE_BIN) if value.isdigit()), key=int):
            n = cells.total("labelled", population, segment=SCORE_BIN, value=value)
            if n == 0:
                continue
            bins.append(
                ScoreBin(
                    population,
                    int(value) / SCORE_BINS,
                    (int(value) + 1) / SCORE_BINS,
                    int(n),
                    cells.total("score_sum", population, segment=SCORE_BIN, value=value) / n,
                    cells.ratio("label_sum", "labelled", population, segment=SCORE_BIN, value=value),
                )
            )
    return bins


def _draw(figure: Any, bins: Sequence[ScoreBin]) -> None:
    axes = figure.subplots()
    reach = 1.05 * max(max(item.mean_score, item.label_share.ci_upper or item.label_share.value or 0) for item in bins)
    axes.plot([0, reach], [0, reach], color=PALETTE[5], linewidth=1, linestyle="--", label="calibrated")
    for population, colour in ((REFERENCE, PALETTE[4]), (CURRENT, PALETTE[3])):
        chosen = [item for item in bins if item.population == population]
        shares = [item.label_share.value for item in chosen]
        axes.plot([item.mean_score for item in chosen], shares, "o-", color=colour, markersize=4, label=population)
        for item in chosen:
            if item.label_share.ci_lower is not None:
                ends = [item.label_share.ci_lower, item.label_share.ci_upper]
                axes.plot([item.mean_score] * 2, ends, color=colour, linewidth=1)
    axes.set_xlim(0, min(reach, 1))
    axes.set_ylim(0, min(reach, 1))
    axes.set_xlabel("mean score")
    axes.set_ylabel("share of positive labels")
    axes.legend(loc="upper left")
    axes.set_title("Do scores mean what they say?")
