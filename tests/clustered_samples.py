"""Clusters as `TwoSamples`, in numpy: what the engine's sums are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit import stats
from toolkit.stats.joint_moments import joint_moments


def clustered_samples(
    values: Any, variant: Any, cluster: Any, *, covariate: Any = None, shift: float = 0.0, share: bool = False
) -> stats.TwoSamples:
    """Rows with a value, a variant (0 or 1) and a cluster, which may have rows in both variants."""
    names, index = np.unique(cluster, return_inverse=True)
    sides = []
    for wanted in (0, 1):
        here = np.asarray(variant) == wanted
        ones = np.ones(here.sum())
        rows = [np.asarray(values, float)[here] - shift, ones]
        rows += [] if covariate is None else [np.asarray(covariate, float)[here], ones]
        sides.append(np.array([np.bincount(index[here], weights=row, minlength=len(names)) for row in rows]))
    return samples_of_sums(*sides)._replace(shift=shift, share=share)


def paired_samples(first: Any, second: Any, pairs: Any = None) -> stats.TwoSamples:
    """Pairs, or sums over clusters of so many pairs: each of them is in both variants, as in a shadow."""
    counts = np.ones(len(first)) if pairs is None else np.asarray(pairs, float)
    both = joint_moments(first, counts, second, counts)
    control, treatment = joint_moments(first, counts), joint_moments(second, counts)
    crossed = tuple(line[2:] for line in both.products[:2])
    rows = int(counts.sum())
    return stats.TwoSamples(control, treatment, rows, rows, crossed=crossed, groups=both.n)


def samples_of_sums(sums0: Any, sums1: Any) -> stats.TwoSamples:
    """A column per cluster and a line per measure, the second of which counts its rows in the variant."""
    sides = [np.asarray(sums, float) for sums in (sums0, sums1)]
    moments = [joint_moments(*sums[:, sums[1] > 0]) for sums in sides]
    both = (sides[0][1] > 0) & (sides[1][1] > 0)
    centred = [
        sums[:, both] - np.array([each.mean(i) or 0.0 for i in range(len(sums))])[:, None]
        for sums, each in zip(sides, moments, strict=True)
    ]
    return stats.TwoSamples(
        moments[0],
        moments[1],
        rows0=int(sides[0][1].sum()),
        rows1=int(sides[1][1].sum()),
        crossed=tuple(map(tuple, (centred[0] @ centred[1].T).tolist())),
        groups=sides[0].shape[1],
    )
