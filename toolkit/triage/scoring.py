"""Four methods of scoring a backlog item, each from one item's numbers, with its formula, its source and its criterion.

The default is cost of delay divided by duration: the order by it makes the delay of everything together cost least
(Smith 1956), in the unit of the values, and it says nothing that its inputs do not. The others score points that people
agreed on. All of them take floats, or arrays of draws of one shape, and give the same back.

Short-term value is what an item brings in each week from the day it is done; long-term value is what it brings in a
week later on, such as interest that a debt no longer asks for, or what an experiment teaches. They are two inputs and
give two scores, `Horizons`, side by side. Nothing here adds them up, except `weigh_horizons` at a weight that somebody
states, for which there is no default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from toolkit.checks import check_at_least, nearest, unknown_name_message
from toolkit.errors import ArgumentError
from toolkit.stats.rank_probabilities import Regret, regret

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

Numeric = TypeVar("Numeric", float, "Numbers")
"""A number, or an array of draws of it."""

DEFAULT_METHOD = "cost_of_delay_divided_by_duration"
"""The method where nobody chose another."""


class ScoringMethod(NamedTuple):
    """A method as people are told of it.

    Attributes
    ----------
    formula: in the names of its inputs. source: who proposed it. criterion: what the order by it is best at, or not.
    inputs: by name, what is meant, and the unit.
    score: the function, whose arguments are the inputs.
    """

    formula: str
    source: str
    criterion: str
    inputs: Mapping[str, str]
    score: Callable[..., Any]


class Horizons(NamedTuple, Generic[Numeric]):
    """One item's score by its short-term value and by its long-term value: two numbers, never one."""

    short_term: Numeric
    long_term: Numeric


def cost_of_delay(value_per_week: Numeric, risk_per_week: Numeric) -> Numeric:
    """What each week of waiting costs: the value that does not come, and the loss that is risked meanwhile.

    Both in one unit; below 0 where the item does harm. Raises `ArgumentError`.

    >>> cost_of_delay(8.0, 2.5)
    10.5
    """
    return _finite("value_per_week", value_per_week) + _finite("risk_per_week", risk_per_week)


def cost_of_delay_divided_by_duration(
    value_per_week: Numeric, risk_per_week: Numeric, duration_weeks: Numeric
) -> Numeric:
    """Cost of delay per week of work. Source: Smith (1956), Naval Research Logistics 3:59.

    Raises `ArgumentError`.

    >>> cost_of_delay_divided_by_duration(10.0, 2.0, 3.0)
    4.0
    """
    return cost_of_delay(value_per_week, risk_per_week) / _above_zero("duration_weeks", duration_weeks)


def wsjf(value: Numeric, time_criticality: Numeric, risk_opportunity: Numeric, size: Numeric) -> Numeric:
    """Weighted shortest job first, in points that people agreed on. Raises `ArgumentError`.

    >>> wsjf(8.0, 3.0, 5.0, 2.0)
    8.0
    """
    points = _not_below_zero("value", value) + _not_below_zero("time_criticality", time_criticality)
    return (points + _not_below_zero("risk_opportunity", risk_opportunity)) / _above_zero("size", size)


def rice(reach: Numeric, impact: Numeric, confidence: Numeric, effort: Numeric) -> Numeric:
    """Reach x impact x confidence / effort. Raises `ArgumentError`, also for a confidence above 1, such as 80 for 80 %.

    >>> rice(2000.0, 1.0, 0.8, 2.0)
    800.0
    """
    import numpy as np

    _not_below_zero("confidence", confidence)
    if np.any(np.asarray(confidence) > 1):
        highest = float(np.max(confidence))
        raise ArgumentError(f"confidence == {highest:.12g}, must be a share between 0 and 1; 80 % is 0.8")
    reached = _not_below_zero("reach", reach) * _finite("impact", impact)
    return reached * confidence / _above_zero("effort", effort)


def weighted(criteria: Mapping[str, Numeric], weights: Mapping[str, float]) -> Numeric:
    """A team's own weights: the sum of weight x criterion, a weight below 0 for what speaks against an item.

    Raises `ArgumentError` for a criterion without a weight, and a weight without its criterion.

    >>> weighted({"users": 5.0, "effort": 3.0}, {"users": 2.0, "effort": -1.0})
    7.0
    """
    if not weights:
        raise ArgumentError("weights is empty, must hold a weight for each criterion")
    for name in criteria:
        if name not in weights:
            raise ArgumentError(unknown_name_message(name, weights, noun="criterion"))
    missing = [name for name in weights if name not in criteria]
    if missing:
        raise ArgumentError(f"criteria lack {', '.join(sorted(missing))}: each weight needs its criterion")
    parts = [
        _finite(name, criteria[name]) * _finite(f"the weight of {name}", weight)
        for name, weight in sorted(weights.items())
    ]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


METHODS: Mapping[str, ScoringMethod] = {
    "cost_of_delay_divided_by_duration": ScoringMethod(
        formula="(value_per_week + risk_per_week) / duration_weeks",
        source="Smith (1956), Naval Research Logistics Quarterly 3:59; Reinertsen (2009), Principles of Product "
        "Development Flow: CD3",
        criterion="the order by it has the least total cost of delay, if one piece of work is done after the other",
        inputs={
            "value_per_week": "what the item brings in a week once it is done, in the plan's unit",
            "risk_per_week": "the loss expected in a week until it is done, in the same unit",
            "duration_weeks": "how long the work takes, in weeks, above 0",
        },
        score=cost_of_delay_divided_by_duration,
    ),
    "wsjf": ScoringMethod(
        formula="(value + time_criticality + risk_opportunity) / size",
        source="Scaled Agile Framework: weighted shortest job first",
        criterion="quick to agree on; points have no unit, so neither sums nor differences of scores mean anything",
        inputs={
            "value": "points, at least 0",
            "time_criticality": "points, at least 0",
            "risk_opportunity": "points for risk reduced or opportunity opened, at least 0",
            "size": "points of work, above 0",
        },
        score=wsjf,
    ),
    "rice": ScoringMethod(
        formula="reach * impact * confidence / effort",
        source="McBride, Intercom: RICE",
        criterion="compares what users notice; knows no deadline, and multiplies doubt into the value",
        inputs={
            "reach": "users in a period, at least 0",
            "impact": "effect per user, in points",
            "confidence": "a share between 0 and 1",
            "effort": "person-months, above 0",
        },
        score=rice,
    ),
    "weighted": ScoringMethod(
        formula="sum of weights[c] * criteria[c]",
        source="the team's own weights (simple additive weighting, Churchman & Ackoff 1954, Operations Research 2:172)",
        criterion="says what the team cares for; an item that is good at everything wins whatever it takes",
        inputs={
            "criteria": "the item's numbers by the team's own names",
            "weights": "by the same names; below 0 for what speaks against an item",
        },
        score=weighted,
    ),
}
"""The methods by name, the default first."""


def weigh_horizons(horizons: Horizons[Numeric], *, long_term_weight: float) -> Numeric:
    """One number of both horizons, at a stated weight: short_term + long_term_weight x long_term.

    At 0 only the short term counts, at 1 a week of long-term value is as good as one of the short term.
    Raises `ArgumentError`.

    >>> weigh_horizons(Horizons(4.0, 10.0), long_term_weight=0.25)
    6.5
    """
    weight = check_at_least("long_term_weight", long_term_weight, 0)
    return _finite("short_term", horizons.short_term) + _finite("long_term", horizons.long_term) * weight


def order(scores: Mapping[str, float]) -> tuple[str, ...]:
    """The keys, the highest score first; equal ones by key, so that it does not matter in which order they were read.

    Raises `ArgumentError`.

    >>> order({"A": 4.0, "C": 5.0, "B": 5.0})
    ('B', 'C', 'A')
    """
    for key, score in scores.items():
        _finite(f"the score of {key}", score)
    return tuple(sorted(scores, key=lambda key: (-scores[key], key)))


def delay_cost(
    ordered: Sequence[str], costs_of_delay: Mapping[str, float], durations_weeks: Mapping[str, float]
) -> float:
    """What waiting costs if the items are done one after the other: the sum of cost of delay x week of completion.

    Parameters
    ----------
    ordered: the keys, each once, the first to be done first.
    costs_of_delay: per week, by key. durations_weeks: by key, above 0.

    Raises `ArgumentError`.

    >>> delay_cost("BCA", {"A": 10, "B": 4, "C": 9}, {"A": 5, "B": 1, "C": 3})
    130.0
    """
    for name, given in (("costs_of_delay", costs_of_delay), ("durations_weeks", durations_weeks)):
        for key in ordered:
            if key not in given:
                close = nearest(key, given)
                hint = f" Did you mean {close!r}?" if close else ""
                raise ArgumentError(f"{name} lacks {key!r}, must hold every key of the order.{hint}")
    if len(set(ordered)) < len(ordered):
        twice = next(key for index, key in enumerate(ordered) if key in ordered[:index])
        raise ArgumentError(f"the order holds {twice!r} twice, must hold each item once")
    total, week = 0.0, 0.0
    for key in ordered:
        week += _above_zero(f"the duration of {key}", durations_weeks[key])
        total += _finite(f"the cost of delay of {key}", costs_of_delay[key]) * week
    return total


def order_regret(ordered: Sequence[int], costs_of_delay: ArrayLike, durations_weeks: ArrayLike) -> Regret:
    """What an order costs above the best one of each draw, which Smith's rule gives. Raises `ArgumentError`.

    Parameters
    ----------
    ordered: positions of all items, the first to be done first.
    costs_of_delay, durations_weeks: items x draws.

    >>> order_regret([0, 1, 2], [[10], [4], [9]], [[5], [1], [3]]).expected
    25.0
    """
    import numpy as np

    costs, weeks = np.asarray(costs_of_delay, dtype=np.float64), np.asarray(durations_weeks, dtype=np.float64)
    if costs.ndim != 2 or costs.shape != weeks.shape:
        raise ArgumentError(
            f"costs_of_delay has the shape {costs.shape}, durations_weeks {weeks.shape}, must both be items x draws"
        )
    if sorted(ordered) != list(range(len(costs))):
        raise ArgumentError(f"ordered == {list(ordered)}, must hold each position from 0 to {len(costs) - 1} once")
    scores = _finite("costs_of_delay", costs) / _above_zero("durations_weeks", weeks)
    smith = np.argsort(-scores, axis=0, kind="stable")
    given = np.broadcast_to(np.asarray(ordered)[:, None], costs.shape)
    chosen, best = (
        (np.take_along_axis(costs, rows, axis=0) * np.cumsum(np.take_along_axis(weeks, rows, axis=0), axis=0)).sum(
            axis=0
        )
        for rows in (given, smith)
    )
    return regret(-chosen, -best)


def _finite(name: str, given: Numeric) -> Numeric:
    return _checked(name, given, "a finite number")


def _not_below_zero(name: str, given: Numeric) -> Numeric:
    return _checked(name, given, "a number of at least 0", lowest=0.0)


def _above_zero(name: str, given: Numeric) -> Numeric:
    return _checked(name, given, "a number above 0", above=0.0)


def _checked(
    name: str, given: Numeric, wanted: str, *, lowest: float = float("-inf"), above: float = float("-inf")
) -> Numeric:
    """`given` if it, or each draw of it, is finite and in bounds; the first that is not is named."""
    import numpy as np

    each = np.asarray(given, dtype=np.float64)
    wrong = each[~(np.isfinite(each) & (each >= lowest) & (each > above))]
    if wrong.size:
        verb = "==" if each.ndim == 0 else "holds"
        raise ArgumentError(f"{name} {verb} {wrong.flat[0]:.12g}, must be {wanted}")
    return given
