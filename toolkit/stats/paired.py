"""Two versions' answers to the same rows: which of them the rows that differ favour, and how often both agree.

The difference of their means is `compare`'s, of samples whose groups are all in both variants.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, from_standard_error, two_sided_p
from toolkit.stats.proportions import proportion

if TYPE_CHECKING:
    from collections.abc import Sequence


class McNemar(NamedTuple):
    """The test of two shares on the same rows, which only the rows that differ can tell apart.

    Attributes
    ----------
    only0, only1: rows with 1 in the first only, and in the second only.
    p_value: mid-p: its error rate comes closer to alpha than the exact one's and hardly ever exceeds it.
    p_exact: never too small, mostly too large.
    n: the rows that differ.
    status, reason: as in `Estimate`.
    """

    only0: int
    only1: int
    p_value: float | None
    p_exact: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


class Agreement(NamedTuple):
    """How often two raters, models or versions say the same.

    Attributes
    ----------
    share: of rows with the same answer, with Wilson's interval.
    kappa: Cohen's: that share beyond the one that the two would reach by chance, as a share of what is left there; the
        test is of no agreement beyond chance.
    n: rows.
    """

    share: Estimate
    kappa: Estimate
    n: int


def mcnemar(only0: int, only1: int) -> McNemar:
    """Whether rows that differ favour one side, from how many have a 1 in the first only and in the second only.

    Sources: McNemar (1947), Psychometrika 12:153 · Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology
    13:91 (mid-p).

    >>> found = mcnemar(1, 7)
    >>> round(found.p_exact, 6), round(found.p_value, 6)
    (0.070312, 0.039062)
    >>> mcnemar(0, 0).reason
    'no test: no row differs'
    """
    from scipy import special

    method = "mcnemar, mid-p"
    only0, only1 = check_count("only0", only0), check_count("only1", only1)
    n = only0 + only1
    if n == 0:
        return McNemar(0, 0, None, None, 0, method, "absent", "no test: no row differs")
    fewer = min(only0, only1)
    if 2 * fewer == n:
        return McNemar(only0, only1, 1.0, 1.0, n, method, "ok", "")
    # The binomial's tail as a beta's: scipy's own counts no further than an int of the C language.
    tail = float(special.betainc(n - fewer, fewer + 1, 0.5))
    below = float(special.betainc(n - fewer + 1, fewer, 0.5)) if fewer else 0.0
    return McNemar(only0, only1, tail + below, min(1.0, 2 * tail), n, method, "ok", "")


def agreement(table: Sequence[Sequence[int]], *, confidence: float = CONFIDENCE) -> Agreement:
    """How often the two say the same, and how often beyond chance, from the square table of their answers.

    Sources: Cohen (1960), Educational and Psychological Measurement 20:37 · Fleiss, Cohen & Everitt (1969),
    Psychological Bulletin 72:323 (standard errors, also the one under no agreement for the test).

    Parameters
    ----------
    table: counts; rows are the answers of the first, columns those of the second, in one order.

    >>> found = agreement([[20, 5], [10, 15]])
    >>> round(found.share.value, 9), round(found.kappa.value, 9), round(found.kappa.se, 4)
    (0.7, 0.4, 0.127)
    """
    import numpy as np

    method = "cohen's kappa"
    counts = [[check_count("table", count) for count in row] for row in table]
    lengths = [len(row) for row in counts]
    if len(counts) < 2 or set(lengths) != {len(counts)}:
        raise ArgumentError(f"table has rows of lengths {lengths}, must have as many rows as columns, 2 or more")
    cells = np.array(counts, dtype=np.float64)
    n = int(cells.sum())
    share = proportion(int(np.trace(cells)), n, confidence=confidence)
    if n == 0:
        return Agreement(share, Estimate.absent("no pairs", n=0, method=method), 0)
    cells /= n
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    observed, expected = float(np.trace(cells)), float(rows @ columns)
    if expected == 1:
        reason = "no kappa: both give one and the same answer to every row, which chance would too"
        return Agreement(share, Estimate.absent(reason, n=n, method=method), n)
    value = (observed - expected) / (1 - expected)
    # Rows' and columns' margins of the answers that each cell joins: rows of column's answer, columns of row's answer.
    joined = columns[:, None] + rows[None, :]
    same = np.diag(cells) @ np.square(1 - (rows + columns) * (1 - value))
    other = (1 - value) ** 2 * float((cells * np.square(joined)).sum() - np.diag(cells) @ np.square(rows + columns))
    square = float(same) + other - (value - expected * (1 - value)) ** 2
    se = math.sqrt(max(square, 0.0) / n) / (1 - expected)
    null = expected + expected * expected - float((rows * columns) @ (rows + columns))
    null_se = math.sqrt(max(null, 0.0) / n) / (1 - expected)
    kappa = from_standard_error(value, se, n=n, method=method, within=(-1.0, 1.0), confidence=confidence)
    if null_se > 0:
        kappa = kappa._replace(p_value=two_sided_p(value / null_se))
    return Agreement(share, kappa, n)
