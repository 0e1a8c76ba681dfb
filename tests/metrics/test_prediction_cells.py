from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from metrics.conftest import LATER, POPULATIONS

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics.prediction_cells import PredictionCells, collect_prediction_cells


def priced(*, seed: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Requests with a prediction in place of a score: of either sign, of any size, some nearly 0, some missing."""
    predictions, outcomes = make_events()
    rng = np.random.default_rng(seed)
    says = rng.choice([-1.0, 1.0], len(predictions)) * 10 ** rng.uniform(-8, 14, len(predictions))
    says[::50] = 0.0
    predictions = predictions.drop(columns="score").assign(
        prediction=np.where(rng.random(len(predictions)) < 0.1, np.nan, says),
    )
    predictions.loc[predictions["prediction"].isna(), "error"] = True
    labels = predictions.set_index("request_id").loc[outcomes["request_id"], "prediction"].to_numpy()
    noise = rng.normal(0, 1, len(outcomes))
    return predictions, outcomes.assign(label=np.nan_to_num(labels) + noise)[outcomes.index % 5 > 0]


def test_cells_are_the_sums_of_their_requests(tmp_path: Path) -> None:
    predictions, outcomes = priced()
    small = write_workspace(tmp_path, predictions, outcomes)
    source, model = open_source(small.workspace), load_model(small.workspace, "small")
    found = collect_prediction_cells(source, model, POPULATIONS, as_of=LATER)["current"]
    rows = predictions.merge(outcomes, on="request_id", how="left")
    rows = rows[(rows["occurred_at"] >= POPULATIONS[1].window.start) & ~rows["error"]]
    size = rows["prediction"].abs()
    with np.errstate(divide="ignore"):
        step = (np.floor(np.log2(size) * 8) + 161).clip(1, 480)
    place = 480 + np.where(rows["prediction"] < 0, -1, 1) * np.where(size < 2.0**-20, 0, step)
    error = (rows["prediction"] - rows["label"]).fillna(0)
    expected = (
        pd.DataFrame(
            {
                "day": [when.date().toordinal() for when in rows["occurred_at"]],
                "place": place,
                "n": 1.0,
                "labelled": rows["label"].notna().astype(float),
                "error_sum": error,
                "size_sum": error.abs(),
                "square_sum": error**2,
            }
        )
        .groupby(["day", "place"])
        .sum()
        .reset_index()
    )
    frame = pd.DataFrame(found._asdict()).sort_values(["day", "place"], ignore_index=True)
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False, rtol=1e-9)


def test_larger_predictions_lie_in_later_bins(tmp_path: Path) -> None:
    predictions, outcomes = priced()
    predictions["prediction"] = np.linspace(-1000, 1000, len(predictions))
    predictions["error"] = False
    small = write_workspace(tmp_path, predictions, outcomes)
    source, model = open_source(small.workspace), load_model(small.workspace, "small")
    found = collect_prediction_cells(source, model, POPULATIONS, as_of=LATER)["current"]
    days = pd.Series(found.place).groupby(found.day).mean()
    assert days.is_monotonic_increasing
    assert isinstance(found.labelled_only(), PredictionCells)
    assert found.labelled_only().requests == found.labels
