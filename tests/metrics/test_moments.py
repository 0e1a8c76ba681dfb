"""Collected moments against those of the rows themselves, by NumPy and in exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metrics.stored_units import NEEDS, RATIO, stored

from toolkit.errors import ArgumentError, ContractError, UnknownNameError
from toolkit.metrics import moment_sums
from toolkit.metrics.moment_sums import round_origin
from toolkit.metrics.moment_table import MomentTable, Needs
from toolkit.metrics.moments import collect_moments
from toolkit.stats.joint_moments import joint_moments, merge_moments


def from_rows(frame: pd.DataFrame, measures: tuple[str, ...]) -> Any:
    """The moments of the rows that have every measure, by NumPy."""
    columns = [pd.to_numeric(frame[measure]).astype("float64") for measure in measures]
    there = ~pd.concat(columns, axis=1).isna().any(axis=1)
    return joint_moments(*(column[there] for column in columns))


def assert_same(found: Any, expected: Any, relative: float = 1e-12) -> None:
    assert found.n == expected.n
    if not found.n:
        return
    k = len(expected.origins)
    spreads = [max(expected.products[i][i], 1e-300) ** 0.5 for i in range(k)]
    for i in range(k):
        size = abs(expected.mean(i)) + spreads[i]
        assert found.mean(i) == pytest.approx(expected.mean(i), rel=0, abs=relative * size)
        for j in range(k):
            scale = spreads[i] * spreads[j]
            assert found.products[i][j] == pytest.approx(expected.products[i][j], rel=0, abs=relative * scale)


MEASURES = [("converted",), ("revenue",), ("revenue_before",), ("revenue", "revenue_before"), RATIO, ("sessions",)]


@pytest.mark.parametrize("splits", [(), ("country",), ("country", "size")])
@pytest.mark.parametrize("by", [(), ("variant",), ("variant", "day")])
def test_moments_are_those_of_the_rows(
    connection: Any, units: pd.DataFrame, tmp_path: Path, by: tuple[str, ...], splits: tuple[str, ...]
) -> None:
    table = collect_moments(stored(connection, units, tmp_path), NEEDS, by=by, splits=splits)
    texts = units.assign(
        **{
            name: units[name].astype("object").where(units[name].notna(), "missing").astype(str)
            for name in (*by, *splits)
        }
    )
    for where in product(*(table.values(name) for name in by)):
        group = texts
        for name, value in zip(by, where, strict=True):
            group = group[group[name] == value]
        segments = [("", ""), *((split, value) for split in splits for value in table.values(split))]
        for split, value in segments:
            rows = group[group[split] == value] if split else group
            chosen = dict(zip(by, where, strict=True))
            assert table.rows(chosen, split=split, value=value) == len(rows)
            for measures in MEASURES:
                found = table.moments(measures, chosen, split=split, value=value)
                assert_same(found, from_rows(rows, measures))


def test_groups_that_are_not_named_are_merged_over(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), NEEDS, by=["day", "variant"], splits=["country"])
    assert table.values("country") == ["DK", "NO", "SE", "missing"]
    for measures in MEASURES:
        assert_same(table.moments(measures), from_rows(units, measures))
        assert_same(table.moments(measures, {"variant": "b"}), from_rows(units[units["variant"] == "b"], measures))
        days = [table.moments(measures, {"day": day}) for day in table.values("day")]
        assert_same(merge_moments(*days), from_rows(units, measures))
        segments = [table.moments(measures, split="country", value=value) for value in table.values("country")]
        assert_same(merge_moments(*segments), table.moments(measures))


def test_several_values_of_a_group_are_merged(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), Needs.of("orders"), by=["variant", "country"])
    countries = sorted(units["country"].dropna().unique())[:2]
    chosen = units[units["country"].isin(countries) & (units["variant"] == "b")]
    found = table.moments(["orders"], {"variant": "b", "country": countries})
    assert_same(found, from_rows(chosen, ("orders",)))
    assert table.rows({"country": countries}) == int(units["country"].isin(countries).sum())


def test_what_is_only_merged_needs_no_second_look(connection: Any, tmp_path: Path) -> None:
    rows = pd.DataFrame({"g": ["a"] * 50 + ["b"] * 3, "x": [float(i) for i in range(50)] + [1e9, 1e9 + 1, 1e9 + 3]})
    asked = []

    def run(expression: Any) -> pd.DataFrame:
        asked.append(expression)
        return expression.execute()

    kept = {"by": ["g"], "origins": {"x": 0.0}, "execute": run}
    collect_moments(stored(connection, rows, tmp_path), Needs.of("x"), **kept, careful=False)
    assert len(asked) == 1
    exact = collect_moments(stored(connection, rows, tmp_path), Needs.of("x"), **kept)
    assert len(asked) == 3
    assert exact.moments(["x"], {"g": "b"}).variance() == pytest.approx(np.var([0, 1, 3], ddof=1), rel=1e-12)


def test_segmentations_in_one_scan_are_those_of_one_scan_each(
    connection: Any, units: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = stored(connection, units, tmp_path)
    seen: list[str] = []

    def execute(expression: Any) -> pd.DataFrame:
        seen.append(ibis.to_sql(expression))
        return expression.execute()

    splits = ["country", "size", "day"]
    together = collect_moments(rows, NEEDS, by=["variant"], splits=splits, execute=execute)
    assert "GROUPING SETS" in seen[-1]
    monkeypatch.setattr(moment_sums, "GROUPING_SETS", ())
    apart = collect_moments(rows, NEEDS, by=["variant"], splits=splits, execute=execute)
    assert "UNION ALL" in seen[-1]
    keys = ["by_0", "split", "value", "missing"]
    frames = [table.frame.sort_values(keys, ignore_index=True) for table in (together, apart)]
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_a_variance_at_a_mean_of_a_milliard_is_exact_whatever_the_other_groups_hold(
    connection: Any, tmp_path: Path
) -> None:
    values = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]
    alone = pd.DataFrame({"x": values, "g": "far"})
    beside = pd.concat([pd.DataFrame({"x": np.linspace(-3, 3, 1000), "g": "near"}), alone])
    for frame in (alone, beside):
        rows = stored(connection, frame, tmp_path)
        for by, splits, where, segment in (
            (["g"], [], {"g": "far"}, {}),
            ([], ["g"], {}, {"split": "g", "value": "far"}),
        ):
            table = collect_moments(rows, Needs.of("x"), by=by, splits=splits)
            assert table.moments(["x"], where, **segment).variance() == 30.0
            assert table.moments(["x"], where, **segment).mean() == 1e9 + 10
    whole = collect_moments(stored(connection, beside, tmp_path), Needs.of("x"), splits=["g"]).moments(["x"])
    assert_same(whole, joint_moments(beside["x"]))


def test_an_origin_that_is_far_off_costs_another_look_and_no_digit(connection: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(1e9, 3, 500), "y": rng.normal(5, 1, 500), "g": rng.choice(["a", "b"], 500)})
    frame.loc[::7, "y"] = None
    looks: list[str] = []

    def execute(expression: Any) -> pd.DataFrame:
        looks.append(ibis.to_sql(expression))
        return expression.execute()

    rows, needs = stored(connection, frame, tmp_path), Needs.of("x", "y")
    near = collect_moments(rows, needs, by=["g"], origins={"x": 1e9, "y": 5}, execute=execute)
    assert len(looks) == 1
    far = collect_moments(rows, needs, by=["g"], origins={"x": 0, "y": 5}, execute=execute)
    assert len(looks) == 3
    for table in (near, far):
        for measures in (("x",), ("y",), ("y", "x")):
            assert_same(table.moments(measures, {"g": "a"}), from_rows(frame[frame["g"] == "a"], measures), 1e-11)
            assert_same(table.moments(measures), from_rows(frame, measures), 1e-11)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(-50, 50), st.one_of(st.none(), st.integers(0, 10**6))),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_and_their_parts_change_nothing(
    connection: Any, tmp_path: Path, rows: list[tuple[str, int, int | None]], chance: Any
) -> None:
    frame = pd.DataFrame(rows, columns=["g", "x", "y"]).astype({"x": "Int64", "y": "Int64"})
    needs = Needs.of("x", "y")
    whole = collect_moments(stored(connection, frame, tmp_path), needs, splits=["g"])
    shuffled = frame.sample(frac=1, random_state=chance.randrange(1000))
    again = collect_moments(stored(connection, shuffled, tmp_path), needs, splits=["g"])
    cut = chance.randrange(len(frame) + 1)
    parts = [part for part in (frame[:cut], frame[cut:]) if len(part)]
    joined = MomentTable.joined(
        *(collect_moments(stored(connection, part, tmp_path), needs, splits=["g"]) for part in parts)
    )
    for measures in (("x",), ("y",), ("x", "y")):
        for split, value in (("", ""), ("g", "a"), ("g", "b")):
            expected = whole.moments(measures, split=split, value=value)
            # 1e-9 is what is promised of a group whose mean lies far from everyone's origin.
            assert_same(again.moments(measures, split=split, value=value), expected, 1e-9)
            assert_same(joined.moments(measures, split=split, value=value), expected, 1e-9)


def test_a_missing_measure_leaves_the_row_to_the_others(connection: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": [1.0, 2.0, None, 4.0, None], "y": [None, 5.0, 6.0, 9.0, None], "z": [1.0, None, 1, 1, 1]}
    )
    table = collect_moments(stored(connection, frame, tmp_path), Needs.of("x", "y") | Needs.of("z"))
    assert table.rows() == 5
    assert [table.moments([measure]).n for measure in ("x", "y", "z")] == [3, 3, 4]
    both = table.moments(["x", "y"])
    assert (both.n, both.mean(0), both.mean(1), both.covariance(0, 1)) == (2, 3.0, 7.0, 4.0)
    assert (table.moments(["x"]).mean(), table.moments(["y"]).mean()) == (7 / 3, 20 / 3)
    patterns = table.frame.set_index("missing")["rows"].to_dict()
    assert patterns == {0: 2, 1: 1, 2: 1, 3: 1}  # bit 0: x is missing, bit 1: y; z is in no pair


def test_a_gap_that_the_first_look_did_not_see_is_found(connection: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": np.arange(10_003.0), "y": np.arange(10_003.0) ** 0.5, "g": ["a", "b", "c"] * 3334 + ["a"]}
    )
    frame.loc[10_001, "y"] = None
    looks: list[str] = []

    def execute(expression: Any) -> pd.DataFrame:
        looks.append(ibis.to_sql(expression))
        return expression.execute()

    table = collect_moments(stored(connection, frame, tmp_path), Needs.of("x", "y"), by=["g"], execute=execute)
    assert len(looks) == 3
    for group, rows in frame.groupby("g"):
        for measures in (("x",), ("y",), ("x", "y")):
            assert_same(table.moments(measures, {"g": str(group)}), from_rows(rows, measures))


def test_means_alone_need_no_variance(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), Needs(("revenue", "orders")), by=["variant"])
    assert [name for name in table.frame.columns if name.startswith("product")] == []
    for variant, rows in units.groupby("variant"):
        for measure in ("revenue", "orders"):
            found = table.mean(measure, {"variant": str(variant)})
            assert found == pytest.approx(rows[measure].mean(), rel=1e-12)
    assert table.mean("revenue") == pytest.approx(units["revenue"].mean(), rel=1e-12)
    assert table.mean("revenue", {"variant": "c"}) is None
    with pytest.raises(ArgumentError) as caught:
        table.moments(["revenue"])
    assert str(caught.value) == ("the variance of 'revenue' was not collected; ask for it with Needs.of('revenue')")


def test_a_key_may_be_called_like_what_the_table_holds(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    rows = stored(connection, units.rename(columns={"variant": "split", "country": "rows"}), tmp_path)
    table = collect_moments(rows, NEEDS, by=["split"], splits=["rows", "size"])
    expected = from_rows(units[(units["variant"] == "a") & (units["country"] == "DK")], RATIO)
    assert_same(table.moments(RATIO, {"split": "a"}, split="rows", value="DK"), expected)


def test_without_measures_there_are_rows(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    table = collect_moments(stored(connection, units, tmp_path), Needs(), by=["variant"])
    assert table.rows() == len(units)
    assert table.rows({"variant": "a"}) == (units["variant"] == "a").sum()


def test_a_boolean_may_be_missing(connection: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": pd.array([True, False, None, True], dtype="boolean")})
    found = collect_moments(stored(connection, frame, tmp_path), Needs.of("x")).moments(["x"])
    assert (found.n, found.mean()) == (3, 2 / 3)


def test_equal_values_have_no_spread_at_all(connection: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": ["a"] * 1000 + ["b"] * 1000, "x": [0.1] * 1000 + list(np.linspace(0, 9.3, 1000))})
    table = collect_moments(stored(connection, frame, tmp_path), Needs.of("x"), by=["g"])
    assert (table.moments(["x"], {"g": "a"}).mean(), table.moments(["x"], {"g": "a"}).variance()) == (0.1, 0.0)


def test_no_rows_are_moments_of_nothing(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    for splits in ([], ["country"], ["country", "size"]):
        table = collect_moments(
            stored(connection, units[:0].astype({"revenue": "float64"}), tmp_path), NEEDS, splits=splits
        )
        assert table.rows() == 0
        assert (table.moments(RATIO).n, table.moments(["converted"]).mean()) == (0, None)
        assert MomentTable.from_bytes(table.to_bytes()).rows() == 0


def test_a_table_of_another_engine_or_made_on_the_way_is_measured_where_it_is(
    connection: Any, units: pd.DataFrame
) -> None:
    lazily = ibis.memtable(units).group_by("country").aggregate(x=ibis._.revenue.sum(), n=ibis._.count())
    expected = units.groupby("country", dropna=False).agg(x=("revenue", "sum"), n=("revenue", "size"))
    assert_same(collect_moments(lazily, Needs.of("x", "n")).moments(["x", "n"]), from_rows(expected, ("x", "n")))


def test_the_adjusted_difference_of_the_study_follows_from_the_moments(connection: Any, tmp_path: Path) -> None:
    """Its case `cuped-small-total-theta`: tea-tasting 1.14.0, `Mean("y", "x")`, recomputed."""
    x = [[10, 12, 9, 14, 11, 8, 13, 10, 12, 11], [12, 10, 14, 11, 13, 15, 9, 12, 11, 13]]
    y = [[12, 13, 10, 17, 12, 9, 15, 11, 14, 12], [15, 11, 17, 14, 15, 19, 11, 14, 13, 16]]
    frame = pd.DataFrame({"variant": ["a"] * 10 + ["b"] * 10, "x": x[0] + x[1], "y": y[0] + y[1]})
    table = collect_moments(stored(connection, frame, tmp_path), Needs.of("x", "y"), by=["variant"])
    whole, a, b = (table.moments(["x", "y"], where) for where in ({}, {"variant": "a"}, {"variant": "b"}))
    theta = whole.covariance(0, 1) / whole.variance(0)
    assert theta == pytest.approx(1.353846154, abs=1e-9)
    assert b.mean(1) - a.mean(1) - theta * (b.mean(0) - a.mean(0)) == pytest.approx(0.6461538462, abs=1e-10)


def test_the_variance_of_a_ratio_follows_from_the_moments(connection: Any, tmp_path: Path) -> None:
    """Its case `ratio-delta-small`: Deng, Knoblich & Lu (2018)."""
    top = [[1, 0, 2, 1, 3, 0, 1, 2], [2, 1, 3, 1, 2, 0, 2, 3]]
    bottom = [[4, 3, 6, 2, 8, 1, 5, 5], [5, 3, 6, 2, 5, 2, 4, 6]]
    frame = pd.DataFrame({"variant": ["a"] * 8 + ["b"] * 8, "top": top[0] + top[1], "bottom": bottom[0] + bottom[1]})
    table = collect_moments(stored(connection, frame, tmp_path), Needs.of("top", "bottom"), by=["variant"])
    for variant, expected in (("a", 0.01614649524), ("b", 0.011348383)):
        found = table.moments(["top", "bottom"], {"variant": variant})
        r = found.mean(0) / found.mean(1)
        spread = found.variance(0) - 2 * r * found.covariance(0, 1) + r * r * found.variance(1)
        assert spread / found.mean(1) ** 2 == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("seen", "whole", "origin"),
    [
        ((1e9 + 10.3, 1e9 + 4, 1e9 + 16), False, 1e9 + 10.5),
        ((0.31, 0.0, 1.0), False, 0.0),
        ((0.71, 0.5, 1.0), False, 0.71875),
        ((-1.7, -2.0, -1.0), True, -2.0),
        ((7.0, 7.0, 7.0), False, 7.0),
        ((math.nan, math.nan, math.nan), False, 0.0),
        ((math.inf, 0.0, math.inf), False, 0.0),
    ],
)
def test_an_origin_has_few_digits(seen: tuple[float, float, float], whole: bool, origin: float) -> None:
    assert round_origin(*seen, whole=whole) == origin
    assert Fraction(origin).denominator <= 128


def test_infinite_values_are_refused(connection: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, math.inf], "y": [1.0, 2.0]})
    with pytest.raises(ContractError) as caught:
        collect_moments(stored(connection, frame, tmp_path), Needs.of("x") | Needs.of("y"))
    assert str(caught.value) == ("x: some values are infinite, not a number or too large to square; there is no mean")


def test_what_cannot_be_collected_is_said(connection: Any, units: pd.DataFrame, tmp_path: Path) -> None:
    rows = stored(connection, units, tmp_path)
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            lambda: collect_moments(rows.select("revenue"), Needs.of("revenu")),
            UnknownNameError,
            "unknown column 'revenu'; allowed: revenue. Did you mean 'revenue'?",
        ),
        (
            lambda: collect_moments(rows, Needs.of("country")),
            ArgumentError,
            "measure 'country' is of type string, must be a number or a boolean",
        ),
        (
            lambda: collect_moments(rows, Needs.of("orders"), by=["size"], splits=["size"]),
            ArgumentError,
            "'size' is given twice among by == ['size'] and splits == ['size']",
        ),
        (
            lambda: collect_moments(rows, Needs.of("orders", "sessions"), origins={"orders": 1}),
            UnknownNameError,
            "unknown origin 'sessions'; allowed: orders.",
        ),
        (
            lambda: collect_moments(
                rows.select(**{f"m{i}": rows.orders for i in range(63)}), Needs.of(*(f"m{i}" for i in range(63)))
            ),
            ArgumentError,
            "63 measures are needed in pairs, and one scan takes 62; collect them in two",
        ),
    ]
    for act, error, message in cases:
        with pytest.raises(error) as caught:
            act()
        assert caught.value.args[0] == message
