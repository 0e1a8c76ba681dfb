"""How labels arrive: what share is there so long after the request, and how to count those that are there early.

A label that has not arrived yet may still come: such a request was only watched for a while. The Kaplan–Meier estimate
uses it for just that long, so that the youngest requests pull the curve neither down nor up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, critical_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

CURVE_METHOD = "Kaplan-Meier, Greenwood, log-log limits"
UNTIL_METHOD = "Kaplan-Meier, delay at which the curve and its log-log limits reach the share"
SMALLEST_SHARE = 0.05
"""A label that so few are known as early as, would count more than twenty times: it is left out instead."""


class MaturityStep(NamedTuple):
    """A delay after which labels arrived.

    Attributes
    ----------
    delay: since the request, in the unit that was given.
    at_risk: requests that were watched so long and had no label before.
    arrived: labels that came after exactly this delay.
    share: of all requests, how many have a label by then.
    """

    delay: float
    at_risk: int
    arrived: int
    share: Estimate


class MaturityCurve(NamedTuple):
    """The share of requests with a label, by the time since the request: constant from one step to the next.

    Attributes
    ----------
    longest: the longest that a request was watched; None when there is none. Of what comes later nothing is known.
    n: requests. waiting: those whose label has not arrived.
    """

    steps: tuple[MaturityStep, ...]
    longest: float | None
    n: int
    waiting: int

    def share_by(self, delay: float) -> Estimate:
        """The share of requests that have a label after `delay`; absent when no request was watched so long."""
        if self.longest is None or delay > self.longest:
            reason = (
                "no request was watched" if self.longest is None else f"none was watched for more than {self.longest:g}"
            )
            return Estimate.absent(reason, n=self.n, method=CURVE_METHOD)
        reached = [step for step in self.steps if step.delay <= delay]
        if reached:
            return reached[-1].share
        return Estimate.alone(0.0, n=self.n, method=CURVE_METHOD, reason="no interval: no label came as early")

    def delay_until(self, share: float) -> Estimate:
        """The smallest delay after which at least `share` of the requests have a label.

        The interval holds the delays at which the curve's own interval holds `share` (Brookmeyer & Crowley 1982,
        Biometrics 38:29). Absent when the curve does not reach the share; an end is absent when a limit does not.

        >>> curve = maturity_curve([0, 1, 2], [50, 30, 10], [0, 0, 10])
        >>> curve.delay_until(0.75)[:5]
        (1.0, None, None, 1.0, 2.0)
        """
        check_between("share", share, 0, 1)
        slack = 1 - 1e-12  # a product of shares may lie one rounding below the share that it is
        value = _first(self.steps, "value", share * slack)
        if value is None:
            last = self.steps[-1].share.value if self.steps else 0.0
            reason = f"only {last:.1%} have a label at the end of the curve"
            return Estimate.absent(reason, n=self.n, method=UNTIL_METHOD)
        lower, upper = _first(self.steps, "ci_upper", share * slack), _first(self.steps, "ci_lower", share * slack)
        reason = "" if upper is not None else "no upper end: the curve's lower limit does not reach the share"
        return Estimate(value, None, None, lower, upper, None, self.n, UNTIL_METHOD, "ok", reason)


def maturity_curve(
    delays: ArrayLike, arrived: ArrayLike, waiting: ArrayLike, *, confidence: float = CONFIDENCE
) -> MaturityCurve:
    """The share of requests with a label by the time since the request, from counts by delay.

    Sources: Kaplan & Meier (1958), JASA 53:457; Greenwood (1926) for the variance; the limits are symmetric for
    ln(-ln S), so that they stay between 0 and 1 (Kalbfleisch & Prentice 1980). Where every request that was watched so
    long has a label they do not exist: there the lower limit is the exact one of the last step (Clopper & Pearson 1934,
    Biometrika 26:404) on top of the limit before it. Requests are taken as independent.

    Parameters
    ----------
    delays: times since the request, in any order and unit; a time may come twice.
    arrived: how many labels came after exactly this time.
    waiting: how many requests were watched for exactly this time without a label. A label that is said to come after
        the time that a request was watched is counted as arrived.

    >>> curve = maturity_curve([1, 2, 3, 5, 7, 10], [1, 2, 1, 1, 1, 0], [0, 0, 0, 1, 2, 1])
    >>> [round(step.share.value, 3) for step in curve.steps]
    [0.1, 0.3, 0.4, 0.5, 0.625]
    """
    import numpy as np

    reach = critical_value(confidence)
    times, given, without = matched(delays=delays, arrived=arrived, waiting=waiting)
    if (times < 0).any():
        raise ArgumentError(f"delays holds {times.min():g}, must hold times of at least 0")
    moments, place = np.unique(times, return_inverse=True)
    came = np.bincount(place, weights=counts("arrived", given), minlength=moments.size)
    left = np.bincount(place, weights=counts("waiting", without), minlength=moments.size)
    risk = np.cumsum((came + left)[::-1])[::-1]
    steps: list[MaturityStep] = []
    survival, log_variance, least = 1.0, 0.0, 0.0
    for moment, ended, at_risk in zip(moments.tolist(), came.tolist(), risk.tolist(), strict=True):
        if ended == 0:
            continue
        if ended < at_risk:
            survival *= 1 - ended / at_risk
            log_variance += ended / (at_risk * (at_risk - ended))
            share = _share(survival, log_variance, reach, n=int(risk[0]))
            least = share.ci_lower or 0.0
        else:
            share = _all_arrived(1 - least, int(at_risk), confidence, n=int(risk[0]))
        steps.append(MaturityStep(moment, int(at_risk), int(ended), share))
    watched = moments[(came + left) > 0]
    longest = float(watched[-1]) if watched.size else None
    return MaturityCurve(tuple(steps), longest, int(risk[0]) if risk.size else 0, int(left.sum()))


def truncated_shares(watched: ArrayLike, delays: ArrayLike, arrived: ArrayLike) -> dict[float, float]:
    """By delay, the share of all labels that are there by then, from labels that have arrived alone.

    What is known of a label before it arrives is not needed, so that this can be asked of one kind of label, such as
    the positive ones. It is of labels that come within the longest time watched. Source: Lagakos, Barraj & De Gruttola
    (1988), Biometrika 75:515: the Kaplan–Meier estimate in reversed time of delays that are truncated on the right.

    Parameters
    ----------
    watched: how long the requests of a group were watched.
    delays: after which their labels came, at most `watched`.
    arrived: how many.

    >>> truncated_shares([5, 5, 5, 1, 1], [0, 1, 3, 0, 1], [40, 40, 20, 80, 80])
    {0.0: 0.4, 1.0: 0.8, 3.0: 1.0}
    """
    import numpy as np

    ages, times, came = matched(watched=watched, delays=delays, arrived=arrived)
    came = counts("arrived", came)
    if (late := times > ages).any():
        raise ArgumentError(f"delays holds {times[late][0]:g} where watched is {ages[late][0]:g}, must be at most that")
    share, shares = 1.0, {}
    for moment in np.unique(times[came > 0])[::-1].tolist():
        shares[moment] = share
        here = float(came[times == moment].sum())
        share *= 1 - here / float(came[(times <= moment) & (ages >= moment)].sum())
    return dict(reversed(shares.items()))


class MaturityWeights(NamedTuple):
    """What a label counts that arrived early.

    Attributes
    ----------
    weights: one per group: 1 / share; None where the share is too small.
    effective_n: as many labels of weight 1 would say as much (Kish 1965, Survey Sampling, 11.7).
    left_out: labels of the groups without a weight.
    """

    weights: tuple[float | None, ...]
    effective_n: float
    left_out: int


def maturity_weights(shares: ArrayLike, labelled: ArrayLike) -> MaturityWeights:
    """Inverse-probability weights (Horvitz & Thompson 1952, JASA 47:663) of groups of labels.

    Parameters
    ----------
    shares: of each group's labels, how many are there by now.
    labelled: how many are.

    >>> maturity_weights([1.0, 0.5, 0.01], [100, 50, 1])
    MaturityWeights(weights=(1.0, 2.0, None), effective_n=133.33333333333334, left_out=1)
    """
    import numpy as np

    share, known = matched(shares=shares, labelled=labelled)
    wrong = share[(share < 0) | (share > 1)]
    if wrong.size:
        raise ArgumentError(f"shares holds {wrong[0]:g}, must hold numbers between 0 and 1")
    known = counts("labelled", known)
    used = share >= SMALLEST_SHARE
    weight = 1 / share[used]
    total, squares = float((weight * known[used]).sum()), float((np.square(weight) * known[used]).sum())
    return MaturityWeights(
        tuple(1 / float(each) if each >= SMALLEST_SHARE else None for each in share),
        total * total / squares if squares else 0.0,
        int(known[~used].sum()),
    )


def _share(survival: float, log_variance: float, reach: float, *, n: int) -> Estimate:
    """1 - survival with its error; the limits turn around."""
    log = math.log(survival)
    spread = math.exp(reach * math.sqrt(log_variance) / abs(log))
    se = survival * math.sqrt(log_variance)
    lower, upper = -math.expm1(log / spread), -math.expm1(log * spread)
    return Estimate(1 - survival, se, None, lower, upper, None, n, CURVE_METHOD, "ok", "")


def _all_arrived(waiting_before: float, at_risk: int, confidence: float, *, n: int) -> Estimate:
    """The whole share, where `at_risk` of `at_risk` labels came: `waiting_before` at most had none before."""
    may_wait = -math.expm1(math.log((1 - confidence) / 2) / at_risk)
    reason = "no standard error: every request that was watched so long has a label (the interval does not need one)"
    return Estimate(1.0, None, None, 1 - waiting_before * may_wait, 1.0, None, n, CURVE_METHOD, "ok", reason)


def _first(steps: tuple[MaturityStep, ...], part: str, share: float) -> float | None:
    """The first delay at which a part of the curve's estimate has reached `share`."""
    return next((step.delay for step in steps if (getattr(step.share, part) or 0.0) >= share), None)
