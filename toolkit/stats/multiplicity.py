"""Many tests at once: p-values adjusted so that a family of them can be read together, and what a family is held to."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between, check_in
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

ADJUSTMENTS = ("holm", "hochberg", "benjamini-hochberg", "benjamini-yekutieli")
"""`holm` and `hochberg` hold the chance of any false alarm, the other two the share of false alarms among alarms."""


class FalseAlarmBand(NamedTuple):
    """How many rejections there may be among tests of nothing; fewer or more say that the tests are not what they say.

    Attributes
    ----------
    lowest, highest: numbers of rejections that still pass. tests: how many there were.
    alpha: of each. confidence: of a right method passing.
    """

    lowest: int
    highest: int
    tests: int
    alpha: float
    confidence: float


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


def guarded_power(power: float, guardrails: int) -> float:
    """The power to plan each metric with, so that the decision as a whole has `power` with so many guardrails.

    The success metric must be found and every guardrail shown not to be inferior: misses add up, false alarms on
    guardrails do not. So the risk of a miss is split among guardrails + 1, and alpha is left as it is.
    Source: Schultzberg, Ankargren & Frånberg (2024), Risk-aware product decisions in A/B tests with multiple metrics.

    >>> round(guarded_power(0.8, 3), 9)
    0.95
    """
    return 1 - (1 - check_between("power", power, 0, 1)) / (check_count("guardrails", guardrails) + 1)


def false_alarm_band(tests: int, alpha: float, *, confidence: float = 0.99) -> FalseAlarmBand:
    """The gate of an A/A check: the binomial band for rejections among independent tests of no difference.

    >>> false_alarm_band(2000, 0.05)
    FalseAlarmBand(lowest=76, highest=126, tests=2000, alpha=0.05, confidence=0.99)
    """
    from scipy import stats

    tests = check_count("tests", tests)
    check_between("alpha", alpha, 0, 1)
    tail = (1 - check_between("confidence", confidence, 0, 1)) / 2
    lowest, highest = (int(stats.binom.ppf(share, tests, alpha)) for share in (tail, 1 - tail))
    return FalseAlarmBand(lowest, highest, tests, alpha, confidence)
