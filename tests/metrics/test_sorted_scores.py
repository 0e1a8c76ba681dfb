"""Scores sorted outside the engine give what its own ranks give, whatever the segments, ties and sizes."""

from __future__ import annotations

import tracemalloc

import ibis
import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS, metrics_text
from metrics.test_rank_kinds import EVERY, OURS, REQUESTS, requests

from conftest import write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ContractError
from toolkit.metrics import load_metrics, measure, sorting
from toolkit.metrics.kinds import ALL, CELL, DAY, POPULATION
from toolkit.metrics.ranking import EXACT, Grain
from toolkit.metrics.sorting import MOST_ROWS, Scores

METRICS = {"auc": "kind: auc", "ece": "kind: ece", "late_auc": "kind: auc, filter: score > 0.2"}
KINDS = {key: EVERY[key] for key in ("auc", "ece", "within")}
BINNED = {key: EVERY[key] for key in ("ece", "within")}
NO_LABEL = {"label": None}
SPLITS = [ALL, "carrier"]


@pytest.fixture(scope="module")
def engine():
    return ibis.duckdb.connect(threads=1)


def table(engine, frame, population=None):
    """The requests; a `population` given is a literal, as of one population."""
    base = engine.create_table("requests", frame.rename(columns=OURS), overwrite=True)
    if not population:
        return base
    return base.filter(base[POPULATION] == population).mutate(**{POPULATION: ibis.literal(population)})


def unpacked(cells):
    """Cells in order, and lists over bins in the order of these: as columns of numbers."""
    cells = cells.sort_values(list(CELL), ignore_index=True)
    if "bin" in cells:
        order = [np.argsort(bins) for bins in cells["bin"]]
        lists = [name for name in cells.columns if name not in CELL]
        cells = cells.assign(
            **{name: [np.asarray(row)[by] for row, by in zip(cells[name], order, strict=True)] for name in lists}
        ).explode(lists, ignore_index=True)
    return cells.astype({name: "float64" for name in cells.columns if name not in CELL})


def large_requests():
    """More than are ranked one by one; half of them in a few scores, and two days."""
    frame = requests(2 * EXACT, seed=7, decimals=6, days=2)
    low = frame["score"].quantile(0.4)
    return frame.assign(score=frame["score"].where(frame["score"] > low, 0.001))


CASES = {"small": (REQUESTS, None), "one population": (REQUESTS, "current"), "large": (large_requests(), "current")}


@pytest.mark.parametrize("within", ["population", "day"])
@pytest.mark.parametrize("case", CASES)
def test_sorted_scores_give_what_the_engines_ranks_give(engine, case, within):
    base = table(engine, *CASES[case])
    ranked = {
        key: unpacked(engine.execute(ibis.union(*(kind.branch(base, split, within=within) for split in SPLITS))))
        for key, kind in KINDS.items()
    }
    for kinds in (KINDS, BINNED):
        found = Scores.read(engine, base, SPLITS).measure(kinds, within=within)
        assert found.keys() == kinds.keys()
        for key in kinds:
            pd.testing.assert_frame_equal(
                unpacked(engine.execute(found[key])), ranked[key], rtol=1e-11, check_dtype=False
            )


def test_the_edges_of_classes_are_the_engines_at_either_size(engine):
    for rows in (EXACT, EXACT + 1):
        frame = requests(rows, seed=5, decimals=6).assign(population="current", label=1.0).head(rows)
        frame.loc[::3, "label"] = 0.0
        base = table(engine, frame)
        kind = KINDS["auc"]
        found = engine.execute(Scores.read(engine, base, [ALL]).measure({"auc": kind}, within="population")["auc"])
        pd.testing.assert_frame_equal(unpacked(found), unpacked(engine.execute(kind.branch(base, ALL))), rtol=1e-12)


@pytest.mark.parametrize("splits", [[ALL], SPLITS], ids=["alone", "with segments"])
def test_one_day_of_one_population_gives_what_the_engine_gives(engine, splits):
    base = table(engine, REQUESTS).mutate(**{POPULATION: ibis.literal("current"), DAY: ibis.literal("2030-01-01")})
    found = Scores.read(engine, base, splits).measure(KINDS, within="population")
    for key, kind in KINDS.items():
        ranked = engine.execute(ibis.union(*(kind.branch(base, split) for split in splits)))
        pd.testing.assert_frame_equal(
            unpacked(engine.execute(found[key])), unpacked(ranked), rtol=1e-11, check_dtype=False
        )


def test_the_order_of_rows_changes_no_byte(engine):
    shuffled = REQUESTS.sample(frac=1, random_state=1)
    found = []
    for frame in (REQUESTS, shuffled, REQUESTS):
        tables = Scores.read(engine, table(engine, frame), SPLITS).measure(KINDS, within="population")
        found.append({key: unpacked(engine.execute(each)).to_json(double_precision=15) for key, each in tables.items()})
    assert found[0] == found[1] == found[2]


def test_zero_has_one_sign_and_one_is_a_score(engine):
    frame = pd.DataFrame(
        {"population": "p", "day": "2030-01-01", "score": [0.0, -0.0, 1.0, 1.0], "label": [1.0, 0, 0, 1]}
    )
    found = Scores.read(engine, table(engine, frame), [ALL]).measure({"auc": KINDS["auc"]}, within="population")
    cells = engine.execute(found["auc"])
    assert KINDS["auc"].estimate(cells.drop(columns=list(CELL))).value == 0.5


def test_a_segment_value_keeps_all_of_its_characters(engine):
    values = ["a", "a\0", "", "\0"]
    frame = pd.DataFrame(
        {"population": "p", "day": "2030-01-01", "carrier": values * 2, "score": 0.5, "label": [1.0] * 4 + [0.0] * 4}
    )
    found = Scores.read(engine, table(engine, frame), ["carrier"]).measure({"auc": KINDS["auc"]}, within="population")
    assert sorted(engine.execute(found["auc"])["segment_value"]) == sorted(values)


@pytest.mark.parametrize(
    "changes",
    [NO_LABEL, {"label": 0.5}, {"score": 2.0}, {"score": -1e-9}, {"score": np.inf}],
    ids=["no label", "a label between", "too high", "below 0", "infinite"],
)
def test_what_is_not_sorted_here_is_left_to_the_engine(engine, changes):
    frame = REQUESTS.dropna(subset=["label"])
    which = frame.index if changes == NO_LABEL else frame.index[-1:]
    frame.loc[which, list(changes)] = list(changes.values())
    assert Scores.read(engine, table(engine, frame), SPLITS) is None


def test_more_requests_or_cells_than_are_sorted_here_are_left_to_the_engine(engine, monkeypatch):
    labelled = REQUESTS.dropna(subset=["label"])
    assert MOST_ROWS == 2**24
    monkeypatch.setattr(sorting, "MOST_ROWS", len(labelled))
    assert Scores.read(engine, table(engine, labelled), [ALL]) is not None
    monkeypatch.setattr(sorting, "MOST_ROWS", len(labelled) - 1)
    assert Scores.read(engine, table(engine, labelled), [ALL]) is None
    monkeypatch.setattr(sorting, "MOST_ROWS", 2 * 20 * 3)
    few = labelled.groupby(["population", "day", labelled["carrier"].fillna("none")]).head(1)
    assert len(few) <= sorting.MOST_ROWS
    assert Scores.read(engine, table(engine, few), SPLITS) is not None
    monkeypatch.setattr(sorting, "MOST_ROWS", 2 * 20 * 3 - 1)
    assert Scores.read(engine, table(engine, few.head(100)), SPLITS) is None


def test_a_report_has_the_same_cells_whoever_sorts(tmp_path, events, monkeypatch):
    frames = []
    for name, most in (("here", MOST_ROWS), ("in the engine", 0)):
        monkeypatch.setattr(sorting, "MOST_ROWS", most)
        workspace = write_workspace(tmp_path / name, *events).workspace
        (workspace.root / "metrics.yml").write_text(metrics_text(METRICS), encoding="utf-8")
        metrics = load_metrics(workspace)
        model = load_model(workspace, "small")
        cells = measure(open_source(workspace), model, metrics, POPULATIONS, as_of=LATER, segments=["carrier"])
        assert {cells.estimate(key, "current").status for key in metrics} == {"ok"}
        frames.append(cells.frame)
    lists = [name for name in frames[0] if name.startswith("ece__")]
    for name in lists:
        for mine, theirs in zip(*(frame[name] for frame in frames), strict=True):
            assert sorted(np.atleast_1d(mine)) == pytest.approx(sorted(np.atleast_1d(theirs)), rel=1e-12, nan_ok=True)
    here, engine = (frame.drop(columns=lists) for frame in frames)
    pd.testing.assert_frame_equal(here, engine, rtol=1e-12, check_dtype=False)


def test_labels_between_are_refused_beside_metrics_that_leave_them_out(tmp_path, events):
    predictions, outcomes = events
    outcomes = outcomes.assign(label=outcomes["label"].where(outcomes.index % 50 != 0, 0.5))
    sure = '"label in (0, 1)"'
    asked = {key: f"kind: {kind}" for key, kind in (("auc", "auc"), ("lift", "lift, share: 0.1"), ("brier", "brier"))}
    asked["part"] = "kind: brier_decomposition, part: within"
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    text = metrics_text(asked | {f"{key}_sure": f"{kind}, filter: {sure}" for key, kind in asked.items()})
    (workspace.root / "metrics.yml").write_text(text, encoding="utf-8")
    model, metrics = load_model(workspace, "small"), load_metrics(workspace)
    cells = measure(open_source(workspace), model, metrics, POPULATIONS, as_of=LATER, segments=["carrier"])
    for key in ("auc", "lift", "part"):
        assert "labels lie between 0 and 1" in cells.estimate(key, "current").reason
        assert cells.estimate(f"{key}_sure", "current").status == "ok"
    assert {cells.estimate(key, "current").status for key in ("brier", "brier_sure")} == {"ok"}


def test_what_the_engine_says_halfway_is_a_contract_error(tmp_path, events):
    connection = open_source(write_workspace(tmp_path, *events).workspace).opened("predictions").connection
    rows = connection.backend.sql(
        "SELECT 'p' AS toolkit__population, '2030-01-01' AS toolkit__day, 1.0::DOUBLE AS label, "
        "CASE WHEN i > 200000 THEN error('torn') ELSE 0.5::DOUBLE END AS score FROM range(300000) AS t(i)",
        schema={POPULATION: "string", DAY: "string", "label": "float64", "score": "float64"},
    )
    with pytest.raises(ContractError) as caught:
        connection.run("predictions and outcomes", lambda: Scores.read(connection.backend, rows, [ALL]))
    assert str(caught.value) == "predictions and outcomes: the data could not be read: Invalid Input Error: torn"


def test_what_is_the_same_for_all_requests_is_no_key_of_any():
    rows = ibis.table({POPULATION: "string", DAY: "date", "stops": "int64", "score": "float64"}, name="rows")
    rows = rows.mutate(**{POPULATION: ibis.literal("all")})
    assert Grain.of(rows, "").keys == ["day"]
    assert Grain.of(rows, "stops").keys == ["segment_value", "day"]


def test_a_few_requests_take_little_memory(engine):
    base = table(engine, REQUESTS)
    tracemalloc.start()  # counts what numpy reserves, as a kernel's limit of memory does, whether or not it is used
    try:
        assert Scores.read(engine, base, SPLITS) is not None
        highest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert highest < 64 * 2**20


def test_more_requests_than_there_was_room_for_are_kept(engine, monkeypatch):
    scores = Scores.read(engine, table(engine, REQUESTS), SPLITS)
    monkeypatch.setattr(sorting, "_FIRST_ROOM", 1)
    grown = Scores.read(engine, table(engine, REQUESTS), SPLITS)
    np.testing.assert_array_equal(grown.keys, scores.keys)
    assert grown.codes.keys() == scores.codes.keys()
    for name, codes in scores.codes.items():
        np.testing.assert_array_equal(grown.codes[name], codes)
