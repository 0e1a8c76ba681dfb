"""Two experiments on the same units: independence of assignment, and effects that add up or do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

TABLES = st.lists(st.lists(st.integers(0, 3000), min_size=2, max_size=4), min_size=2, max_size=4).filter(
    lambda table: len({len(row) for row in table}) == 1
)


@given(TABLES)
def test_independence_equals_scipy_and_ignores_what_is_empty(table: list[list[int]]) -> None:
    from scipy.stats import chi2_contingency

    found = stats.independence(table, exact=False)
    cells = np.array(table)
    cells = cells[cells.sum(axis=1) > 0][:, cells.sum(axis=0) > 0]
    if min(cells.shape) < 2:
        assert (found.status, found.p_value) == ("absent", None)
        return
    theirs = chi2_contingency(cells, correction=False)
    assert (found.chi2, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-12)
    assert found.df == theirs.dof
    assert 0 <= found.cramers_v <= 1
    turned = stats.independence(np.array(table).T.tolist(), exact=False)
    assert turned.chi2 == pytest.approx(found.chi2, rel=1e-9, abs=1e-12)
    padded = stats.independence([*table, [0] * len(table[0])], exact=False)
    assert (padded.df, padded.p_value) == (found.df, pytest.approx(found.p_value))


def test_small_counts_are_tested_exactly_or_not_at_all() -> None:
    from scipy.stats import fisher_exact

    small = [[7, 2], [1, 6]]
    assert stats.independence(small).p_value == pytest.approx(fisher_exact(small).pvalue)
    assert stats.independence(small).method == "fisher exact"
    assert stats.independence(small, exact=False).method == "chi-square"
    wide = stats.independence([[3, 2, 9], [4, 5, 1]])
    assert (wide.p_value, wide.status) == (None, "ok")
    assert wide.reason == "no test: a count of 2.92 is expected in a cell, chi-square needs 5"
    assert wide.chi2 > 0


def test_a_table_without_two_rows_and_columns_gives_a_reason() -> None:
    assert stats.independence([[0, 0], [0, 0]]).reason == "no units"
    lonely = stats.independence([[5, 9], [0, 0]])
    assert (lonely.status, lonely.df, lonely.n) == ("absent", 0, 14)
    assert lonely.reason == "all units lie in one row or one column: there is nothing to be independent of"


def cell(values: Any) -> stats.Estimate:
    return stats.mean(*stats.moments(values))


def test_the_interaction_equals_a_regression_with_unequal_variances() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    sizes, sds = ((40, 60), (80, 50)), ((1.0, 2.0), (1.5, 1.0))
    groups = [[rng.normal(a + b + a * b, sds[a][b], sizes[a][b]) for b in (0, 1)] for a in (0, 1)]
    found = stats.interaction(tuple(tuple(cell(values) for values in row) for row in groups))
    y = np.concatenate([values for row in groups for values in row])
    a = np.repeat([0, 0, 1, 1], [len(values) for row in groups for values in row])
    b = np.repeat([0, 1, 0, 1], [len(values) for row in groups for values in row])
    theirs = sm.OLS(y, np.column_stack([np.ones(y.size), a, b, a * b])).fit(cov_type="HC2")
    assert (found.value, found.se) == pytest.approx((theirs.params[3], theirs.bse[3]), rel=1e-9)
    # Within a cell HC2 is the sample variance; the degrees of freedom lie between the smallest cell's and all.
    assert 39 < found.df < 230 - 4 + 1e-9


def test_effects_that_add_up_are_called_as_often_as_alpha_says() -> None:
    rng, runs = np.random.default_rng(2), 3000
    base = np.array([[0.0, 1.0], [2.0, 3.0]])
    data = base[None, :, :, None] + rng.normal(size=(runs, 2, 2, 12)) * np.array([[1, 2], [3, 1]])[None, :, :, None]
    means, variances = data.mean(axis=3), data.var(axis=3, ddof=1)
    called = sum(
        stats.interaction(tuple(tuple(stats.mean(12, m[a][b], v[a][b]) for b in (0, 1)) for a in (0, 1))).p_value < 0.05
        for m, v in zip(means, variances, strict=True)
    )
    band = stats.false_alarm_band(runs, 0.05, confidence=0.999)
    assert band.lowest <= called <= band.highest


def test_swapping_the_experiments_changes_nothing() -> None:
    a, b, c, d = (stats.mean(20, at, 4.0) for at in (1.0, 1.5, 0.7, 3.0))
    found = stats.interaction(((a, b), (c, d)))
    assert found.value == pytest.approx(1.8)
    assert found[:7] == pytest.approx(stats.interaction(((a, c), (b, d)))[:7])


def test_a_cell_without_units_or_error_gives_its_reason() -> None:
    full, one, nobody = stats.mean(20, 1.0, 4.0), stats.mean(1, 3.0, None), stats.mean(0, None, None)
    silent = stats.interaction(((full, full), (full, one)))
    assert (silent.value, silent.p_value) == (pytest.approx(2.0), None)
    assert silent.reason == (
        "no interval and no test: one of the four cells has no standard error "
        "(no interval: too few observations: n == 1, a variance needs 2)"
    )
    empty = stats.interaction(((full, full), (nobody, one)))
    assert (empty.status, empty.n) == ("absent", 41)
    assert empty.reason == "one of the four cells is absent: no observations"
    still = stats.mean(9, 2.0, 0.0)
    assert stats.interaction(((still, still), (still, still))).reason == (
        "no interval and no test: the observations do not vary"
    )
    assert math.isfinite(stats.interaction(((still, full), (still, full))).p_value)


WRONG = [
    (lambda: stats.independence([[1, 2], [3]]), "table has rows of lengths [2, 1], must have rows of one length"),
    (lambda: stats.independence([]), "table has rows of lengths [], must have rows of one length"),
    (lambda: stats.independence([[1, -2], [3, 4]]), "table == -2, must be a whole number of at least 0"),
    (
        lambda: stats.independence([[1, 2, 3], [3, 4, 5]], exact=True),
        "exact was asked for a table of 2 × 3; Fisher's test here is for 2 × 2",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
