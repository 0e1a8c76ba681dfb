"""The sample-ratio check for those who look every day: valid at every look, and at all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from toolkit.stats.estimate import check_positive
from toolkit.stats.sample_ratios import weigh_counts

CONCENTRATION = 1000.0
"""How many units the prior is worth: of a plan of halves it expects shares about 1 / (2 √1000) = 1.6 points away."""

_SERIES_FROM = 1000.0
"""From here on two terms of Stirling's series are as exact as floating point."""


class SequentialSampleRatio(NamedTuple):
    """The outcome of a sequential sample-ratio check; shares in the order of the counts.

    Attributes
    ----------
    log_bayes_factor: of shares other than planned against those planned; None where it is infinite or not defined.
    p_value: 1 / Bayes factor, at most 1: over looks its smallest value so far is as valid. None if `status` is absent.
    observed_shares, expected_shares: of all units.
    largest_deviation: the largest absolute difference of the two.
    n: units.
    method: "dirichlet-multinomial", or "impossible under the plan".
    status, reason: as in `Estimate`.
    """

    log_bayes_factor: float | None
    p_value: float | None
    observed_shares: tuple[float, ...]
    expected_shares: tuple[float, ...]
    largest_deviation: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


def sequential_sample_ratio(
    counts: Sequence[int], weights: Sequence[float], *, concentration: float = CONCENTRATION
) -> SequentialSampleRatio:
    """Test counts of units against the weights they were assigned with, at any look of many.

    Source: Lindon & Malek (2022), arXiv 2011.03567. The shares are mixed over a Dirichlet distribution around those
    planned; the Bayes factor is a martingale in the units if the plan holds, so that it ever exceeds 1/alpha with
    probability alpha at most. The price: it takes more units to find the same deviation than `sample_ratio` at one look
    chosen beforehand. A variant of weight 0 does not count; a unit in one makes p exactly 0.

    Parameters
    ----------
    concentration: sum of the Dirichlet's parameters, chosen beforehand; the larger, the smaller the deviations that are
        found soonest.

    >>> check = sequential_sample_ratio([821588, 815482], [1, 1])
    >>> round(check.log_bayes_factor, 6), f"{check.p_value:.3g}"
    (7.679379, '0.000462')
    """
    check_positive("concentration", concentration)
    seen = weigh_counts(counts, weights)
    outcome = SequentialSampleRatio(None, None, *seen[:4], "dirichlet-multinomial", "absent", "")
    if settled := seen.settled("Bayes factor"):
        return outcome._replace(**settled)
    log_bayes_factor = _log_bayes_factor(seen.active, seen.n, concentration)
    return outcome._replace(
        log_bayes_factor=log_bayes_factor, p_value=math.exp(-max(0.0, log_bayes_factor)), status="ok"
    )


def _log_bayes_factor(active: Sequence[tuple[int, float]], n: int, concentration: float) -> float:
    """log Γ(A)/Γ(A + n) · Π Γ(a + count)/Γ(a) · share^-count, with a = A · share, without its cancellation.

    The logs of the gamma functions are of the size of n log n and the result of log n. With Stirling's series their
    leading terms become the divergence of the posterior's shares from the plan's, whose terms are all positive.
    """
    end = concentration + n
    divergence = remainder = 0.0
    for count, share in active:
        excess = (count - n * share) / (end * share)
        divergence += end * share * _divergence(excess)
        prior, posterior = concentration * share, concentration * share + count
        remainder += prior * math.log(share) - math.log(posterior) / 2 + _stirling(posterior) - math.lgamma(prior)
    ways = (len(active) - 1) * math.log(2 * math.pi) / 2
    return divergence + remainder + math.lgamma(concentration) + math.log(end) / 2 - _stirling(end) + ways


def _divergence(x: float) -> float:
    """(1 + x) log(1 + x) - x, for x of at least -1."""
    if x <= -1:
        return 1.0
    if abs(x) < 1e-3:
        # The difference would lose what it is about.
        return x * x * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x / 30))))
    return (1 + x) * math.log1p(x) - x


def _stirling(x: float) -> float:
    """log Γ(x) less (x - 1/2) log x - x + log(2π)/2."""
    if x >= _SERIES_FROM:
        return (1 - 1 / (30 * x * x)) / (12 * x)
    return math.lgamma(x) - (x - 0.5) * math.log(x) + x - math.log(2 * math.pi) / 2
