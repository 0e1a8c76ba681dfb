"""Many tests at once: p-values adjusted so that a family of them can be read together."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from toolkit.checks import check_in
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

ADJUSTMENTS = ("holm", "hochberg", "benjamini-hochberg", "benjamini-yekutieli")
"""`holm` and `hochberg` hold the chance of any false alarm, the other two the share of false alarms among alarms."""


def adjust_p(p_values: Sequence[float | None], method: str) -> tuple[float | None, ...]:
    """Adjusted p-values in the order given; None (a test that could not be made) stays None and is not counted.

    Sources: Holm (1979), Scand. J. Statist. 6:65 · Hochberg (1988), Biometrika 75:800 · Benjamini & Hochberg (1995),
    JRSS B 57:289 · Benjamini & Yekutieli (2001), Ann. Statist. 29:1165.

    >>> adjust_p([0.01, 0.04, None, 0.03, 0.005], "benjamini-hochberg")
    (0.02, 0.04, None, 0.04, 0.02)
    """
    check_in(method, ADJUSTMENTS, noun="adjustment of p-values")
    for p in p_values:
        if p is not None and not 0 <= p <= 1:
            raise ArgumentError(f"p_values holds {p}, must hold numbers between 0 and 1")
    ranked = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    m = len(ranked)
    if method in {"holm", "hochberg"}:
        scaled = [p * (m - rank) for rank, (p, _) in enumerate(ranked)]
    else:
        penalty = sum(1 / rank for rank in range(1, m + 1)) if method == "benjamini-yekutieli" else 1.0
        scaled = [p * m * penalty / rank for rank, (p, _) in enumerate(ranked, start=1)]
    # Adjusting keeps the order: Holm steps down from the smallest p-value, the others up from the largest.
    adjusted = list(accumulate(scaled, max)) if method == "holm" else list(accumulate(reversed(scaled), min))[::-1]
    result: list[float | None] = [None] * len(p_values)
    for value, (_, index) in zip(adjusted, ranked, strict=True):
        result[index] = min(value, 1.0)
    return tuple(result)
