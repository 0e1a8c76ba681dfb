"""Two experiments on the same units: whether they were assigned independently, and whether their effects add up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    from_standard_error,
    lacking,
    satterthwaite_df,
)
from toolkit.stats.sample_ratios import SMALLEST_EXPECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERACTION = "difference of differences, welch"


class Independence(NamedTuple):
    """The outcome of a test of independence of rows and columns.

    Attributes
    ----------
    chi2: Pearson's statistic. df: its degrees of freedom; rows and columns without a unit add none.
    p_value: of independence.
    cramers_v: the size of the association, 0 … 1.
    n: units.
    method: "chi-square" or "fisher exact".
    status, reason: as in `Estimate`.
    """

    chi2: float | None
    df: int
    p_value: float | None
    cramers_v: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


def independence(table: Sequence[Sequence[int]], *, exact: bool | None = None) -> Independence:
    """Whether the rows of a table of counts say something about the columns.

    Counts of units by the variant of one experiment (rows) and of another (columns): assigned apart, they are
    independent. Sources: Pearson (1900), Philosophical Magazine 50:157 · Fisher (1935), The Design of Experiments.

    Parameters
    ----------
    exact: Fisher's test, for two by two; None: where a count below 5 is expected. A larger table with such counts gets
        no p-value.

    >>> tea = independence([[3, 1], [1, 3]])
    >>> round(tea.p_value, 6), tea.method
    (0.485714, 'fisher exact')
    >>> assigned = independence([[2510, 2490], [2480, 2520]])
    >>> round(assigned.chi2, 4), assigned.df, round(assigned.p_value, 4), round(assigned.cramers_v, 4)
    (0.36, 1, 0.5485, 0.006)
    """
    import numpy as np
    from scipy import special

    counts = [[check_count("table", count) for count in row] for row in table]
    lengths = [len(row) for row in counts]
    if len(set(lengths)) != 1:
        raise ArgumentError(f"table has rows of lengths {lengths}, must have rows of one length")
    cells = np.array(counts, dtype=np.float64)
    n = int(cells.sum())
    cells = cells[cells.sum(axis=1) > 0][:, cells.sum(axis=0) > 0]
    rows, columns = cells.shape if n else (0, 0)
    df = max(rows - 1, 0) * max(columns - 1, 0)
    outcome = Independence(None, df, None, None, n, "chi-square", "absent", "no units")
    if n and df == 0:
        return outcome._replace(reason="all units lie in one row or one column: there is nothing to be independent of")
    if n == 0:
        return outcome
    expected = cells.sum(axis=1)[:, None] * (cells.sum(axis=0) / n)
    chi2 = float((np.square(cells - expected) / expected).sum())
    size = math.sqrt(chi2 / n / (min(rows, columns) - 1))
    outcome = outcome._replace(chi2=chi2, cramers_v=min(size, 1.0), status="ok", reason="")
    small = bool(expected.min() < SMALLEST_EXPECTED)
    if cells.shape == (2, 2) and (small if exact is None else exact):
        return outcome._replace(p_value=_fisher(cells), method="fisher exact")
    if exact:
        raise ArgumentError(f"exact was asked for a table of {rows} × {columns}; Fisher's test here is for 2 × 2")
    if small and exact is None:
        reason = f"no test: a count of {expected.min():.3g} is expected in a cell, chi-square needs {SMALLEST_EXPECTED}"
        return outcome._replace(reason=reason)
    return outcome._replace(p_value=float(special.chdtrc(df, chi2)))


def interaction(
    cells: tuple[tuple[Estimate, Estimate], tuple[Estimate, Estimate]], *, confidence: float = CONFIDENCE
) -> Estimate:
    """How much the effect of one experiment differs between the variants of another: a difference of differences.

    (cells[1][1] - cells[1][0]) - (cells[0][1] - cells[0][0]), from the four means of disjoint units, rows the variants
    of the one and columns those of the other. Degrees of freedom by Satterthwaite (1946), Biometrics Bulletin 2:110.
    With more variants compare the effects of one experiment in each variant of the other by `heterogeneity`.

    >>> from toolkit.stats.means import mean
    >>> cells = ((mean(50, 1.0, 4.0), mean(50, 1.2, 4.0)), (mean(50, 1.1, 4.0), mean(50, 2.5, 4.0)))
    >>> found = interaction(cells)
    >>> round(found.value, 9), round(found.se, 6), round(found.df), round(found.p_value, 4)
    (1.2, 0.565685, 196, 0.0352)
    """
    check_between("confidence", confidence, 0, 1)
    four = [cell for row in cells for cell in row]
    n = sum(cell.n for cell in four)
    missing = next((cell for cell in four if cell.value is None), None)
    if missing is not None:
        return Estimate.absent(f"one of the four cells is absent: {missing.reason}", n=n, method=INTERACTION)
    a, b, c, d = (cell.value for cell in four if cell.value is not None)
    value = (d - c) - (b - a)
    silent = next((cell for cell in four if cell.se is None), None)
    if silent is not None:
        reason = f"{lacking(0.0)}: one of the four cells has no standard error ({silent.reason})"
        return Estimate.alone(value, n=n, method=INTERACTION, reason=reason)
    errors = [(cell.se, cell.df) for cell in four if cell.se is not None]
    return from_standard_error(
        value,
        math.hypot(*(se for se, _ in errors)),
        n=n,
        df=satterthwaite_df(*errors),
        method=INTERACTION,
        null=0.0,
        scale=max(abs(part) for part in (a, b, c, d)),
        confidence=confidence,
    )


def _fisher(cells: object) -> float:
    """Two-sided: the probability of every table with the same margins that is no likelier than this one."""
    from scipy import stats

    return float(stats.fisher_exact(cells).pvalue)
