"""Kinds of metric that judge whether scores mean what they say: ECE, Brier parts, calibration slope and intercept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from typing_extensions import override

from toolkit import stats
from toolkit.data import LABEL
from toolkit.metrics.classes import Classes, ClassKind
from toolkit.metrics.kinds import RankKind, Within
from toolkit.metrics.ranking import BETWEEN, CLASSES, Grain, from_lists, labelled, rank_classes, undecided
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

_POWERS = tuple(f"power_{power}" for power in range(stats.POWERS))
_LOGIT_SUMS = ("cell", *_POWERS, "positives", "positive_t_sum", "certain")


class _ReliabilityKind(RankKind):
    """Of the score, a probability, against a label between 0 and 1; a request counts when it has both."""

    scored: ClassVar[bool] = True
    bounded_label: ClassVar[bool] = True

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL]


def _checked_bins(bins: int) -> int:
    if CLASSES % bins:
        allowed = [str(number) for number in range(5, 61) if CLASSES % number == 0]
        raise ValueError(
            f"bins is {bins}, must divide {CLASSES}: {', '.join(allowed[:-1])} or {allowed[-1]}, for example"
        )
    return bins


class _BinnedKind(ClassKind, _ReliabilityKind):
    """By bins that hold about as many requests each: equal scores share a bin."""

    bins: Annotated[int, AfterValidator(_checked_bins)] = Field(
        default=15, ge=2, le=CLASSES, description="how many bins, with about as many requests each; divides 720"
    )
    sums: ClassVar[tuple[str, ...]]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        """A score's bin is where the middle of its ranks falls, floor(bins · midrank / all).

        In a scope of more than `EXACT` requests an edge may lie one request further: they are made of classes there.
        """
        grain = Grain.of(base, split)
        classes = rank_classes(base, grain, within=within, squares="score_square_sum" in self.sums)
        place = (self.bins * classes.mass_class) // CLASSES
        cells = classes.group_by(*grain.keys, bin=place.clip(0, self.bins - 1)).aggregate(
            **{name: classes[name].sum().cast("float64") for name in self.sums[1:]}
        )
        return grain.in_lists(cells, self.sums)

    @property
    @override
    def class_sums(self) -> Sequence[str]:
        return [name for name in self.sums[2:] if name != BETWEEN]

    @property
    @override
    def mass_classes(self) -> Collection[int]:
        return range(0, CLASSES, CLASSES // self.bins)

    @override
    def of_classes(self, classes: Classes) -> dict[str, Sequence[Any]]:
        import numpy as np

        place = np.minimum(self.bins * classes.sums["mass_class"] // CLASSES, self.bins - 1)
        cell = classes.cell * self.bins + place
        by_bin = {name: np.bincount(cell, classes.sums[name]) for name in ("n", *self.class_sums)}
        filled = np.flatnonzero(by_bin["n"])
        nothing = np.zeros_like(by_bin["n"])  # requests with labels between 0 and 1 are left to the engine
        sums = [filled % self.bins, *(by_bin.get(name, nothing)[filled] for name in self.sums[1:])]
        ends = np.searchsorted(filled, self.bins * np.arange(1, classes.cells))
        return {
            name: [part.astype(float) for part in np.split(column, ends)]
            for name, column in zip(self.sums, sums, strict=True)
        }


class CalibrationError(_BinnedKind):
    """Expected calibration error: the mean gap between score and label rate over bins of the score, debiased."""

    kind: Literal["ece"]
    sums: ClassVar[tuple[str, ...]] = ("bin", "n", "score_sum", "label_sum")

    @property
    @override
    def estimand(self) -> str:
        return f"mean over the requests of |mean score - label rate| of their bin, {self.bins} bins of equal mass"

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        cells = from_lists(days, self.sums)
        return stats.debiased_calibration_error(
            cells["day"],
            *(cells[name] for name in self.sums),
            method=f"{stats.ECE_METHOD}, {self.bins} bins",
        )


class BrierDecomposition(_BinnedKind):
    """One of the four parts of the Brier score: reliability - resolution + uncertainty + within (Murphy 1973).

    Labels between 0 and 1, whose variance is less than that of a yes or no, make it absent.
    """

    kind: Literal["brier_decomposition"]
    part: Literal["reliability", "resolution", "uncertainty", "within"] = Field(
        description="which: reliability - resolution + uncertainty + within is the Brier score"
    )

    sums: ClassVar[tuple[str, ...]] = (
        "bin",
        "n",
        "score_sum",
        "label_sum",
        "score_square_sum",
        "score_label_sum",
        BETWEEN,
    )

    @property
    @override
    def estimand(self) -> str:
        return f"{self.part} of the Brier score, {self.bins} bins of equal mass"

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        estimate: Estimate = getattr(self.parts(days), self.part)
        return estimate

    def parts(self, days: pd.DataFrame) -> stats.BrierParts:
        """All four."""
        if absent := undecided(self.kind, days, "n"):
            return stats.BrierParts(absent, absent, absent, absent)
        cells = from_lists(days, self.sums)
        method = f"{self.part}, {stats.BRIER_METHOD}, {self.bins} bins"
        return stats.brier_parts(
            cells["day"],
            cells["bin"],
            n=cells["n"],
            score_sum=cells["score_sum"],
            label_sum=cells["label_sum"],
            score_square_sum=cells["score_square_sum"],
            score_label_sum=cells["score_label_sum"],
            method=method,
        )


class _RecalibrationKind(_ReliabilityKind):
    """By the logistic regression of the label on the score's logit: label ~ intercept + slope · logit(score)."""

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        grain = Grain.of(base, split)
        rows = labelled(base, grain)
        certain = (rows.score <= 0.0) | (rows.score >= 1.0)
        chance = certain.ifelse(None, rows.score)
        rows = rows.mutate(place=(chance / (1.0 - chance)).ln() / stats.CELL_WIDTH, certain=certain.ifelse(1.0, 0.0))
        cell = rows.place.floor()
        rows = rows.select(*grain.keys, "label", "certain", cell=cell.fill_null(0.0), t=(rows.place - cell) * 2.0 - 1.0)
        powers = [rows.t.notnull().ifelse(1.0, 0.0), rows.t]
        while len(powers) < stats.POWERS:
            powers.append(powers[-1] * rows.t)
        sums = rows.group_by(*grain.keys, "cell").aggregate(
            **{name: power.sum().fill_null(0.0) for name, power in zip(_POWERS, powers, strict=True)},
            positives=rows.t.notnull().ifelse(rows.label, 0.0).sum(),
            positive_t_sum=(rows.label * rows.t).sum().fill_null(0.0),
            certain=rows.certain.sum(),
        )
        return grain.in_lists(sums, _LOGIT_SUMS)

    def recalibration(self, days: pd.DataFrame) -> stats.Recalibration:
        """Both coefficients."""
        import numpy as np

        sums = from_lists(days, _LOGIT_SUMS)
        return stats.recalibration(
            sums["day"],
            sums["cell"],
            np.stack([sums[name] for name in _POWERS], axis=1),
            sums["positives"],
            sums["positive_t_sum"],
            certain=int(sums["certain"].sum()),
        )


class CalibrationSlope(_RecalibrationKind):
    """Calibration slope: 1 is right, below 1 the scores are too extreme, above 1 too timid."""

    kind: Literal["calibration_slope"]

    @property
    @override
    def estimand(self) -> str:
        return "slope of the logistic regression of the label on the score's logit"

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        return self.recalibration(days).slope


class CalibrationIntercept(_RecalibrationKind):
    """Calibration intercept beside the slope: 0 is right; above 0, what was scored one half happened more often."""

    kind: Literal["calibration_intercept"]

    @property
    @override
    def estimand(self) -> str:
        return "intercept of the logistic regression of the label on the score's logit"

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        return self.recalibration(days).intercept
