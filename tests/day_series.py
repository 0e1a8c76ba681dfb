"""Made series of days: noise that is like its neighbours, with steps, weekly seasons and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np

FIRST_DAY = 734_869
"""2013-01-01, a Tuesday, as `date.toordinal` says it."""


def noise(days: int, rng: np.random.Generator, *, alike: float = 0.0) -> Any:
    """An autoregression of order 1 with variance 1, from its stationary distribution."""
    fresh = rng.normal(size=days)
    made = fresh.copy()
    for day in range(1, days):
        made[day] = alike * made[day - 1] + np.sqrt(1 - alike * alike) * fresh[day]
    return made
