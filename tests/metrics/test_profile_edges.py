"""Where the cells of a column lie, and what falls into them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError
from toolkit.metrics.profiles import ColumnCounts, ColumnEdges
from toolkit.metrics.profiles.edges import just_below, kept_values

RNG = np.random.default_rng(5)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_bins_lie_between_quantiles_of_the_reference_and_are_closed_on_the_right() -> None:
    edges = ColumnEdges.of("x", range(1, 102), bins=4)
    assert edges.kind == "number"
    assert edges.edges == (26.0, 51.0, 76.0)
    assert edges.cells == ("x <= 26", "26 < x <= 51", "51 < x <= 76", "x > 76")
    assert ColumnCounts.of(edges, [26, 26.5, 51, 76, 77]).counts == (1, 2, 1, 1)


def test_the_outer_bins_are_open_so_no_number_is_dropped_or_unseen() -> None:
    edges = ColumnEdges.of("x", RNG.normal(size=1000))
    counts = ColumnCounts.of(edges, [1e300, -1e300, math.inf, -math.inf])
    assert (counts.counts[0], counts.counts[-1], counts.unseen, counts.n) == (2, 2, 0, 4)


def test_missing_values_are_counted_and_nan_is_one_of_them() -> None:
    edges = ColumnEdges.of("x", [*RNG.normal(size=100), math.nan, None])
    assert edges.n == 100
    counts = ColumnCounts.of(edges, [0.1, math.nan, None, np.nan])
    assert (counts.n, counts.missing, counts.total) == (1, 3, 4)


def test_a_value_that_is_a_bin_s_worth_alone_has_a_bin_of_its_own() -> None:
    values = [0.0] * 500 + list(RNG.exponential(size=500))
    edges = ColumnEdges.of("x", values, bins=10)
    assert edges.point_masses == (0.0,)
    assert edges.cells[:2] == ("x < 0", "0")
    counts = ColumnCounts.of(edges, [-0.0, 0.0, -1e-300, 1e-300])
    assert counts.counts[:3] == (1, 2, 1)


@given(st.lists(st.sampled_from([0.0, 1.0, -3.0]) | FINITE, min_size=1, max_size=200), st.integers(2, 30))
def test_every_value_of_the_reference_has_a_cell_and_a_spike_shares_none(values: list[float], bins: int) -> None:
    edges = ColumnEdges.of("x", values, bins=bins)
    counts = ColumnCounts.of(edges, values)
    assert (counts.n, counts.unseen, counts.missing) == (len(values), 0, 0)
    assert len(edges.cells) == edges.size == len(counts.counts)
    assert list(edges.edges) == sorted(set(edges.edges))
    for point in edges.point_masses:
        alone = ColumnCounts.of(edges, [point]).counts
        assert ColumnCounts.of(edges, [just_below(point)]).counts != alone
        assert ColumnCounts.of(edges, [math.nextafter(point, math.inf)]).counts != alone


@given(st.integers(0, 2**31), st.sampled_from([1e-6, 0.37, 1e6]), st.sampled_from([0.0, -3e4, 5.0]))
def test_other_units_of_a_column_give_the_same_counts(seed: int, factor: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    reference, current = rng.normal(size=400), rng.normal(0.3, 1.1, size=300)
    plain, moved = (ColumnEdges.of("x", own) for own in (reference, reference * factor + shift))
    assert ColumnCounts.of(moved, current * factor + shift).counts == ColumnCounts.of(plain, current).counts
    assert moved.scale == pytest.approx(plain.scale * factor, rel=1e-4)


def test_one_wild_value_in_the_reference_moves_neither_edges_nor_scale() -> None:
    values = list(RNG.normal(size=2000))
    plain, wild = ColumnEdges.of("x", values), ColumnEdges.of("x", [*values, 1e6])
    assert wild.edges == pytest.approx(plain.edges, abs=0.03)
    assert wild.scale == pytest.approx(plain.scale, rel=0.01)
    assert wild.high == pytest.approx(plain.high, abs=0.1)


def test_few_different_numbers_have_a_cell_each_by_how_frequent_they_are() -> None:
    edges = ColumnEdges.of("stops", [1] * 50 + [0] * 30 + [2] * 20)
    assert (edges.kind, edges.values) == ("discrete", ("1", "0", "2"))
    counts = ColumnCounts.of(edges, [0, 0.0, 3, 2.5, None])
    assert (counts.counts, counts.unseen, counts.missing) == ((0, 2, 0), 2, 1)
    assert counts.comparable == (0, 2, 0, 2)


def test_few_rows_do_not_make_numbers_discrete_and_one_single_number_is() -> None:
    assert ColumnEdges.of("x", [1, 2, 3]).kind == "number"
    constant = ColumnEdges.of("x", [1.0, 1.0])
    assert (constant.kind, constant.is_constant, constant.is_constant_number) == ("discrete", True, True)


def test_what_a_constant_became_keeps_its_ends() -> None:
    edges = ColumnEdges.of("x", [1.0] * 50)
    changed = ColumnCounts.of(edges, [1.0005, 1.0006])
    assert (changed.counts, changed.unseen, changed.least, changed.most) == ((0,), 2, 1.0005, 1.0006)
    both = changed + ColumnCounts.of(edges, [0.5])
    assert (both.least, both.most) == (0.5, 1.0006)
    assert ColumnCounts.of(ColumnEdges.of("x", [1.0, 2.0] * 50), [3.0]).least is None


def test_texts_and_truths_have_a_cell_each_by_rank_then_by_name() -> None:
    assert ColumnEdges.of("c", ["b", "a", "b", "c"]).values == ("b", "a", "c")
    truths = ColumnEdges.of("late", [True, False, False])
    assert (truths.kind, truths.type, truths.values) == ("category", "boolean", ("false", "true"))
    assert ColumnCounts.of(truths, [True, None]).counts == (0, 1)


def test_a_long_tail_is_counted_together_by_the_rank_that_the_reference_gave() -> None:
    counted = {f"big{number}": 5_000 - 10 * number for number in range(20)} | {f"small{n:03d}": 3 for n in range(400)}
    edges = ColumnEdges.of_texts("c", counted, dtype="text")
    assert len(edges.values) == 20
    assert (edges.has_tail, edges.knows_all, edges.tail_size, len(edges.tail)) == (True, True, 400, 400)
    assert edges.cells[-1] == "other"
    counts = ColumnCounts.of(edges, ["big0", "small000", "small399", "new", None])
    assert (counts.counts[0], counts.counts[-1], counts.unseen, counts.missing) == (1, 2, 1, 1)
    assert counts.comparable[-1] == 3  # which values of a tail turn up is chance: new ones belong to it
    assert sum(counts.comparable) == counts.n


def test_texts_that_only_chance_made_frequent_have_no_cell_of_their_own() -> None:
    rng = np.random.default_rng(1)
    even = sorted(np.bincount(rng.integers(0, 5_000, 20_000)).tolist(), reverse=True)
    assert kept_values(even, sum(even)) == 0
    zipf = sorted(rng.poisson(100_000 / np.arange(1, 5_001)).tolist(), reverse=True)
    assert kept_values(zipf, sum(zipf)) == 100
    assert kept_values([3] * 100, 300) == 100  # with few of them nothing is chosen


@pytest.mark.parametrize("categories", [500, 5_000])
def test_the_kept_texts_of_a_reference_are_as_frequent_in_the_next_sample_but_for_chance(categories: int) -> None:
    """The chi-square of two samples of one population, whose texts the first has ranked, is what it should be."""
    rng = np.random.default_rng(3)
    weights = 1 / np.arange(1, categories + 1)
    weights /= weights.sum()
    ratios = []
    for _ in range(200):
        reference, current = (rng.multinomial(5_000, weights) for _ in range(2))
        rank = np.argsort(-reference, kind="stable")
        seen = int((reference > 0).sum())
        kept = kept_values(reference[rank][:seen].tolist(), 5_000)
        own = rank[:kept]
        pairs = [(float(reference[own].sum()), float(current[own].sum()))]
        cells = [*zip(reference[own], current[own], strict=True), *((5_000 - a, 5_000 - b) for a, b in pairs)]
        chi_square = sum((a - b) ** 2 / (a + b) for a, b in cells)
        ratios.append((chi_square - kept) / math.sqrt(2 * max(kept, 1)))
    assert abs(np.mean(ratios)) < 0.35  # three standard errors of a mean of 200, and the tenth that a cut may add
    assert np.std(ratios) == pytest.approx(1, abs=0.25)


def test_texts_beyond_those_that_can_be_named_are_not_told_from_new_ones() -> None:
    edges = ColumnEdges.of_texts("id", {"a": 900, "b": 1}, dtype="text", more=(150_000, 150_000, 150_000))
    assert (edges.knows_all, edges.has_tail, edges.tail, edges.tail_size) == (False, True, (), 150_000)
    counts = ColumnCounts.of(edges, ["a", "never seen"])
    assert (counts.counts, counts.unseen) == ((1, 0, 1), 0)
    assert edges.novelty == pytest.approx(150_001 / 150_901)


def test_novelty_is_the_share_of_new_values_that_the_next_sample_brings() -> None:
    rng = np.random.default_rng(2)
    chances = 1 / np.arange(1, 3_001) / (1 / np.arange(1, 3_001)).sum()
    reference, later = (rng.choice(3_000, 4_000, p=chances).astype(str) for _ in range(2))
    counts = ColumnCounts.of(ColumnEdges.of("c", reference), later)
    assert counts.unseen / counts.n == pytest.approx(counts.edges.novelty, abs=0.02)


def test_the_scale_is_a_standard_deviation_of_a_normal_column() -> None:
    edges = ColumnEdges.of("x", RNG.normal(5, 3, size=20_000))
    assert edges.scale == pytest.approx(3, rel=0.03)
    assert edges.scale_text == "interquartile range / 1.349"


def test_where_the_quartiles_are_one_value_the_scale_is_of_wider_quantiles_and_says_so() -> None:
    edges = ColumnEdges.of("x", [0.0] * 850 + list(range(1, 151)))
    assert edges.scale == pytest.approx(50.1 / 2.5631031, rel=0.03)
    assert edges.scale_text == "distance of the 0.1 and 0.9 quantiles / 2.563"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, math.nan], "the reference has no value"),
        ([1.0] * 1000 + [2.0], "98 of 100 values of the reference are one and the same"),
        ([1.0, 2.0, 3.0] + [math.inf] * 3, "the 0.25 and 0.75 quantiles of the reference are not finite"),
    ],
)
def test_a_scale_that_cannot_be_is_absent_with_its_reason(values: list[float], reason: str) -> None:
    quantiles = ColumnEdges.of("x", values)
    if quantiles.kind == "category":  # without any value nothing says that it is a number
        quantiles = ColumnEdges.of_quantiles("x", dict.fromkeys([0.5, *(s / 100 for s in range(100))]), n=0, bins=2)
    assert quantiles.scale is None
    assert quantiles.scale_text == reason


def test_a_column_without_a_value_still_has_a_cell() -> None:
    nothing = ColumnEdges.of("x", [None, None])
    assert (nothing.n, nothing.size) == (0, 0)
    counts = ColumnCounts.of(nothing, ["a", None])
    assert (counts.counts, counts.unseen, counts.missing, counts.comparable) == ((), 1, 1, (1,))
    number = ColumnEdges("x", "number", "number")
    assert number.cells == ("any value",)
    assert ColumnCounts.of(number, [3.0, None]).counts == (1,)


def test_only_whether_there_is_a_value_is_counted_of_other_types() -> None:
    edges = ColumnEdges("seen_at", "presence", "instant")
    counts = ColumnCounts.of(edges, ["2026-01-01", None])
    assert (counts.counts, counts.missing, counts.comparable, edges.cells) == ((1,), 1, (1,), ("any value",))


def test_edges_go_to_json_and_back_and_their_digest_tells_them_apart() -> None:
    for values in (RNG.normal(size=99), [1, 2] * 20, ["a", "b"], [True], [0.1] * 3):
        edges = ColumnEdges.of("x", values)
        again = ColumnEdges.from_dict(edges.to_dict())
        assert again == edges
        assert again.digest == edges.digest
    digests = {ColumnEdges.of("x", [0.0, shift] * 30).digest for shift in (1.0, math.nextafter(1.0, 2.0))}
    assert len(digests) == 2


def test_less_than_two_bins_are_refused() -> None:
    with pytest.raises(ArgumentError, match="^bins == 1, must be at least 2$"):
        ColumnEdges.of("x", range(100), bins=1)
