"""One simulated experiment after the other by each tool: both intervals and p-values. See `ways.draws` for the sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Reading(NamedTuple):
    """What a tool says of one experiment; not a number where it says nothing."""

    lift_lower: float
    lift_upper: float
    lower: float
    upper: float
    p: float
    lift_p: float


Compare = Callable[[Sequence[float], bool], Reading]


def by_toolkit() -> Compare:
    from toolkit.stats import TwoSamples, compare
    from toolkit.stats.joint_moments import JointMoments

    def side(given: Sequence[float]) -> Any:
        units, top, bottom, *spread = given
        square, other, cross = (part * (units - 1) for part in spread)
        return JointMoments(int(units), (0.0, 0.0), (top, bottom), ((square, cross), (cross, other)))

    def read(row: Sequence[float], share: bool) -> Reading:
        control, treatment = side(row[:6]), side(row[6:])
        effects = compare(TwoSamples(control, treatment, control.n, treatment.n, share=share))
        lift, gap = effects.lift, effects.difference
        ends = (lift.ci_lower, lift.ci_upper, gap.ci_lower, gap.ci_upper, gap.p_value, lift.p_value)
        return Reading(*(math.nan if end is None else end for end in ends))

    return read


def by_gbstats() -> Compare:
    from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
    from gbstats.models import statistics as gb

    absolute, relative = (FrequentistConfig(difference_type=kind) for kind in ("absolute", "relative"))

    def side(given: Sequence[float], share: bool) -> Any:
        n, top, bottom, *spread = given
        units = int(n)
        square, other, cross = (part * (units - 1) for part in spread)
        if share:
            return gb.ProportionStatistic(n=units, sum=round(top * units))
        one = gb.SampleMeanStatistic(n=units, sum=top * units, sum_squares=square + units * top * top)
        if other == 0:
            return one
        below = gb.SampleMeanStatistic(n=units, sum=bottom * units, sum_squares=other + units * bottom * bottom)
        return gb.RatioStatistic(
            n=units, m_statistic=one, d_statistic=below, m_d_sum_of_products=cross + units * top * bottom
        )

    def read(row: Sequence[float], share: bool) -> Reading:
        control, treatment = side(row[:6], share), side(row[6:], share)
        plain, share_of = (
            TwoSidedTTest(control, treatment, config).compute_result() for config in (absolute, relative)
        )
        return Reading(*share_of.ci, *plain.ci, plain.p_value, share_of.p_value)

    return read


def by_tea_tasting() -> Compare:
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    mean, ratio = tt.Mean("s"), tt.RatioOfMeans("s", "n")

    def side(given: Sequence[float]) -> Any:
        units, top, bottom, square, other, cross = given
        return Aggregates(
            count_=int(units),
            mean_={"s": top, "n": bottom},
            var_={"s": square, "n": other},
            cov_={("n", "s"): cross},
        )

    def read(row: Sequence[float], _share: bool) -> Reading:  # it has one method for numbers of any kind
        metric = ratio if row[4] else mean
        found = metric.analyze_aggregates(side(row[:6]), side(row[6:]))
        lift = found.rel_effect_size_ci_lower, found.rel_effect_size_ci_upper
        return Reading(*lift, found.effect_size_ci_lower, found.effect_size_ci_upper, found.pvalue, found.pvalue)

    return read


def rows_by_spotify(rows: Any, share: bool) -> Any:
    """All experiments in two calls, which is less dear than two calls for each."""
    import pandas as pd
    import spotify_confidence

    frame = pd.DataFrame(
        {
            "experiment": np.repeat(np.arange(len(rows)), 2),
            "variant": ["a", "b"] * len(rows),
            "n": rows[:, [0, 6]].ravel(),
            "num": (rows[:, [1, 7]] * rows[:, [0, 6]]).ravel(),
            "squares": (rows[:, [3, 9]] * (rows[:, [0, 6]] - 1) + rows[:, [0, 6]] * rows[:, [1, 7]] ** 2).ravel(),
        }
    )
    columns = {
        "numerator_column": "num",
        "denominator_column": "n",
        "categorical_group_columns": ["variant", "experiment"],
    }
    columns["numerator_sum_squares_column"] = None if share else "squares"
    test = spotify_confidence.ZTest(frame, **columns, interval_size=0.95)
    found = [
        test.difference(level_1="a", level_2="b", groupby="experiment", absolute=absolute).sort_values("experiment")
        for absolute in (False, True)
    ]
    names = ("ci_lower", "ci_upper")
    ends = [table[name].to_numpy(float) for table in found for name in names]
    return np.column_stack([*ends, found[1]["p-value"].to_numpy(float), found[0]["p-value"].to_numpy(float)])


ONE_BY_ONE = {"toolkit": by_toolkit, "gbstats": by_gbstats, "tea-tasting": by_tea_tasting}


def read_rows(tool: str, rows: Any, share: bool) -> Any:
    """What a tool says of each experiment, as rows of `Reading`; what it raises counts as saying nothing."""
    if tool == "spotify-confidence":
        return rows_by_spotify(rows, share)
    read, found = ONE_BY_ONE[tool](), []
    for row in rows.tolist():
        try:
            found.append(read(row, share))
        except (ArithmeticError, ValueError):
            found.append(Reading(*[math.nan] * 6))
    return np.array(found, dtype=float)
