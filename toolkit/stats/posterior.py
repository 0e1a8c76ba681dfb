"""What is believed about a difference under a stated prior: how likely it is an improvement, and what a mistake costs.

One more view beside the test, never instead of it: a posterior looked at every day has no error rate to keep.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, check_finite, critical_value
from toolkit.stats.proportions import check_successes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FAR = 30.0
"""Standard deviations from which the expected loss is taken from its asymptotic series."""


class Posterior(NamedTuple):
    """What is believed about a difference (or a lift) of treatment minus control.

    Attributes
    ----------
    mean, sd: of the posterior, in the unit of the difference.
    ci_lower, ci_upper: the equal-tailed credible interval.
    probability_better, probability_worse: of a difference on the better side of 0, and on the worse.
    loss_if_shipped, loss_if_kept: the expected difference given away if the treatment is shipped and is worse, or if
        control is kept and the treatment is better; in the unit of the difference, of at least 0.
    prior: in words, with its numbers.
    status, reason: as in `Estimate`.
    """

    mean: float | None
    sd: float | None
    ci_lower: float | None
    ci_upper: float | None
    probability_better: float | None
    probability_worse: float | None
    loss_if_shipped: float | None
    loss_if_kept: float | None
    prior: str
    status: Literal["ok", "absent"]
    reason: str

    def probability_above(self, bound: float) -> float | None:
        """The probability that the difference exceeds a bound; None if there is no normal posterior.

        >>> round(normal_posterior(0.1, 0.05).probability_above(0.05), 4)
        0.8413
        """
        from scipy import special

        if self.mean is None or self.sd is None or self.ci_lower is None:
            return None
        return float(special.ndtr((self.mean - check_finite("bound", bound)) / self.sd))


def posterior(
    difference: Estimate,
    *,
    prior_mean: float = 0.0,
    prior_sd: float | None = None,
    increase: bool = True,
    confidence: float = CONFIDENCE,
) -> Posterior:
    """`normal_posterior` of an estimate; absent with the estimate's reason if that has no value or no standard error.

    >>> gain = Estimate(0.042, 0.012, None, 0.018, 0.066, 0.0005, 9000, "difference", "ok", "")
    >>> round(posterior(gain, prior_sd=0.015).mean, 6)
    0.02561
    """
    if difference.value is not None and difference.se:
        return normal_posterior(
            difference.value,
            difference.se,
            prior_mean=prior_mean,
            prior_sd=prior_sd,
            increase=increase,
            confidence=confidence,
        )
    reason = difference.reason or "the difference has no standard error"
    return _absent(reason, _prior(prior_mean, prior_sd))


def normal_posterior(
    value: float,
    se: float,
    *,
    prior_mean: float = 0.0,
    prior_sd: float | None = None,
    increase: bool = True,
    confidence: float = CONFIDENCE,
) -> Posterior:
    """The posterior of a difference from its estimate and standard error, under a normal prior on the true difference.

    Source: Gelman et al. (2013), Bayesian Data Analysis, ch. 2.5, and the normal's partial expectation for the losses.

    Parameters
    ----------
    prior_mean, prior_sd: in the unit of the difference; a `prior_sd` of None is the flat prior, which adds nothing.
    increase: whether more is better.

    >>> belief = normal_posterior(0.1, 0.05)
    >>> round(belief.probability_better, 6), round(belief.loss_if_shipped, 9), round(belief.loss_if_kept, 9)
    (0.97725, 0.000424535, 0.100424535)
    """
    from scipy import special

    value, se = check_finite("value", value), float(check_between("se", se, 0, math.inf))
    reach = critical_value(confidence)
    words = _prior(prior_mean, prior_sd)
    mean, sd = value, se
    if prior_sd is not None:
        # By the share of the prior in the whole, so that no variance is inverted.
        total = math.hypot(se, prior_sd)
        mean = value + (prior_mean - value) * (se / total) ** 2
        sd = se * (prior_sd / total)
    gain = mean if increase else -mean
    distance = gain / sd if sd else math.inf
    lower, upper = mean - reach * sd, mean + reach * sd
    if not all(map(math.isfinite, (distance, lower, upper))):
        return _absent(TOO_LARGE, words)
    less = sd * _partial_expectation(abs(distance))
    more = abs(gain) + less
    shipped, kept = (less, more) if gain > 0 else (more, less)
    better, worse = float(special.ndtr(distance)), float(special.ndtr(-distance))
    return Posterior(mean, sd, lower, upper, better, worse, shipped, kept, words, "ok", "")


def share_posterior(
    x0: int, n0: int, x1: int, n1: int, *, prior: tuple[float, float] = (1.0, 1.0), increase: bool = True
) -> Posterior:
    """The posterior of x1/n1 - x0/n0 with a beta prior on each share: exact, without a normal approximation.

    By quadrature of the beta densities on the logit scale. Source: the closed form of the same probability in Miller
    (2015), Formulas for Bayesian A/B Testing, which takes as many steps as there are successes.

    Parameters
    ----------
    prior: the two parameters of the beta; (1, 1) is uniform.

    >>> round(share_posterior(100, 1000, 120, 1000).probability_better, 9)
    0.923183439
    """
    for name, parameter in zip(("prior[0]", "prior[1]"), prior, strict=True):
        check_between(name, parameter, 0, math.inf)
    words = f"beta({prior[0]:g}, {prior[1]:g}) on each share"
    (a0, b0), (a1, b1) = (_updated(name, x, n, prior) for name, x, n in (("0", x0, n0), ("1", x1, n1)))
    mean0, mean1 = a0 / (a0 + b0), a1 / (a1 + b1)
    variances = [a * b / (a + b) ** 2 / (a + b + 1) for a, b in ((a0, b0), (a1, b1))]
    above, below, excess, shortfall = _beta_against(a0, b0, a1, b1)
    better, worse, missed, harm = (above, below, excess, shortfall) if increase else (below, above, shortfall, excess)
    reason = "no interval: the probabilities and losses are exact and need none"
    sd = math.sqrt(sum(variances))
    return Posterior(mean1 - mean0, sd, None, None, better, worse, harm, missed, words, "ok", reason)


def _partial_expectation(distance: float) -> float:
    """φ(t) - t Φ(-t) for t >= 0: the mean of what a standard normal exceeds t by; no digit lost however far t lies."""
    from scipy import special

    density = math.exp(-distance * distance / 2) / math.sqrt(2 * math.pi)
    if distance < _FAR:
        # By the scaled tail: Φ(-t) = φ(t) · sqrt(π/2) · erfcx(t/√2).
        mills = math.sqrt(math.pi / 2) * float(special.erfcx(distance / math.sqrt(2)))
        return density * (1 - distance * mills)
    inverse = 1 / (distance * distance)
    # 1/t² - 3/t⁴ + 15/t⁶ - 105/t⁸ …, from the last kept term inwards.
    series = 1.0
    for odd in range(17, 1, -2):
        series = 1 - odd * inverse * series
    return density * inverse * series


def _updated(name: str, x: int, n: int, prior: tuple[float, float]) -> tuple[float, float]:
    successes, observations = check_successes(f"x{name}", x, f"n{name}", n)
    return prior[0] + successes, prior[1] + observations - successes


def _beta_against(a0: float, b0: float, a1: float, b1: float) -> tuple[float, float, float, float]:
    """P(p1 > p0), P(p1 < p0), E[(p1 - p0)+] and E[(p0 - p1)+] of two independent betas.

    The narrower of the two is integrated over, so that the other's distribution is smooth between the nodes.
    """
    import numpy as np
    from scipy import special

    swap = _logit_width(a0, b0) < _logit_width(a1, b1)
    (a, b), (c, d) = ((a0, b0), (a1, b1)) if swap else ((a1, b1), (a0, b0))
    share, weight = _beta_nodes(a, b)
    below, above, mean = special.betainc(c, d, share), special.betaincc(c, d, share), c / (c + d)
    # Of the wider one, given the narrower at `share`: the mean of what it falls short of it, and exceeds it by.
    short = np.maximum(share * below - mean * special.betainc(c + 1, d, share), 0.0)
    over = np.maximum(mean * special.betaincc(c + 1, d, share) - share * above, 0.0)
    won, lost, ahead, behind = (min(float(weight @ values), 1.0) for values in (below, above, short, over))
    return (lost, won, behind, ahead) if swap else (won, lost, ahead, behind)


def _beta_nodes(a: float, b: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Shares and weights that integrate over a beta density: the trapezium rule on the logit scale, where the density
    is smooth and falls off on both sides, so that evenly spaced nodes are exact to rounding.
    """
    import numpy as np
    from scipy import special

    # The tails fall like exp(a y) and exp(-b y).
    centre, least = math.log(a / b), 12 * _logit_width(a, b)
    logit = np.linspace(centre - max(least, 40 / a), centre + max(least, 40 / b), 4001)
    log_density = a * special.log_expit(logit) + b * special.log_expit(-logit)
    weight = np.exp(log_density - log_density.max())
    return special.expit(logit), weight / weight.sum()


def _logit_width(a: float, b: float) -> float:
    """About the standard deviation of a beta on the logit scale."""
    return math.sqrt(1 / a + 1 / b)


def _prior(mean: float, sd: float | None) -> str:
    if sd is None:
        return "flat"
    check_between("prior_sd", sd, 0, math.inf)
    return f"normal, mean {check_finite('prior_mean', mean):g}, sd {sd:g}"


def _absent(reason: str, prior: str) -> Posterior:
    return Posterior(None, None, None, None, None, None, None, None, prior, "absent", reason)
