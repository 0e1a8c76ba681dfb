"""Who is touched by week, against pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conftest import SmallWorkspace, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics.touched import count_touched
from toolkit.windows import Window, parse_instant

WINDOW = Window.of("2013-04-03", "2013-04-24")
AS_OF = parse_instant("2013-05-01")


def count(small: SmallWorkspace, *segments: dict[str, str]) -> tuple[object, ...]:
    workspace = small.workspace
    return count_touched(open_source(workspace), load_model(workspace, "small"), segments, window=WINDOW, as_of=AS_OF)


def expected(rows: pd.DataFrame) -> tuple[float, float]:
    inside = rows[rows["served"] & (rows["occurred_at"] >= WINDOW.start) & (rows["occurred_at"] < WINDOW.end)]
    weeks = (inside["occurred_at"] - WINDOW.start) // pd.Timedelta(days=7)
    pairs = pd.DataFrame({"unit": inside["unit_id"], "week": weeks}).drop_duplicates()
    return len(inside) / 3, len(pairs) / 3


@pytest.fixture(scope="module")
def returning(tmp_path_factory: pytest.TempPathFactory) -> SmallWorkspace:
    """Units that come back."""
    predictions, outcomes = make_events(seed=3)
    predictions["unit_id"] = [f"u{index % 97:02d}" for index in range(len(predictions))]
    return write_workspace(tmp_path_factory.mktemp("returning"), predictions, outcomes)


def test_requests_and_units_of_an_average_week_agree_with_pandas(returning: SmallWorkspace) -> None:
    rows = returning.predictions
    of_a = rows[rows["carrier"] == "A"]
    failed = of_a[of_a["error"]]
    found = count(returning, {}, {"carrier": "A"}, {"carrier": "A", "error": "true"})
    assert found == (expected(rows), expected(of_a), expected(failed))
    assert found[0][1] <= 97


def test_a_segment_of_unknown_columns_is_not_counted(small: SmallWorkspace) -> None:
    assert count(small, {"planet": "Mars"}, {})[0] is None
    assert count(small) == ()


def test_a_named_segment_is_counted(tmp_path: Path) -> None:
    events = make_events()
    made = write_workspace(tmp_path, *events)
    metrics = (tmp_path / "metrics.yml").read_text()
    (tmp_path / "metrics.yml").write_text(metrics + "segments:\n  warmth: {column: temp_f, edges: [50]}\n")
    rows = events[0]
    found = count(made, {"warmth": "below 50"})
    assert found == (expected(rows[rows["temp_f"] < 50]),)
