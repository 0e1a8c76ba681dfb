"""Caps for heavy tails: one cap for all variants, from the values of all of them, shown beside the uncapped result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.stats.arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

CAP_METHOD = "pooled quantile, linear interpolation"


class Cap(NamedTuple):
    """A cap for the values of units.

    Attributes
    ----------
    value: in the unit of the values; None if capping would leave nothing to compare, see `reason`.
    share: of the values, the quantile that it is.
    capped: values above it. n: values in all.
    status, reason: as in `Estimate`.
    """

    value: float | None
    share: float
    capped: int
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


def pooled_cap(*groups: ArrayLike, share: float = 0.99) -> Cap:
    """The `share` quantile of the values of all variants together (type 7 of Hyndman & Fan 1996).

    Pooled, because with a cap of its own each variant is measured by a metric of its own, and the difference of their
    means holds that of the caps, which no standard error knows of: 17 % false alarms instead of 5 % where the highest
    twentieth of 200 lognormal values (sigma 1.5) is capped.

    >>> cap = pooled_cap(range(1, 60), [*range(60, 100), 10_000], share=0.99)
    >>> round(cap.value, 9), cap.capped, cap.n
    (198.01, 1, 100)
    >>> pooled_cap([0, 0, 0, 7], [0, 0, 0, 0, 9], share=0.5).reason
    'no cap: 50% of the values lie at the smallest of them, 0, and capping would leave them all equal'
    """
    import numpy as np

    check_between("share", share, 0, 1)
    arrays = [numbers(f"group {index}", group) for index, group in enumerate(groups)]
    values = np.concatenate(arrays) if arrays else np.empty(0)
    if not values.size:
        return Cap(None, share, 0, 0, CAP_METHOD, "absent", "no cap: no values")
    cap, smallest = float(np.quantile(values, share)), float(values.min()) + 0.0  # never -0
    capped = int(np.count_nonzero(values > cap))
    if cap > smallest:
        return Cap(cap, share, capped, values.size, CAP_METHOD, "ok", "")
    lie = f"{share:g}" if share * 100 != round(share * 100) else f"{share:.0%}"
    reason = (
        f"no cap: {lie} of the values lie at the smallest of them, {smallest:g}, and capping would leave them all equal"
    )
    return Cap(None, share, capped, values.size, CAP_METHOD, "absent", reason)


def winsorized(values: ArrayLike, cap: Cap) -> Numbers:
    """The values, none above the cap; as they are if there is none. Source: Dixon (1960), Ann. Math. Stat. 31:385.

    >>> winsorized([1.0, 5.0, 900.0], pooled_cap([1.0, 5.0, 900.0], share=0.5)).tolist()
    [1.0, 5.0, 5.0]
    """
    import numpy as np

    array = numbers("values", values)
    return array if cap.value is None else np.minimum(array, cap.value)
