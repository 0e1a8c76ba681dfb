"""Comparisons of two variants: against other software, against what today's functions say, and what holds always."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from clustered_samples import clustered_samples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError, UnknownNameError

TIGHT = 1e-9


def sound(effects: stats.Effects, *, alpha: float = 0.05) -> None:
    """No NaN, a reason wherever something is absent, and one conclusion about zero."""
    for part in (effects.control, effects.treatment, effects.difference, effects.lift):
        for number in (part.value, part.se, part.df, part.ci_lower, part.ci_upper, part.p_value):
            assert number is None or math.isfinite(number), part
        assert (part.value is None) == (part.status == "absent")
        if part.ci_lower is None or part.ci_upper is None:
            assert part.reason
        elif part.value is not None:
            assert part.ci_lower <= part.value <= part.ci_upper
    difference, lift = effects.difference, effects.lift
    assert difference.p_value == effects.p_value
    if difference.p_value is not None and abs(difference.p_value - alpha) > 1e-9:
        if difference.ci_lower is not None:
            assert difference.excludes_zero == (difference.p_value < alpha)
        if lift.ci_lower is not None:
            assert lift.p_value == difference.p_value
            assert lift.excludes_zero == (difference.p_value < alpha)


def close(found: stats.Estimate, expected: stats.Estimate) -> None:
    for name in ("value", "se", "df", "ci_lower", "ci_upper", "p_value"):
        number = getattr(expected, name)
        assert getattr(found, name) == (None if number is None else pytest.approx(number, rel=TIGHT, abs=1e-12)), name


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20130601)


def rows(rng: np.random.Generator, *, clusters: int = 60, straddle: bool = True) -> tuple[Any, Any, Any]:
    """Values, variants and clusters; rows of a cluster share an effect, and a cluster may have both variants."""
    cluster = np.repeat(np.arange(clusters), rng.integers(2, 9, size=clusters))
    variant = rng.integers(0, 2, size=cluster.size) if straddle else cluster % 2
    value = 5 + rng.normal(size=clusters)[cluster] + rng.normal(size=cluster.size) + 0.4 * variant
    return value, variant, cluster


def test_a_mean_per_unit_is_welchs_test_and_fiellers_interval(rng: np.random.Generator) -> None:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    a, b = rng.exponential(2, size=80), rng.exponential(2.5, size=120)
    found = stats.compare(stats.two_samples(a, b))
    close(found.difference, stats.welch(*stats.moments(a), *stats.moments(b)))
    close(found.lift, stats.relative_lift(*stats.moments(a), *stats.moments(b)))
    theirs = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    t, p, df = theirs.ttest_ind(usevar="unequal")
    assert (found.difference.value / found.difference.se, found.p_value, found.difference.df) == pytest.approx(
        (t, p, df), rel=TIGHT
    )
    close(found.control, stats.mean(*stats.moments(a)))
    assert found.control.n == 80


def test_a_ratio_over_units_is_the_delta_method(rng: np.random.Generator) -> None:
    n0, n1 = rng.integers(1, 9, size=90), rng.integers(1, 9, size=70)
    s0, s1 = rng.poisson(2.0 * n0), rng.poisson(2.4 * n1)
    found = stats.compare(stats.two_samples(s0, s1, denominators0=n0, denominators1=n1))
    close(found.difference, stats.difference_of_ratios(s0, n0, s1, n1))
    close(found.control, stats.ratio(s0, n0))
    assert found.treatment.value == pytest.approx(s1.sum() / n1.sum(), rel=1e-14)


def test_clusters_that_straddle_the_variants_are_a_regression_with_clusters(rng: np.random.Generator) -> None:
    """Against CR1, whose factor is G/(G-1) · (rows-1)/(rows-2) for two coefficients; ours has G/(G-1) alone."""
    import statsmodels.api as sm

    value, variant, cluster = rows(rng)
    found = stats.compare(clustered_samples(value, variant, cluster, shift=5.0))
    design = sm.add_constant(variant.astype(float))
    fit = sm.OLS(value, design).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    factor = math.sqrt((value.size - 1) / (value.size - 2))
    assert found.difference.value == pytest.approx(fit.params[1], rel=TIGHT)
    assert found.difference.se * factor == pytest.approx(fit.bse[1], rel=TIGHT)
    assert (found.difference.df, found.difference.n) == (59, value.size)
    # The lift's error is that of treatment mean / control mean, from the regression's whole covariance matrix.
    low, gap = fit.params
    slope = np.array([-gap / low**2, 1 / low])
    assert found.lift.se * factor == pytest.approx(math.sqrt(slope @ fit.cov_params() @ slope), rel=TIGHT)
    assert found.lift.value == pytest.approx(gap / low, rel=TIGHT)


def test_the_crossed_sums_may_be_centred_or_not(rng: np.random.Generator) -> None:
    value, variant, cluster = rows(rng)
    given_samples = clustered_samples(value, variant, cluster)
    sums = np.zeros((2, 2, 60))
    for side in (0, 1):
        here = variant == side
        sums[side] = [np.bincount(cluster[here], w, minlength=60) for w in (value[here], np.ones(here.sum()))]
    raw = given_samples._replace(crossed=tuple(map(tuple, (sums[0] @ sums[1].T).tolist())))
    close(stats.compare(raw).difference, stats.compare(given_samples).difference)
    close(stats.compare(raw).lift, stats.compare(given_samples).lift)


def test_clusters_in_one_variant_each_are_a_ratio_with_one_count_of_clusters(rng: np.random.Generator) -> None:
    value, variant, cluster = rows(rng, straddle=False)
    clustered = clustered_samples(value, variant, cluster)
    found, plain = stats.compare(clustered).difference, stats.compare(clustered._replace(crossed=None)).difference
    assert found.value == plain.value
    assert found.se == pytest.approx(plain.se * math.sqrt(60 / 59 * 29 / 30), rel=1e-12)
    assert (found.df, plain.df < 59) == (59, True)


def test_a_shift_of_the_numerators_changes_nothing(rng: np.random.Generator) -> None:
    value, variant, cluster = rows(rng)
    plain, shifted = (clustered_samples(value, variant, cluster, shift=shift) for shift in (0.0, 4.7))
    for name in ("control", "treatment", "difference", "lift"):
        close(getattr(stats.compare(shifted), name), getattr(stats.compare(plain), name))
    # Numbers near 1e9 in groups of different sizes keep their variance only with it.
    large = clustered_samples(value + 1e9, variant, cluster, shift=1e9)
    assert stats.compare(large).difference.se == pytest.approx(stats.compare(plain).difference.se, rel=1e-6)


def test_a_reach_replaces_the_quantile_everywhere_and_the_p_value_stands_alone(rng: np.random.Generator) -> None:
    a, b = rng.normal(10, 3, size=80), rng.normal(11.2, 3, size=90)
    shares = stats.two_samples(np.arange(80) < 7, np.arange(90) < 19, share=True)
    for samples in (stats.two_samples(a, b), shares):
        usual, far = stats.compare(samples), stats.compare(samples, critical=3.0)
        assert usual.difference.excludes_zero
        assert usual.lift.excludes_zero
        assert not far.difference.excludes_zero
        assert not far.lift.excludes_zero
        assert far.p_value == usual.p_value == usual.difference.p_value
        assert (far.difference.p_value, far.lift.p_value) == (None, None)
        assert far.difference.reason == ""
    far = stats.compare(stats.two_samples(a, b), critical=3.0).difference
    assert far.ci_upper == pytest.approx(far.value + 3 * far.se, rel=1e-12)


def test_shares_with_few_successes_are_told_by_scores() -> None:
    few = stats.two_samples(np.arange(200) < 3, np.arange(210) < 11, share=True)
    found = stats.compare(few)
    expected = stats.compare_proportions(3, 200, 11, 210)
    assert (found.difference, found.lift) == expected
    assert found.control == stats.proportion(3, 200)
    many = stats.two_samples(np.arange(200) < 60, np.arange(210) < 80, share=True)
    assert stats.compare(many).difference.method == "welch"
    # A share of several requests per unit is no binomial.
    units = stats.two_samples([0, 1, 0, 2], [1, 2, 1, 2], denominators0=[2] * 4, denominators1=[2] * 4, share=True)
    assert stats.compare(units).difference.method == "welch"


def test_a_share_that_never_varies_counts_each_group_once() -> None:
    samples = stats.two_samples([0] * 40, [0] * 50, denominators0=[3] * 40, denominators1=[2] * 50, share=True)
    found = stats.compare(samples._replace(rows0=120, rows1=100))
    difference, lift = stats.compare_proportions(0, 40, 0, 50)
    assert found.difference == difference._replace(method="miettinen-nurminen score, one observation per unit")
    assert found.lift.reason == lift.reason == "the control mean is 0: there is nothing to be relative to"
    assert found.control.ci_upper == stats.proportion(0, 40).ci_upper
    assert found.control.n == 120
    zeros = ((0.0, 0.0), (0.0, 0.0))
    clustered = samples._replace(crossed=zeros, groups=70)
    assert stats.compare(clustered).difference.method.endswith("one observation per cluster")


def test_infinite_values_leave_nothing_to_compare() -> None:
    found = stats.compare(stats.two_samples([1, 2, 3], [2, 3, 4])._replace(infinite=2), adjust=True)
    for part in found[:4]:
        assert part.status == "absent"
        assert part.reason == "infinite: 2 requests were scored 0 or 1 and were wrong"
    assert found.p_value is None


VALUES = st.lists(st.floats(-50, 50), min_size=2, max_size=25)


@given(VALUES, VALUES, st.sampled_from([0.2, 0.05, 0.01]))
def test_difference_lift_and_p_value_never_contradict(a: list[float], b: list[float], alpha: float) -> None:
    sound(stats.compare(stats.two_samples(a, b), confidence=1 - alpha), alpha=alpha)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.2, 0.05]))
def test_shares_never_contradict(x0: int, x1: int, rest0: int, rest1: int, alpha: float) -> None:
    given_samples = stats.two_samples(
        np.arange(x0 + rest0) < x0, np.arange(x1 + rest1) < x1, share=True
    )  # of 0 to 72 units
    sound(stats.compare(given_samples, confidence=1 - alpha), alpha=alpha)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_clusters_and_adjusted_differences_never_contradict(seed: int, adjust: bool, negative: bool) -> None:
    rng = np.random.default_rng(seed)
    value, variant, cluster = rows(rng, clusters=int(rng.integers(8, 40)))
    value = (value - (10 if negative else 0)) * rng.choice([0.01, 1, 100])
    covariate = value + rng.normal(size=value.size)
    sound(stats.compare(clustered_samples(value, variant, cluster, covariate=covariate), adjust=adjust))


ANY = st.floats(allow_nan=False, allow_infinity=False)
UNITS = st.lists(st.tuples(ANY, st.floats(0, allow_nan=False, allow_infinity=False), ANY), max_size=12)


@settings(max_examples=200)
@given(UNITS, UNITS, st.booleans(), st.booleans(), st.booleans())
def test_any_numbers_give_a_number_or_a_reason(a: Any, b: Any, ratio: bool, adjust: bool, clustered: bool) -> None:
    (s0, n0, x0), (s1, n1, x1) = (np.array(units, float).reshape(-1, 3).T for units in (a, b))
    weights = {"denominators0": n0, "denominators1": n1} if ratio else {}
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            given_samples = stats.two_samples(s0, s1, covariates0=[x0], covariates1=[x1], **weights)
    except ArgumentError:  # sums of such numbers have no moments
        assume(False)
    if clustered:
        given_samples = given_samples._replace(crossed=((0.0,) * 4,) * 4, groups=given_samples.total)
    found = stats.compare(given_samples, adjust=adjust)
    sound(found)
    for number in (*(found.theta or ()), found.variance_reduction):
        assert number is None or math.isfinite(number)


@settings(max_examples=50)
@given(VALUES, VALUES)
def test_swapping_the_variants_turns_the_sign(a: list[float], b: list[float]) -> None:
    gain, loss = stats.compare(stats.two_samples(a, b)).difference, stats.compare(stats.two_samples(b, a)).difference
    turned = loss._replace(value=-loss.value)
    if loss.ci_lower is not None:
        turned = turned._replace(ci_lower=-loss.ci_upper, ci_upper=-loss.ci_lower)
    close(gain, turned)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([1e-3, 7.0, 1e6]), st.booleans())
def test_another_unit_changes_the_difference_alone(seed: int, factor: float, adjust: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b, past0, past1 = rng.normal(3, 1, size=(4, 30))
    covariates: dict[str, Any] = {"covariates0": [past0], "covariates1": [past1]}
    old = stats.compare(stats.two_samples(a + past0, b + past1, **covariates), adjust=adjust)
    scaled = stats.two_samples(factor * (a + past0), factor * (b + past1), **covariates)
    new = stats.compare(scaled, adjust=adjust)
    assert new.difference.value == pytest.approx(factor * old.difference.value, rel=1e-9)
    assert new.difference.se == pytest.approx(factor * old.difference.se, rel=1e-9)
    for name in ("value", "se", "ci_lower", "ci_upper", "p_value"):
        assert getattr(new.lift, name) == pytest.approx(getattr(old.lift, name), rel=1e-8, abs=1e-12), name


WRONG = [
    (
        lambda: stats.compare(stats.two_samples([1, 2], [3, 4]), critical=0.0),
        "critical == 0.0, must be a number above 0: standard errors that intervals reach",
    ),
    (
        lambda: stats.compare(stats.two_samples([1, 2], [3, 4])._replace(crossed=((0.0, 0.0), (0.0, 0.0)))),
        "crossed is given without groups; say how many clusters there are in all",
    ),
    (
        lambda: stats.compare(stats.two_samples([1, 2], [3, 4])._replace(crossed=((0.0,),), groups=4)),
        "crossed must be 2 × 2, a line and a column for each measure",
    ),
    (
        lambda: stats.compare(stats.two_samples([1, 2], [3, 4])._replace(crossed=((0.0, 0.0), (0.0, 0.0)), groups=5)),
        "groups == 5, must lie between 2 and 4: the control has 2 of them and the treatment 2",
    ),
    (
        lambda: stats.compare(stats.two_samples([1, 2], [3, 4], covariates0=[[1, 2]], covariates1=[])),
        "1 covariates in the control and 0 in the treatment",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_what_does_not_fit_together_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message


def test_variants_with_different_measures_are_refused() -> None:
    plain, adjusted = (
        stats.two_samples([1, 2], [3, 4]),
        stats.two_samples([1, 2], [3, 4], covariates0=[[1, 2]], covariates1=[[1, 2]]),
    )
    with pytest.raises(ArgumentError) as caught:
        stats.compare(plain._replace(treatment=adjusted.treatment))
    assert str(caught.value) == (
        "the control has 2 measures and the treatment 4; both must have a numerator and a denominator, then two for "
        "each covariate"
    )
    with pytest.raises(UnknownNameError, match="theta"):
        stats.compare(adjusted, adjust=True, theta="own")  # type: ignore[arg-type]  # what a notebook may say
