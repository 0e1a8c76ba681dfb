"""Whatever the numbers, a result holds finite ones, or a reason: no NaN, no infinity, no crash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clustered_samples import paired_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

ANY = st.floats(-1e300, 1e300)
POSITIVE = st.floats(1e-300, 1e300)
ESTIMATE = st.builds(
    lambda value, se, df: stats.from_standard_error(value, se, n=10, df=df, method="any", null=0, scale=0),
    ANY,
    POSITIVE,
    st.none() | st.floats(1, 1e9),
)
COUNT = st.integers(0, 10**15)
OUTCOME = st.builds(stats.mean_outcome, POSITIVE, treatment_variance=POSITIVE) | st.builds(
    stats.share_outcome, st.floats(1e-300, 1 - 1e-9)
)
DESIGN = st.builds(
    stats.PowerDesign,
    shares=st.tuples(st.floats(1e-3, 1), st.floats(1e-3, 1)),
    alpha=st.floats(1e-10, 0.5),
    hypothesis=st.sampled_from(stats.HYPOTHESES),
    margin=st.sampled_from((0.0, 0.1)) | POSITIVE,
    increase=st.booleans(),
    inflation=st.floats(1, 1e6),
    test=st.sampled_from(stats.POWER_TESTS),
)

METHODS: dict[str, tuple[st.SearchStrategy[Any], Callable[..., Any]]] = {
    "heterogeneity": (st.tuples(st.lists(ESTIMATE, max_size=5)), stats.heterogeneity),
    "against_the_rest": (st.tuples(st.lists(ESTIMATE, max_size=5)), stats.against_the_rest),
    "not_inferior": (st.tuples(ESTIMATE, POSITIVE), stats.not_inferior),
    "equivalent": (st.tuples(ESTIMATE, POSITIVE), lambda d, m: stats.equivalent(d, -m, m)),
    "posterior": (
        st.tuples(ESTIMATE, ANY, st.none() | POSITIVE),
        lambda d, mean, sd: stats.posterior(d, prior_mean=mean, prior_sd=sd),
    ),
    "probability_above": (st.tuples(ESTIMATE, ANY), lambda d, bound: (stats.posterior(d).probability_above(bound),)),
    "interaction": (
        st.tuples(st.tuples(ESTIMATE, ESTIMATE), st.tuples(ESTIMATE, ESTIMATE)),
        lambda *c: stats.interaction(c),
    ),
    "trend": (
        st.tuples(st.lists(st.tuples(ANY, POSITIVE, ANY), min_size=1, max_size=5)),
        lambda rows: stats.trend([r[0] for r in rows], [r[1] for r in rows], at=[r[2] for r in rows]),
    ),
    "pooled_cap": (st.tuples(st.lists(ANY, max_size=5), st.lists(ANY, max_size=5)), stats.pooled_cap),
    "pairs": (
        st.tuples(st.lists(st.tuples(ANY, ANY), min_size=1, max_size=5)),
        lambda rows: stats.compare(paired_samples(*zip(*rows, strict=True)))[:5],
    ),
    "mcnemar": (st.tuples(COUNT, COUNT), stats.mcnemar),
    "agreement": (st.tuples(st.tuples(COUNT, COUNT), st.tuples(COUNT, COUNT)), lambda *rows: stats.agreement(rows)),
    "share_posterior": (
        st.tuples(COUNT, COUNT, COUNT, COUNT),
        lambda a, b, c, d: stats.share_posterior(a, a + b, c, c + d),
    ),
    "units_needed": (st.tuples(OUTCOME, ANY, DESIGN), stats.units_needed),
    "power_of": (st.tuples(OUTCOME, POSITIVE, ANY, DESIGN), stats.power_of),
    "detectable_effect": (st.tuples(OUTCOME, POSITIVE, DESIGN), stats.detectable_effect),
    "detectable_margin": (st.tuples(OUTCOME, POSITIVE, DESIGN), stats.detectable_margin),
}


def parts(found: Any) -> Iterator[Any]:
    for part in found:
        if isinstance(part, tuple):
            yield from parts(part)
        else:
            yield part


@pytest.mark.parametrize("name", METHODS)
def test_a_result_is_finite_or_has_a_reason(name: str) -> None:
    arguments, method = METHODS[name]

    @settings(max_examples=60)
    @given(arguments)
    def check(chosen: tuple[Any, ...]) -> None:
        try:
            found = method(*chosen)
        except ArgumentError:
            return  # refused by name, such as a margin for "different"
        assert all(math.isfinite(part) for part in parts(found) if isinstance(part, float)), found
        if getattr(found, "status", "ok") == "absent":
            assert found.reason, found

    check()
