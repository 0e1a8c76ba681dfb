"""The errors of a regressor before labels are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from signals.long_history import LAST_MATURE, WINDOW_FIRST, Laid, lay, make_long

from toolkit.signals import LabelFree, estimate_errors


def priced(*, shift: Any = None, harder: Any = None, seed: int = 9) -> Any:
    """Minutes that were predicted; their error grows with them. `shift`: of labels, `harder`: of sizes, by day."""
    predictions, outcomes = make_long()
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(len(predictions) // 80), 80)
    says = rng.gamma(4, 5, len(predictions)) * (1 if harder is None else harder(day))
    moved = 0 if shift is None else shift(day)
    labels = says + rng.normal(0, 1, len(predictions)) * 0.2 * says + moved
    return predictions.drop(columns="score").assign(prediction=says), outcomes.assign(label=labels)


def estimate(root: Path, events: Any) -> tuple[LabelFree, Laid]:
    laid = lay(root, events)
    metrics = "metrics:\n" + "".join(
        f"  {key}: {{name: {key}, description: d, owner: Ada, kind: {key}, direction: {way}, "
        f"practical_threshold: 0.5, role: {role}}}\n"
        for key, way, role in (("mae", "decrease", "loss"), ("bias", "toward_zero", "quality"))
    )
    (root / "metrics.yml").write_text(metrics)
    return estimate_errors(laid.source, laid.model, as_of="2013-07-20"), laid


def of(found: LabelFree, key: str) -> Any:
    return next(each for each in found.estimates if each.quantity.key == key)


def test_errors_that_stay_what_they_were_are_estimated(tmp_path: Path) -> None:
    found, laid = estimate(tmp_path, priced())
    rows = laid.window()
    error = rows["prediction"] - rows["label"]
    assert all(line.holds for line in found.panel)
    for key, truth in (("mae", error.abs().mean()), ("rmse", (error**2).mean() ** 0.5), ("bias", error.mean())):
        estimated = of(found, key).estimated
        assert estimated.ci_lower < truth < estimated.ci_upper


def test_larger_predictions_let_expect_larger_errors(tmp_path: Path) -> None:
    """Half as much again of everything in every second fortnight, the last one included."""
    found, laid = estimate(tmp_path, priced(harder=lambda day: 1 + 0.5 * ((day - WINDOW_FIRST) // 14 % 2 == 0)))
    rows = laid.window()
    truth = float((rows["prediction"] - rows["label"]).abs().mean())
    assert not found.abstains
    assert of(found, "mae").estimated.value == pytest.approx(truth, rel=0.06)
    assert of(found, "mae").estimated.value > 1.1 * of(found, "mae").reference.value


def test_labels_that_moved_away_are_abstained_from(tmp_path: Path) -> None:
    found, _ = estimate(tmp_path, priced(shift=lambda day: np.where(day > LAST_MATURE - 14, 4.0, 0.0)))
    assert found.abstains
    assert "bias of the freshest labels fails (predictions of 2013-06-22 … 2013-07-05: " in found.text
    assert {each.published.value for each in found.estimates} == {None}


def test_it_speaks_of_predictions(tmp_path: Path) -> None:
    found, _ = estimate(tmp_path, priced())
    assert "Expected of the errors at each level of the prediction, with intervals made of" in found.text
    assert [line.name for line in found.panel][2:4] == ["predictions seen before", "drift of predictions"]
    assert found.budgets == ()
    assert found.plot().png.startswith(b"\x89PNG")
    assert isinstance(pd.DataFrame(found.to_table()), pd.DataFrame)
