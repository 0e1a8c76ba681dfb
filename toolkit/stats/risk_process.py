"""Whether a model's risk rose by more than is tolerated: a test that may be looked at every day.

Podkopaev & Ramdas (2022), ICLR, arXiv 2110.06177, ask of a deployed model whether its risk is above what it was when it
was accepted plus a tolerance, with a chance of a false alarm of alpha over all looks together. Evidence here is wealth:
each day's loss is bet on against the bound (Waudby-Smith & Ramdas 2024, JRSS B 86:1), and no way of betting on a risk
that is within the bound makes 1 into 1 / alpha with a probability above alpha (Ville 1939).

The observations are days, not requests: requests of one day share its weather. A day's mean loss is cut to a range that
the reference days set, because what one may bet depends on the worst that can happen: the closer the lower end, the
larger the stakes and the sooner an alarm.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.stats.arrays import numbers
from toolkit.stats.series import series_noise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

RISK = "betting on daily losses, any start; valid at every look"

FEWEST_DAYS = 14
"""So many reference days a bound needs."""

_BELOW, _ABOVE = 2.0, 5.0
"""Standard deviations below the reference level and above the bound to which a day's loss is cut."""

_STAKES = (0.1, 0.3, 0.6, 0.9)
"""Shares of the stake that would lose everything on the best of days; the wealth is spread evenly over them."""

_STARTS = 7
"""A bet is started every so many days: often enough, and each start costs all others."""


class RiskProcess(NamedTuple):
    """The evidence, look by look, that the risk is above its bound.

    Attributes
    ----------
    reference: mean loss of the reference days, as cut. bound: the risk that is tolerated: its upper confidence bound
        plus the tolerance.
    low, high: the range that each day's loss was cut to, the reference days' too.
    log_evidence: after each day, natural log of the wealth; an alarm where it reaches `needed`, log(2 / alpha).
    alarm: place of the first day at which it did; None: at no look so far.
    began: place of the day from which the losses speak most for a rise; None without an alarm.
    p_value: the smallest so far of what may be read at any look; never below the half of `alpha` that the reference
        may err by. None when absent.
    """

    reference: float | None
    bound: float | None
    low: float | None
    high: float | None
    log_evidence: tuple[float, ...]
    alarm: int | None
    began: int | None
    p_value: float | None
    alpha: float
    status: Literal["ok", "absent"]
    reason: str

    @property
    def needed(self) -> float:
        """The log of the evidence that makes an alarm."""
        return -math.log(self.alpha / 2)


def risk_process(reference: ArrayLike, losses: ArrayLike, *, tolerance: float, alpha: float = 0.05) -> RiskProcess:
    """Bet, day after day, that the risk is above that of the reference days by more than `tolerance`.

    Half of alpha is for the reference: its risk is known from some days only, so the bound is a one-sided t interval
    with the long-run variance of its days. The other half is for the bets. One is started each week, with
    1 / (w (w + 1)) of the capital for week w, so that a rise that came late is not held against the good days before
    it. Stakes are spread over a grid.

    Parameters
    ----------
    reference: mean loss of each reference day. losses: of each day after it that has one, in order.
    tolerance: at least 0; a rise within it is no alarm, however long it lasts.

    Days count equally, whatever their requests. That days are no likelier to be bad after a bad one is what the promise
    needs; neighbours that are somewhat alike are covered by the bound (`tests/stats/test_risk_process.py`).
    Returns a process without evidence, with the reason, when the reference does not allow a bound.
    Raises `ArgumentError` for losses that are not finite.

    >>> calm = [0.10, 0.11, 0.09, 0.12, 0.10, 0.11, 0.10] * 4
    >>> harmful = risk_process(calm, [*calm, *[0.16, 0.15, 0.17, 0.14, 0.16, 0.15] * 4], tolerance=0.01)
    >>> harmful.began, harmful.alarm
    (28, 40)
    >>> risk_process(calm, calm * 5, tolerance=0.01).alarm is None
    True
    """
    import numpy as np
    from scipy import special

    before, after = numbers("reference", reference), numbers("losses", losses)
    check_at_least("tolerance", tolerance, 0)
    check_between("alpha", alpha, 0, 1)
    if before.size < FEWEST_DAYS:
        return _absent(f"a bound needs {FEWEST_DAYS} reference days, given: {before.size}", alpha)
    noise = series_noise(before)
    sd = max(noise.sd, float(before.std(ddof=1)))
    if noise.sd == 0:
        return _absent("the losses of the reference days do not vary", alpha)
    low = float(np.median(before)) - _BELOW * sd
    cut = np.maximum(before, low)
    mean, se = float(cut.mean()), float(cut.std(ddof=1)) * math.sqrt(noise.inflation / before.size)
    bound = mean + se * float(special.stdtrit(before.size - 1, 1 - alpha / 2)) + tolerance
    high = bound + _ABOVE * sd
    evidence, paths = _bet(np.clip(after, low, high) - bound, bound - low)
    needed = -math.log(alpha / 2)
    alarm = next((place for place, each in enumerate(evidence) if each >= needed), None)
    began = None
    if alarm is not None:
        # What has won most by now; or by the alarm, once the evidence has gone again.
        began = _best_start(paths if evidence[-1] >= needed else paths[: alarm + 1])
    p_value = min(1.0, alpha / 2 + math.exp(-max([0.0, *evidence])))
    return RiskProcess(mean, bound, low, high, tuple(evidence), alarm, began, p_value, alpha, "ok", "")


def _absent(reason: str, alpha: float) -> RiskProcess:
    return RiskProcess(None, None, None, None, (), None, None, None, alpha, "absent", reason)


def _bet(away: Numbers, room: float) -> tuple[list[float], Numbers]:
    """The log wealth after each day, and of each stake the sum of log gains up to each day (a row per day)."""
    import numpy as np

    stakes = np.array(_STAKES) / room
    gains = np.log1p(np.outer(away, stakes))
    running = np.full(stakes.size, -np.inf)
    evidence = []
    for day, gain in enumerate(gains):
        if day % _STARTS == 0:
            week = day // _STARTS + 1
            running = np.logaddexp(running, -math.log(week * (week + 1)))
        running = running + gain
        evidence.append(float(np.logaddexp.reduce(running)) - math.log(stakes.size))
    return evidence, np.cumsum(gains, axis=0).reshape(-1, stakes.size)


def _best_start(paths: Numbers) -> int:
    """The day from which some stake has won most."""
    import numpy as np

    before = np.vstack([np.zeros(paths.shape[1]), paths[:-1]])
    won = (paths[-1] - before).max(axis=1)
    return int(np.argmax(won))
