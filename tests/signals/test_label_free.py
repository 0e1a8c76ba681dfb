"""The estimate without labels on a workspace whose truth is planted: published, covering, or withheld with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from signals.long_history import DAYS, LAST_MATURE, START, WINDOW_FIRST, Laid, audited, lay, make_long

from conftest import MODEL
from toolkit.errors import ArgumentError
from toolkit.records import to_document
from toolkit.signals import LabelFree, estimate_performance
from toolkit.stats import isotonic_shares


def estimate(laid: Laid, **options: Any) -> LabelFree:
    return estimate_performance(laid.source, laid.observe(), **options)


def number(result: LabelFree, key: str) -> Any:
    return next(each for each in result.estimates if each.quantity.key == key)


def line(result: LabelFree, key: str) -> Any:
    return next(each for each in result.panel if each.key == key)


def published_values(result: LabelFree) -> list[Any]:
    rows = [row for row in result.to_rows() if row.statistic in {"estimated", "prediction_powered", "change"}]
    return [row.value for row in rows]


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Laid:
    return lay(tmp_path_factory.mktemp("steady"), make_long())


@pytest.fixture(scope="module")
def calm(steady: Laid) -> LabelFree:
    return estimate(steady)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Laid:
    """From the last fortnight with mature labels on, it happens 15 points more often than the scores say."""
    gap = make_long(gap=lambda day: np.where(day > LAST_MATURE - 14, 0.15, 0.0))
    return lay(tmp_path_factory.mktemp("moved"), gap)


def test_it_looks_at_the_days_whose_labels_are_not_mature(calm: LabelFree) -> None:
    assert calm.window.label == "2013-07-06 … 2013-07-19"
    assert (calm.requests, calm.labels) == (14 * 80, 4 * 80)  # labels take ten days, of the first four all are there
    assert f"{calm.labels_through:%Y-%m-%d}" == "2013-07-05"
    assert [trial.window.label for trial in calm.trials][-1] == "2013-06-22 … 2013-07-05"
    assert len(calm.trials) == 7


def test_when_scores_mean_what_they_meant_it_is_published_and_right(steady: Laid, calm: LabelFree) -> None:
    found, rows = calm, steady.window()
    assert all(each.holds for each in found.panel)
    assert not found.abstains
    right = float(((rows["score"] >= 0.5) == (rows["label"] == 1)).mean())
    loss = float(((rows["score"] - rows["label"]) ** 2).mean())
    for key, truth in (("accuracy", right), ("brier", loss), ("label_share", float(rows["label"].mean()))):
        estimated = number(found, key).estimated
        assert estimated.ci_lower < truth < estimated.ci_upper
        assert estimated.df == 7


def test_an_earlier_window_by_hand(steady: Laid, calm: LabelFree) -> None:
    """What was expected of the last window with labels: each score's share of positives in the four weeks before it."""
    trial, rows = calm.trials[-1], steady.truth
    day = (rows["occurred_at"] - START).dt.days
    place = np.floor(np.log(rows["score"] / (1 - rows["score"])) / 0.1).astype(int) + 100
    before = rows[(day >= LAST_MATURE - 13 - 28) & (day < LAST_MATURE - 13)]
    own = rows[(day >= LAST_MATURE - 13) & (day <= LAST_MATURE)]
    n = np.bincount(place[before.index], minlength=200)
    shares = isotonic_shares(n, np.bincount(place[before.index], weights=before["label"], minlength=200))
    chance = shares[place[own.index]]
    yes = own["score"] >= 0.5
    assert trial.expected.accuracy == pytest.approx(np.where(yes, chance, 1 - chance).mean(), abs=1e-12)
    assert trial.realised.accuracy == pytest.approx((yes == (own["label"] == 1)).mean(), abs=1e-12)
    assert trial.miss("brier") == pytest.approx(
        ((own["score"] - own["label"]) ** 2).mean() - (chance - 2 * chance * own["score"] + own["score"] ** 2).mean(),
        abs=1e-12,
    )


def test_when_the_base_rate_moved_nothing_is_published(moved: Laid) -> None:
    found = estimate(moved)
    assert (line(found, "base_rate").verdict, line(found, "calibration").verdict) == ("fails", "fails")
    assert found.abstains
    assert set(published_values(found)) == {None}
    assert number(found, "accuracy").estimated.reason == (
        "abstained: base rate of the freshest labels fails; calibration of the freshest labels fails"
    )
    assert found.signals == ()
    assert found.text.startswith(
        "No estimate is given of 1,120 requests of version 1, 2013-07-06 … 2013-07-19, whose labels are not mature: "
        "base rate of the freshest labels fails (positive labels of 2013-06-22 … 2013-07-05: "
    )
    assert "Labels of random requests of these days would tell the accuracy:" in found.text


def test_what_it_abstains_from_is_nowhere_shown(moved: Laid) -> None:
    found = estimate(moved)
    assert [row["value"] for row in found.to_table()][:6] == ["absent"] * 6
    assert found.plot().alt.endswith("for 2013-07-06 … 2013-07-19: no estimate.")


def test_a_change_that_no_label_shows_yet_is_missed_and_said_to_be(tmp_path: Path) -> None:
    laid = lay(tmp_path, make_long(gap=lambda day: np.where(day >= WINDOW_FIRST, 0.2, 0.0)), change=labels_late)
    found = estimate(laid)
    assert not found.abstains
    assert "A change after 2013-07-05, the last day with mature labels, would not show." in found.text


def labels_late(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
    """Labels take just as long as the model says."""
    return predictions, outcomes.assign(observed_at=predictions["occurred_at"] + pd.Timedelta(days=14, seconds=30))


def test_with_too_short_a_history_nothing_is_known_of_the_error(tmp_path: Path) -> None:
    laid = lay(tmp_path, make_long())
    found = estimate_performance(laid.source, laid.observe(as_of="2013-05-15"))
    assert line(found, "trials").verdict == "not known"
    assert line(found, "trials").text == "tried on 2 earlier windows, it needs 3"
    assert found.abstains


def test_labels_that_stopped_speak_against_it(tmp_path: Path) -> None:
    last = START + pd.Timedelta(days=115)
    laid = lay(tmp_path, make_long(), change=lambda p, o: (p, o[o["observed_at"] < last]))
    found = estimate(laid)
    assert line(found, "labels").verdict == "fails"
    assert "provisional: labels of" in line(found, "labels").text
    assert found.abstains


def test_scores_that_no_label_ever_had_speak_against_it(tmp_path: Path) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        now = predictions["occurred_at"] >= START + pd.Timedelta(days=WINDOW_FIRST)
        few = now & (np.arange(len(predictions)) % 20 == 0)
        return predictions.assign(score=predictions["score"].where(~few, 0.9999)), outcomes

    found = estimate(lay(tmp_path, make_long(), change=change))
    assert line(found, "support").text == ("5 % of the requests are scored as none with a label was, at most 1 %")
    assert line(found, "support").verdict == "fails"
    assert found.abstains


def test_scores_further_away_than_it_was_tried_on_speak_against_it(tmp_path: Path) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        now = predictions["occurred_at"] >= START + pd.Timedelta(days=WINDOW_FIRST)
        return predictions.assign(
            score=predictions["score"].where(~now, predictions["score"] ** 4).clip(0.02)
        ), outcomes

    found = estimate(lay(tmp_path, make_long(), change=change))
    assert line(found, "drift").verdict == "fails"
    assert line(found, "drift").value < line(found, "drift").limit == 0.25


def test_random_labels_take_over_and_narrow_the_interval(tmp_path: Path) -> None:
    laid = lay(tmp_path, make_long(gap=lambda day: np.where(day >= WINDOW_FIRST, 0.2, 0.0)), change=only(300))
    found, rows = estimate(laid), laid.window()
    truth = float(((rows["score"] >= 0.5) == (rows["label"] == 1)).mean())
    accuracy = number(found, "accuracy")
    assert accuracy.published is accuracy.powered
    assert accuracy.powered.n == found.labels == 300
    assert accuracy.powered.ci_lower < truth < accuracy.powered.ci_upper
    assert accuracy.powered.ci_upper - accuracy.powered.ci_lower < 0.12
    assert (
        "By 300 labels of the window, taken for a random part of it: Accuracy, Brier score, Positive labels."
        in found.text
    )


def only(number: int) -> Any:
    """Of the window only the labels of an audit are known."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        return audited(number)(*labels_late(predictions, outcomes))

    return change


def test_labels_of_a_worse_model_are_a_signal(tmp_path: Path) -> None:
    laid = lay(tmp_path, make_long(gap=lambda day: np.where(day >= WINDOW_FIRST, 0.3, 0.0)), change=only(600))
    found = estimate(laid)
    signal = next(signal for signal in found.signals if signal.metric == "brier")
    assert (signal.kind, signal.family, signal.key) == ("estimate", "model", "estimate:brier")
    assert signal.excess_loss_per_week.value == pytest.approx(signal.change.value * 560)
    assert signal.p_adjusted <= 0.05
    assert (f"{signal.first_day}", f"{signal.last_day}") == ("2013-07-06", "2013-07-19")
    assert signal.text.startswith("Brier score is estimated at ")


def test_labels_of_the_first_days_alone_are_no_random_part(calm: LabelFree) -> None:
    """Labels take ten days, so of a fortnight only the first four days have any."""
    accuracy = number(calm, "accuracy")
    assert accuracy.powered.reason == (
        "the labels are no random part of the window: how many are known differs by day (p < 0.0001)"
    )
    assert accuracy.published is accuracy.estimated


def test_positive_labels_that_come_first_are_no_random_part(tmp_path: Path) -> None:
    """As frauds are: a yes is known in an hour on a fifth of the requests, a no after ten days."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        known = (np.random.default_rng(3).random(len(outcomes)) < 0.6) & (outcomes["label"] == 1)
        known |= np.random.default_rng(4).random(len(outcomes)) < 0.15
        late = predictions["occurred_at"] + pd.Timedelta(days=14, seconds=30)
        return predictions, outcomes.assign(
            observed_at=late.where(~known, predictions["occurred_at"] + pd.Timedelta(minutes=1))
        )

    laid = lay(tmp_path, make_long(seed=8), change=change)
    reason = number(estimate(laid), "label_share").powered.reason
    assert reason.startswith(
        ("early labels are no random part: on the window before, ", "the labels are no random part")
    )


def test_of_a_model_whose_labels_come_at_once_there_is_nothing_to_estimate(tmp_path: Path) -> None:
    laid = lay(tmp_path, make_long(), maturity_days=0)
    found = estimate(laid)
    assert found.text.endswith(": its labels are there on the day of the request.")
    assert found.plot().alt == "there is neither an estimate nor an earlier window to show"


def test_a_version_without_mature_labels_has_no_estimate(tmp_path: Path) -> None:
    second = MODEL + MODEL[MODEL.index('  "1":') :].replace('"1"', '"2"').replace("2013-04-01", "2013-07-15").replace(
        "2013-03-01", "2013-07-01"
    ).replace("2013-01-01", "2013-06-01")

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        now = predictions["occurred_at"] >= START + pd.Timedelta(days=WINDOW_FIRST)
        return predictions.assign(version=np.where(now, "2", "1")), outcomes

    found = estimate(lay(tmp_path, make_long(), change=change, model=second))
    assert found.version == "2"
    assert found.abstains
    assert "too few, or all alike, to calibrate scores by" in found.text


def test_without_decisions_there_is_no_accuracy_and_the_figure_has_the_rest(tmp_path: Path) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        return predictions.assign(decision=pd.array([None] * len(predictions), dtype="boolean")), outcomes

    found = estimate(lay(tmp_path, make_long(), change=change))
    assert number(found, "accuracy").published.reason == "no request has what it is made of"
    assert number(found, "brier").published.value is not None
    assert "Accuracy" not in found.plot().alt


def test_the_window_may_be_longer_than_labels_take(steady: Laid) -> None:
    found = estimate(steady, window_days=28)
    assert found.window.label == "2013-06-22 … 2013-07-19"
    assert found.trials[-1].window.label == "2013-05-25 … 2013-06-21"


def test_the_window_may_be_shorter_and_labels_are_as_old_for_earlier_ones(steady: Laid) -> None:
    found = estimate(steady, window_days=7)
    assert found.window.label == "2013-07-13 … 2013-07-19"
    assert found.trials[-1].window.label == "2013-06-29 … 2013-07-05"
    assert found.panel[1].text == f"tried on {len(found.trials)} earlier windows, it needs 3"


@pytest.mark.parametrize("name", ["window_days", "calibration_days"])
def test_days_must_be_some(steady: Laid, name: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        estimate(steady, **{name: 0})
    assert str(caught.value) == f"{name} == 0, must be a number of at least 1"


def test_it_is_a_document_with_its_panel_and_the_same_every_time(steady: Laid, calm: LabelFree) -> None:
    found, again = calm, estimate(steady)
    document = to_document({"label_free": found})
    assert document == to_document({"label_free": again})
    statistics = {(row["key"], row["statistic"]) for row in document["rows"]}
    assert {(f"assumption_{each.key}", "verdict") for each in found.panel} <= statistics
    assert ("accuracy", "labels_for_width_0.1") in statistics
    assert [row["what"] for row in found.to_table()][-6:] == [f"assumed: {each.name}" for each in found.panel]
    assert found.plot() == again.plot()
    assert DAYS - WINDOW_FIRST == 14
