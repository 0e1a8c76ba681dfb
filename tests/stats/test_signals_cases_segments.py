"""The reference cases of segments: one segment against its complement."""

from __future__ import annotations

from typing import Any

import pytest
from signal_cases import check_case, keyed

from toolkit import stats

ROWS, ERRORS = (20, 80), (9, 6)
"""Rows and errors of the segment (x, v) and of its complement.

The case names them by those of slice-01, which the file does not hold. These counts were found by search: they have the
case's t, p and effect size to its nine digits, and slice-01's score too, which the study gives as 1.4:
0.9 ((9/20) / (15/100) - 1) - 0.1 (100/20 - 1).
"""


def slice_test(inputs: Any) -> dict[str, float | None]:
    assert inputs == {"slice": "(x,v) of slice-01 against its complement"}
    segment, complement = ([1.0] * errors + [0.0] * (rows - errors) for rows, errors in zip(ROWS, ERRORS, strict=True))
    found = stats.above_complement(stats.moments(segment), stats.moments(complement))
    return {"t": found.t, "p": found.p_value, "effect_size": found.effect_size}


FUNCTIONS = {"slice_test": slice_test}


@pytest.mark.parametrize("case", keyed(FUNCTIONS))
def test_equals_the_reference(case: Any) -> None:
    check_case(case, FUNCTIONS)
