"""How far a segment's mean loss departs from that of all other rows: one segment, or many thousands at once.

All is made of counts, sums and sums of squares, which add up and subtract: the rest is the whole less the segment. Rows
count as independent (Welch). That is a screen over many segments; where rows of one day are alike, what it finds must
hold again with days as clusters, see `from_influence`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.estimate import check_count, check_variance, one_sided_p
from toolkit.stats.means import Moments, too_few, welch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Flags, Numbers

_METHOD = "welch, segment above complement"


class SegmentTest(NamedTuple):
    """Whether a segment's mean lies above its complement's.

    Attributes
    ----------
    t, df: Welch's statistic and its degrees of freedom. p_value: one-sided, that the segment's mean is no higher.
    effect_size: the difference in units of the two standard deviations' root mean square.
    status, reason: as in `Estimate`.
    """

    t: float | None
    df: float | None
    p_value: float | None
    effect_size: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


def above_complement(segment: Moments, complement: Moments) -> SegmentTest:
    """Test whether a segment's mean lies above the mean of the rows that are not in it.

    Sources: Welch (1947), Biometrika 34:28 · Chung, Kraska, Polyzotis, Tae & Whang (2019), ICDE, arXiv 1807.06068
    (Slice Finder), for the effect size √2 (m_s - m_c) / √(v_s + v_c) with the variances of the rows (ddof 0).

    >>> from toolkit.stats.means import moments
    >>> found = above_complement(moments([1] * 9 + [0] * 11), moments([1] * 6 + [0] * 74))
    >>> round(found.t, 6), round(found.p_value, 7), round(found.effect_size, 6)
    (3.180196, 0.0021966, 0.942111)
    >>> above_complement(moments([0.2]), moments([0.1, 0.4])).reason
    'too few observations: n0 == 1, a variance needs 2'
    """
    n = check_count("segment.n", segment.n) + check_count("complement.n", complement.n)
    if few := too_few(segment.n, complement.n):
        return SegmentTest(None, None, None, None, n, _METHOD, "absent", few)
    gap = welch(complement.n, complement.mean, complement.variance, segment.n, segment.mean, segment.variance)
    if gap.value is None or not gap.se:
        return SegmentTest(None, None, None, None, n, _METHOD, "absent", gap.reason)
    spread = sum(check_variance("variance", side.variance) * (side.n - 1) / side.n for side in (segment, complement))
    t = gap.value / gap.se
    p_value = one_sided_p(t, df=gap.df)
    return SegmentTest(t, gap.df, p_value, math.sqrt(2) * gap.value / math.sqrt(spread), n, _METHOD, "ok", "")


class GroupSums(NamedTuple):
    """Count, sum and sum of squares of many groups' values, an array each; a group may be empty."""

    n: Numbers
    sums: Numbers
    squares: Numbers

    @classmethod
    def of(cls, n: object, sums: object, squares: object) -> GroupSums:
        """The sums as arrays of floats of one shape."""
        import numpy as np

        parts = [np.asarray(part, dtype=np.float64) for part in (n, sums, squares)]
        if len({part.shape for part in parts}) > 1:
            raise ArgumentError(f"shapes differ: {', '.join(str(part.shape) for part in parts)}")
        return cls(*parts)

    def less(self, others: GroupSums) -> GroupSums:
        """The rows of these groups that are not in `others`, each of which lies in its group."""
        return GroupSums(self.n - others.n, self.sums - others.sums, self.squares - others.squares)

    def means(self) -> Numbers:
        """Each group's mean; 0 for an empty group, which `Contrasts.tested` leaves out."""
        import numpy as np

        return np.asarray(self.sums / np.maximum(self.n, 1.0))

    def mean_variances(self) -> Numbers:
        """The squared standard error of each group's mean; 0 where there are fewer than 2 values."""
        import numpy as np

        spread = self.squares - self.sums * self.means()
        return np.where(self.n > 1, np.maximum(spread, 0.0) / np.maximum((self.n - 1) * self.n, 1.0), 0.0)


class Contrasts(NamedTuple):
    """One number for each of many segments, with its error and test.

    Attributes
    ----------
    values, ses, dfs: the contrast, its standard error, and Satterthwaite's degrees of freedom.
    p_values: one-sided, that the contrast is not above 0; 1 where nothing can be tested.
    tested: whether each group of the contrast has the rows and the spread that a test needs.
    """

    values: Numbers
    ses: Numbers
    dfs: Numbers
    p_values: Numbers
    tested: Flags

    @property
    def scores(self) -> Numbers:
        """How many standard errors each contrast lies above 0; 0 where nothing can be tested."""
        import numpy as np

        return np.where(self.tested, self.values / np.where(self.tested, self.ses, 1.0), 0.0)

    def widened(self, factors: ArrayLike) -> Contrasts:
        """The same with each standard error times a factor; an infinite one leaves nothing known.

        For rows that resemble each other, such as those of one day: the factor is how much wider an error with days as
        clusters is (Kish 1965, Survey Sampling: the root of the design effect).
        """
        import numpy as np

        ses = np.where(self.tested, self.ses, 1.0) * np.asarray(factors, dtype=np.float64)
        return _tested(self.values, np.where(self.tested, ses, 0.0), self.dfs, self.tested)


def rise_beyond_rest(
    reference: GroupSums, current: GroupSums, whole_reference: GroupSums, whole_current: GroupSums
) -> Contrasts:
    """How much more each segment's mean rose, from its own reference to now, than that of all other rows.

    >>> one = GroupSums.of([100], [20.0], [8.0])
    >>> now = GroupSums.of([100], [35.0], [16.0])
    >>> then_all, now_all = GroupSums.of([1000], [200.0], [80.0]), GroupSums.of([1000], [215.0], [88.0])
    >>> found = rise_beyond_rest(one, now, then_all, now_all)
    >>> round(float(found.values[0]), 6), float(found.p_values[0]) < 0.001
    (0.15, True)
    """
    return _contrasts(
        (1.0, current),
        (-1.0, reference),
        (-1.0, whole_current.less(current)),
        (1.0, whole_reference.less(reference)),
    )


def above_rest(segments: GroupSums, whole: GroupSums) -> Contrasts:
    """How far each segment's mean lies above that of all other rows of the same period."""
    return _contrasts((1.0, segments), (-1.0, whole.less(segments)))


def _contrasts(*parts: tuple[float, GroupSums]) -> Contrasts:
    import numpy as np

    values = sum((sign * group.means() for sign, group in parts), start=np.zeros(()))
    variances = [group.mean_variances() for _, group in parts]
    total = np.asarray(sum(variances, start=np.zeros(())))
    tested = np.logical_and.reduce([*(group.n > 1 for _, group in parts), total > 0])
    safe = np.where(tested, total, 1.0)
    doubts = [
        np.square(variance / safe) / np.maximum(group.n - 1, 1.0)
        for variance, (_, group) in zip(variances, parts, strict=True)
    ]
    dfs = np.where(tested, 1.0 / np.where(tested, sum(doubts, start=np.zeros(())), 1.0), 0.0)
    ses = np.where(tested, np.sqrt(safe), 0.0)
    return _tested(np.asarray(values), ses, dfs, tested)


def _tested(values: Numbers, ses: Numbers, dfs: Numbers, tested: Flags) -> Contrasts:
    import numpy as np
    from scipy import special

    tails = special.stdtr(np.where(tested, np.maximum(dfs, 1e-9), 1.0), -values / np.where(tested, ses, 1.0))
    return Contrasts(values, ses, dfs, np.where(tested, tails, 1.0), tested)
