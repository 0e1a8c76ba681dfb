from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.records import to_document
from toolkit.signals import Performance, calibration, observe, performance


def look(root: Path, events: Any, *, window_days: int = 28) -> Performance:
    workspace = write_workspace(root, *events).workspace
    return performance(
        observe(
            workspace,
            open_source(workspace),
            load_model(workspace, "small"),
            as_of="2013-05-01",
            window_days=window_days,
        )
    )


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Performance:
    return look(tmp_path_factory.mktemp("steady"), make_events())


def test_weeks_are_counted_back_from_the_end(tmp_path: Path) -> None:
    found = look(tmp_path, make_events(), window_days=25)
    brier = next(each for each in found.metrics if each.change.key == "brier")
    assert [week.window.label for week in brier.weeks] == [
        "2013-04-05 … 2013-04-08",
        "2013-04-09 … 2013-04-15",
        "2013-04-16 … 2013-04-22",
        "2013-04-23 … 2013-04-29",
    ]


def test_a_week_is_the_mean_of_its_requests(steady: Performance) -> None:
    events = make_events()
    brier = next(each for each in steady.metrics if each.change.key == "brier")
    rows = events[0].merge(events[1], on="request_id")
    week = rows[(rows["occurred_at"] >= "2013-04-23") & (rows["occurred_at"] < "2013-04-30")]
    assert brier.weeks[-1].value.value == pytest.approx(((week["score"] - week["label"]) ** 2).mean())
    assert brier.weeks[-1].value.n == len(week)


def test_metrics_that_need_order_have_no_weeks(steady: Performance) -> None:
    assert {each.change.key: bool(each.weeks) for each in steady.metrics} == {
        "brier": True,
        "log_loss": True,
        "auc": False,
        "calibration": True,
    }


def test_a_loss_that_rose_is_the_one_signal(tmp_path: Path) -> None:
    found = look(tmp_path, make_events(gap=0.3, requests=6000))
    (signal,) = found.signals
    assert (signal.kind, signal.key) == ("performance", "performance:brier")
    assert signal.verdict == "worse"
    assert signal.excess_loss_per_week.value == pytest.approx(signal.change.value * signal.requests_per_week)
    assert signal.p_adjusted < 0.001


def test_nothing_is_signalled_when_nothing_changed(steady: Performance) -> None:
    assert steady.signals == ()
    assert steady.text.startswith(
        "By mature labels of 2013-04-02 … 2013-04-29, against the reference period: Brier score "
    )


def test_without_labels_it_is_absent_and_said(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    found = look(tmp_path, (predictions, outcomes.head(0)))
    assert "Brier score is absent (no request has a value)" in found.text
    assert found.plot().alt == "no metric that reads labels has a value"
    assert found.signals == ()


def test_it_is_a_document_and_the_same_every_time(tmp_path: Path) -> None:
    found = look(tmp_path, make_events(gap=0.1))
    assert to_document({"performance": found}) == to_document(
        {"performance": look(tmp_path / "again", make_events(gap=0.1))}
    )
    assert found.plot() == found.plot()


def test_the_calibration_error_is_that_of_bins_of_equal_mass(tmp_path: Path) -> None:
    workspace = write_workspace(tmp_path, *make_events(gap=0.15, requests=6000)).workspace
    source = open_source(workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of="2013-05-01", window_days=28)
    equal_mass, twentieths = calibration(observed, source), calibration(observed)
    for found in (equal_mass, twentieths):
        error = found.ece["current"]
        assert error.ci_lower < 0.15 < error.ci_upper + 0.01
        assert error.value == pytest.approx(0.15, abs=0.02)
        assert found.ece["reference"].value < 0.03
        assert found.ece_change.ci_lower > 0.05
    assert equal_mass.ece["current"].method == "ece, debiased; bootstrap over days, 15 bins of equal mass"
    assert twentieths.ece["current"].method == "ece, debiased; bootstrap over days, twentieths of the score"
    assert "Scores are off by 1" in equal_mass.text
    assert equal_mass.ece["current"].value == pytest.approx(twentieths.ece["current"].value, abs=0.01)
