"""How the toolkit answers the reference cases about effects: differences, lifts, covariates, arrivals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from clustered_samples import paired_samples
from real_trials import anorexia, jtrain2, lalonde, respiratory

from toolkit import stats
from toolkit.stats.joint_moments import joint_moments

Numbers = dict[str, Any]


def interval(found: Any) -> list[float | None]:
    return [found.ci_lower, found.ci_upper]


def sample(group: dict[str, float]) -> tuple[int, float, float]:
    """Count, mean and variance of a group given by its sums."""
    n, mean = int(group["n"]), group["sum"] / group["n"]
    return n, mean, (group["sum_squares"] - n * mean * mean) / (n - 1) if n > 1 else float("nan")


def samples(inputs: Numbers) -> tuple[float, ...]:
    return *sample(inputs["control"]), *sample(inputs["treatment"])


def counted(inputs: Numbers) -> tuple[int, int, int, int]:
    control, treatment = inputs["control"], inputs["treatment"]
    return control["successes"], control["n"], treatment["successes"], treatment["n"]


def paired(inputs: Numbers) -> Numbers:
    gain = stats.compare(paired_samples(inputs["baseline"], inputs["candidate"])).difference
    return {
        "effect": gain.value,
        "statistic": gain.value / gain.se,
        "df": gain.df,
        "p_value": gain.p_value,
        "ci": interval(gain),
    }


def numerics(inputs: Numbers) -> Numbers:
    if "z" in inputs:
        return {"p_value": stats.two_sided_p(inputs["z"])}
    found = joint_moments(inputs["values"])
    return {"mean": found.mean(), "variance": found.variance()}


def convention(inputs: Numbers) -> Numbers:
    return {"lift": stats.relative_lift(50, inputs["control_mean"], 1.0, 50, inputs["treatment_mean"], 1.0).value}


def one_proportion(inputs: Numbers) -> Numbers:
    return {"ci": interval(stats.proportion(inputs["successes"], inputs["n"]))}


def two_proportions(inputs: Numbers) -> Numbers:
    x0, n0, x1, n1 = counted(inputs)
    gain = stats.difference_of_proportions(x0, n0, x1, n1)
    table = [[x0, n0 - x0], [x1, n1 - x1]]
    share0, share1 = x0 / n0, x1 / n1
    lift = stats.relative_lift(n0, share0, share0 * (1 - share0), n1, share1, share1 * (1 - share1))
    return {
        "effect": gain.value,
        "ci": interval(gain),
        "newcombe_ci": interval(gain),
        "p_value_pooled": gain.p_value,
        "pvalue": gain.p_value,
        "control_rate": stats.proportion(x0, n0).value,
        "treatment_rate": stats.proportion(x1, n1).value,
        "z_pooled": math.copysign(math.sqrt(stats.independence(table, exact=False).chi2), gain.value),
        "fisher_p": stats.independence(table, exact=True).p_value,
        "lift": lift.value,
        "se": lift.se,
        "rel_effect_size": lift.value,
        "risk_ratio": 1 + lift.value,
    }


def ratio_metric(inputs: Numbers) -> Numbers:
    if "loader" in inputs:
        return clustered(inputs)
    if "theta" in inputs:
        return adjusted_ratio(inputs)
    control, treatment = ((inputs[name]["num"], inputs[name]["den"]) for name in ("control", "treatment"))
    ratios = [stats.ratio(*control), stats.ratio(*treatment)]
    gain = stats.difference_of_ratios(*control, *treatment)
    # A ratio's lift rests on the two ratios and their errors alone; n and variance are only how it is asked for.
    lift = stats.relative_lift(*(part for r in ratios for part in (r.df + 1, r.value, r.se**2 * (r.df + 1))))
    return {
        "control_ratio": ratios[0].value,
        "treatment_ratio": ratios[1].value,
        "control_var": ratios[0].se ** 2 * ratios[0].n,
        "treatment_var": ratios[1].se ** 2 * ratios[1].n,
        "effect": gain.value,
        "se": gain.se if inputs.get("scale") != "relative" else lift.se,
        "p_value": gain.p_value,
        "ci": interval(gain),
        "lift": lift.value,
    }


def adjusted_ratio(inputs: Numbers) -> Numbers:
    """Adjusted by the units' own past ratio, with one slope for both variants."""
    names = ("num", "den", "pre_num", "pre_den")
    control, treatment = (joint_moments(*(inputs[side][name] for name in names)) for side in ("control", "treatment"))
    given = stats.TwoSamples(control, treatment, rows0=control.n, rows1=treatment.n)
    found = stats.compare(given, adjust=True, theta="pooled").difference
    return {"effect": found.value, "se": found.se, "p_value": found.p_value, "ci": interval(found)}


def exact(inputs: Numbers) -> Numbers:
    return {"p_two_sided": stats.independence(inputs["table"]).p_value}


def clustered(inputs: Numbers) -> Numbers:
    """Patients as clusters of their visits."""
    control, treated = respiratory()
    assert len(control) + len(treated) == inputs["patients"]
    by_ratio = stats.difference_of_ratios(control["sum"], control["count"], treated["sum"], treated["count"])
    rows = int(control["count"].sum() + treated["count"].sum())
    patients = stats.two_samples(
        control["sum"], treated["sum"], denominators0=control["count"], denominators1=treated["count"]
    )
    # As clusters, of which none is in both variants.
    nothing = ((0.0, 0.0), (0.0, 0.0))
    clustered = stats.compare(patients._replace(crossed=nothing, groups=patients.total)).difference
    return {
        "effect": clustered.value,
        # CR1 has the factor (rows - 1) / (rows - 2) beside G / (G - 1), for a regression of two coefficients.
        "se_cluster_CR1": clustered.se * math.sqrt((rows - 1) / (rows - 2)),
        "se_delta_ratio": by_ratio.se,
    }


def two_means(inputs: Numbers) -> Numbers:
    control, treated = jtrain2() if "jtrain2" in inputs["loader"] else lalonde()
    before, after = (stats.moments(group["re78"].astype(float)) for group in (control, treated))
    assert [before.n, after.n] == inputs.get("n", [260, 185])
    gain = stats.welch(*before, *after)
    return {
        "effect": gain.value,
        "se_neyman": gain.se,
        "df": gain.df,
        "p_value": gain.p_value,
        "ci": interval(gain),
        "control_mean": before.mean,
        "treatment_mean": after.mean,
    }


def units(inputs: Numbers) -> stats.TwoSamples:
    control, treatment = inputs["control"], inputs["treatment"]
    return stats.two_samples(
        np.array(control["y"], float),
        np.array(treatment["y"], float),
        covariates0=[np.array(control["x"], float)],
        covariates1=[np.array(treatment["x"], float)],
    )


def cuped(inputs: Numbers) -> Numbers:
    if "8 centred covariates" in inputs.get("loader", ""):
        return lin()
    if "anorexia" in inputs.get("loader", ""):
        control, treated = anorexia()
        given = stats.two_samples(
            control["Postwt"], treated["Postwt"], covariates0=[control["Prewt"]], covariates1=[treated["Prewt"]]
        )
    elif "loader" in inputs:
        control, treated = lalonde()
        given = stats.two_samples(
            *(group["re78"].astype(float) for group in (control, treated)),
            covariates0=[control["re75"].astype(float)],
            covariates1=[treated["re75"].astype(float)],
        )
    else:
        given = units(inputs)
    found, plain = stats.compare(given, adjust=True, theta="total"), stats.compare(given)
    return {
        "theta": found.theta[0],
        "theta_total": found.theta[0],
        "effect": found.difference.value,
        "se": found.difference.se,
        "df": found.difference.df,
        "p_value": found.difference.p_value,
        "ci": interval(found.difference),
        "unadjusted_effect": plain.difference.value,
        "unadjusted_se": plain.difference.se,
        "unadjusted_p": plain.difference.p_value,
        "variance_reduction": found.variance_reduction,
        "ancova_effect": stats.compare(given, adjust=True, theta="pooled").difference.value,
        "lift": found.lift.value,
    }


def lin() -> Numbers:
    names = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    control, treated = lalonde()
    gain = stats.adjusted_difference(
        control["re78"].astype(float),
        [control[name].astype(float) for name in names],
        treated["re78"].astype(float),
        [treated[name].astype(float) for name in names],
    )
    return {"effect": gain.value, "se_HC2": gain.se}


def srm(inputs: Numbers) -> Numbers:
    check = stats.sample_ratio(inputs["counts"], inputs["weights"])
    if "method" in inputs:
        assert check.method == inputs["method"]
    return {"chi2": check.chi2, "df": check.df, "p_value": check.p_value, "alert_at_0.001": check.p_value < 0.001}


def srm_sequential(inputs: Numbers) -> Numbers:
    check = stats.sequential_sample_ratio(
        inputs["counts"], inputs["weights"], concentration=inputs["dirichlet_concentration"]
    )
    return {"log_bayes_factor": check.log_bayes_factor, "sequential_p": check.p_value}


EFFECT_METHODS: dict[str, Callable[[Numbers], Numbers]] = {
    "shadow_paired_mean": paired,
    "numerics": numerics,
    "relative_lift_convention": convention,
    "two_sample_mean": two_means,
    "one_sample_proportion": one_proportion,
    "two_sample_proportion": two_proportions,
    "exact": exact,
    "cuped": cuped,
    "ratio_metric": ratio_metric,
    "srm": srm,
    "srm_sequential": srm_sequential,
}
