from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS, Wide

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ContractError
from toolkit.metrics import Population
from toolkit.metrics.score_cells import BIN_WIDTH, BINS, ScoreCells, collect_score_cells
from toolkit.windows import Window


def collect(root: Path, predictions: pd.DataFrame, outcomes: pd.DataFrame, **options: Any) -> ScoreCells:
    small = write_workspace(root, predictions, outcomes)
    source, model = open_source(small.workspace), load_model(small.workspace, "small")
    return collect_score_cells(source, model, POPULATIONS, **{"as_of": LATER} | options)["current"]


def by_hand(rows: pd.DataFrame, yes: pd.Series) -> pd.DataFrame:
    """One row per day × bin × decision, with pandas alone."""
    rows = rows.assign(
        day=[when.date().toordinal() for when in rows["occurred_at"]],
        place=np.floor(np.log(rows["score"] / (1 - rows["score"])) / BIN_WIDTH).clip(-BINS // 2, BINS // 2 - 1)
        + BINS // 2,
        decided=yes.astype(float),
        known=rows["label"].notna().astype(float),
    )
    label, score = rows["label"].fillna(0), rows["score"]
    sums = rows.assign(
        n=1.0,
        score_sum=score,
        score_square_sum=score**2,
        labelled=rows["known"],
        label_sum=label,
        labelled_score_sum=score * rows["known"],
        labelled_square_sum=score**2 * rows["known"],
        score_label_sum=score * label,
        loss_square_sum=(label - score) ** 4 * rows["known"],
    )
    return sums.groupby(["day", "place", "decided"])[list(ScoreCells._fields[3:])].sum().reset_index()


def frame_of(cells: ScoreCells) -> pd.DataFrame:
    return pd.DataFrame(cells._asdict()).sort_values(["day", "place", "decided"], ignore_index=True)


def test_cells_are_the_sums_of_their_requests(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    outcomes = outcomes[outcomes.index % 7 > 0]
    found = collect(tmp_path, predictions, outcomes)
    rows = predictions.merge(outcomes, on="request_id", how="left")
    rows = rows[(rows["occurred_at"] >= POPULATIONS[1].window.start) & ~rows["error"]]
    expected = by_hand(rows, rows["score"] >= 0.5)
    pd.testing.assert_frame_equal(frame_of(found), expected, check_dtype=False, rtol=1e-9)
    assert (found.requests, found.labels) == (len(rows), int(rows["label"].notna().sum()))


def test_what_was_decided_counts_where_it_is_known(write_wide: Callable[..., Wide]) -> None:
    def some_unknown(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Any:
        unknown = predictions.index % 5 == 0
        return predictions.assign(decision=predictions["decision"].mask(unknown)), outcomes

    wide = write_wide(some_unknown)
    source, model = open_source(wide.workspace), load_model(wide.workspace, "small")
    found = collect_score_cells(source, model, POPULATIONS, as_of=LATER)["current"]
    rows = wide.rows()
    rows = rows[~rows["error"]]
    for value, chosen in (
        (1, rows["decision"].eq(True)),
        (0, rows["decision"].eq(False)),
        (-1, rows["decision"].isna()),
    ):
        assert found.n[found.decided == value].sum() == chosen.fillna(False).sum()


def test_certain_scores_share_the_outer_bins(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    predictions.loc[2000:2003, "score"] = [0.0, 1e-9, 1.0, 1 - 1e-9]
    predictions.loc[2000:2003, "error"] = False
    found = collect(tmp_path, predictions, outcomes)
    assert (found.place.min(), found.n[found.place == 0].sum()) == (0, 2)
    assert (found.place.max(), found.n[found.place == BINS - 1].sum()) == (BINS - 1, 2)


def test_days_are_cut_out(tmp_path: Path) -> None:
    found = collect(tmp_path, *make_events())
    week = found.between(date(2013, 4, 8), date(2013, 4, 15))
    assert {date.fromordinal(int(day)).day for day in week.day} == set(range(8, 15))
    assert found.between(date(2014, 1, 1), date(2014, 2, 1)).requests == 0


def test_labels_are_those_known_at_the_instant(tmp_path: Path) -> None:
    found = collect(tmp_path, *make_events(), as_of=pd.Timestamp("2013-04-11", tz="UTC").to_pydatetime())
    known = found.day[found.labelled > 0]
    assert date.fromordinal(int(known.max())) == date(2013, 4, 10)
    assert found.labels < found.requests


def test_the_same_question_reads_no_data_again(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    small = write_workspace(tmp_path, predictions, outcomes)
    model = load_model(small.workspace, "small")
    first, again = (
        collect_score_cells(open_source(small.workspace), model, POPULATIONS, as_of=LATER)["current"] for _ in range(2)
    )
    assert all((one == other).all() for one, other in zip(first, again, strict=True))


def test_a_population_without_requests_has_no_cells(tmp_path: Path) -> None:
    small = write_workspace(tmp_path, *make_events())
    nobody = Population("nobody", "1", Window.of("2013-03-01", "2013-03-05"), served_only=True)
    found = collect_score_cells(
        open_source(small.workspace), load_model(small.workspace, "small"), [nobody], as_of=LATER
    )
    assert (found["nobody"].requests, found["nobody"].labels) == (0, 0)


def test_labels_that_are_numbers_are_no_labels_of_scores(tmp_path: Path) -> None:
    predictions, outcomes = make_events()
    with pytest.raises(ContractError) as caught:
        collect(tmp_path, predictions, outcomes.assign(label=outcomes["label"] * 7.5))
    assert "labels of model 'small' lie outside 0 to 1, and metrics of kind score_cells compare them" in str(
        caught.value
    )
