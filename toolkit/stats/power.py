"""Power: the probability that an experiment shows what it is run for, from its units and the true difference.

The test asks whether two variants are different, whether the treatment is not worse by a margin, or whether both are
the same within a margin. `sample_sizes` solves the same equation for the units, the effect and the margin. `method`
names the variant of the equation, because planners differ by it: 14,751 and 14,749 units are both right answers.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from toolkit.checks import check_at_least, check_between, check_in
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import TOO_LARGE, check_count, check_finite, check_variance, satterthwaite_df

HYPOTHESES = ("different", "not_inferior", "equivalent")
"""What the test is to show: `different` from 0 (two-sided), `not_inferior` by the margin, `equivalent` within it."""
POWER_TESTS = ("z", "t")
"""`z`: the normal closed form, right for hundreds of units. `t`: the noncentral t of Welch's test, for few."""

_SMALLEST_SHARE = 1e-6


class Outcome(NamedTuple):
    """How the value of one unit varies: all that power needs to know about a metric.

    Attributes
    ----------
    variance, treatment_variance: of one unit's value in control and under treatment, in the metric's unit squared; of
        its linearised value for a ratio or a quantile.
    share: the control's share where every value is 0 or 1, so that the variance under treatment follows from the
        effect; None for anything else.
    pooled: whether the test forms its error from one share for both variants, as the pooled z test does.
    """

    variance: float
    treatment_variance: float
    share: float | None = None
    pooled: bool = False


class PowerDesign(NamedTuple):
    """What is to be shown, and with which units.

    Attributes
    ----------
    shares: of the units, control first, in any scale; the treatment with the smallest decides.
    alpha: two-sided for `different`, one-sided for the others; it is split among several treatments.
    hypothesis: one of `HYPOTHESES`. margin: in the metric's unit; 0 for `different`.
    increase: whether more is better: an effect is looked for, and a margin lies, on the side this says.
    inflation: units that a sequential design needs for each unit of a fixed one.
    test: one of `POWER_TESTS`.
    """

    shares: tuple[float, ...] = (0.5, 0.5)
    alpha: float = 0.05
    hypothesis: str = "different"
    margin: float = 0.0
    increase: bool = True
    inflation: float = 1.0
    test: str = "z"

    @property
    def comparison_alpha(self) -> float:
        """The alpha of each treatment's comparison with control."""
        return self.alpha / (len(self.shares) - 1)

    @property
    def control_share(self) -> float:
        """Of all units."""
        return self.shares[0] / math.fsum(self.shares)

    @property
    def treatment_share(self) -> float:
        """Of all units, for the treatment with the fewest."""
        return min(self.shares[1:]) / math.fsum(self.shares)

    @property
    def fewest(self) -> float:
        """Units in all below which a variant has fewer than 2: one alone has no variance."""
        return 2 / min(self.control_share, self.treatment_share) * (self.inflation if self.test == "t" else 1.0)

    def distance(self, effect: float) -> float:
        """How far a true difference lies from what the test is to rule out; 0 or less: on the wrong side of it."""
        if self.hypothesis == "different":
            return abs(effect)
        if self.hypothesis == "equivalent":
            return self.margin - abs(effect)
        return self.margin + (effect if self.increase else -effect)

    def reach(self, power: float = 0.5) -> float:
        """Standard errors from the null to a truth that is found with the power; by default the critical value."""
        from scipy import special

        tail = self.comparison_alpha / (2 if self.hypothesis == "different" else 1)
        return float(special.ndtri(power)) - float(special.ndtri(tail))


class Sizing(NamedTuple):
    """A design solved: units, effect and power that belong together. What could not be solved is None, see `reason`.

    Attributes
    ----------
    n: units in all variants together, not rounded.
    units: whole units per variant, in the order of the shares; none if `n` is None.
    effect: treatment minus control. margin: of the hypothesis; 0 for `different`.
    power: of the treatment with the fewest units.
    alpha: of each comparison, after the split.
    method: the variant: "z, pooled null", "z, unpooled", "t, noncentral, both tails" or "t, noncentral".
    status, reason: as in `Estimate`.
    """

    n: float | None
    units: tuple[int, ...]
    effect: float | None
    margin: float | None
    power: float | None
    alpha: float
    method: str
    status: Literal["ok", "absent"]
    reason: str


def mean_outcome(variance: float, *, treatment_variance: float | None = None, gain: float = 0.0) -> Outcome:
    """A mean per unit, or whatever has a variance per unit.

    Parameters
    ----------
    treatment_variance: by default the same as in control.
    gain: the share of the variance that covariates explain, such as the squared correlation with the unit's own past
        (Deng, Xu, Kohavi & Walker 2013, WSDM).

    >>> mean_outcome(400.0, gain=0.36)
    Outcome(variance=256.0, treatment_variance=256.0, share=None, pooled=False)
    """
    if not 0 <= gain < 1:
        raise ArgumentError(f"gain == {gain}, must be a number of at least 0 and below 1")
    other = variance if treatment_variance is None else treatment_variance
    left = 1 - gain
    return Outcome(check_variance("variance", variance) * left, check_variance("treatment_variance", other) * left)


def share_outcome(share: float, *, pooled: bool = True) -> Outcome:
    """A share of units, from the control's; `pooled` as in the z test of `difference_of_proportions`.

    >>> share_outcome(0.25)
    Outcome(variance=0.1875, treatment_variance=0.1875, share=0.25, pooled=True)
    """
    variance = check_between("share", share, 0, 1) * (1 - share)
    return Outcome(variance, variance, share, pooled)


def outcome_from_error(se: float, n: int, *, gain: float = 0.0) -> Outcome:
    """Any metric from the standard error that `n` units of history gave it: a ratio, a clustered quantile, a rank.

    Its error falls with the square root of the units, so that n times its square is the variance of one.

    >>> round(outcome_from_error(0.02, 400).variance, 9)
    0.16
    """
    if check_count("n", n) < 2:
        raise ArgumentError(f"n == {n}, must be at least 2: one unit has no standard error")
    return mean_outcome(check_at_least("se", se, 0) ** 2 * n, gain=gain)


TWO_VARIANTS = PowerDesign()
"""Two equal variants, a two-sided alpha of 5 %, the z test."""


def power_of(outcome: Outcome, n: float, effect: float, design: PowerDesign = TWO_VARIANTS) -> Sizing:
    """The probability that `n` units in all show what is to be shown, if the true difference is `effect`.

    Sources: Cohen (1988), Statistical Power Analysis, ch. 2 and 6 · Fleiss, Levin & Paik (2003), ch. 4 (pooled null) ·
    Julious (2004), Statistics in Medicine 23:1921 (margins). The z variants count only findings on the effect's own
    side; the t variant of `different` counts both sides, as Cohen's tables do. From power 0.5 on they differ by less
    than 0.00005 in that.

    >>> round(power_of(share_outcome(0.5), 100, 0.25).power, 7)  # R: power.prop.test(n=50, p1=.5, p2=.75)
    0.7401659
    >>> round(power_of(mean_outcome(1), 40, 1, PowerDesign(test="t")).power, 5)  # R: power.t.test(n=20, delta=1)
    0.86895
    """
    check_design(outcome, design)
    n, effect = check_at_least("n", n, 0), check_finite("effect", effect)
    answer = unsolved(outcome, design)._replace(n=n, effect=effect, margin=design.margin)
    reason = impossible(outcome, effect, design.margin) or few_units(design, n)
    if reason:
        return answer._replace(reason=reason)
    return answer._replace(
        power=chance(outcome, design, effect, n), units=whole_units(design, n), status="ok", reason=""
    )


def chance(outcome: Outcome, design: PowerDesign, effect: float, n: float) -> float:
    """The equation itself, for arguments that were checked."""
    from scipy import special

    fixed = n / design.inflation
    if design.test == "t":
        return _chance_by_t(outcome, design, effect, fixed)
    null, spread = (math.sqrt(variance / fixed) for variance in difference_variances(outcome, design, effect))
    reach = design.reach() * null
    if design.hypothesis == "equivalent":
        # Both one-sided tests must succeed.
        below, above = (design.margin - effect - reach) / spread, (design.margin + effect - reach) / spread
        return max(0.0, float(special.ndtr(below)) - float(special.ndtr(-above)))
    return float(special.ndtr((design.distance(effect) - reach) / spread))


def _chance_by_t(outcome: Outcome, design: PowerDesign, effect: float, n: float) -> float:
    """By the noncentral t with Satterthwaite's degrees of freedom: those of Student's test for equal variances."""
    from scipy import special

    n0, n1 = n * design.control_share, n * design.treatment_share
    se0, se1 = math.sqrt(outcome.variance / n0), math.sqrt(outcome.treatment_variance / n1)
    df = satterthwaite_df((se0, n0 - 1), (se1, n1 - 1)) or math.inf
    shift = design.distance(effect) / math.hypot(se0, se1)
    if design.hypothesis == "different":
        tail = float(special.stdtrit(df, design.comparison_alpha / 2))
        return _below(tail, df, -shift) + _below(tail, df, shift)
    return _below(float(special.stdtrit(df, design.comparison_alpha)), df, -shift)


def _below(tail: float, df: float, shift: float) -> float:
    """The noncentral t's distribution at a lower tail point; where scipy has no number for it, it is below 1e-12."""
    from scipy import special

    found = float(special.nctdtr(df, max(shift, -1e6), tail))
    return 0.0 if math.isnan(found) else found


def difference_variances(outcome: Outcome, design: PowerDesign, effect: float) -> tuple[float, float]:
    """Of the difference, times the units in all: as the test forms it under its null, and as it is."""
    w0, w1 = design.control_share, design.treatment_share
    if outcome.share is None:
        variance = outcome.variance / w0 + outcome.treatment_variance / w1
        return variance, variance
    treated = outcome.share + effect
    variance = outcome.variance / w0 + max(treated * (1 - treated), 0.0) / w1
    if not _pools(outcome, design):
        return variance, variance
    together = (w0 * outcome.share + w1 * treated) / (w0 + w1)
    return together * (1 - together) * (1 / w0 + 1 / w1), variance


def whole_units(design: PowerDesign, n: float, *, up: bool = False) -> tuple[int, ...]:
    """Units per variant; the rounding of last digits adds or takes no unit."""
    parts = [n * (share / math.fsum(design.shares)) for share in design.shares]
    if up:
        return tuple(max(2, math.ceil(part * (1 - 1e-12))) for part in parts)
    return tuple(math.floor(part * (1 + 1e-12)) for part in parts)


def check_design(outcome: Outcome, design: PowerDesign, power: float | None = None) -> None:
    """Raise `ArgumentError` for a design that makes no sense, `UnknownNameError` for a name that there is not."""
    check_in(design.hypothesis, HYPOTHESES, noun="hypothesis")
    check_in(design.test, POWER_TESTS, noun="test")
    if len(design.shares) < 2:
        raise ArgumentError(f"shares == {design.shares}, must hold the control's and at least one treatment's")
    for share in design.shares:
        check_between("shares", share, 0, math.inf)
    if min(design.control_share, design.treatment_share) < _SMALLEST_SHARE:
        raise ArgumentError(f"shares == {design.shares}, must each be at least {_SMALLEST_SHARE:g} of all")
    check_between("alpha", design.alpha, 0, 1)
    check_at_least("inflation", design.inflation, 1)
    if design.hypothesis == "different" and design.margin:
        raise ArgumentError(f"margin == {design.margin} with hypothesis 'different', which has none; leave it 0")
    if design.hypothesis == "equivalent":
        check_between("margin", design.margin, 0, math.inf)
    check_at_least("margin", design.margin, 0)
    if design.test == "t" and (outcome.share is not None or design.hypothesis == "equivalent"):
        raise ArgumentError("test 't' is for means that are different or not inferior; use 'z' for anything else")
    if power is not None:
        check_between("power", power, design.comparison_alpha, 1)


def unsolved(outcome: Outcome, design: PowerDesign) -> Sizing:
    """An answer that knows only its variant of the equation."""
    method = "z, pooled null" if _pools(outcome, design) else "z, unpooled"
    if design.test == "t":
        method = "t, noncentral, both tails" if design.hypothesis == "different" else "t, noncentral"
    return Sizing(None, (), None, None, None, design.comparison_alpha, method, "absent", "")


def impossible(outcome: Outcome, effect: float, margin: float = 0.0) -> str:
    """Why there is no such outcome, or ""."""
    if outcome.share is not None and not 0 <= outcome.share + effect <= 1:
        return f"a share of {outcome.share:g} cannot change by {effect:g}"
    if outcome.variance + outcome.treatment_variance == 0:
        return "the observations do not vary: there is no error to plan for"
    variances = [variance for variance in (outcome.variance, outcome.treatment_variance) if variance]
    largest = max(*variances, abs(effect), margin)
    # Beyond these a square of a ratio of two of them leaves what floating point can hold.
    return "" if min(variances) > 1e-100 and largest < 1e100 else f"{TOO_LARGE}, or too small"


def few_units(design: PowerDesign, n: float) -> str:
    """Why `n` units in all are too few (or far too many) to plan with, or ""."""
    if n > 1e100:
        return TOO_LARGE
    if n >= design.fewest:
        return ""
    return f"too few units: {n:g} in all; each variant needs 2, which takes {math.ceil(design.fewest):,}"


def _pools(outcome: Outcome, design: PowerDesign) -> bool:
    # Under a margin the shares differ by it: pooling them would be the null of another test.
    return outcome.pooled and design.hypothesis == "different"
