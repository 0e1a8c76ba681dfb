"""The cases of a model's behaviour: losses, calibration, what is expected before labels are there, attributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from signal_cases import Inputs, check_case, keyed

from toolkit import stats
from toolkit.stats import ScorePerformance


def by_score(score: Any, positives: Any, *, threshold: float = 0.5) -> ScorePerformance:
    """Every score a bin of its own."""
    scores, ones = np.asarray(score, dtype=float), np.asarray(positives, dtype=float)
    place = np.unique(scores, return_inverse=True)[1]
    rows = np.ones(scores.size)
    return stats.score_performance(place, (scores >= threshold).astype(float), rows, scores**2, ones, scores * ones)


def ece(inputs: Inputs) -> Any:
    by = "width" if inputs["strategy"] == "uniform" else "mass"
    sums = stats.bin_sums(inputs["p"], inputs["y"], bins=inputs["bins"], by=by)
    error = stats.expected_calibration_error(*sums).value
    if (inputs["strategy"], inputs["bins"]) != ("uniform", 5):
        return error
    return {"ece": error, "mce": stats.maximum_calibration_error(*sums).value}


def brier(inputs: Inputs) -> Any:
    assert by_score(inputs["p"], inputs["y"]).brier == pytest.approx(stats.brier(inputs["p"], inputs["y"]).value)
    return stats.brier(inputs["p"], inputs["y"]).value


def log_loss(inputs: Inputs) -> Any:
    return stats.log_loss(inputs["p"], inputs["y"]).value


def auc(inputs: Inputs) -> Any:
    found = by_score(inputs["p"], inputs["y"])
    assert found.auc == pytest.approx(stats.auc(inputs["p"], inputs["y"]).value, abs=1e-12)
    return {"auc": found.auc, "ap": found.average_precision}


def calibration_slope(inputs: Inputs) -> Any:
    score, label = np.array(inputs["p"]), np.array(inputs["y"], dtype=float)
    cells, powers = stats.logit_powers(np.log(score / (1 - score)))
    found = stats.recalibration(np.arange(score.size), cells, powers, label, label * powers[:, 1])
    return {"intercept": found.intercept.value, "slope": found.slope.value}


def calibration_z(inputs: Inputs) -> Any:
    score, label = np.array(inputs["p"]), np.array(inputs["y"])
    spread = float((score * (1 - score)).sum())
    return stats.calibration_in_the_large_z(score.size, float(score.sum()), float(label.sum()), spread).value


def cbpe_uncertainty(inputs: Inputs) -> Any:
    chance = np.array(inputs["calibrated_p"])
    found = stats.correct_count(np.where(chance >= inputs["threshold"], chance, 1 - chance))
    return {"mean_correct": found.mean, "sd_correct": found.sd, "p_at_most_5_correct": found.at_most[5]}


def cbpe_auc(inputs: Inputs) -> Any:
    return by_score(inputs["score"], inputs["calibrated_p"]).auc


def importance_weighted(inputs: Inputs) -> Any:
    found = stats.weighted_share(inputs["weights"], inputs["correct"])
    return {"self_normalised": found.value, "ess": found.effective_n}


def attribution_ndcg(inputs: Inputs) -> Any:
    """The alarm below 0.90 is the peer's; ours is none."""
    ndcg = stats.attribution_ndcg(inputs["baseline"], inputs["current"])
    assert ndcg is not None
    l1 = stats.l1_of_shares(inputs["baseline"], inputs["current"])
    return {"ndcg": ndcg, "alarm_at_0.90": ndcg < 0.90, "l1_of_shares": l1}


FUNCTIONS = {
    "attribution_ndcg": attribution_ndcg,
    "auc": auc,
    "brier": brier,
    "calibration_in_the_large_z": calibration_z,
    "calibration_slope": calibration_slope,
    "cbpe_auc": cbpe_auc,
    "cbpe_uncertainty": cbpe_uncertainty,
    "ece": ece,
    "importance_weighted": importance_weighted,
    "log_loss": log_loss,
}


@pytest.mark.parametrize("case", keyed(FUNCTIONS))
def test_equals_the_reference(case: dict[str, Any]) -> None:
    check_case(case, FUNCTIONS)
