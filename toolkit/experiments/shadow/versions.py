"""Both versions of a shadow deployment by themselves: what their scores mean, how often they fail, how long they take.

The pairs say which version is better on the same requests; here is what a pair cannot say: whether a score of 0.3 is a
chance of 30 %, and how slow the slowest requests are. Days are the clusters of every interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import Source, load_model
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import KINDS, SCORE_BIN, SCORE_BINS, MetricDefinition, Population, measure
from toolkit.records import ResultRow, Shown, Value, estimate_row

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.shadow.pairs import ShadowPairs
    from toolkit.metrics.cells import Cells
    from toolkit.stats import Estimate

_SCORED = {
    "calibration_error": ("Expected calibration error", {"kind": "ece", "direction": "decrease"}),
    "calibration_slope": ("Calibration slope", {"kind": "calibration_slope", "direction": "none"}),
    "calibration_intercept": ("Calibration intercept", {"kind": "calibration_intercept", "direction": "none"}),
    "auc": ("AUC", {"kind": "auc", "direction": "increase"}),
}
_TIMED = {
    f"latency_p{100 * q:.0f}_ms": (
        f"Latency, {100 * q:.0f}th percentile",
        {"kind": "quantile", "column": "latency_ms", "q": q, "unit": "ms", "direction": "decrease"},
    )
    for q in (0.5, 0.95, 0.99)
}
_ANSWERED = {"error_rate": ("Error rate", {"kind": "error_rate", "unit": "share", "direction": "decrease"})}

_BY_SEGMENT = ("calibration_error", "latency_p95_ms")
"""What is shown in every segment too; more of it nobody would read."""


class ScoreBin(NamedTuple):
    """One twentieth of the scores of one variant: requests with a label, their mean score, the share of label 1."""

    variant: str
    n: int
    mean_score: float
    label_share: float


class Reading(NamedTuple):
    """One number of one variant, in a segment or ("", "") for everything."""

    metric: str
    variant: str
    segment: str
    value: str
    estimate: Estimate


@dataclass(frozen=True)
class Versions(Shown):
    """Calibration, errors and latency of each variant's version over the requests of the window that it scored.

    `absent`: what could not be measured, because the table lacks its column.
    """

    window: str
    names: Mapping[str, str]
    units: Mapping[str, str]
    readings: tuple[Reading, ...]
    bins: tuple[ScoreBin, ...]
    absent: tuple[str, ...]

    def reading(self, metric: str, variant: str) -> Estimate | None:
        """A number of a variant over everything; None if it was not measured."""
        found = (each for each in self.readings if (each.metric, each.variant, each.segment) == (metric, variant, ""))
        return next((each.estimate for each in found), None)

    @property
    def text(self) -> str:
        """Each number for each variant, in a sentence per number."""
        parts = []
        for metric, name in self.names.items():
            said = [
                f"{each.variant} {self._shown(each)}"
                for each in self.readings
                if each.metric == metric and not each.segment
            ]
            parts.append(f"{name}: {', '.join(said)}.")
        if self.absent:
            parts.append(f"Absent, because predictions lack the column: {', '.join(self.absent)}.")
        return " ".join(parts)

    def to_rows(self) -> Sequence[ResultRow]:
        """A row per number, variant and segment, and two per bin of the scores."""
        rows = [
            estimate_row(
                each.estimate,
                key=each.metric,
                statistic=each.variant,
                segment=f"{each.segment}={each.value}" if each.segment else "",
                window=self.window,
                unit=self.units[each.metric],
            )
            for each in self.readings
        ]
        for place, each in enumerate(self.bins):
            where: dict[str, Any] = {
                "key": "reliability",
                "segment": f"bin={place}",
                "window": self.window,
                "n": each.n,
            }
            rows.append(ResultRow(statistic=f"{each.variant}_mean_score", value=each.mean_score, **where))
            rows.append(ResultRow(statistic=f"{each.variant}_label_share", value=each.label_share, **where))
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per number and segment, a column per variant."""
        lines: dict[tuple[str, str, str], dict[str, Value]] = {}
        for each in self.readings:
            where = f"{each.segment}={each.value}" if each.segment else "all"
            line = lines.setdefault(
                (each.metric, each.segment, each.value), {"metric": self.names[each.metric], "segment": where}
            )
            line[each.variant] = self._shown(each)
        return list(lines.values())

    def to_pictures(self) -> Sequence[Picture]:
        """The reliability of both versions' scores, where there are any."""
        return (_draw(self.bins),) if self.bins else ()

    def _shown(self, each: Reading) -> str:
        found, unit = each.estimate, self.units[each.metric]
        if found.value is None:
            return f"absent: {found.reason}"
        value = format_number(each.metric, found.value, unit=unit)
        if found.ci_lower is None or found.ci_upper is None:
            return f"{value} ({found.reason})"
        return f"{value} ({format_interval(each.metric, found.ci_lower, found.ci_upper, unit=unit)})"


def compare_versions(plan: ExperimentPlan, source: Source, pairs: ShadowPairs) -> Versions:
    """Measure calibration, errors and latency of every variant's version in the window that the pairs cover.

    Raises what `metrics.measure` raises.
    """
    model, columns = load_model(source.workspace, plan.model), source.columns("predictions")
    wanted = _ANSWERED | (_SCORED if "score" in columns else {}) | (_TIMED if "latency_ms" in columns else {})
    metrics = {key: _definition(key) for key in wanted}
    variants = (pairs.control, *pairs.coverage)
    populations = [Population(name, plan.variants[name].version, pairs.window, served_only=False) for name in variants]
    cells = measure(source, model, metrics, populations, as_of=pairs.as_of, segments=list(plan.segments))
    readings = [Reading(key, name, "", "", cells.estimate(key, name)) for key in metrics for name in variants]
    readings += [
        Reading(key, name, segment, value, cells.estimate(key, name, segment=segment, value=value))
        for key in _BY_SEGMENT
        if key in metrics
        for segment in plan.segments
        for value in cells.values(segment)
        for name in variants
    ]
    return Versions(
        window=pairs.window.label,
        names={key: metric.name for key, metric in metrics.items()},
        units={key: metric.unit for key, metric in metrics.items()},
        readings=tuple(readings),
        bins=tuple(_bins(cells, variants)) if "score" in columns else (),
        absent=tuple(name for name in ("score", "latency_ms") if name not in columns),
    )


@cache
def _definition(key: str) -> MetricDefinition:
    name, parts = (_ANSWERED | _SCORED | _TIMED)[key]
    about = {"name": name, "description": f"{name} of one version.", "owner": "the toolkit", "role": "quality"}
    # Nothing is held against the threshold here: it is what every definition has.
    return KINDS[str(parts["kind"])].model_validate({**about, "practical_threshold": 1, **parts})


def _bins(cells: Cells, variants: Sequence[str]) -> list[ScoreBin]:
    found = []
    for name in variants:
        for value in sorted(cells.values(SCORE_BIN), key=int):
            sums = {
                column: cells.total(column, name, segment=SCORE_BIN, value=value)
                for column in ("labelled", "score_sum", "label_sum")
            }
            if n := int(sums["labelled"]):
                found.append(ScoreBin(name, n, sums["score_sum"] / n, sums["label_sum"] / n))
    return found


def _draw(bins: Sequence[ScoreBin]) -> Picture:
    """Share of label 1 against mean score, by twentieth of the score; the area of a dot is its requests."""
    variants = list(dict.fromkeys(each.variant for each in bins))
    most = max(each.n for each in bins)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=PALETTE[5], linewidth=1, linestyle="--")
        for name, colour in zip(variants, PALETTE, strict=False):
            own = [each for each in bins if each.variant == name]
            x, y = [each.mean_score for each in own], [each.label_share for each in own]
            axes.plot(x, y, color=colour, linewidth=1.2, label=name)
            axes.scatter(x, y, s=[6 + 90 * each.n / most for each in own], color=colour, alpha=0.75, linewidth=0)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel(f"mean score of a {SCORE_BINS}th of the scale")
        axes.set_ylabel("share of label 1")
        axes.legend()
        axes.set_title("Do scores mean what they say?")

    gaps = {
        name: sum(each.n * abs(each.label_share - each.mean_score) for each in bins if each.variant == name)
        / sum(each.n for each in bins if each.variant == name)
        for name in variants
    }
    said = ", ".join(f"{name} {gap:.3f}" for name, gap in gaps.items())
    return picture(
        draw,
        name="reliability",
        alt=f"Share of label 1 against mean score, {' and '.join(variants)}; mean distance from the diagonal: {said}.",
        width_inches=5.2,
        height_inches=4.2,
    )
