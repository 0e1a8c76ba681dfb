"""The cases of change points, trends, outliers, smoothing, and a change split into mix and within."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from signal_cases import Inputs, check_case, keyed

from toolkit import stats

NILE_FROM = 1871


def change_point(inputs: Inputs) -> dict[str, Any]:
    series = inputs["series"]
    if "penalty" in inputs:
        assert inputs["penalty"] == "2 ln(n) * variance (ddof 0)"
        return {"breaks": list(stats.segment_ends(series, penalty=2 * math.log(len(series)) * np.var(series)))}
    found = stats.best_split(series)
    return {
        "index": found.place,
        "year": NILE_FROM + found.place,
        "mean_before": found.before,
        "mean_after": found.after,
    }


def trend(inputs: Inputs) -> dict[str, Any]:
    test, slope = stats.mann_kendall(inputs["series"]), stats.sen_slope(inputs["series"])
    return {
        "s": test.s,
        "z": test.z,
        "p": test.p_value,
        "tau": test.tau,
        "sen_slope": slope.value,
        "theil_lo": slope.ci_lower,
        "theil_hi": slope.ci_upper,
    }


def robust_z(inputs: Inputs) -> dict[str, Any]:
    found = stats.robust_z(inputs["series"])
    return {"median": found.median, "mad_scaled": found.scale, "z_last": found.z[-1]}


def ewma(inputs: Inputs) -> list[float]:
    return list(stats.ewma(inputs["series"], weight=inputs["lambda"], start=inputs["start"]))


def mix_within(inputs: Inputs) -> dict[str, Any]:
    tables = []
    for period in ("before", "after"):
        weights = [share for share, _ in inputs[period].values()]
        tables += [[weights], [[share * rate for share, rate in inputs[period].values()]]]
    split = stats.mix_within(*tables)
    before, after = (float(np.sum(tables[place])) for place in (1, 3))
    return {"before": before, "after": after, "mix": split.mix.value, "within": split.within.value}


FUNCTIONS = {
    "change_point": change_point,
    "trend": trend,
    "robust_z": robust_z,
    "ewma": ewma,
    "mix_within_decomposition": mix_within,
}


@pytest.mark.parametrize("case", keyed(FUNCTIONS))
def test_equals_the_reference(case: Any) -> None:
    check_case(case, FUNCTIONS)
