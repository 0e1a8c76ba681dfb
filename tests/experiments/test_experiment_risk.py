"""The risk that a verdict states, on made-up effects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from looks_of import make_plan
from made_effects import BETTER, UNCLEAR, WITHIN, judge_effects

from toolkit import stats


def test_the_risk_of_being_wrong_is_stated() -> None:
    verdict = judge_effects(make_plan(), (BETTER, WITHIN))
    risk = verdict.judgements[0].risk
    assert risk is not None
    assert (risk.error_bound, risk.prior) == (0.025, "flat")
    assert risk.worse == pytest.approx(3.17e-5, rel=0.01)  # 4 standard errors
    assert [(harm.metric, round(harm.chance, 4)) for harm in risk.harms] == [("latency", 0.0163)]
    assert risk.text == (
        "A treatment that is not better, or is worse by a margin, would be shipped with a chance of 2.5 % at most, by "
        "the design. After the data it is worse with probability below 0.01 %, and shipping is expected to lose "
        "0.000003573 (prior: flat). The likeliest harm beyond a margin is latency, with probability 1.63 %."
    )


def test_the_expected_loss_without_a_prior_is_the_mean_of_what_is_lost() -> None:
    import numpy as np

    risk = judge_effects(make_plan(), (UNCLEAR, WITHIN)).judgements[0].risk
    assert risk is not None
    drawn = np.random.default_rng(1).normal(1.0, 1.0, 400_000)  # brier rises by 1 with an error of 1: worse
    assert risk.loss == pytest.approx(np.maximum(drawn, 0).mean(), abs=0.01)
    assert risk.worse == pytest.approx((drawn > 0).mean(), abs=0.003)


def test_a_prior_that_the_readout_states_is_the_one_of_the_risk() -> None:
    effect = replace(BETTER, belief=stats.normal_posterior(-2.0, 0.5, prior_sd=1.0, increase=False))
    risk = judge_effects(make_plan(), (effect, WITHIN)).judgements[0].risk
    assert risk is not None
    assert risk.prior == "normal, mean 0, sd 1"
    assert risk.worse == pytest.approx(1.7e-4, rel=0.05)  # 1.6 away from 0, with a spread of 0.447
