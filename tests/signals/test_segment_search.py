from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import CURRENT_START, MODEL, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.records import to_document
from toolkit.signals import find_segments, observe
from toolkit.workspace import open_workspace

REQUESTS = 24_000
MODEL_WITH_FEATURES = MODEL.replace("features: []", "features: [hour, plan, temp_f]").replace(
    "versions:",
    "features:\n"
    + "".join(
        f"  - {{name: {name}, description: d, owner: Ada, freshness: at once}}\n" for name in ("hour", "plan", "temp_f")
    )
    + "versions:",
)


def search(root: Path, change: Any = None, *, requests: int = REQUESTS, **options: Any) -> Any:
    """Search a workspace whose labels `change` makes: from the frame of requests to the chance of each."""
    predictions, outcomes = make_events(requests=requests)
    rng = np.random.default_rng(21)
    predictions["hour"] = rng.integers(0, 6, requests)
    predictions["plan"] = rng.choice(["free", "paid", "trial"], requests, p=[0.5, 0.3, 0.2])
    chance = np.clip(np.asarray(predictions["score"] if change is None else change(predictions)), 0, 1)
    labels = pd.Series((rng.random(requests) < chance).astype("int8"), index=predictions["request_id"])
    outcomes["label"] = labels[outcomes["request_id"]].to_numpy()
    write_workspace(root, predictions, outcomes)
    (root / "models" / "small.yml").write_text(MODEL_WITH_FEATURES)
    return search_again(root, **options)


def search_again(root: Path, *, window_days: int = 29, weighting: Any = "", **options: Any) -> Any:
    """Search a workspace that is there."""
    workspace = open_workspace(root)
    source, model = open_source(workspace), load_model(workspace, "small")
    observed = observe(workspace, source, model, as_of="2013-05-01", window_days=window_days, weighting=weighting)
    return find_segments(source, observed, **options)


def lifted(rows: pd.DataFrame, where: Any, by: float) -> np.ndarray:
    """Chances as the scores say, but for some requests from April on."""
    now = (rows["occurred_at"] >= CURRENT_START).to_numpy()
    return rows["score"].to_numpy() + by * (now & np.asarray(where))


def two_planted(rows: pd.DataFrame) -> np.ndarray:
    chances = lifted(rows, (rows["carrier"] == "B") & (rows["plan"] == "free"), 0.35)
    return chances + lifted(rows, (rows["hour"] == 3) & (rows["plan"] == "paid"), 0.35) - rows["score"].to_numpy()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def planted(root: Path) -> Any:
    return search(root, two_planted)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return search(tmp_path_factory.mktemp("quiet"))


def test_the_very_conjunctions_that_were_hit_are_found_and_nothing_else(planted: Any) -> None:
    assert {each.segment for each in planted.found} == {"carrier=B, plan=free", "hour=3, plan=paid"}


def test_impact_is_what_is_left_of_the_rise_times_the_requests_of_a_week(planted: Any) -> None:
    top = planted.found[0]
    assert top.segment == "carrier=B, plan=free"
    assert top.impact_per_week == pytest.approx(top.beyond_rest.value * top.requests_per_week, rel=0.1)
    assert top.beyond_rest.ci_lower < top.shrunken < top.beyond_rest.ci_upper


def test_each_number_by_pandas(planted: Any, root: Path) -> None:
    predictions, outcomes = (pd.read_parquet(root / "data" / f"{name}.parquet") for name in ("predictions", "outcomes"))
    rows = predictions.merge(outcomes[["request_id", "label"]], on="request_id")
    rows = rows[rows["occurred_at"] < pd.Timestamp("2013-04-30", tz="UTC")]
    rows["loss"] = (rows["label"] - rows["score"]) ** 2
    now, own = rows["occurred_at"] >= CURRENT_START, (rows["carrier"] == "B") & (rows["plan"] == "free")
    means = rows.groupby([now, own])["loss"].mean()
    top = planted.found[0]
    assert top.current.n == (now & own).sum()
    assert top.requests_per_week == pytest.approx(top.current.n / (29 / 7))
    assert top.reference.value == pytest.approx(means[False, True])
    assert top.current.value == pytest.approx(means[True, True])
    assert top.per_week.value == pytest.approx((means[True, True] - means[False, True]) * top.requests_per_week)
    beyond = (means[True, True] - means[False, True]) - (means[True, False] - means[False, False])
    assert top.beyond_rest.value == pytest.approx(beyond)


def test_listed_segments_share_little(planted: Any) -> None:
    assert len(planted.newly_bad) >= 2
    segments = [dict(each.conditions) for each in planted.found]
    assert segments[0]["plan"] != segments[1]["plan"]


def test_signals_say_who_is_touched_when_and_how_sure(planted: Any) -> None:
    first = planted.signals[0]
    assert first.key == "segment:carrier=B, plan=free"
    assert (first.kind, first.family, first.metric, first.verdict) == ("segment", "model", "brier", "worse")
    assert first.columns == ("carrier", "plan")
    assert (str(first.first_day), str(first.last_day)) == ("2013-04-01", "2013-04-29")
    assert 0 < first.p_adjusted <= 0.05
    assert first.requests_per_week == planted.found[0].requests_per_week
    assert first.excess_loss_per_week.ci_lower > 0
    assert first.times_threshold == pytest.approx(first.change.value / 0.005)
    assert first.text.startswith("the mean loss of carrier=B, plan=free rose by 0.")


def test_it_says_how_much_was_looked_at_and_on_what_it_held(planted: Any) -> None:
    assert f"Of {planted.looked_at:,} segments of up to 3 conditions on 4 columns" in planted.text
    assert "on 2013-04-23 … 2013-04-29, which the search had not seen, 2 held" in planted.text
    assert planted.looked_at > 150


def test_nothing_is_found_when_nothing_changed(quiet: Any) -> None:
    assert quiet.signals == ()
    assert quiet.found == ()
    assert quiet.plot().alt == "no segment's loss rose more than elsewhere"


def test_a_rise_everywhere_is_no_segments_own(tmp_path: Path) -> None:
    found = search(tmp_path, lambda rows: lifted(rows, True, 0.1))
    assert found.total_per_week.ci_lower > 0
    assert found.signals == ()


def test_a_segment_that_was_hard_before_is_hard_and_not_new(tmp_path: Path) -> None:
    found = search(tmp_path, lambda rows: rows["score"] + 0.4 * (rows["carrier"] == "C"))
    assert found.signals == ()
    assert [each.segment for each in found.always_hard] == ["carrier=C"]
    assert "Always hard, not newly: carrier=C." in found.text
    assert found.to_table()[-1]["kind"] == "always hard"


def test_a_rise_of_the_searched_days_alone_is_not_confirmed(tmp_path: Path) -> None:
    def early(rows: pd.DataFrame) -> np.ndarray:
        passed = (rows["occurred_at"] < pd.Timestamp("2013-04-22", tz="UTC")).to_numpy()
        return lifted(rows, passed & (rows["carrier"] == "B") & (rows["plan"] == "free"), 0.35)

    found = search(tmp_path, early)
    assert [each.segment for each in found.newly_bad] == ["carrier=B, plan=free"]
    assert found.signals == ()
    assert found.to_table()[0]["kind"] == "not confirmed"
    assert found.text.count("none held") == 1


def test_a_rise_of_two_days_is_not_listed_and_it_says_why(tmp_path: Path) -> None:
    def two_days(rows: pd.DataFrame) -> np.ndarray:
        days = rows["occurred_at"].dt.strftime("%Y-%m-%d").isin(["2013-04-10", "2013-04-11"]).to_numpy()
        return lifted(rows, days & (rows["carrier"] == "B"), 0.9)

    found = search(tmp_path, two_days)
    assert found.evident > 0
    assert found.newly_bad == ()
    why = "counted by day none is evident, as their losses differ so much from one day to the next"
    assert f" None is listed: {why}." in found.text


def test_a_short_window_is_refused_with_its_reason(tmp_path: Path) -> None:
    found = search(tmp_path, requests=3000, window_days=10)
    assert found.text == (
        "Segments were not searched: the current period has 10 days, and to search and to confirm takes 14 or more."
    )
    (row,) = found.to_rows()
    assert (row.status, row.value, row.reason) == ("absent", None, found.reason)
    assert found.signals == ()
    assert found.to_table() == []


def test_weighted_early_labels_are_refused_with_the_reason(tmp_path: Path) -> None:
    found = search(tmp_path, requests=3000, weighting="maturity")
    assert found.reason == (
        "early labels have weights, and a search counts each label once; observe without a weighting"
    )


def test_no_segment_large_enough_is_said(tmp_path: Path) -> None:
    found = search(tmp_path, requests=3000, fewest=9000)
    assert found.text == "Segments were not searched: no segment has 9000 labelled requests in both periods."


def test_columns_can_be_named_and_a_wrong_one_has_its_nearest(planted: Any, root: Path) -> None:
    assert search_again(root, columns=["plan"], depth=1).columns == ("plan",)
    with pytest.raises(UnknownNameError, match="unknown column of predictions 'plam'.*Did you mean 'plan'"):
        search_again(root, columns=["plam"])


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        search(tmp_path, requests=3000, columns=["plan"] * 13)
    assert str(caught.value) == "13 columns are named, must be at most 12"


def test_results_are_documents_and_the_same_every_time(planted: Any, root: Path) -> None:
    first, second = (to_document({"search": each}) for each in (planted, search_again(root)))
    assert first == second
    for row in first["rows"]:
        assert (row["value"] is None) == (row["status"] == "absent")


def test_the_picture_says_what_it_shows(planted: Any) -> None:
    (drawn,) = planted.to_pictures()
    assert drawn.name == "segment_cover"
    assert "carrier=B, plan=free" in drawn.alt
    assert "(newly bad)" in drawn.alt


def test_values_with_dollars_are_no_mathematics(planted: Any) -> None:
    paid = replace(planted.newly_bad[0], conditions=(("price", r"$x\y$"),))
    (drawn,) = replace(planted, newly_bad=(paid,)).to_pictures()
    assert r"price=$x\y$" in drawn.alt
