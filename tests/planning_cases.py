"""How the toolkit answers the reference cases about plans and decisions: looks, margins, beliefs, power, segments."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from effect_cases import Numbers, counted, interval, samples

from toolkit import stats


def always_valid(inputs: Numbers) -> Numbers:
    alpha = inputs["alpha"]
    if "control" in inputs:
        lift = stats.relative_lift(*samples(inputs))
        found = stats.confidence_sequence(lift.value, lift.se, lift.n, alpha=alpha, tune_n=inputs["n_tune"])
        return {"lift": lift.value, "se": lift.se, "ci": interval(found), "p_value": found.p_value}
    if "values" in inputs:
        values = [1, 0, 1, 1, 0, 1, 1, 1, 0, 1] * 10
        n, rho = len(values), stats.mixture_width(inputs["t_opt"] / 4, alpha=alpha)
        reach = stats.uniform_boundary(n / 4, alpha=alpha, rho=rho) / n
        return {"ci_at_100": [np.mean(values) - reach, np.mean(values) + reach]}
    n, tuned = inputs.get("n", inputs.get("t")), inputs["n_tune"]
    reach = stats.always_valid_reach(n, alpha=alpha, tune_n=tuned)
    width = stats.mixture_width(tuned, alpha=alpha)
    found = stats.confidence_sequence(0.3, inputs["se"], n, alpha=alpha, tune_n=tuned)
    return {
        # The two sources write the same mixture by its variance and by its inverse's root.
        "rho": width if "t" in inputs else width**-0.5,
        "halfwidth": found.ci_upper - found.value,
        "ratio_to_fixed": reach / stats.critical_value(1 - alpha),
        "multiplier": reach,
    }


def msprt(inputs: Numbers) -> Numbers:
    delta, variance, alpha = inputs["delta"], inputs["V"], inputs["alpha"]
    rho, sd = variance / inputs["tau2"], math.sqrt(variance)
    likelihood = math.exp(stats.log_mixture(delta / sd, 1, rho=rho))
    reach = sd * stats.uniform_boundary(1, alpha=alpha, rho=rho)
    return {"lambda": likelihood, "p_value": min(1.0, 1 / likelihood), "ci": [delta - reach, delta + reach]}


def mixture(inputs: Numbers) -> Numbers:
    alpha, sides, v = inputs["alpha"], 1 if inputs["one_sided"] else 2, inputs["v"]
    rho = stats.mixture_width(inputs["v_opt"], alpha=alpha, sides=sides)
    return {
        "rho": rho,
        "bound": stats.uniform_boundary(v, alpha=alpha, rho=rho, sides=sides),
        "log_mixture_s10": stats.log_mixture(10, v, rho=rho, sides=sides),
    }


def group_sequential(inputs: Numbers) -> Numbers:
    if "family" in inputs:
        found = stats.classic_boundary(inputs["looks"], alpha=inputs["alpha"], family=inputs["family"])
        return {"z": list(found.z), "constant": found.z[-1]}
    if "lower_bound" in inputs:
        one_sided = stats.boundary(inputs["information"], alpha=inputs["alpha"] / 2, spending="power", rho=2, sides=1)
        return {"z_recursion": list(one_sided.z), "z_spotify": list(one_sided.z)}
    found = stats.boundary(inputs["information"], alpha=inputs["alpha"], spending="power", rho=3)
    return {"z": list(found.z)}


def peeking(inputs: Numbers) -> Numbers:
    looks = inputs["looks"]
    fractions = tuple((look + 1) / looks for look in range(looks))
    naive = stats.Boundary(fractions, (inputs["z"],) * looks, spent=(0.0,) * looks, alpha=0.05, sides=2)
    return {"type_i_error": stats.crossing_probability(naive, 0.0).rejected}


def multiple(inputs: Numbers) -> Numbers:
    names = {"bh": "benjamini-hochberg", "holm": "holm", "holm_bonferroni": "holm", "hochberg": "hochberg"}
    return {short: list(stats.adjust_p(inputs["p"], name)) for short, name in names.items()}


def decision_power(inputs: Numbers) -> Numbers:
    return {"adjusted_power_per_metric": stats.guarded_power(inputs["power"], inputs["guardrails"])}


def non_inferiority(inputs: Numbers) -> Numbers:
    if "control" in inputs:
        n0, mean0, variance0, n1, mean1, variance1 = samples(inputs)
        se = math.hypot(math.sqrt(variance0 / n0), math.sqrt(variance1 / n1))
        gain = stats.from_standard_error(mean1 - mean0, se, n=n0 + n1, method="z", null=0)
        test = stats.not_inferior(gain, inputs["margin_relative"] * mean0, alpha=inputs["alpha"])
        return {"p_value": test.p_value, "lower": test.bound / mean0, "null_hypothesis": test.limit / mean0}
    gain = stats.from_standard_error(inputs["effect"], inputs["se"], n=100, method="z", null=0)
    test = stats.not_inferior(
        gain, inputs["margin"], increase=inputs["preferred"] == "increase", alpha=inputs["alpha_one_sided"]
    )
    return {
        "z": test.statistic,
        "p_value": test.p_value,
        "lower_bound": test.bound,
        "non_inferior": test.passed,
    }


def equivalence(inputs: Numbers) -> Numbers:
    gain = stats.welch(*stats.moments(inputs["control"]), *stats.moments(inputs["treatment"]))
    found = stats.equivalent(gain, inputs["low"], inputs["upp"])
    return {"p_value": found.p_value, "p_lower": found.p_low, "p_upper": found.p_high}


def bayesian(inputs: Numbers) -> Numbers:
    if "mean" in inputs:
        found = stats.normal_posterior(inputs["mean"], inputs["sd"])
        return {"loss": [found.loss_if_kept, found.loss_if_shipped]}
    if inputs["prior"] == "Beta(1,1) each":
        return {"prob_treatment_better": stats.share_posterior(*counted(inputs)).probability_better}
    prior: dict[str, float] = {}
    if inputs["prior"] == "improper flat":
        x0, n0, x1, n1 = counted(inputs)
        parts = [part for x, n in ((x0, n0), (x1, n1)) for part in (n, x / n, x / n * (1 - x / n))]
        lift = stats.relative_lift(*parts)
    else:
        lift = stats.relative_lift(*samples(inputs))
        prior = {"prior_mean": inputs["prior"]["mean"], "prior_sd": math.sqrt(inputs["prior"]["variance"])}
    found = stats.posterior(lift, **prior)
    losses = [found.loss_if_kept, found.loss_if_shipped]
    return {
        "lift": found.mean,
        "sd": found.sd,
        "chance_to_win": found.probability_better,
        "ci": interval(found),
        "expected_loss": losses,
        "expected_loss_if_keep_control_then_if_ship": losses,
    }


def power(inputs: Numbers) -> Numbers:
    alpha, wanted = inputs.get("alpha", inputs.get("alpha_one_sided")), inputs.get("power")
    plan = stats.PowerDesign(alpha=alpha, shares=tuple(inputs.get("allocation", (0.5, 0.5))))
    if "effect_sd" in inputs or ("delta" in inputs and "allocation" not in inputs):
        effect, sd = inputs.get("effect_sd", inputs.get("delta")), inputs.get("sd", 1.0)
        found = stats.units_needed(stats.mean_outcome(sd**2), effect, plan._replace(test="t"), power=wanted)
        return {"n_per_arm": found.n / 2, "n_ceil": found.units[0]}
    if "p1" in inputs:
        return power_of_shares(inputs, plan)
    if "rho" in inputs:
        effect, variance = inputs["relative_mde"] * inputs["baseline_mean"], inputs["sd"] ** 2
        plain = stats.units_needed(stats.mean_outcome(variance), effect, plan, power=wanted)
        gained = stats.units_needed(stats.mean_outcome(variance, gain=inputs["rho"] ** 2), effect, plan, power=wanted)
        return {"n_per_arm_plain": plain.n / 2, "n_per_arm_cuped": gained.n / 2}
    if "margin" in inputs:
        design = plan._replace(hypothesis="not_inferior", margin=inputs["margin"])
        found = stats.units_needed(
            stats.mean_outcome(inputs["sd"] ** 2), inputs["true_difference"], design, power=wanted
        )
        return {"n_per_arm": found.n / 2}
    if "allocation" in inputs:
        outcome = stats.mean_outcome(inputs["sd"] ** 2)
        uneven, even = (
            stats.units_needed(outcome, inputs["delta"], design, power=wanted).n
            for design in (plan, plan._replace(shares=(1, 1)))
        )
        return {"n_total": uneven, "n_total_equal": even}
    outcome = (
        stats.share_outcome(inputs["baseline"], pooled=False)
        if "baseline" in inputs
        else stats.mean_outcome(inputs["variance"])
    )
    n = stats.units_needed(outcome, inputs["absolute_mde"], plan, power=wanted).n
    return {"n_total_normal": n, "n_total_spotify": n, "n_total_gpower": n}


def power_of_shares(inputs: Numbers, plan: stats.PowerDesign) -> Numbers:
    effect = inputs["p2"] - inputs["p1"]
    if "n_per_arm" in inputs:
        found = stats.power_of(stats.share_outcome(inputs["p1"]), 2 * inputs["n_per_arm"], effect, plan)
        return {"power": found.power}
    pooled, unpooled = (
        stats.units_needed(stats.share_outcome(inputs["p1"], pooled=on), effect, plan, power=inputs["power"])
        for on in (True, False)
    )
    assert (pooled.method, unpooled.method) == ("z, pooled null", "z, unpooled")
    return {
        "n_per_arm": pooled.n / 2,
        "n_per_arm_pooled_null": pooled.n / 2,
        "n_per_arm_unpooled": unpooled.n / 2,
    }


def heterogeneity(inputs: Numbers) -> Numbers:
    if "effects" in inputs:
        pairs = list(zip(inputs["effects"], inputs["se"], strict=True))
    else:
        pairs = [
            (math.log(a / (a + b)) - math.log(c / (c + d)), math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)))
            for a, b, c, d in inputs["tables_tpos_tneg_cpos_cneg"]
        ]
    found = stats.heterogeneity(
        [stats.from_standard_error(value, se, n=100, method="z", null=0) for value, se in pairs]
    )
    return {
        "pooled": found.pooled.value,
        "log_rr_equal_effects": found.pooled.value,
        "pooled_se": found.pooled.se,
        "se": found.pooled.se,
        "Q": found.q,
        "df": found.df,
        "p_value": found.p_value,
        "I2": found.i_squared,
    }


def novelty(inputs: Numbers) -> Numbers:
    found = stats.trend(inputs["daily_effect"], inputs["se"])
    return {
        "intercept": found.intercept.value,
        "slope": found.slope.value,
        "slope_se": found.slope.se,
        "z": found.statistic,
        "p_value": found.slope.p_value,
    }


def winsorization(inputs: Numbers) -> Numbers:
    values = [*range(1, 100), 10_000]
    cap = stats.pooled_cap(values[::2], values[1::2], share=inputs["percentile"] / 100)
    return {
        "cap": cap.value,
        "mean_before": np.mean(values),
        "mean_after": stats.winsorized(values, cap).mean(),
        "n_capped": cap.capped,
    }


def a_a(inputs: Numbers) -> Numbers:
    band = stats.false_alarm_band(inputs["simulations"], inputs["alpha"], confidence=inputs["gate_confidence"])
    return {"rejections_low": band.lowest, "rejections_high": band.highest}


def quantile(inputs: Numbers) -> Numbers:
    return {"min_n": stats.fewest_rows(inputs["q"], confidence=1 - inputs["alpha"])}


PLAN_METHODS: dict[str, Callable[[Numbers], Numbers]] = {
    "confidence_sequence": always_valid,
    "uniform_boundary": mixture,
    "msprt": msprt,
    "group_sequential": group_sequential,
    "peeking": peeking,
    "multiple_testing": multiple,
    "decision_power": decision_power,
    "power": power,
    "non_inferiority": non_inferiority,
    "equivalence": equivalence,
    "bayesian": bayesian,
    "heterogeneity": heterogeneity,
    "novelty": novelty,
    "winsorization": winsorization,
    "aa_test": a_a,
    "quantile": quantile,
}
