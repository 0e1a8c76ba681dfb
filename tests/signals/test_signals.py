from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from conftest import METRICS, MODEL, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import DefinitionError, NotReady, UnknownNameError
from toolkit.records import to_document
from toolkit.signals import calibration, metric_changes, observe, segment_losses


def look(workspace, *, as_of="2013-05-01", window_days=29):
    return observe(
        workspace, open_source(workspace), load_model(workspace, "small"), as_of=as_of, window_days=window_days
    )


@pytest.fixture(scope="module")
def quiet(small):
    return look(small.workspace)


@pytest.fixture(scope="module")
def miscalibrated(tmp_path_factory):
    """From April on the labels are 10 points more often positive, and the temperature is 20 degrees higher."""
    return look(write_workspace(tmp_path_factory.mktemp("gap"), *make_events(gap=0.1, heat=20.0)).workspace)


@pytest.fixture(scope="module")
def one_bad_segment(tmp_path_factory):
    events = make_events(bad_carrier="B", requests=9000)
    return look(write_workspace(tmp_path_factory.mktemp("segment"), *events).workspace)


def test_the_window_ends_where_labels_are_mature(quiet):
    assert quiet.window.label == "2013-04-01 … 2013-04-29"
    assert quiet.as_of == datetime(2013, 5, 1, tzinfo=UTC)
    assert quiet.text == (
        "Current: served requests of version 1, 2013-04-01 … 2013-04-29 (100.0% of what Small model served then). "
        "Reference: scored requests of version 1, 2013-03-01 … 2013-03-31. Labels as known on 2013-05-01T00:00:00Z."
    )


def test_empty_as_of_is_the_last_complete_day(small):
    assert look(small.workspace, as_of="", window_days=28).as_of == datetime(2013, 4, 30, tzinfo=UTC)


def test_overlap_with_the_reference_is_not_ready_and_says_when(small):
    with pytest.raises(NotReady) as caught:
        look(small.workspace, window_days=31)
    assert str(caught.value) == (
        "the current window 2013-03-30 … 2013-04-29 overlaps the reference period 2013-03-01 … 2013-03-31 of "
        "version 1; it is clear of it from 2013-05-03 on (or with a smaller window_days)"
    )
    assert caught.value.ready_on == datetime(2013, 5, 3, tzinfo=UTC)


A_YEAR_EARLIER = ('"2013-03-01", end: "2013-04-01"', '"2012-03-01", end: "2012-04-01"')
"""The reference period, to be replaced."""


def workspace_with_model(root, small, old, new):
    workspace = write_workspace(root, small.predictions, small.outcomes).workspace
    (root / "models" / "small.yml").write_text(MODEL.replace(old, new))
    return workspace


def test_a_reference_without_requests_is_refused_with_the_days_that_there_are(small, tmp_path):
    with pytest.raises(DefinitionError) as caught:
        look(workspace_with_model(tmp_path, small, *A_YEAR_EARLIER))
    assert str(caught.value) == (
        "models/small.yml: reference of version 1 is 2012-03-01 … 2012-03-31, and version 1 has no request then; "
        "its predictions are of 2013-03-01 … 2013-04-30. Give it a period between 2013-03-01 and 2013-03-31, before "
        "the days that are looked at (2013-04-01 … 2013-04-29)"
    )


def test_a_version_whose_days_are_all_looked_at_is_to_wait(small, tmp_path):
    workspace = workspace_with_model(tmp_path, small, *A_YEAR_EARLIER)
    with pytest.raises(DefinitionError) as caught:
        look(workspace, window_days=60)
    assert str(caught.value).endswith(
        "its predictions are of 2013-03-01 … 2013-04-30. No day is left before those that are looked at "
        "(2013-03-01 … 2013-04-29): look at fewer (window_days), or wait"
    )


def test_a_version_that_no_file_defines_is_named_with_its_days_and_the_file(small, tmp_path):
    with pytest.raises(UnknownNameError) as caught:
        look(workspace_with_model(tmp_path, small, '"1":', '"0":'))
    assert str(caught.value) == (
        "unknown version of model small '1'; allowed: 0. Predictions from 2013-03-01 to 2013-04-30 have it: add it "
        "under versions: in models/small.yml, with the period that it was trained on and its reference period"
    )


def test_nothing_is_signalled_when_nothing_changed(quiet):
    assert metric_changes(quiet).signals == ()
    assert calibration(quiet).signals == ()
    assert segment_losses(quiet).signals == ()
    assert metric_changes(quiet).text == (
        "Of 7 metrics, none changed; 7 without a change that is both evident and larger than its practical threshold."
    )


def test_a_planted_gap_is_found_sized_and_sided(miscalibrated):
    found = calibration(miscalibrated)
    (signal,) = found.signals
    gap = found.gap["current"]
    assert gap.ci_lower < 0.1 < gap.ci_upper
    assert "too low on average" in signal.text
    assert signal.excess_loss_per_week.ci_lower > 0


def test_the_loss_splits_exactly(miscalibrated):
    found = calibration(miscalibrated)
    assert found.excess_change.value + found.spread_change.value == pytest.approx(found.loss_change.value, abs=1e-15)


def test_drift_is_a_signal_without_a_measured_loss(miscalibrated):
    drift = next(signal for signal in metric_changes(miscalibrated).signals if signal.metric == "temperature")
    assert drift.times_threshold == pytest.approx(20, abs=1.5)
    assert drift.excess_loss_per_week is None
    assert drift.no_loss_reason == "its share in the loss was not measured"


def test_newly_bad_segment_comes_first_and_alone(one_bad_segment):
    found = segment_losses(one_bad_segment)
    assert [loss.segment for loss in found.evident] == ["carrier=B"]
    assert found.losses[0].segment == "carrier=B"


def test_segment_mass_by_hand(one_bad_segment, tmp_path):
    predictions, outcomes = make_events(bad_carrier="B", requests=9000)
    rows = predictions.merge(outcomes, on="request_id").query("carrier == 'B'")
    loss = (rows["label"] - rows["score"]) ** 2
    end = pd.Timestamp("2013-04-30", tz="UTC")
    then = rows["occurred_at"] < pd.Timestamp("2013-04-01", tz="UTC")
    now = ~then & (rows["occurred_at"] < end)
    mass = (loss[now].mean() - loss[then].mean()) * now.sum() / (29 / 7)
    assert segment_losses(one_bad_segment).losses[0].per_week.value == pytest.approx(mass, rel=1e-9)


def test_a_rise_everywhere_is_no_segments_own(miscalibrated):
    found = segment_losses(miscalibrated)
    assert found.total_per_week.ci_lower > 0
    assert found.evident == ()


def test_beyond_rest_by_hand(one_bad_segment):
    predictions, outcomes = make_events(bad_carrier="B", requests=9000)
    rows = predictions.merge(outcomes, on="request_id")
    rows["loss"] = (rows["label"] - rows["score"]) ** 2
    rows = rows[rows["occurred_at"] < pd.Timestamp("2013-04-30", tz="UTC")]
    gap = rows.groupby([rows["occurred_at"] >= pd.Timestamp("2013-04-01", tz="UTC"), rows["carrier"] == "B"])[
        "loss"
    ].mean()
    own = (gap[True, True] - gap[True, False]) - (gap[False, True] - gap[False, False])
    assert segment_losses(one_bad_segment).losses[0].beyond_rest.value == pytest.approx(own, abs=1e-12)


def test_small_segments_are_counted_not_estimated(tmp_path):
    predictions, outcomes = make_events()
    predictions.loc[:20, "carrier"] = "Z"
    found = segment_losses(look(write_workspace(tmp_path, predictions, outcomes).workspace))
    assert found.too_small == 1
    assert "1 smaller segments are not estimated" in found.text
    assert all("Z" not in loss.segment for loss in found.losses)


def test_results_are_documents_and_the_same_every_time(miscalibrated):
    def document():
        return to_document(
            {
                "observed": miscalibrated,
                "changes": metric_changes(miscalibrated),
                "calibration": calibration(miscalibrated),
                "segments": segment_losses(miscalibrated),
            }
        )

    first = document()
    assert first == document()
    for row in first["rows"]:
        assert (row["value"] is None) == (row["status"] == "absent")
        assert bool(row["reason"]) >= (row["status"] == "absent")
        for name in ("value", "ci_lower", "ci_upper", "p_value"):
            assert not isinstance(row[name], float) or np.isfinite(row[name])


def test_pictures_are_png_with_words_and_the_same_bytes(miscalibrated):
    for result in (metric_changes, calibration, segment_losses):
        first, again = (result(miscalibrated).plot() for _ in range(2))
        assert first.png.startswith(b"\x89PNG")
        assert first == again
        assert len(first.alt) > 40


def test_without_labels_everything_is_absent_and_said(tmp_path):
    predictions, outcomes = make_events()
    observed = look(write_workspace(tmp_path, predictions, outcomes.head(0)).workspace)
    for result in (metric_changes(observed), calibration(observed), segment_losses(observed)):
        assert result.plot().png.startswith(b"\x89PNG")
        assert result.text
    assert calibration(observed).text == "Calibration is absent: no request has a value."
    assert segment_losses(observed).plot().alt == "no segment has 200 labelled requests in both periods"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("breir", "unknown metric (loss in models/small.yml) 'breir'; allowed: .* Did you mean 'brier'?"),
        ("auc", "models/small.yml: loss is 'auc', a metric of kind auc; it must be of kind brier or log_loss"),
    ],
)
def test_a_loss_that_is_none(small, tmp_path, loss, message):
    workspace = write_workspace(tmp_path, small.predictions, small.outcomes).workspace
    model = tmp_path / "models" / "small.yml"
    model.write_text(model.read_text().replace("loss: brier", f"loss: {loss}"))
    with pytest.raises(DefinitionError) as caught:
        look(workspace)
    start, _, end = message.partition(".*")
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(end)


def test_without_a_calibration_metric_there_is_no_signal_but_the_number(tmp_path):
    workspace = write_workspace(tmp_path, *make_events(gap=0.1)).workspace
    kept = [line for line in METRICS.splitlines() if "kind: calibration" not in line]
    (tmp_path / "metrics.yml").write_text("\n".join(kept))
    found = calibration(look(workspace))
    assert found.signals == ()
    assert found.gap["current"].value > 0.05
    assert found.text.endswith("No metric of kind calibration says which gap is worth acting on.")


@pytest.mark.slow
def test_false_alarms_are_rare(tmp_path):
    """On 60 months without any change, at most the promised share has any signal of the metrics' family."""
    alarms = 0
    for seed in range(60):
        observed = look(write_workspace(tmp_path / str(seed), *make_events(seed=seed, requests=1500)).workspace)
        changes = metric_changes(observed).changes
        alarms += any(change.p_adjusted is not None and change.p_adjusted <= 0.05 for change in changes)
    # Binomial(60, 0.05) exceeds 8 with probability 0.004.
    assert alarms <= 8
