"""Every case of tests/reference/stats_cases.json, by its role and with its tolerance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit import stats

DOCUMENT = json.loads((Path(__file__).parents[1] / "reference" / "stats_cases.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = DOCUMENT["cases"]


def agrees(given: Any, expected: Any, tolerance: Any) -> bool:
    by = {"rel": tolerance["rel"], "abs": 0} if isinstance(tolerance, dict) else {"rel": 0, "abs": tolerance}
    return given == pytest.approx(expected, **by)


def sample(group: dict[str, float]) -> tuple[int, float, float]:
    """Count, mean and variance of a group given by its sums."""
    n, mean = int(group["n"]), group["sum"] / group["n"]
    return n, mean, (group["sum_squares"] - n * mean * mean) / (n - 1) if n > 1 else float("nan")


def interval(estimate: stats.Estimate) -> list[float | None]:
    return [estimate.ci_lower, estimate.ci_upper]


def paired(inputs: dict[str, Any]) -> dict[str, Any]:
    gain = stats.mean(*stats.moments(np.subtract(inputs["candidate"], inputs["baseline"])), null=0)
    return {
        "effect": gain.value,
        "statistic": gain.value / gain.se,
        "df": gain.df,
        "p_value": gain.p_value,
        "ci": interval(gain),
    }


def two_means(inputs: dict[str, Any]) -> dict[str, Any]:
    gain = stats.welch(*sample(inputs["control"]), *sample(inputs["treatment"]))
    return {"effect": gain.value, "se": gain.se, "ci": interval(gain), "p_value": gain.p_value}


def fieller(inputs: dict[str, Any]) -> dict[str, Any]:
    lift = stats.relative_lift(*sample(inputs["control"]), *sample(inputs["treatment"]))
    return {"lift": lift.value, "ci": interval(lift), "p_value": lift.p_value}


def convention(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"lift": stats.relative_lift(50, inputs["control_mean"], 1.0, 50, inputs["treatment_mean"], 1.0).value}


def numerics(inputs: dict[str, Any]) -> dict[str, Any]:
    if "z" in inputs:
        return {"p_value": stats.two_sided_p(inputs["z"])}
    found = stats.moments(inputs["values"])
    return {"mean": found.mean, "variance": found.variance}


def one_proportion(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"ci": interval(stats.proportion(inputs["successes"], inputs["n"]))}


def wilson(inputs: dict[str, Any]) -> Any:
    return interval(stats.proportion(inputs["errors"], inputs["n"], confidence=1 - inputs["alpha"]))


def two_proportions(inputs: dict[str, Any]) -> dict[str, Any]:
    control, treatment = inputs["control"], inputs["treatment"]
    gain = stats.difference_of_proportions(
        control["successes"], control["n"], treatment["successes"], treatment["n"], confidence=1 - inputs["alpha"]
    )
    return {
        "effect": gain.value,
        "ci": interval(gain),
        "newcombe_ci": interval(gain),
        "p_value_pooled": gain.p_value,
        "pvalue": gain.p_value,
        "control_rate": stats.proportion(control["successes"], control["n"]).value,
        "treatment_rate": stats.proportion(treatment["successes"], treatment["n"]).value,
    }


def two_proportion_z(inputs: dict[str, Any]) -> dict[str, Any]:
    (x0, x1), (n0, n1) = inputs["count"], inputs["nobs"]
    return {"p": stats.difference_of_proportions(x0, n0, x1, n1).p_value}


def ratio_metric(inputs: dict[str, Any]) -> dict[str, Any]:
    if "control" in inputs:
        control, treatment = ((inputs[name]["num"], inputs[name]["den"]) for name in ("control", "treatment"))
        ratios = [stats.ratio(*control), stats.ratio(*treatment)]
        gain = stats.difference_of_ratios(*control, *treatment)
        return {
            "control_ratio": ratios[0].value,
            "treatment_ratio": ratios[1].value,
            "effect": gain.value,
            "se": gain.se,
            "p_value": gain.p_value,
            "ci": interval(gain),
        }
    return respiratory()


def respiratory() -> dict[str, Any]:
    """Patients as clusters of four visits; the rows of "A" are the treatment."""
    data = DOCUMENT["data"]["respiratory"]
    visits = data["visits"]
    sums0, sums1 = np.array(data["P"], dtype=float), np.array(data["A"], dtype=float)
    counts0, counts1 = (np.full(sums.size, visits) for sums in (sums0, sums1))
    units = stats.two_samples(sums0, sums1, denominators0=counts0, denominators1=counts1)
    by_ratio = stats.difference_of_ratios(sums0, counts0, sums1, counts1)
    # As clusters, of which none is in both variants.
    nothing = ((0.0, 0.0), (0.0, 0.0))
    clustered = stats.compare(units._replace(crossed=nothing, groups=units.total)).difference
    rows = visits * units.total
    return {
        "effect": clustered.value,
        # CR1 has the factor (rows - 1) / (rows - 2) beside G / (G - 1), for a regression of two coefficients.
        "se_cluster_CR1": clustered.se * np.sqrt((rows - 1) / (rows - 2)),
        "se_delta_ratio": by_ratio.se,
    }


def srm(inputs: dict[str, Any]) -> dict[str, Any]:
    check = stats.sample_ratio(inputs["counts"], inputs["weights"])
    if "method" in inputs:
        assert check.method == inputs["method"]
    return {"chi2": check.chi2, "df": check.df, "p_value": check.p_value, "alert_at_0.001": check.p_value < 0.001}


def multiple(inputs: dict[str, Any]) -> dict[str, Any]:
    names = {
        "bh": "benjamini-hochberg",
        "holm": "holm",
        "holm_bonferroni": "holm",
        "hochberg": "hochberg",
    }
    return {short: list(stats.adjust_p(inputs["p"], name)) for short, name in names.items()}


def p_adjust(inputs: dict[str, Any]) -> dict[str, Any]:
    names = {"fdr_bh": "benjamini-hochberg", "fdr_by": "benjamini-yekutieli", "holm": "holm"}
    adjusted = stats.adjust_p(inputs["p"], names[inputs["method"]])
    return {"adjusted": list(adjusted), "n_rejected": sum(p <= inputs["alpha"] for p in adjusted)}


def auc(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"auc": stats.auc(inputs["p"], inputs["y"]).value}


def calibration_z(inputs: dict[str, Any]) -> Any:
    scores = np.array(inputs["p"])
    return stats.calibration_in_the_large_z(
        scores.size, scores.sum(), sum(inputs["y"]), float((scores * (1 - scores)).sum())
    ).value


def ece(inputs: dict[str, Any]) -> Any:
    by = "width" if inputs["strategy"] == "uniform" else "mass"
    sums = stats.bin_sums(inputs["p"], inputs["y"], bins=inputs["bins"], by=by)
    found = stats.expected_calibration_error(*sums).value
    return {"ece": found, "mce": stats.maximum_calibration_error(*sums).value, "": found}


METHODS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "shadow_paired_mean": paired,
    "two_sample_mean": two_means,
    "relative_lift_fieller": fieller,
    "relative_lift_convention": convention,
    "numerics": numerics,
    "one_sample_proportion": one_proportion,
    "wilson_ci": wilson,
    "two_sample_proportion": two_proportions,
    "two_proportion_z": two_proportion_z,
    "ratio_metric": ratio_metric,
    "srm": srm,
    "multiple_testing": multiple,
    "p_adjust": p_adjust,
    "auc": auc,
    "brier": lambda inputs: stats.brier(inputs["p"], inputs["y"]).value,
    "log_loss": lambda inputs: stats.log_loss(inputs["p"], inputs["y"]).value,
    "calibration_in_the_large_z": calibration_z,
    "ece": ece,
}

NOT_OURS = {
    # Numbers that a case carries beside those of the method under test, and whose they are.
    "prop-tea-tasting-norm": {"rel_effect_size", "rel_effect_size_ci_lower", "rel_effect_size_ci_upper"},  # log-delta
    "ratio-delta-small": {"control_var", "treatment_var", "rel_ci_log"},  # variances per user; log-delta
    "prop-01-ztest": {"z"},  # the statistic of the same p-value
    "auc-01": {"ap"},  # average precision
    "real-respiratory-clustered": {"se_naive"},  # wrong for clusters
} | {
    case["id"]: {"z_pooled", "wald_ci", "risk_ratio", "risk_ratio_ci_katz", "fisher_p"}
    for case in CASES
    if case["id"].startswith("real-") and case["kind"] == "two_sample_proportion"
}
OURS = [case for case in CASES if case["role"] == "ours" and case["kind"] != "aa_test"]


@pytest.mark.parametrize("case", OURS, ids=lambda case: case["id"])
def test_equals_the_reference(case: dict[str, Any]) -> None:
    found, expected = METHODS[case["kind"]](case["inputs"]), case["expected"]
    if not isinstance(expected, dict):
        found = found[""] if isinstance(found, dict) else found
        assert agrees(found, expected, case["tolerance"])
        return
    compared = set(expected) - NOT_OURS.get(case["id"], set())
    assert compared
    for name in sorted(compared):
        assert agrees(found[name], expected[name], case["tolerance"]), name


def test_every_case_is_used() -> None:
    used = {case["id"] for case in OURS} | {"tiny-n", "canary-mw-misses-tail", "aa-calibration-gate"}
    assert used == {case["id"] for case in CASES}
    assert all(case["source"] for case in CASES)


def case_of(key: str) -> dict[str, Any]:
    return next(case for case in CASES if case["id"] == key)


def test_one_unit_gives_a_reason_and_no_p_value() -> None:
    case = case_of("tiny-n")
    gain = stats.welch(*sample(case["inputs"]["control"]), *sample(case["inputs"]["treatment"]))
    assert gain.p_value is case["expected"]["p_value"] is None
    assert gain.reason == "no interval and no test: too few observations: n0 == 1, a variance needs 2"
    assert (gain.ci_lower, gain.ci_upper, gain.value) == (None, None, -0.5)


def test_the_canary_that_a_rank_test_passes_is_called() -> None:
    case = case_of("canary-mw-misses-tail")
    control, experiment = stats.moments(case["inputs"]["control"]), stats.moments(case["inputs"]["experiment"])
    lift = stats.relative_lift(*control, *experiment, confidence=case["inputs"]["confidence"])
    assert agrees(1 + lift.value, case["expected"]["mean_ratio"], case["tolerance"])
    classification = "High" if lift.ci_lower > case["inputs"]["tolerance"] else "Pass"
    assert classification == case["expected"]["required_classification"]
    assert classification != case["expected"]["kayenta_classification"]


def test_a_a_tests_reject_as_often_as_alpha_says() -> None:
    case = case_of("aa-calibration-gate")
    rng = np.random.default_rng(20130401)
    data = rng.exponential(size=(case["inputs"]["simulations"], 2, 120))
    means, variances = data.mean(axis=2), data.var(axis=2, ddof=1)
    rejections = sum(
        stats.welch(120, means[i, 0], variances[i, 0], 120, means[i, 1], variances[i, 1]).p_value
        < case["inputs"]["alpha"]
        for i in range(len(data))
    )
    assert case["expected"]["rejections_low"] <= rejections <= case["expected"]["rejections_high"]
