"""What a mean does not show: how far each part of the distribution over units has moved.

A mean moves when all units move a little, and when few move a lot. The quantile shift function (Doksum 1974, Annals of
Statistics 2:267) tells the two apart: the treatment's quantile less the control's, share by share.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.data import Source
from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.experiments.changes import change_axis, format_change, format_change_interval, signed_change
from toolkit.experiments.measurement import READING, Measurement
from toolkit.experiments.unit_sums import staged
from toolkit.records import ResultRow, Shown, Value, estimate_row

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

SHARES = tuple(step / 20 for step in range(1, 20))
"""The shares of units below each quantile: 5 %, 10 % … 95 %."""

_KIND = "experiments"
_REACH = 1.96
"""Standard errors between a quantile and the two values that its error is read off, whatever alpha is."""

_METHOD = "quantile shift over units"
_TIED = "each unit's value is 0 or 1: its distribution is its mean"


@dataclass(frozen=True)
class TreatmentShift:
    """One treatment: by share of `SHARES`, the control's and the treatment's quantile over units, and the difference.

    Of a clustered analysis the differences have no interval: units of a cluster depend on each other.
    """

    treatment: str
    control_values: tuple[float, ...]
    treatment_values: tuple[float, ...]
    differences: tuple[stats.Estimate, ...]


@dataclass(frozen=True)
class Shift(Shown):
    """The quantile shift of the primary metric, a value per unit, by treatment; `reason` says why there is none."""

    experiment: str
    metric: str
    name: str
    unit: str
    control: str
    confidence: float
    shifts: tuple[TreatmentShift, ...]
    reason: str = ""

    nothing_to_draw = "the distribution over units is not shown; the text says why"

    @property
    def text(self) -> str:
        """What moved at the bottom, in the middle and at the top."""
        if not self.shifts:
            return f"How the distribution of {self.name} over units has moved is not told: {self.reason}."
        parts = []
        for shift in self.shifts:
            moved = [signed_change(each.value or 0.0, self.unit) for each in shift.differences]
            most = max(range(len(SHARES)), key=lambda place: abs(shift.differences[place].value or 0.0))
            ends = f"{moved[-1]} at the {_percent(SHARES[-1])} quantile"
            parts.append(
                f"{self.name} of units, {shift.treatment} - {self.control}: {moved[0]} at the {_percent(SHARES[0])} "
                f"quantile, {moved[len(moved) // 2]} at the median, {ends}; most at the {_percent(SHARES[most])} "
                f"quantile, by {moved[most]}."
            )
        return " ".join(parts)

    def to_pictures(self) -> Sequence[Picture]:
        """The shift by share, for each treatment."""
        several = len(self.shifts) > 1
        return tuple(_draw(self, each, f"shift-{each.treatment}" if several else "shift") for each in self.shifts)

    def to_rows(self) -> Sequence[ResultRow]:
        """Three rows per treatment and share: both quantiles and their difference."""
        if not self.shifts:
            return [ResultRow(self.metric, "quantile_shift", None, status="absent", reason=self.reason)]
        rows = []
        for shift in self.shifts:
            values = zip(SHARES, shift.control_values, shift.treatment_values, shift.differences, strict=True)
            for share, control, treatment, difference in values:
                where: dict[str, Any] = {
                    "key": self.metric,
                    "comparison": f"{shift.treatment} - {self.control}",
                    "segment": f"share={share:g}",
                    "unit": self.unit,
                }
                rows += [
                    ResultRow(statistic="control_quantile", value=control, **where),
                    ResultRow(statistic="treatment_quantile", value=treatment, **where),
                    estimate_row(difference, statistic="quantile_shift", **where),
                ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment and every second share; intervals where there are some."""
        several = len(self.shifts) > 1
        intervals = any(each.ci_lower is not None for shift in self.shifts for each in shift.differences)
        return [
            {
                **({"treatment": shift.treatment} if several else {}),
                "units_below": _percent(SHARES[place]),
                self.control: format_number("value", shift.control_values[place], unit=self.unit),
                "treated": format_number("value", shift.treatment_values[place], unit=self.unit),
                "difference": format_change(shift.differences[place].value, self.unit),
                **({"interval": _interval(shift.differences[place], self.unit)} if intervals else {}),
            }
            for shift in self.shifts
            for place in range(0, len(SHARES), 2)
        ]


def distribution_shift(plan: ExperimentPlan, source: Source, units: Units) -> Shift:
    """How far each quantile of the primary metric over units has moved; a unit's value is its mean over its requests.

    Reads the experiment's unit-days once more and keeps the quantiles in the cache. Where units are independent each
    difference has an interval by Woodruff's method, by itself and not for all shares together.
    """
    primary = units.metrics[plan.primary]
    empty = Shift(plan.key, plan.primary, primary.name, primary.unit, plan.control, plan.confidence_of_a_comparison, ())
    if primary.kind == "quantile" or primary.is_share:
        reason = _TIED if primary.is_share else "the metric is a quantile itself"
        return replace(empty, reason=reason)
    measurement = Measurement.of(plan, source, window=units.window, as_of=units.as_of)
    keys = {"shift": {"measured": measurement.digest, "metric": plan.primary, "shift": 1}}
    kept = source.cache.recall(_KIND, keys)
    if not kept:
        kept = {"shift": _measure(measurement)}
        source.cache.keep(_KIND, keys, kept)
    samples = {variant: _samples(found) for variant, found in kept["shift"].items()}
    if any(variant not in samples for variant in (plan.control, *plan.treatments)):
        return replace(empty, reason="a variant has no unit with a value")
    shifts = tuple(
        _compare(plan, treatment, samples[plan.control], samples[treatment]) for treatment in plan.treatments
    )
    return replace(empty, shifts=shifts)


def _measure(measurement: Measurement) -> dict[str, Any]:
    """By variant the number of units with a value, and three values per share: its quantile and the two ends."""
    place = list(measurement.sums).index(measurement.plan.primary)
    folder = measurement.source.cache.root / _KIND
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".shift-") as name,
        staged(measurement, (), Path(name)) as files,
    ):
        rows = files.units
        whole = rows.group_by("variant", "unit_id").aggregate(s=rows[f"s{place}"].sum(), n=rows[f"n{place}"].sum())
        values = whole.filter(whole.n > 0).select("variant", value=whole.s / whole.n)
        counted = _rows(measurement, values.group_by("variant").aggregate(n=values.count()))
        for each in counted:
            variant, n = str(each["variant"]), int(each["n"])
            own = values.filter(values.variant == variant)
            wanted = [min(max(share, 0.0), 1.0) for q in SHARES for share in _around(q, n)]
            (row,) = _rows(measurement, own.aggregate(at=own.value.quantile(wanted)))
            found[variant] = {"n": n, "at": [float(value) for value in row["at"]]}
    return dict(sorted(found.items()))


def _rows(measurement: Measurement, expression: ir.Table) -> list[dict[str, Any]]:
    frame = measurement.source.execute(expression, reading=READING)
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def _around(q: float, n: int) -> tuple[float, float, float]:
    """A share, and those at a distance of `_REACH` standard errors of the share of independent units below it."""
    away = _REACH * (q * (1 - q) / n) ** 0.5
    return q - away, q, q + away


def _samples(kept: Mapping[str, Any]) -> tuple[stats.QuantileSample, ...]:
    n, at = int(kept["n"]), kept["at"]
    found = []
    for place, q in enumerate(SHARES):
        shares, (low, value, high) = _around(q, n), at[3 * place : 3 * place + 3]
        ends = (low if shares[0] >= 0 else None, high if shares[2] <= 1 else None)
        found.append(stats.QuantileSample(value, *ends, _REACH, (q * (1 - q) / n) ** 0.5, n, n))
    return tuple(found)


def _compare(
    plan: ExperimentPlan,
    treatment: str,
    control: Sequence[stats.QuantileSample],
    treated: Sequence[stats.QuantileSample],
) -> TreatmentShift:
    differences = []
    for q, base, own in zip(SHARES, control, treated, strict=True):
        confidence = plan.confidence_of_a_comparison
        difference = stats.compare_quantiles(base, own, q, confidence=confidence).difference._replace(method=_METHOD)
        if plan.analysis == "clustered" and difference.value is not None:
            reason = "no interval: units of a cluster depend on each other"
            difference = stats.Estimate.alone(difference.value, n=difference.n, method=_METHOD, reason=reason)
        differences.append(difference)
    return TreatmentShift(
        treatment,
        tuple(each.value or 0.0 for each in control),
        tuple(each.value or 0.0 for each in treated),
        tuple(differences),
    )


def _draw(found: Shift, shift: TreatmentShift, name: str) -> Picture:
    """The difference by share; below it lie the units with small values, above those with large ones."""
    scale, unit = change_axis(found.unit)
    known = [
        (share, each)
        for share, each in zip(SHARES, shift.differences, strict=True)
        if each.ci_lower is not None and each.ci_upper is not None
    ]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=PALETTE[4], linewidth=1)
        axes.fill_between(
            [100 * share for share, _ in known],
            [scale * (each.ci_lower or 0.0) for _, each in known],
            [scale * (each.ci_upper or 0.0) for _, each in known],
            color=PALETTE[0],
            alpha=0.18,
            linewidth=0,
        )
        values = [scale * (each.value or 0.0) for each in shift.differences]
        axes.plot([100 * share for share in SHARES], values, "o-", color=PALETTE[0], markersize=4, linewidth=1.6)
        axes.set_xlim(0, 100)
        reach = f", with {100 * found.confidence:g} % intervals" if known else ""
        axes.set_xlabel(f"% of units below{reach}")
        axes.set_ylabel(f"{shift.treatment} - {found.control}{unit}")
        axes.set_title(f"{found.name} of units: what moved, from small values to large")

    moved = "; ".join(
        f"{_percent(share)} {signed_change(each.value or 0.0, found.unit)}"
        for share, each in zip(SHARES, shift.differences, strict=True)
    )
    alt = f"{found.name} of units, {shift.treatment} - {found.control}: the difference by quantile. {moved}."
    return picture(draw, name=name, alt=alt)


def _interval(estimate: stats.Estimate, unit: str) -> str:
    if estimate.ci_lower is None or estimate.ci_upper is None:
        return estimate.reason.partition(":")[0]
    return format_change_interval(estimate.ci_lower, estimate.ci_upper, unit)


def _percent(share: float) -> str:
    return format_number("units_share", share)
