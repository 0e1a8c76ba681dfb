from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from metrics.conftest import LATER
from metrics.version_events import APRIL, TWO, beside

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics.version_pairs import PairDay, version_pairs


def pairs(root: Path, predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[PairDay, ...]:
    small = write_workspace(root, predictions, outcomes)
    (root / "models" / "small.yml").write_text(TWO)
    source, model = open_source(small.workspace), load_model(small.workspace, "small")
    return version_pairs(source, model, version="1", window=APRIL, as_of=LATER)


def test_pairs_are_those_of_pandas(tmp_path: Path) -> None:
    predictions, outcomes = beside(better=0.2)
    found = pd.DataFrame(pairs(tmp_path, predictions, outcomes[outcomes.index % 4 > 0]))
    now = predictions[(predictions["occurred_at"] >= APRIL.start) & ~predictions["error"]]
    both = now[now["version"] == "1"].merge(now[now["version"] == "2"], on="request_id", suffixes=("", "_2"))
    both = both.merge(outcomes[outcomes.index % 4 > 0], on="request_id", how="left")
    known = both.dropna(subset="label")
    yes, other = known["score"] >= 0.5, known["score_2"] >= 0.5
    assert set(found["version"]) == {"2"}
    assert len(found) == 30
    expected = {
        "pairs": len(both),
        "score_gap_sum": (both["score_2"] - both["score"]).sum(),
        "score_distance_sum": (both["score_2"] - both["score"]).abs().sum(),
        "decided": len(both),
        "agreed": ((both["score"] >= 0.5) == (both["score_2"] >= 0.5)).sum(),
        "labelled": len(known),
        "served_loss_sum": ((known["score"] - known["label"]) ** 2).sum(),
        "other_loss_sum": ((known["score_2"] - known["label"]) ** 2).sum(),
        "judged": len(known),
        "served_right": (yes == (known["label"] == 1)).sum(),
        "other_right": (other == (known["label"] == 1)).sum(),
    }
    for name, value in expected.items():
        assert found[name].sum() == pytest.approx(value), name


def test_without_another_version_there_are_no_pairs(tmp_path: Path) -> None:
    assert pairs(tmp_path, *make_events()) == ()
