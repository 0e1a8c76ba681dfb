"""What stands beside an effect, and how far intervals reach: covariates, caps, looks, treatments, groups, size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arranged_units import ArrangedUnits, requests_of
from arranged_units import metric as a_metric
from looks_of import make_plan

from toolkit import experiments, stats
from toolkit.experiments.effects import Effect

PAST = "brier over 28 days before"
ONE_METRIC = {"secondary: [profit]": "secondary: []"}
COVARIATE = "covariates: [{metric: brier, days: 28}]\n"


def _units(*, size: int = 300, gain: float = 0.3, missing: int = 0, seed: int = 2, **fields: Any) -> ArrangedUnits:
    """Units whose value follows their past, and some of which have none."""
    rng = np.random.default_rng(seed)
    past = rng.normal(0, 1, 2 * size)
    values = 10 + past + rng.normal(0, 0.5, 2 * size)
    values[size:] += gain
    past[:missing] = np.nan
    rows = requests_of(values[:size], values[size:], **{PAST: past})
    rows["segment"] = np.where(np.arange(2 * size) % 3, "many", "few")
    metrics = dict.fromkeys(make_plan().metrics, a_metric())
    return replace(ArrangedUnits(rows, metrics), **fields)


def _primary(units: Any, more: str = "", changes: Mapping[str, str] | None = None) -> Effect:
    return experiments.analyze(make_plan(more, **ONE_METRIC, **(changes or {})), units).effects[0]


def test_with_covariates_the_adjusted_effect_decides_and_the_unadjusted_one_stands_beside_it() -> None:
    units = _units(covariates=(PAST,))
    effect = _primary(units, COVARIATE)
    plain = _primary(units)
    samples = units.samples("brier", "treatment", covariates=True)
    assert effect.basis == "adjusted"
    assert effect.difference == stats.compare(samples, adjust=True).difference
    (beside,) = effect.views
    assert (beside.name, beside.difference, beside.lift) == ("unadjusted", plain.difference, plain.lift)
    assert effect.difference.se is not None
    assert effect.difference.se < 0.6 * (plain.difference.se or 0.0)
    assert (effect.control_mean, effect.treatment_mean) == (plain.control_mean, plain.treatment_mean)
    text = effect.text(0.95)
    assert ", by an adjusted +0." in text
    assert f"It is adjusted for {PAST}, which takes away " in text
    assert "Unadjusted it is +" in text
    rows = {row.statistic: row for row in effect.rows()}
    assert rows["difference_unadjusted"].value == plain.difference.value
    assert rows["basis"].value == "adjusted"


def test_who_has_no_past_is_counted() -> None:
    effect = _primary(_units(covariates=(PAST,), missing=7), COVARIATE)
    assert "7 units without one count with the mean" in effect.text(0.95)


def test_a_covariate_that_says_nothing_leaves_the_effect_unadjusted_with_the_reason() -> None:
    units = _units(covariates=(PAST,))
    flat = replace(units, requests=units.requests.assign(**{PAST: 1.0}))
    effect = _primary(flat, COVARIATE)
    assert effect.basis == "unadjusted"
    assert effect.views == ()
    assert effect.difference == _primary(units).difference
    assert effect.adjustment.startswith("could not be adjusted, ")
    assert f"It {effect.adjustment}." in effect.text(0.95)


def test_with_a_cap_the_raw_effect_decides_and_the_winsorized_one_stands_beside_it() -> None:
    units = _units(caps={"brier": 11.0})
    effect = _primary(units, "caps: {brier: 0.9}\n")
    assert effect.difference == _primary(_units()).difference
    (beside,) = effect.views
    sides = [units.requests.loc[units.requests["variant"] == name, "brier"].clip(upper=11) for name in units.arrivals]
    assert beside.difference.value == pytest.approx(sides[1].mean() - sides[0].mean())
    assert beside.note == "at most 11 per unit"
    assert "Winsorized (at most 11 per unit) it is +" in effect.text(0.95)
    table = experiments.analyze(make_plan("caps: {brier: 0.9}\n", **ONE_METRIC), units).to_table()
    assert [(line["role"], line["finding"]) for line in table[:2]] == [
        ("primary", effect.word),
        ("winsorized", "decides nothing"),
    ]


def test_secondary_metrics_have_holms_p_and_others_their_own() -> None:
    units = _units(gain=0.18)
    plan = make_plan(
        **{"secondary: [profit]": "secondary: [profit, latency]", "  - {metric: latency, margin: 2}\n": ""}
    )
    readout = experiments.analyze(plan, units)
    brier, profit, latency, errors = readout.effects
    assert (brier.p_adjusted, errors.p_adjusted) == (None, None)
    assert profit.p_adjusted == latency.p_adjusted == pytest.approx(2 * (profit.p_value or 0.0))
    assert "Holm's p is over the 2 secondary metrics of a treatment." in readout.text
    assert "; Holm's p = " in profit.text(0.95)
    rows = {(row.key, row.statistic): row.value for row in readout.to_rows()}
    assert rows["profit", "holm_p_value"] == profit.p_adjusted
    assert readout.to_table()[1]["holm_p_value"] == profit.p_adjusted


def test_several_treatments_share_alpha_and_the_readout_says_so() -> None:
    two = {"  treatment: {version": '  other: {version: "2", weight: 50}\n  treatment: {version'}
    units = _units()
    third = units.requests[units.requests["variant"] == "treatment"].assign(variant="other")
    units = replace(units, requests=pd.concat([units.requests, third], ignore_index=True))
    readout = experiments.analyze(make_plan(**ONE_METRIC, **two), units)
    assert readout.treatments == ("other", "treatment")
    assert readout.confidence == pytest.approx(0.975)
    effect = readout.of("treatment")[0]
    alone = stats.compare(units.samples("brier", "treatment"), confidence=0.975)
    assert effect.difference == alone.difference
    assert "97.5 % intervals (2 treatments share alpha 0.05)" in readout.text
    assert "which is a one-sided test at 0.0125" in readout.text


def test_an_early_look_reaches_further_and_has_no_p_of_its_own() -> None:
    sequential = "design: {kind: group_sequential, looks: ['2024-03-08']}\n"
    units = replace(_units(), as_of=datetime(2024, 3, 8, tzinfo=UTC))
    plan = make_plan(sequential, **ONE_METRIC)
    looks = experiments.first_look(plan, units)
    reach = looks.critical()
    assert reach is not None
    assert reach > 2.5
    effect = experiments.analyze(plan, units, looks).effects[0]
    plain = _primary(_units())
    assert effect.difference.se == plain.difference.se
    assert effect.difference.ci_upper == pytest.approx(
        (plain.difference.value or 0) + reach * (plain.difference.se or 0)
    )
    assert effect.difference.p_value is None
    assert effect.p_value == plain.p_value
    assert looks.reach_text in experiments.analyze(plan, units, looks).text
    assert experiments.analyze(plan, units) == experiments.analyze(plan, units, looks)


def test_a_group_that_could_be_harmed_has_the_guardrails_that_watch_it() -> None:
    vulnerable = "vulnerable: [{segment: segment, value: few, why: They cannot turn elsewhere., metrics: [latency]}]\n"
    units = _units()
    readout = experiments.analyze(make_plan(vulnerable, **ONE_METRIC), units)
    group = readout.effects[-1]
    assert [(effect.metric, effect.where) for effect in readout.effects] == [
        ("brier", ""),
        ("latency", ""),
        ("error_rate", ""),
        ("latency", "segment=few"),
    ]
    assert (group.role, group.margin, group.why) == ("guardrail", 2.0, "They cannot turn elsewhere.")
    assert (
        group.difference
        == stats.compare(units.samples("latency", "treatment", segment="segment", value="few")).difference
    )
    assert {row.segment for row in group.rows()} == {"segment=few"}
    line = readout.to_table()[-1]
    assert (line["metric"], line["note"]) == ("Metric, segment=few", "")  # why it is watched stands with the plan
    assert "Metric, segment=few (guardrail, treatment - control): " in readout.plot().alt
    assert "Metric, segment=few (guardrail) went from " in readout.text


@dataclass(frozen=True)
class _Case:
    value: float
    reach: float
    word: str
    practical: str | None


@pytest.mark.parametrize(
    "case",
    [
        _Case(3.0, 0.5, "better", "reached"),
        _Case(3.0, 2.5, "better", "reached"),
        _Case(1.0, 0.5, "better but small", "missed"),
        _Case(1.0, 0.9, "better but small", "missed"),
        _Case(1.9, 1.5, "better but small", "unclear"),
        _Case(0.5, 1.0, "too small to matter", "missed"),
        _Case(0.5, 3.0, "unclear", "unclear"),
        _Case(3.0, 4.0, "unclear", "reached"),
        _Case(-1.0, 0.5, "worse but small", "missed"),
        _Case(-3.0, 0.5, "worse", "missed"),
    ],
)
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_the_word_says_whether_an_effect_is_worth_having(case: _Case, direction: str) -> None:
    sign = 1 if direction == "increase" else -1
    ends = sorted((sign * (case.value - case.reach), sign * (case.value + case.reach)))
    estimate = stats.Estimate(sign * case.value, 1.0, None, *ends, 0.5, 100, "m", "ok", "")
    effect = replace(_primary(_units()), difference=estimate, direction=direction, smallest=2.0)
    assert (effect.word, effect.practical) == (case.word, case.practical)


@pytest.mark.parametrize(
    ("lower", "upper", "found"),
    [
        (-0.5, 0.5, "within"),
        (-1.5, 0.5, "unclear"),
        (-0.5, 1.5, "unclear"),
        (1.1, 2.0, "beyond"),
        (-2.0, -1.1, "beyond"),
    ],
)
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_a_data_quality_metric_is_held_on_both_sides(lower: float, upper: float, found: str, direction: str) -> None:
    estimate = stats.Estimate((lower + upper) / 2, 1.0, None, lower, upper, 0.5, 100, "m", "ok", "")
    effect = replace(_primary(_units()), difference=estimate, direction=direction, margin=1.0, role="data_quality")
    assert effect.against_margin == found


def test_what_is_believed_follows_from_a_prior_as_wide_as_what_was_planned() -> None:
    effect = _primary(_units(), "planned_effect: 0.5\n")
    expected = stats.normal_posterior(effect.difference.value, effect.difference.se, prior_sd=0.5, increase=True)
    assert effect.belief == expected
    assert effect.belief is not None
    rows = {row.statistic: row for row in effect.rows()}
    assert rows["probability_better"].value == expected.probability_better
    assert rows["loss_if_shipped"].method == "normal likelihood; prior normal, mean 0, sd 0.5"
    assert "With a prior that is normal, mean 0, sd 0.5, it is better with a probability of " in effect.text(0.95)
    unsided = replace(_units(), metrics=dict.fromkeys(make_plan().metrics, a_metric(direction="none")))
    assert _primary(unsided).belief is None


def test_a_quantile_is_compared_by_the_values_around_it() -> None:
    rng = np.random.default_rng(4)
    sides = [np.sort(rng.gamma(4, 3, 4000)), np.sort(rng.gamma(4, 3.3, 4000))]

    def sample(values: Any) -> stats.QuantileSample:
        share_se = (0.9 * 0.1 / len(values)) ** 0.5
        ends = [float(np.quantile(values, 0.9 + step * share_se)) for step in (-1.96, 1.96)]
        return stats.QuantileSample(float(np.quantile(values, 0.9)), *ends, 1.96, share_se, len(values), len(values))

    @dataclass(frozen=True)
    class Both:
        q: float
        control: stats.QuantileSample
        treatment: stats.QuantileSample
        share_covariance: float
        groups: int

    class Quantiles(ArrangedUnits):
        def quantiles(self, metric: str, treatment: str) -> Both:
            return Both(0.9, sample(sides[0]), sample(sides[1]), 0.0, 8000)

    p90 = a_metric(kind="quantile", q=0.9, direction="decrease", column="value")
    units: Any = Quantiles(_units().requests, {**_units().metrics, "latency": p90})
    plan = make_plan("segments: [segment]\n", **ONE_METRIC)
    effect = experiments.analyze(plan, units).effects[1]
    assert effect.difference == stats.compare_quantiles(sample(sides[0]), sample(sides[1]), 0.9).difference
    assert effect.control_mean == sample(sides[0]).value
    assert effect.against_margin in {"within", "unclear", "beyond"}
    found = experiments.segment_effects(plan, units)
    assert "latency" not in {test.overall.metric for test in found.tests}
    assert found.text.endswith("Not split: Metric; a quantile is measured over everyone only, not by segment or day.")
