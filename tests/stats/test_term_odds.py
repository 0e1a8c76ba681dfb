"""Weighted log odds of words, against the formula of the paper written out, and what they are made for."""

from __future__ import annotations

import math

import pytest

from toolkit.errors import ArgumentError
from toolkit.stats import weighted_log_odds


def test_a_word_by_hand():
    """Equations 16 and 22 of Monroe, Colaresi & Quinn (2008), the prior being both bodies taken together."""
    (word,) = weighted_log_odds({"late": (12, 45)}, (2000, 1500), prior_size=350)
    prior = 350 * 57 / 3500
    odds1 = (45 + prior) / (1500 + 350 - 45 - prior)
    odds0 = (12 + prior) / (2000 + 350 - 12 - prior)
    assert word.log_odds == pytest.approx(math.log(odds1) - math.log(odds0), rel=1e-12)
    assert word.z == pytest.approx(word.log_odds / math.sqrt(1 / (45 + prior) + 1 / (12 + prior)), rel=1e-12)


def test_a_rare_word_does_not_beat_one_that_many_more_use():
    words = weighted_log_odds({"once": (0, 2), "late": (30, 90), "the": (900, 900)}, (10_000, 10_000))
    assert [word.term for word in words] == ["late", "once", "the"]
    assert words[0].z > 3 > words[1].z
    assert words[2].z == pytest.approx(0, abs=1e-12)


def test_words_that_became_rarer_come_last_and_equals_by_name():
    words = weighted_log_odds({"gone": (50, 5), "b": (4, 4), "a": (4, 4)}, (1000, 1000))
    assert [word.term for word in words] == ["a", "b", "gone"]
    assert words[-1].z < -3


def test_without_words_there_is_nothing_to_say():
    assert weighted_log_odds({}, (0, 0)) == ()
    (word,) = weighted_log_odds({"never": (0, 0)}, (0, 0))
    assert (word.log_odds, word.z) == (0.0, 0.0)


def test_a_count_that_is_none_is_refused():
    with pytest.raises(ArgumentError) as caught:
        weighted_log_odds({"late": (1, -1)}, (10, 10))
    assert str(caught.value) == "counts['late'] == -1, must be a whole number of at least 0"
