from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from toolkit.errors import ArgumentError
from toolkit.stats import Spread, draw_spreads, shrink_spreads

KINDS = {
    "lognormal": Spread(2, 4, 12),
    "lognormal, narrow above": Spread(1, 9, 10),
    "normal": Spread(-3, 1, 10),
    "from nothing": Spread(0, 1, 2),
    "all harm": Spread(-8, -2, -1),
    "no doubt below": Spread(4, 4, 12),
    "no doubt above": Spread(-5, 4, 4),
    "constant": Spread(3, 3, 3),
    "nothing at all": Spread(0, 0, 0),
}


def in_order(smallest: float, largest: float) -> st.SearchStrategy[Spread]:
    """Spreads of whole thousandths: of 1e-320, half is 0."""
    three = st.tuples(*[st.floats(smallest, largest)] * 3)
    return three.map(lambda numbers: Spread(*sorted(round(each, 3) for each in numbers)))


ANY = in_order(-1e6, 1e6) | in_order(1e-3, 1e6)


@pytest.mark.parametrize("spread", KINDS.values(), ids=KINDS.keys())
def test_what_was_given_is_met_exactly_and_from_both_sides(spread: Spread) -> None:
    assert [spread.quantile(share) for share in (0.1, 0.5, 0.9)] == list(spread)
    near = [spread.quantile(share + step) for share in (0.1, 0.5, 0.9) for step in (-1e-9, 1e-9)]
    assert near == pytest.approx([each for each in spread for _ in range(2)], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("spread", KINDS.values(), ids=KINDS.keys())
def test_the_mean_is_what_integration_and_draws_give(spread: Spread) -> None:
    integral = sum(integrate.quad(spread.quantile, *ends, limit=200)[0] for ends in ((1e-12, 0.5), (0.5, 1 - 1e-12)))
    assert spread.mean == pytest.approx(integral, rel=1e-6, abs=1e-9)
    drawn = draw_spreads([spread], ["k1"], draws=20_000)
    assert spread.mean == pytest.approx(drawn.mean(), rel=5e-3, abs=1e-3)


def test_reference_numbers_by_hand() -> None:
    # sigma below ln(2) / 1.28155 = 0.540866, above ln(3) / 1.28155 = 0.857251
    # 4 (exp(0.146268) Phi(-0.540866) + exp(0.367440) Phi(0.857251)) = 4 (1.157507 x 0.294299 + 1.444032 x 0.804346)
    assert Spread(2, 4, 12).mean == pytest.approx(6.00862, abs=1e-4)
    # 1 + (9 - 4) / 1.28155 / sqrt(2 pi)
    assert Spread(-3, 1, 10).mean == pytest.approx(1 + 3.901520 * 0.3989423, abs=1e-6)
    assert Spread(2, 4, 12).quantile(0.99) == pytest.approx(4 * np.exp(0.857251 * 2.326348), rel=1e-5)


def test_equal_halves_are_the_plain_lognormal() -> None:
    sigma = np.log(3) / 1.2815515655446004
    assert Spread(1, 3, 9).mean == pytest.approx(3 * np.exp(sigma**2 / 2))


@given(ANY, st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_higher_share_has_no_lower_quantile(spread: Spread, share: float, other: float) -> None:
    lower, higher = sorted((share, other))
    rounding = 1e-9 * max(map(abs, spread))
    assert spread.quantile(lower) <= spread.quantile(higher) + rounding


@given(ANY, st.floats(0.01, 100))
def test_another_unit_changes_nothing_but_the_unit(spread: Spread, factor: float) -> None:
    other = Spread(*(each * factor for each in spread))
    rounding = 1e-9 * factor * max(map(abs, spread))
    assert other.mean == pytest.approx(spread.mean * factor, rel=1e-9, abs=rounding)
    one, two = (draw_spreads([each], ["k1"], draws=16) for each in (spread, other))
    assert two == pytest.approx(one * factor, rel=1e-9, abs=rounding)


def test_the_same_arguments_give_the_same_bytes_whatever_else_is_drawn() -> None:
    spreads, keys = list(KINDS.values()), list(KINDS)
    drawn = draw_spreads(spreads, keys, draws=500, seed=3)
    assert drawn.shape == (len(keys), 500)
    assert drawn.tobytes() == draw_spreads(spreads, keys, draws=500, seed=3).tobytes()
    backwards = draw_spreads(spreads[::-1], keys[::-1], draws=500, seed=3)
    assert drawn.tobytes() == backwards[::-1].tobytes()
    alone = draw_spreads(spreads[2:3], keys[2:3], draws=500, seed=3)
    assert alone[0].tobytes() == drawn[2].tobytes()


def test_another_seed_another_key_and_another_thing_are_other_draws() -> None:
    one = Spread(1, 2, 4)
    plain = draw_spreads([one], ["k1"], seed=1)[0]
    others = [
        draw_spreads([one], ["k1"], seed=2)[0],
        draw_spreads([one], ["k2"], seed=1)[0],
        draw_spreads([one], ["k1"], seed=1, of="effort")[0],
    ]
    for other in others:
        assert abs(np.corrcoef(np.log(plain), np.log(other))[0, 1]) < 0.06
        assert sorted(plain) == pytest.approx(sorted(other), rel=0.7)  # one distribution


def test_each_slice_of_equal_probability_is_drawn_once() -> None:
    spread = Spread(-2, 1, 9)
    edges = [spread.quantile(share) for share in np.arange(1, 200) / 200]
    drawn = draw_spreads([spread], ["k1"], draws=200)[0]
    assert np.bincount(np.searchsorted(edges, drawn), minlength=200).tolist() == [1] * 200
    assert (drawn < -2).sum() == 20
    assert (drawn > 9).sum() == 20


def test_above_zero_stays_above_zero() -> None:
    assert draw_spreads([Spread(1e-6, 1, 1e6)], ["k1"], draws=50_000).min() > 0


def test_no_items_are_no_draws() -> None:
    assert draw_spreads([], [], draws=10).shape == (0, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: draw_spreads([Spread(5, 3, 8)], ["k1"], of="effort"),
            "effort of k1: low 5, likely 3, high 8, must be finite and low <= likely <= high",
        ),
        (
            lambda: draw_spreads([Spread(1, 3, float("inf"))], ["k1"]),
            "k1: low 1, likely 3, high inf, must be finite and low <= likely <= high",
        ),
        (
            lambda: Spread(1, 9, 8).mean,
            "the spread: low 1, likely 9, high 8, must be finite and low <= likely <= high",
        ),
        (lambda: Spread(1, 2, 3).quantile(1), "share == 1, must be a number above 0 and below 1"),
        (lambda: draw_spreads([Spread(1, 2, 3)], []), "lengths differ: spreads 1, keys 0"),
        (
            lambda: draw_spreads([Spread(1, 2, 3)] * 2, ["k1", "k1"]),
            "keys holds 'k1' twice, must name each item once: its draws come from its key",
        ),
        (
            lambda: draw_spreads([Spread(1, 2, 3)], ["k1"], draws=0),
            "draws == 0, must be a whole number of at least 1",
        ),
        (
            lambda: draw_spreads([Spread(1, 1, 1e300)], ["k1"], of="value"),
            "value of k1: low 1, likely 1, high 1e+300: the numbers are too large for floating point; "
            "is one of them in another unit?",
        ),
        (
            lambda: Spread(1, 1, 1e300).mean,
            "the spread: low 1, likely 1, high 1e+300: the numbers are too large for floating point; "
            "is one of them in another unit?",
        ),
        (
            lambda: shrink_spreads([Spread(2, 1, 3)]),
            "the spread: low 2, likely 1, high 3, must be finite and low <= likely <= high",
        ),
    ],
)
def test_an_error_says_what_was_given(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message


def around(truth: np.ndarray, noise: float, rng: np.random.Generator) -> list[Spread]:
    """Estimates drawn around the logarithms of hidden truths, whose ranges state the noise."""
    seen = rng.normal(truth, noise)
    return [Spread(*np.exp(each + 1.2815515655446004 * noise * np.array([-1, 0, 1]))) for each in seen]


def test_shrunken_spreads_are_nearer_to_the_truth_and_cover_it() -> None:
    rng = np.random.default_rng(5)
    raw, shrunken, covered = [], [], []
    for _ in range(100):
        truth = rng.normal(1, 0.7, 30)
        spreads = around(truth, 0.8, rng)
        found = shrink_spreads(spreads).spreads
        raw.append(np.square(np.log([each.likely for each in spreads]) - truth).mean())
        shrunken.append(np.square(np.log([each.likely for each in found]) - truth).mean())
        covered.append(np.mean([each.low < np.exp(true) < each.high for each, true in zip(found, truth, strict=True)]))
    assert np.mean(shrunken) < 0.6 * np.mean(raw)
    assert 0.74 < np.mean(covered) < 0.84


def test_what_ranks_first_is_overstated_unless_it_is_shrunken() -> None:
    rng = np.random.default_rng(8)
    raw, shrunken = [], []
    for _ in range(200):
        truth = rng.normal(0, 0.7, 30)
        spreads = around(truth, 0.8, rng)
        for found, bias in ((spreads, raw), (shrink_spreads(spreads).spreads, shrunken)):
            likely = np.log([each.likely for each in found])
            bias.append(likely.max() - truth[likely.argmax()])
    assert np.mean(raw) > 0.7
    assert abs(np.mean(shrunken)) < 0.15


def test_equal_widths_keep_their_order_and_scale_with_the_unit() -> None:
    spreads = [Spread(each / 2, each, 2 * each) for each in (1.0, 9.0, 3.0, 30.0)]
    found = shrink_spreads(spreads)
    likely = [each.likely for each in found.spreads]
    assert np.argsort(likely).tolist() == [0, 2, 1, 3]
    hours = shrink_spreads([Spread(*(8 * each for each in spread)) for spread in spreads])
    assert [each.likely for each in hours.spreads] == pytest.approx([8 * each for each in likely])
    assert hours.kept == pytest.approx(found.kept)


def test_a_wider_spread_keeps_less_of_its_distance() -> None:
    found = shrink_spreads([Spread(8, 10, 12.5), Spread(2, 10, 50), Spread(0.8, 1, 1.25), Spread(0.2, 1, 5)])
    assert found.kept[0] > found.kept[1]
    assert found.kept[2] == pytest.approx(found.kept[0])


def test_where_little_sets_items_apart_little_is_left_of_it() -> None:
    found = shrink_spreads([Spread(each / 10, each, each * 10) for each in (10, 11, 9, 10) * 4])
    assert max(found.kept) < 0.2
    likely = [each.likely for each in found.spreads]
    assert max(likely) / min(likely) < 1.08
    assert all(each.low < each.likely < each.high for each in found.spreads)


def test_where_items_clearly_differ_next_to_nothing_changes() -> None:
    spreads = [Spread(each / 1.1, each, each * 1.1) for each in (1, 10, 100, 1000)]
    found = shrink_spreads(spreads)
    assert min(found.kept) > 0.99
    assert np.ravel(found.spreads) == pytest.approx(np.ravel(spreads), rel=0.02)


def test_what_cannot_be_shrunken_stays_as_it_is() -> None:
    kept = [Spread(-1, 2, 4), Spread(0, 1, 2), Spread(3, 3, 3)]
    found = shrink_spreads([*kept, Spread(1, 2, 4), Spread(2, 3, 4), Spread(9, 12, 20), Spread(5, 6, 9)])
    assert found.spreads[:3] == tuple(kept)
    assert found.kept[:3] == (1.0,) * 3
    assert max(found.kept[3:]) < 1
    few = [*kept, Spread(1, 2, 4), Spread(2, 3, 4), Spread(9, 12, 20)]
    assert shrink_spreads(few) == (tuple(few), None, (1.0,) * 6)
