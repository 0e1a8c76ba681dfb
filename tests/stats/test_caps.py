"""Caps: one for all variants, unbiased where caps of their own are not, and none where nothing would be left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@given(VALUES, VALUES, st.floats(0.01, 0.99))
@example([0.0], [-0.0], 0.5)
def test_a_cap_is_the_quantile_of_all_and_touches_nothing_below(a: list[float], b: list[float], share: float) -> None:
    import pandas as pd

    cap = stats.pooled_cap(a, b, share=share)
    assert stats.pooled_cap(b, a, share=share) == cap
    if cap.value is None:
        assert cap.reason
        assert stats.winsorized(a, cap).tolist() == a
        return
    assert cap.value == pytest.approx(pd.Series(a + b).quantile(share), rel=1e-12, abs=1e-9)
    capped = stats.winsorized(a, cap)
    assert [one for one in a if one <= cap.value] == [
        new for old, new in zip(a, capped.tolist(), strict=True) if old <= cap.value
    ]
    assert cap.capped == sum(one > cap.value for one in a + b) <= cap.n * (1 - share) + 1
    assert capped.max() <= cap.value


def test_winsorizing_equals_scipy() -> None:
    from scipy.stats.mstats import winsorize

    values = np.random.default_rng(1).lognormal(size=400)
    ours = stats.winsorized(values, stats.pooled_cap(values, share=396.5 / 399))
    # scipy replaces the highest by the value below them, a quantile lies between two.
    assert np.sort(ours)[:396] == pytest.approx(np.sort(np.asarray(winsorize(values, (0, 0.01))))[:396])


def test_caps_of_their_own_find_effects_where_there_are_none_and_a_pooled_one_does_not() -> None:
    rng, runs = np.random.default_rng(2), 1000
    alarms = {"own": 0, "pooled": 0}
    for control, treatment in rng.lognormal(sigma=1.5, size=(runs, 2, 200)):
        pooled = stats.pooled_cap(control, treatment, share=0.95)
        caps = {"own": [stats.pooled_cap(one, share=0.95) for one in (control, treatment)], "pooled": [pooled] * 2}
        for kind, each in caps.items():
            capped = [stats.winsorized(one, cap) for one, cap in zip((control, treatment), each, strict=True)]
            alarms[kind] += stats.welch(*stats.moments(capped[0]), *stats.moments(capped[1])).p_value < 0.05
    band = stats.false_alarm_band(runs, 0.05)
    assert band.lowest <= alarms["pooled"] <= band.highest
    assert alarms["own"] > 2 * band.highest


def test_a_cap_at_the_smallest_value_is_refused() -> None:
    found = stats.pooled_cap([0] * 95 + [5] * 5, [0] * 100, share=0.95)
    assert (found.value, found.status, found.capped) == (None, "absent", 5)
    assert found.reason == (
        "no cap: 95% of the values lie at the smallest of them, 0, and capping would leave them all equal"
    )
    assert stats.pooled_cap([0] * 1000, share=0.995).reason.startswith("no cap: 0.995 of the values lie")
    assert stats.pooled_cap([], []).reason == stats.pooled_cap().reason == "no cap: no values"


WRONG = [
    (lambda: stats.pooled_cap([1], share=1), "share == 1, must be a number above 0 and below 1"),
    (
        lambda: stats.pooled_cap([1], [float("nan")]),
        "group 1: 1 of 1 is missing or not finite; leave such rows out and count them",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
