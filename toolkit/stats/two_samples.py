"""What two variants of an experiment are compared by: moments of their groups, and what binds the two together.

A group is what was randomised or sampled as one: a unit, or a cluster of units. All comparisons of an experiment are
functions of `TwoSamples`; another alpha, margin or treatment of covariates asks for nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import check_count, check_finite
from toolkit.stats.joint_moments import JointMoments, joint_moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Crossed = tuple[tuple[float, ...], ...]
"""Sums of products, one row per measure of the control and one column per measure of the treatment."""


class TwoSamples(NamedTuple):
    """One metric in the control and in a treatment, over groups.

    The metric is a ratio of sums. Measures, in this order in both variants: what a group adds to the numerator; what it
    adds to the denominator (1 for a mean per group); then for each covariate, which is a ratio too, the same two. A
    group whose covariate is missing adds 0 to both.

    Attributes
    ----------
    control, treatment: moments over the groups with rows that count in the variant.
    rows0, rows1: such rows (requests), to be shown.
    shift: measure 0 is numerator - shift · denominator, so that numbers near 1e9 keep their variance; the metric is
        shift + mean(0) / mean(1).
    share: every row adds 0 or 1.
    crossed: for clusters, which may have rows in both variants: Σ over those that do of (control's measure i - its mean
        over the control's clusters) · (treatment's measure j - its mean over the treatment's), all 0 if none does.
        None: groups are independent units, each in one variant.
    groups: with `crossed`, how many clusters there are in all.
    infinite: rows of either variant whose value is infinite.
    """

    control: JointMoments
    treatment: JointMoments
    rows0: int
    rows1: int
    shift: float = 0.0
    share: bool = False
    crossed: Crossed | None = None
    groups: int | None = None
    infinite: int = 0

    @property
    def covariates(self) -> int:
        """How many covariates there are."""
        return len(self.control.origins) // 2 - 1

    @property
    def total(self) -> int:
        """Groups of both variants: clusters that straddle them count once."""
        return self.control.n + self.treatment.n if self.groups is None else self.groups


def two_samples(
    numerators0: ArrayLike,
    numerators1: ArrayLike,
    *,
    denominators0: ArrayLike | None = None,
    denominators1: ArrayLike | None = None,
    covariates0: Sequence[ArrayLike] = (),
    covariates1: Sequence[ArrayLike] = (),
    share: bool = False,
) -> TwoSamples:
    """Independent units' own numbers as `TwoSamples`: a mean per unit, or with denominators a ratio of sums.

    Parameters
    ----------
    covariates0, covariates1: arrays with one number per unit, NaN where it is missing.

    >>> samples = two_samples([3, 1, 4], [1, 5, 9, 2], covariates0=[[1, 2, 3]], covariates1=[[2, float("nan"), 1, 4]])
    >>> samples.control.mean(), samples.treatment.mean(), samples.covariates, samples.rows1
    (2.6666666666666665, 4.25, 1, 4)
    """
    import numpy as np

    if len(covariates0) != len(covariates1):
        raise ArgumentError(f"{len(covariates0)} covariates in the control and {len(covariates1)} in the treatment")
    sides = []
    for top, bottom, covariates in (
        (numerators0, denominators0, covariates0),
        (numerators1, denominators1, covariates1),
    ):
        sums = np.asarray(top, dtype=np.float64)
        columns = [sums, np.ones_like(sums) if bottom is None else np.asarray(bottom, dtype=np.float64)]
        for covariate in covariates:
            values = np.asarray(covariate, dtype=np.float64)
            known = ~np.isnan(values)
            columns += [np.where(known, values, 0.0), known.astype(np.float64)]
        sides.append(matched(**{f"measure {i}": column for i, column in enumerate(columns)}))
    shift = 0.0
    if denominators0 is not None or denominators1 is not None:
        weight = sum(float(side[1].sum()) for side in sides)
        shift = sum(float(side[0].sum()) for side in sides) / weight if weight else 0.0
    moments = [joint_moments(side[0] - shift * side[1], *side[1:]) for side in sides]
    return TwoSamples(moments[0], moments[1], moments[0].n, moments[1].n, shift=shift, share=share)


def check_samples(samples: TwoSamples) -> TwoSamples:
    """Return `samples` if its parts fit together."""
    k = len(samples.control.origins)
    if k < 2 or k % 2 or len(samples.treatment.origins) != k:
        raise ArgumentError(
            f"the control has {k} measures and the treatment {len(samples.treatment.origins)}; both must have a "
            "numerator and a denominator, then two for each covariate"
        )
    check_count("rows0", samples.rows0)
    check_count("rows1", samples.rows1)
    check_finite("shift", samples.shift)
    if samples.crossed is None:
        return samples
    if samples.groups is None:
        raise ArgumentError("crossed is given without groups; say how many clusters there are in all")
    if len(samples.crossed) != k or any(len(line) != k for line in samples.crossed):
        raise ArgumentError(f"crossed must be {k} × {k}, a line and a column for each measure")
    sizes = samples.control.n, samples.treatment.n
    if not max(sizes) <= check_count("groups", samples.groups) <= sum(sizes):
        raise ArgumentError(
            f"groups == {samples.groups}, must lie between {max(sizes)} and {sum(sizes)}: the control has {sizes[0]} "
            f"of them and the treatment {sizes[1]}"
        )
    return samples
