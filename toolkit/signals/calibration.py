"""Calibration: whether the scores still mean what they say, and what their error cost.

The Brier loss splits exactly into what a calibrated model of the same scores would lose, mean p(1 - p), and the excess
over it. The excess is zero when every score is the true probability, so its growth against the reference period,
summed over a week's requests, is the loss that recalibration could at most win back.

The expected calibration error says how far scores are off wherever they are, also where too high here makes up for too
low there. It is debiased: of scores that mean what they say, the plain one grows with every bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.data import Source
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import SCORE_BIN, SCORE_BINS
from toolkit.metrics.score_cells import ScoreCells, collect_score_cells
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import Signal

_SUMS = ("labelled", "score_sum", "label_sum")

_SMALLEST_BIN = 50
"""A bin of fewer labelled requests is not drawn."""

ECE_BINS = 15
"""Bins of the calibration error, each with about as many labelled requests."""


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
    ece: the debiased expected calibration error in each period; `ece_change` their difference.
    ece_bins: the bins of the score that it is over, in words: the number depends on them.
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
    ece_bins: str
    ece: dict[str, stats.Estimate]
    ece_change: stats.Estimate

    @property
    def reason(self) -> str:
        """Why it could not be judged: one of the periods has no labels that count; "" when it could."""
        if self.gap[CURRENT].value is None or self.loss_change.value is None:
            return self.gap[CURRENT].reason or self.loss_change.reason
        return ""

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
        if self.reason:
            return f"Calibration is absent: {self.reason}."
        now = self.gap[CURRENT]
        return (
            f"In the current window {self._sentence()} (mean label - mean score: "
            f"{format_interval('gap', now.ci_lower, now.ci_upper, unit='share')}). "
            f"The mean loss changed by {self.loss_change.value:+.4f}: {self.excess_change.value:+.4f} from calibration "
            f"and {self.spread_change.value:+.4f} that the scores themselves foresaw.{self._ece_sentence()}"
            f"{'' if self.threshold else ' No metric of kind calibration says which gap is worth acting on.'}"
        )

    def _ece_sentence(self) -> str:
        then, now = self.ece[REFERENCE], self.ece[CURRENT]
        if now.value is None:
            return ""
        interval = format_interval("error", now.ci_lower, now.ci_upper, unit="share")
        return (
            f" Scores are off by {format_number('error_share', now.value)} on average over {self.ece_bins} (debiased "
            f"calibration error, {interval}), after {format_number('error_share', then.value)}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for period in (REFERENCE, CURRENT):
            rows.append(self._row("gap", period, self.gap[period], unit="share"))
            rows.append(self._row("excess_loss", period, self.excess[period], unit="Brier"))
            rows.append(self._row("calibration_error", period, self.ece[period], unit="share"))
        rows += [
            self._row("gap", "change", self.gap_change, unit="share"),
            self._row("excess_loss", "change", self.excess_change, unit="Brier"),
            self._row("foreseen_loss", "change", self.spread_change, unit="Brier"),
            self._row("loss", "change", self.loss_change, unit="Brier"),
            self._row("calibration_error", "change", self.ece_change, unit="share"),
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
            (f"calibration error over {self.ece_bins}, reference", self.ece[REFERENCE], "share"),
            (f"calibration error over {self.ece_bins}, current", self.ece[CURRENT], "share"),
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


def calibration(observation: Observation, source: Source | None = None) -> Calibration:
    """Measure the calibration of a model's scores in both periods. Intervals have days as clusters.

    Parameters
    ----------
    source: where the observation was made; with it the bins of the calibration error hold equally many requests (one
        query more), without it they are the score's twentieths.
    """
    cells = observation.cells
    ece_bins = "twentieths of the score" if source is None else f"{ECE_BINS} bins of equal mass"
    ece = _calibration_errors(observation, source, method=f"{stats.ECE_METHOD}, {ece_bins}")
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
        per_week=stats.scaled(excess_change, observation.labelled_per_week),
        bins=tuple(_bins(observation)),
        ece_bins=ece_bins,
        ece=ece,
        ece_change=stats.difference(ece[REFERENCE], ece[CURRENT]),
    )


def _calibration_errors(observation: Observation, source: Source | None, *, method: str) -> dict[str, stats.Estimate]:
    periods = (REFERENCE, CURRENT)
    if source is None:
        return {
            name: stats.debiased_calibration_error(*_twentieths(observation, name), method=method) for name in periods
        }
    populations = [observation.cells.population(name) for name in periods]
    found = collect_score_cells(source, observation.model, populations, as_of=observation.as_of)
    return {
        name: stats.debiased_calibration_error(
            cells.day, _equal_mass(cells), cells.labelled, cells.labelled_score_sum, cells.label_sum, method=method
        )
        for name, cells in found.items()
    }


def _twentieths(observation: Observation, population: str) -> list[Any]:
    """Day and bin of each cell of the score's twentieths, its labelled requests, Σ score and Σ label."""
    frame = observation.cells.frame
    chosen = frame[(frame["population"] == population) & (frame["segment"] == SCORE_BIN) & (frame["labelled"] > 0)]
    chosen = chosen[chosen["segment_value"].str.isdigit()]
    days = chosen["day"].rank(method="dense")
    bins = chosen["segment_value"].astype("int64")
    return [column.to_numpy("float64") for column in (days, bins, *(chosen[name] for name in _SUMS))]


def _equal_mass(cells: ScoreCells) -> Any:
    """The bin of each cell: narrow bins of the score are put together by where the middle of their ranks falls."""
    import numpy as np

    codes, which = np.unique(cells.place, return_inverse=True)
    size = np.bincount(which, weights=cells.labelled, minlength=codes.size)
    middle = np.cumsum(size) - size / 2
    return np.minimum(np.floor(middle * ECE_BINS / max(float(size.sum()), 1.0)), ECE_BINS - 1)[which]


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
