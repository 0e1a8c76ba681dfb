from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import combinations, permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from scipy import stats as scipy_stats

from toolkit.errors import ArgumentError
from toolkit.stats import (
    Spread,
    draw_spreads,
    expected_regret,
    rank_probabilities,
    rank_stability,
    regret,
    shrink_spreads,
    tiers,
)

TIED = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(-3, 3))
"""Small scores with many ties."""


def by_hand(scores: np.ndarray) -> np.ndarray:
    """Each draw's ranks, averaged over every order of the items that tie."""
    items, draws = scores.shape
    found = np.zeros((items, items))
    for draw in range(draws):
        orders = [each for each in permutations(range(items)) if (np.diff(scores[list(each), draw]) <= 0).all()]
        for each in orders:
            found[list(each), range(items)] += 1 / len(orders) / draws
    return found


@given(TIED)
@settings(max_examples=40)
def test_a_tie_is_shared_as_if_it_were_broken_in_every_way(scores: np.ndarray) -> None:
    found = rank_probabilities(scores)
    assert found.at == pytest.approx(by_hand(scores))
    assert found.expected == pytest.approx(found.at @ np.arange(1, len(scores) + 1))


@given(TIED)
def test_rows_and_columns_add_up_to_one(scores: np.ndarray) -> None:
    at = rank_probabilities(scores).at
    assert at.min() >= 0
    assert at.sum(axis=0) == pytest.approx(np.ones(len(at)))
    assert at.sum(axis=1) == pytest.approx(np.ones(len(at)))


@given(TIED, st.floats(0.01, 100), st.integers(-5, 5))
def test_another_unit_and_another_zero_change_no_rank(scores: np.ndarray, factor: float, shift: int) -> None:
    found, other = rank_probabilities(scores), rank_probabilities((scores + shift) * factor)
    assert other.at.tobytes() == found.at.tobytes()
    assert tiers((scores + shift) * factor).tolist() == tiers(scores).tolist()


@given(TIED, st.randoms(use_true_random=False))
def test_the_order_in_which_items_are_given_changes_no_probability(scores: np.ndarray, random: Random) -> None:
    places = np.argsort([random.random() for _ in scores])
    assert rank_probabilities(scores[places]).at == pytest.approx(rank_probabilities(scores).at[places])


@given(TIED)
def test_an_item_that_is_always_last_moves_nobody(scores: np.ndarray) -> None:
    found = rank_probabilities(np.vstack([scores, np.full(scores.shape[1], -9.0)])).at
    assert found[:-1, :-1] == pytest.approx(rank_probabilities(scores).at)
    assert found[-1].tolist() == [0.0] * len(scores) + [1.0]


@given(TIED)
def test_the_interval_holds_at_least_four_draws_of_five(scores: np.ndarray) -> None:
    found = rank_probabilities(scores)
    ranks = np.arange(1, len(scores) + 1)
    inside = (ranks >= found.best[:, None]) & (ranks <= found.worst[:, None])
    assert (np.where(inside, found.at, 0.0).sum(axis=1) >= 0.8 - 1e-9).all()
    assert (found.best <= found.worst).all()


def test_a_race_of_exponentials_in_closed_form() -> None:
    """The first of exponentials is each in proportion to its rate; and so on among those that are left."""
    rates = np.array([0.59, 0.263, 0.147])
    times = -np.log1p(-np.random.default_rng(1).random((3, 200_000))) / rates[:, None]
    exact = np.zeros((3, 3))
    for order in permutations(range(3)):
        first, second, _ = order
        exact[list(order), range(3)] += rates[first] * rates[second] / (1 - rates[first])
    found = rank_probabilities(-times)
    assert found.at == pytest.approx(exact, abs=0.004)
    assert found.within(2) == pytest.approx(1 - exact[:, 2], abs=0.004)


def test_a_pair_of_spreads_in_closed_form() -> None:
    drawn = draw_spreads([Spread(5, 10, 20), Spread(6, 8, 8 * 8 / 6)], ["k1", "k2"], draws=20_000)
    sigmas = np.log([20 / 10, 8 / 6]) / 1.2815515655446004
    exact = special.ndtr(np.log(10 / 8) / np.hypot(*sigmas))
    assert rank_probabilities(drawn).within(1)[0] == pytest.approx(exact, abs=0.004)


def test_certain_scores_have_one_rank_and_a_tier_each() -> None:
    scores = [[2.0] * 5, [9.0] * 5, [4.0] * 5]
    found = rank_probabilities(scores)
    assert found.order.tolist() == [1, 2, 0]
    assert found.expected.tolist() == found.best.tolist() == found.worst.tolist() == [3, 1, 2]
    assert tiers(scores).tolist() == [3, 1, 2]
    assert rank_stability(scores, 2) == (1.0, 1.0, 1.0, pytest.approx([1, 1, 1]))


def test_equal_items_share_everything_and_stay_as_they_were_given() -> None:
    scores = np.ones((4, 3))
    found = rank_probabilities(scores)
    assert found.at == pytest.approx(np.full((4, 4), 0.25))
    assert found.order.tolist() == [0, 1, 2, 3]
    assert tiers(scores).tolist() == [1, 1, 1, 1]


def test_draws_that_are_ranked_in_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(2).integers(0, 9, (7, 50))
    whole = rank_probabilities(scores)
    monkeypatch.setattr(sys.modules["toolkit.stats.rank_probabilities"], "_BLOCK", 20)
    blocks = rank_probabilities(scores)
    assert blocks.at == pytest.approx(whole.at)
    assert blocks.expected.tolist() == whole.expected.tolist()


def test_one_item_is_first() -> None:
    assert rank_probabilities([[1.0, 2.0]]).at.tolist() == [[1.0]]
    assert tiers([[1.0, 2.0]]).tolist() == [1]
    assert rank_stability([[1.0, 2.0]], 1) == (1.0, 1.0, 1.0, pytest.approx([1]))


@given(TIED, st.sampled_from([0.6, 0.8, 0.95]))
def test_a_tier_ends_where_its_first_is_above_all_that_follows(scores: np.ndarray, certainty: float) -> None:
    order = rank_probabilities(scores).order
    found = tiers(scores, certainty=certainty)[order]
    ordered = scores[order]

    def settled(first: int, other: int) -> bool:
        wins = (ordered[first] > ordered[other]).mean() + (ordered[first] == ordered[other]).mean() / 2
        return bool(wins >= certainty)

    assert found[0] == 1
    assert set(np.diff(found)) <= {0, 1}
    for tier in set(found):
        members, after = np.flatnonzero(found == tier), np.flatnonzero(found > tier)
        assert all(settled(members[0], other) for other in after)
        assert members.size == 1 or not settled(members[0], members[-1])


def test_a_stricter_certainty_makes_no_more_tiers() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores = rng.normal(rng.normal(0, 1, 15)[:, None], 0.6, (15, 300))
        counts = [tiers(scores, certainty=certainty).max() for certainty in (0.6, 0.8, 0.95)]
        assert counts == sorted(counts, reverse=True)


@given(TIED, st.data())
def test_the_regret_is_that_against_every_other_set(values: np.ndarray, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(range(len(values))), unique=True, min_size=1))
    sets = [values[list(each)].sum(axis=0) for each in combinations(range(len(values)), len(chosen))]
    best, got = np.max(sets, axis=0), values[chosen].sum(axis=0)
    found = expected_regret(values, chosen)
    assert found.expected == pytest.approx((best - got).mean())
    assert found.best_probability == pytest.approx((got == best).mean())
    assert found.relative == (None if best.mean() == 0 else pytest.approx((best - got).mean() / abs(best.mean())))


def test_choosing_everything_or_nothing_loses_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(5, 40))
    assert expected_regret(values, range(5)).expected == pytest.approx(0, abs=1e-12)
    assert expected_regret(values, range(5)).best_probability == 1
    assert expected_regret(values, []) == (0.0, None, 1.0)


def test_what_is_known_has_no_regret_and_doubt_costs() -> None:
    keys = [f"k{number}" for number in range(10)]
    losses = []
    for width in (1.0, 1.5, 3.0, 10.0):
        spreads = [Spread(value / width, value, value * width) for value in np.arange(1.0, 11.0)]
        drawn = draw_spreads(spreads, keys)
        best = rank_probabilities(drawn).order[:3].tolist()
        losses.append(expected_regret(drawn, best).relative)
    assert losses[0] == 0
    assert losses == sorted(losses)
    assert losses[-1] > 0.2


def test_stability_against_redraws() -> None:
    """The first five of two draws of the same backlog: how often they are the same, and how many they share."""
    rng = np.random.default_rng(6)
    scores = rng.normal(rng.normal(0, 1, 12)[:, None], 0.5, (12, 2000))
    found, order = rank_stability(scores, 5), rank_probabilities(scores).order
    first = set(order[:5].tolist())
    shared = [len(first & set(np.argsort(-scores[:, draw])[:5].tolist())) for draw in range(2000)]
    assert found.overlap == pytest.approx(np.mean(shared) / 5)
    assert found.same_set == pytest.approx(np.mean(np.array(shared) == 5))
    places = np.empty(12)
    places[order] = np.arange(12)
    alike = [scipy_stats.spearmanr(-places, scores[:, draw]).statistic for draw in range(2000)]
    assert found.agreement == pytest.approx(np.mean(alike))
    within = rank_probabilities(scores).within(5)
    assert found.stays[order[0]] == pytest.approx(within[order[0]])
    assert found.stays[order[-1]] == pytest.approx(1 - within[order[-1]])


def backlog(rng: np.random.Generator, *, items: int, noise: float) -> tuple[np.ndarray, list[Spread]]:
    """Hidden logarithms of values, and estimates around them whose ranges state their noise."""
    truth = rng.normal(0, 1, items)
    seen = rng.normal(truth, noise)
    return truth, [Spread(*np.exp(each + 1.2815515655446004 * noise * np.array([-1, 0, 1]))) for each in seen]


def test_the_probability_of_the_first_places_is_calibrated() -> None:
    """Backlogs of 40 items, estimates a factor of e^0.8 off: of what is said to be likely, as much comes true."""
    rng = np.random.default_rng(11)
    said: dict[str, list[np.ndarray]] = {"raw": [], "shrunken": []}
    happened, right, drawn_keys = [], [], [f"k{number}" for number in range(40)]
    for number in range(60):
        truth, spreads = backlog(rng, items=40, noise=0.8)
        places = np.argsort(np.argsort(-truth))
        for name, given_spreads in (("raw", spreads), ("shrunken", shrink_spreads(spreads).spreads)):
            scores = draw_spreads(given_spreads, drawn_keys, draws=400, seed=number)
            said[name].append(rank_probabilities(scores).within(5))
        happened.append(places < 5)
        found = tiers(scores)
        right.append((truth[:, None] > truth)[found[:, None] < found].mean())
    came = np.concatenate(happened)
    brier = {name: float(np.square(np.concatenate(each) - came).mean()) for name, each in said.items()}
    assert brier["shrunken"] <= brier["raw"] <= 0.12
    assert brier["shrunken"] < 0.08 < came.mean() * (1 - came.mean())
    sure = {name: np.concatenate(each) > 0.6 for name, each in said.items()}
    gap = {name: float(np.concatenate(said[name])[high].mean() - came[high].mean()) for name, high in sure.items()}
    # Raw estimates promise too much of what ranks high; shrunken ones keep their word.
    assert gap["raw"] > 0.04
    assert abs(gap["shrunken"]) < 0.04
    assert 0.8 < np.mean(right) < 0.92


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_probabilities([1, 2]), "scores has 1 dimensions, must have two: items x draws"),
        (lambda: rank_probabilities(np.empty((0, 4))), "scores has 0 items x 4 draws, must have one at least"),
        (lambda: tiers(np.empty((3, 0))), "scores has 3 items x 0 draws, must have one at least"),
        (
            lambda: rank_probabilities([[1, 2], [3, float("nan")]]),
            "scores holds nan for item 1, must hold finite numbers",
        ),
        (
            lambda: rank_probabilities([[1, 2], [3, 4]]).within(3),
            "k == 3, must be a whole number from 1 to 2, the number of items",
        ),
        (lambda: rank_stability([[1, 2]], 0), "k == 0, must be a whole number from 1 to 1, the number of items"),
        (lambda: tiers([[1, 2]], certainty=1), "certainty == 1, must be a number above 0 and below 1"),
        (lambda: expected_regret([[1], [2]], [2]), "chosen holds 2, must hold positions from 0 to 1"),
        (lambda: expected_regret([[1], [2]], [-1]), "chosen holds -1, must hold positions from 0 to 1"),
        (lambda: expected_regret([[1], [2]], [1, 1]), "chosen holds 1 twice, must hold each once"),
        (lambda: regret([], []), "chosen is empty, must hold a value for each draw"),
        (lambda: regret([1], [1, 2]), "lengths differ: chosen 1, best 2"),
        (lambda: regret([1, 3], [1, 2]), "draw 1: chosen 3 is more than best 2, must be at most that"),
    ],
)
def test_an_error_says_what_was_given(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message
