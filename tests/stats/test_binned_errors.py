from __future__ import annotations

import numpy as np
import pytest

from toolkit import stats
from toolkit.errors import ArgumentError


def test_sums_by_bin_give_what_the_rows_do() -> None:
    rng = np.random.default_rng(1)
    error, place = rng.normal(0.3, 2, 500), rng.integers(0, 7, 500)
    n, total, size, square = (
        np.bincount(place, weights=column) for column in (np.ones(500), error, np.abs(error), error**2)
    )
    found = stats.error_performance(n, total, size, square)
    assert found == pytest.approx((error.mean(), np.abs(error).mean(), np.sqrt((error**2).mean())))


def test_no_rows_have_no_errors() -> None:
    assert stats.error_performance([0], [0.0], [0.0], [0.0]) == (None, None, None)


def test_a_bin_without_rows_lies_between_its_neighbours() -> None:
    assert stats.binned_means([0, 4, 0, 0, 2, 0], [0, 4.0, 0, 0, 8.0, 0]).tolist() == [1, 1, 2, 3, 4, 4]


def test_bins_without_rows() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.binned_means([0], [0.0])
    assert str(caught.value) == "n holds no rows, so that there is no mean to take; give labelled rows"
