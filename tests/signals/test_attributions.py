from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.records import to_document
from toolkit.signals import AttributionShift, attribution_shift, observe

SHARES = {"age": 3.0, "income": 2.0, "region": 1.0}


def attributed(predictions: pd.DataFrame, *, moved: float = 0.0, since: str = "2013-03-01") -> pd.DataFrame:
    """Each request's attributions; from April on `moved` goes from age to income. The base is the same for all."""
    rng = np.random.default_rng(6)
    rows = predictions[predictions["occurred_at"] >= pd.Timestamp(since, tz="UTC")]
    now = (rows["occurred_at"] >= pd.Timestamp("2013-04-01", tz="UTC")).to_numpy()
    sizes = {name: np.full(len(rows), size) for name, size in SHARES.items()}
    sizes["age"] -= moved * now
    sizes["income"] += moved * now
    parts = [
        rows[["request_id", "version", "occurred_at"]].assign(
            feature=name, value=size * rng.choice([-1, 1], len(rows)) * rng.gamma(9, 1 / 9, len(rows))
        )
        for name, size in sizes.items()
    ]
    base = rows[["request_id", "version", "occurred_at"]].assign(feature="base", value=-1.5)
    return pd.concat([*parts, base], ignore_index=True)


def shift(root: Path, attributions: pd.DataFrame | None, *, window_days: int = 29) -> AttributionShift:
    small = write_workspace(root, *make_events())
    if attributions is not None:
        attributions.to_parquet(root / "data" / "attributions.parquet", index=False)
        with (root / "toolkit.toml").open("a") as settings:
            settings.write('\n[tables.attributions]\npath = "data/attributions.parquet"\n')
    from toolkit.workspace import open_workspace

    workspace = open_workspace(small.workspace.root)
    source = open_source(workspace)
    observed = observe(workspace, source, load_model(workspace, "small"), as_of="2013-05-01", window_days=window_days)
    return attribution_shift(source, observed)


def test_a_shift_is_sized_and_said_to_be_no_alarm(tmp_path: Path) -> None:
    predictions, _ = make_events()
    found = shift(tmp_path, attributed(predictions, moved=1.2))
    assert found.shift.value == pytest.approx(0.4, abs=0.03)
    assert found.shift.ci_lower > 0.3
    assert [share.feature for share in found.shares][2] == "region"
    assert found.constant == ("base",)
    assert found.signals == ()
    assert found.text.endswith("It explains what the model reads; it is no sign of harm.")
    assert found.compared_with == "the reference period, 2013-03-01 … 2013-03-31"


def test_what_did_not_move_has_an_interval_from_zero(tmp_path: Path) -> None:
    predictions, _ = make_events()
    found = shift(tmp_path, attributed(predictions))
    assert found.shift.ci_lower == 0.0
    assert found.ndcg == 1.0


def test_shares_are_those_of_pandas(tmp_path: Path) -> None:
    predictions, _ = make_events()
    attributions = attributed(predictions, moved=0.5)
    found = shift(tmp_path, attributions)
    answered = attributions.merge(predictions.loc[~predictions["error"], ["request_id"]], on="request_id")
    now = answered[
        (answered["occurred_at"] >= pd.Timestamp("2013-04-01", tz="UTC"))
        & (answered["occurred_at"] < pd.Timestamp("2013-04-30", tz="UTC"))
        & (answered["feature"] != "base")
    ]
    sizes = now.assign(size=now["value"].abs()).groupby("feature")["size"].sum()
    for share in found.shares:
        assert share.current == pytest.approx(sizes[share.feature] / sizes.sum())


def test_where_the_reference_has_none_it_is_the_days_before(tmp_path: Path) -> None:
    predictions, _ = make_events()
    found = shift(tmp_path, attributed(predictions, since="2013-04-01"), window_days=14)
    assert found.compared_with == (
        "the days before, 2013-04-02 … 2013-04-15 (the reference period has no attributions)"
    )
    assert found.shift.value is not None
    assert min(found.requests) > 500


def test_where_nothing_before_the_window_has_any_it_says_so(tmp_path: Path) -> None:
    predictions, _ = make_events()
    found = shift(tmp_path, attributed(predictions, since="2013-04-01"))
    assert found.reason == (
        "there are no attributions of version 1 in 2013-03-01 … 2013-03-31 and 2013-03-03 … 2013-03-31"
    )
    assert found.text.startswith("What version 1 rests on is not compared: there are no attributions")


def test_without_the_table_it_says_so(tmp_path: Path) -> None:
    found = shift(tmp_path, None)
    assert found.text == "What version 1 rests on is not compared: the workspace has no table of attributions."
    assert found.plot().alt == "there are no attributions of both periods"


def test_attributions_of_another_model_do_not_count(tmp_path: Path) -> None:
    predictions, _ = make_events()
    attributions = attributed(predictions)
    others = attributions.assign(request_id="x" + attributions["request_id"], value=99.0)
    found = shift(tmp_path, pd.concat([attributions, others], ignore_index=True))
    assert found.shares[0].reference < 0.6


def test_it_is_a_document_and_a_picture(tmp_path: Path) -> None:
    predictions, _ = make_events()
    found = shift(tmp_path, attributed(predictions, moved=1.0))
    rows = to_document({"attributions": found})["rows"]
    assert {row["statistic"] for row in rows} == {"l1_of_shares", "ndcg", "reference_share", "current_share"}
    assert found.plot() == found.plot()
    assert "age" in found.plot().alt
