"""How far two distributions of one column lie apart, in every measure that an analyst may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toolkit import stats
from toolkit.metrics.profiles.profile import ColumnCounts


class Shift(NamedTuple):
    """Two distributions compared over cells that each expect enough rows.

    Attributes
    ----------
    psi: with its mean and critical value on noise. homogeneity: the chi-square test, whose p-value is the evidence.
    js, hellinger: distances from 0 to 1 (the first in base 2).
    ks: between which bounds Kolmogorov and Smirnov's distance lies; None for what has no order. ks_p: at most so large
        is its p-value.
    wasserstein: in standard deviations of the reference, within its range; None without one.
    no_wasserstein: why.
    design_effect: how many times more the days differ than independent rows would.
    """

    psi: stats.PsiTest
    homogeneity: stats.Homogeneity
    js: float
    hellinger: float
    ks: stats.KsInterval | None
    ks_p: float | None
    wasserstein: float | None
    no_wasserstein: str
    design_effect: float

    @property
    def p_value(self) -> float | None:
        """The evidence: Pearson's, which keeps its error rate for small samples where the likelihood's does not."""
        return self.homogeneity.p_value


def measure_shift(
    reference: ColumnCounts,
    current: ColumnCounts,
    *,
    reference_days: Sequence[ColumnCounts] = (),
    current_days: Sequence[ColumnCounts] = (),
) -> Shift:
    """Compare the values that are there; both sides must have some.

    Cells that expect fewer than five rows on the smaller side are merged: with their neighbours, where there is an
    order. What is merged depends on both sides together, so that neither chooses. Unseen values go with the rare ones:
    the reference cannot have them, and which of many rare values it has is chance.
    """
    edges = current.edges
    unseen = () if edges.is_open or edges.has_tail else (len(edges.values),)
    merged = stats.merge_sparse(reference.comparable, current.comparable, ordered=edges.kind == "number", rare=unseen)
    effect = stats.design_effect(*([_grouped(day, merged) for day in side] for side in (reference_days, current_days)))
    ks = _ks(reference, current)
    wasserstein, reason = _wasserstein(reference, current)
    return Shift(
        stats.psi_test(merged.reference, merged.current, design_effect=effect),
        stats.homogeneity(merged.reference, merged.current, design_effect=effect),
        stats.js_distance(merged.reference, merged.current),
        stats.hellinger(merged.reference, merged.current),
        ks,
        None if ks is None else stats.ks_p(ks.lower, reference.n / effect, current.n / effect),
        wasserstein,
        reason,
        effect,
    )


def _grouped(day: ColumnCounts, merged: stats.Merged) -> list[int]:
    cells = day.comparable
    return [sum(cells[place] for place in group) for group in merged.groups]


def _ks(reference: ColumnCounts, current: ColumnCounts) -> stats.KsInterval | None:
    edges = current.edges
    if edges.kind == "number":
        points = set(edges.point_masses)
        return stats.ks_interval(
            reference.counts, current.counts, points=[edge in points for edge in edges.edges] + [False]
        )
    if edges.kind != "discrete" or reference.unseen or current.unseen:
        return None
    order = sorted(range(len(edges.values)), key=lambda place: float(edges.values[place]))
    sides = ([side.counts[place] for place in order] for side in (reference, current))
    return stats.ks_interval(*sides, all_points=True)


def _wasserstein(reference: ColumnCounts, current: ColumnCounts) -> tuple[float | None, str]:
    edges = current.edges
    if edges.kind not in {"number", "discrete"}:
        return None, "its values have no order"
    if edges.scale is None:
        return None, edges.scale_text
    if edges.kind == "discrete":
        if reference.unseen or current.unseen:
            return None, "values that the reference did not have are counted, not measured"
        values = [float(value) for value in edges.values]
        weights = {"reference_weights": reference.counts, "current_weights": current.counts}
        return stats.wasserstein(values, values, scale=edges.scale, **weights), ""
    if edges.low is None or edges.high is None:
        return None, "the reference has no finite range"
    distance = stats.binned_wasserstein(
        reference.counts, current.counts, edges=edges.edges, low=edges.low, high=edges.high, scale=edges.scale
    )
    return distance, ""
