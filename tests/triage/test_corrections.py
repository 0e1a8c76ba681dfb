from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.errors import ArgumentError
from toolkit.records import Correction
from toolkit.stats import Spread, estimation_error
from toolkit.triage import ClosedEstimate, correct, learn_corrections

ADA = ClosedEstimate("idea/a", "person/Ada", "effort", Spread(2, 4, 8), 8.0)


def test_no_history_no_correction() -> None:
    assert learn_corrections([]) == ((), ())
    assert correct(Spread(2, 4, 8), "person/Ada", "effort", []) == Spread(2, 4, 8)


def test_each_source_and_quantity_has_its_own() -> None:
    closed = [ADA, replace(ADA, quantity="value"), replace(ADA, source="detector/drift"), replace(ADA, item="idea/b")]
    found = learn_corrections(closed).corrections
    assert [(each.source, each.quantity, each.n) for each in found] == [
        ("detector/drift", "effort", 1),
        ("person/Ada", "effort", 2),
        ("person/Ada", "value", 1),
    ]


def test_it_is_what_the_statistics_say_of_the_stated_side() -> None:
    closed = [ADA, replace(ADA, item="idea/b", estimated=Spread(1, 4, 5), realised=2.0)]
    (found,) = learn_corrections(closed).corrections
    z = norm.ppf(0.9)
    expected = estimation_error([math.log(2), math.log(0.5)], [math.log(2) / z, math.log(4) / z])
    assert found == Correction("person/Ada", "effort", expected.bias, expected.spread, 2)


def test_what_has_no_factor_is_left_out_and_named() -> None:
    closed = [
        replace(ADA, realised=0.0),
        replace(ADA, item="idea/b", estimated=Spread(0, 4, 8)),
        replace(ADA, item="idea/c", estimated=Spread(2, 4, 4)),
    ]
    assert learn_corrections(closed) == (
        (),
        (
            "effort of idea/a: realised 0, and there is no factor to 0 or below",
            "effort of idea/b: estimated from 0, and there is no factor to 0 or below",
            "effort of idea/c: its range has no width on the side of what was realised",
        ),
    )


def test_an_item_closes_once() -> None:
    with pytest.raises(ArgumentError) as caught:
        learn_corrections([ADA, ADA])
    assert str(caught.value) == "effort of idea/a by person/Ada is there twice; an item closes once"


def test_two_corrections_of_one_source_are_refused() -> None:
    one = Correction("person/Ada", "effort", 1.2, 1.0, 3)
    with pytest.raises(ArgumentError) as caught:
        correct(Spread(2, 4, 8), "person/Ada", "effort", [one, one])
    assert str(caught.value) == "2 corrections for the effort estimates of person/Ada, must be one at most"


def test_what_reaches_zero_is_left_as_it_is() -> None:
    one = Correction("person/Ada", "value", 2.0, 1.0, 3)
    assert correct(Spread(-1, 4, 8), "person/Ada", "value", [one]) == Spread(-1, 4, 8)


def test_corrected_ranges_hold_what_they_say_of_a_biased_source() -> None:
    """After twenty closed items, 80 % ranges of a source that is 2.5 times too low and half as wide as it should be."""
    draw, held, raw, trials = np.random.default_rng(3), 0, 0, 400
    for _ in range(trials):
        likely = np.exp(draw.normal(1, 1, 21))
        realised = likely * np.exp(draw.normal(math.log(2.5), 0.8, 21))
        stated = [Spread(each * math.exp(-0.5126), each, each * math.exp(0.5126)) for each in likely]  # 0.4 as its sd
        closed = [
            ClosedEstimate(f"idea/{at}", "person/Ada", "value", stated[at], float(realised[at])) for at in range(20)
        ]
        then = correct(stated[20], "person/Ada", "value", learn_corrections(closed).corrections)
        held += then.low <= realised[20] <= then.high
        raw += stated[20].low <= realised[20] <= stated[20].high
    assert 0.7 <= held / trials <= 0.85
    assert raw / trials < 0.45
