from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from conftest import write_workspace
from toolkit.data import labelled_predictions, latest_labels, open_source, serving_version
from toolkit.errors import ContractError, Skipped
from toolkit.windows import Window

MARCH = Window.of("2013-03-01", "2013-04-01")
APRIL = Window.of("2013-04-01", "2013-05-01")
LATER = datetime(2014, 1, 1, tzinfo=UTC)


def test_the_latest_label_known_at_as_of_counts(tmp_path, events):
    predictions, outcomes = events
    first = outcomes.iloc[0]
    corrected_at = first["observed_at"] + timedelta(days=10)
    correction = first.to_frame().T.assign(observed_at=corrected_at, label=1 - first["label"])
    both = pd.concat([outcomes, correction.astype(outcomes.dtypes)])
    source = open_source(write_workspace(tmp_path, predictions, both).workspace)

    def label(as_of):
        labels = latest_labels(source, as_of=as_of)
        return labels.filter(labels.request_id == first["request_id"]).label.execute().tolist()

    assert label(first["observed_at"] - timedelta(seconds=1)) == []
    assert label(corrected_at - timedelta(seconds=1)) == [first["label"]]
    assert label(corrected_at) == [1 - first["label"]]


def test_every_prediction_is_there_once_labelled_or_not(small):
    rows = labelled_predictions(
        open_source(small.workspace), ["score", "label"], model="small", window=MARCH, as_of=LATER
    ).execute()
    expected = small.predictions[small.predictions["occurred_at"] < MARCH.end].merge(
        small.outcomes[["request_id", "label"]], on="request_id", how="left"
    )
    assert rows["request_id"].is_unique
    merged = expected.merge(rows, on="request_id", suffixes=("", "_read"))
    assert len(merged) == len(expected) == len(rows)
    pd.testing.assert_series_equal(merged["label"], merged["label_read"], check_names=False)


def test_serving_version(small):
    source = open_source(small.workspace)
    assert serving_version(source, model="small", window=APRIL, as_of=LATER) == ("1", 1.0)
    with pytest.raises(Skipped, match=r"model 'small' served no request in 2013-03-01 … 2013-03-31"):
        serving_version(source, model="small", window=MARCH, as_of=LATER)


def test_a_label_before_its_prediction_breaks_the_contract(tmp_path, events):
    predictions, outcomes = events
    mid_march = predictions["occurred_at"] > MARCH.start + timedelta(days=3)
    chosen = predictions[mid_march & ~predictions["error"]]["request_id"].head(4).tolist()
    late, early = chosen[0], chosen[1:]
    predicted = predictions.set_index("request_id")["occurred_at"]
    labels = outcomes.set_index("request_id", drop=False)
    labels.loc[late, "observed_at"] = predicted[late]  # at the same instant: allowed
    for request_id in early:
        labels.loc[request_id, "observed_at"] = predicted[request_id] - timedelta(microseconds=1)
    source = open_source(write_workspace(tmp_path, predictions, labels, max_quarantined_share=0).workspace)

    def ask(columns, model="small"):
        return labelled_predictions(source, columns, model=model, window=MARCH, as_of=LATER)

    with pytest.raises(ContractError) as caught:
        ask(["score", "label"])
    rows = outcomes["request_id"].isin(predictions[predictions["occurred_at"] < MARCH.end]["request_id"]).sum()
    assert str(caught.value).splitlines()[0] == (
        f"outcomes.observed_at must not be before the prediction's occurred_at: 3 of {rows:,} rows break this, "
        "such as " + "; ".join(f"{each} × {labels.loc[each, 'observed_at']}" for each in early)
    )
    assert ask(["score"]).count().execute() > 0  # labels that nobody asks for are not looked at
    assert ask(["score", "label"], model="other").count().execute() == 0
