"""Error budgets: how fast what a target allows is being spent, and when somebody must look at once.

A target of at most 1 % bad requests allows one in a hundred; the burn rate says how many times as fast they come. Rules
of two windows (Beyer et al. 2018, The Site Reliability Workbook, chapter 5) ask that a long one and a short one burn
fast: the long one so that it matters, the short one so that it still goes on.

Few requests make a high burn rate by chance, so a rule also asks how often it would ring in a year of a service that is
exactly at its limit. That count has a bound without simulation: an alarm begins with a bad request, so among `n`
requests of a window there are at most E[X; X >= k] moments at which it holds `k` bad ones, and a year has so many
windows. Requests are taken as independent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.stats.estimate import Estimate, check_count, scaled
from toolkit.stats.proportions import check_successes, proportion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

GUARD_P = 1e-3
"""A rule rings only for a count that a service at its limit reaches less often than this."""

FALSE_ALARMS_A_YEAR = 0.25
"""How often one rule may ring in a year of a service at its limit; all rules of an objective stay below one."""

_YEAR_MIN = 365.25 * 1440


class BurnRule(NamedTuple):
    """Ring when the budget burns faster than `burn` in a long window and in a short one. Windows in minutes."""

    severity: Literal["page", "ticket"]
    long_min: int
    short_min: int
    burn: float

    @property
    def text(self) -> str:
        """The rule in words.

        >>> BurnRule("page", 360, 30, 6.0).text
        '6h and 30m both > 6'
        """
        return f"{window_name(self.long_min)} and {window_name(self.short_min)} both > {self.burn:g}"


BURN_RULES = (BurnRule("page", 60, 5, 14.4), BurnRule("page", 360, 30, 6.0), BurnRule("ticket", 4320, 360, 1.0))
"""Of a budget of 30 days they ring at 2 % spent in an hour, 5 % in six hours, 10 % in three days."""


class BurnDecision(NamedTuple):
    """What the burn rates of the windows ask for. `rule`: the first that rings, "" if none does."""

    page: bool
    ticket: bool
    rule: str


class Exhaustion(NamedTuple):
    """When a budget is spent if it goes on like this; None, with the reason, where it never is or is not known."""

    hours: float | None
    reason: str


class Guard(NamedTuple):
    """How likely a count is by chance.

    Attributes
    ----------
    p_value: of a count at least as extreme in one window; None without requests.
    alarms_a_year: a bound on how often such a count would begin in a year by chance.
    """

    p_value: float | None
    alarms_a_year: float | None

    @property
    def passed(self) -> bool:
        """Whether chance is ruled out, also for somebody who looks all year."""
        if self.p_value is None or self.alarms_a_year is None:
            return False
        return self.p_value < GUARD_P and self.alarms_a_year <= FALSE_ALARMS_A_YEAR


def window_name(minutes: int) -> str:
    """A window's length as people write it.

    >>> [window_name(minutes) for minutes in (5, 360, 4320, 90)]
    ['5m', '6h', '3d', '90m']
    """
    for unit, length in (("d", 1440), ("h", 60)):
        if minutes % length == 0:
            return f"{minutes // length}{unit}"
    return f"{minutes}m"


def burn_rate(bad: int, n: int, *, allowed_share: float) -> Estimate:
    """How many times as fast as allowed bad requests come: their share over the allowed one, with Wilson's interval.

    >>> rate = burn_rate(3, 200, allowed_share=0.01)
    >>> round(rate.value, 6), round(rate.ci_lower, 4)
    (1.5, 0.5114)
    >>> burn_rate(0, 0, allowed_share=0.01).reason
    'no observations'
    """
    return scaled(proportion(bad, n), 1 / check_between("allowed_share", allowed_share, 0, 1))


def above_bound(estimate: Estimate, bound: float) -> Estimate:
    """By how much an estimate lies above a bound that is known: below 0 where it lies under it.

    >>> round(above_bound(proportion(30, 100), 0.05).value, 6)
    0.25
    """
    value, lower, upper = (
        None if part is None else part - bound for part in (estimate.value, estimate.ci_lower, estimate.ci_upper)
    )
    return estimate._replace(value=value, ci_lower=lower, ci_upper=upper, method=f"{estimate.method}, less the bound")


def judge_burns(burns: Mapping[str, float | None], *, rules: Sequence[BurnRule] = BURN_RULES) -> BurnDecision:
    """Which rules ring, from the burn rate of each window by its name; a window without requests rings nothing.

    >>> judge_burns({"1h": 15.0, "5m": 20.0, "6h": 5.0, "30m": 8.0, "3d": 0.9})
    BurnDecision(page=True, ticket=False, rule='1h and 5m both > 14.4')
    """
    ringing = [rule for rule in rules if _burns(burns, rule)]
    severities = {rule.severity for rule in ringing}
    return BurnDecision("page" in severities, "ticket" in severities, ringing[0].text if ringing else "")


def _burns(burns: Mapping[str, float | None], rule: BurnRule) -> bool:
    rates = [burns.get(window_name(minutes)) for minutes in (rule.long_min, rule.short_min)]
    return all(rate is not None and rate > rule.burn for rate in rates)


def time_to_exhaustion(*, period_h: float, burn: float, consumed_share: float) -> Exhaustion:
    """The hours until a budget is spent when it goes on burning like this; nothing that was spent is given back.

    >>> time_to_exhaustion(period_h=720, burn=14.4, consumed_share=0.25).hours
    37.5
    >>> time_to_exhaustion(period_h=720, burn=0, consumed_share=0.25).reason
    'nothing bad happens'
    """
    check_at_least("period_h", period_h, 0)
    check_at_least("burn", burn, 0)
    check_at_least("consumed_share", consumed_share, 0)
    if consumed_share >= 1:
        return Exhaustion(0.0, "it is spent")
    if burn == 0:
        return Exhaustion(None, "nothing bad happens")
    return Exhaustion((1 - consumed_share) * period_h / burn, "")


def burn_guard(bad: int, n: int, *, allowed_share: float, window_min: float) -> Guard:
    """How likely `bad` of `n` requests in a window are where exactly the allowed share is bad (exact binomial).

    Nine in ten requests failing would be no page if one had come in an hour: with one request nothing is unlikely.

    >>> burn_guard(1, 1, allowed_share=0.01, window_min=60).passed
    False
    >>> burn_guard(4, 10, allowed_share=0.01, window_min=60).passed
    True
    """
    check_between("allowed_share", allowed_share, 0, 1)
    bad, n = check_successes("bad", bad, "n", n)
    if n == 0:
        return Guard(None, None)
    p_value, moments = _tails([bad], [n], allowed_share)
    return Guard(float(p_value[0]), float(moments[0]) * _YEAR_MIN / window_min)


def guarded(bad: ArrayLike, n: ArrayLike, *, allowed_share: float, window_min: float) -> NDArray[np.bool_]:
    """Whether each count passes `burn_guard`; for many windows at once."""
    import numpy as np

    p_values, moments = _tails(bad, n, allowed_share)
    alarms = moments * _YEAR_MIN / window_min
    return np.asarray((p_values < GUARD_P) & (alarms <= FALSE_ALARMS_A_YEAR))


def _tails(bad: ArrayLike, n: ArrayLike, share: float) -> tuple[Any, Any]:
    """P(X >= bad) and E[X; X >= bad] = n share P(Y >= bad - 1): X bad ones of n requests, Y of n - 1."""
    import numpy as np
    from scipy import special

    k, trials = np.asarray(bad, dtype=np.float64), np.asarray(n, dtype=np.float64)
    rest = trials - k + 1
    at_least = np.where(k > 0, special.betainc(np.maximum(k, 1), rest, share), 1.0)
    others = np.where(k > 1, special.betainc(np.maximum(k - 1, 1), rest, share), 1.0)
    return at_least, trials * share * others


def least_alarming(rule: BurnRule, n: int, *, allowed_share: float) -> int | None:
    """How few of `n` bad requests in a rule's long window ring it; None when not even all of them do.

    >>> least_alarming(BURN_RULES[0], 10, allowed_share=0.01), least_alarming(BURN_RULES[0], 1, allowed_share=0.01)
    (4, None)
    """
    n = check_count("n", n)
    limit = rule.burn * check_between("allowed_share", allowed_share, 0, 1) * n

    def rings(bad: int) -> bool:
        return bad > limit and burn_guard(bad, n, allowed_share=allowed_share, window_min=rule.long_min).passed

    counts = range(1, n + 1)
    place = bisect_left(counts, True, key=rings)
    return counts[place] if place < n else None


def detection_min(
    rule: BurnRule, *, bad_share: float, allowed_share: float, requests_an_hour: float | None = None
) -> float | None:
    """The minutes until a rule's long window rings, from when so large a share is bad; None if it never does.

    Parameters
    ----------
    requests_an_hour: the guard then also asks for enough bad requests. None: as many as one likes.

    >>> round(detection_min(BURN_RULES[0], bad_share=1.0, allowed_share=0.001), 6)
    0.864
    >>> detection_min(BURN_RULES[0], bad_share=1.0, allowed_share=0.01, requests_an_hour=10)
    24.0
    """
    check_at_least("bad_share", bad_share, 0)
    burn = bad_share / check_between("allowed_share", allowed_share, 0, 1)
    if burn <= rule.burn:
        return None
    if requests_an_hour is None:
        return rule.long_min * rule.burn / burn
    n = round(requests_an_hour * rule.long_min / 60)
    least = least_alarming(rule, n, allowed_share=allowed_share)
    if least is None or least > bad_share * n:
        return None
    return least / (bad_share * requests_an_hour / 60)


def absence_guard(requests: int, *, expected: float, window_min: float) -> Guard:
    """How likely so few requests are where `expected` are usual in such a window (Poisson).

    >>> absence_guard(0, expected=10.0, window_min=60).passed, absence_guard(0, expected=60.0, window_min=360).passed
    (False, True)
    """
    from scipy import special

    requests = check_count("requests", requests)
    check_at_least("expected", expected, 0)
    if expected == 0:
        return Guard(None, None)
    p_value = float(special.pdtr(requests, expected))
    return Guard(p_value, expected * p_value * _YEAR_MIN / window_min)
