"""How stable a plan is: what better estimates could win at most, and how often the same items come first again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.display import format_count, format_number
from toolkit.records import ResultRow, number_row
from toolkit.triage.capacity_programme import Programme
from toolkit.triage.programme_solver import Choice, written_down

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_DRAWS = 50
_FEWEST_DRAWS = 30
_DRAWS_TIMES_ITEMS = 2000
"""Each draw is solved, and a solution takes the longer the more items there are."""

_NOTHING = "nothing is planned"


@dataclass(frozen=True)
class Stability:
    """How far a plan would be another if everything were drawn again.

    Attributes
    ----------
    regret: what the plan is expected to lose per week against the best plan of each draw of the values, with efforts as
        expected; None with `no_regret_reason`. draws: what it rests on.
    first: as many items come first, by rank, as are planned. same_first: the probability that they are the same again.
    again: the expected share of them that come first again; both are None where nothing is planned.
    """

    regret: stats.Regret | None
    no_regret_reason: str
    draws: int
    first: int
    same_first: float | None
    again: float | None

    def text(self, unit: str) -> str:
        """In a sentence."""
        said = []
        if self.regret is not None:
            cost = f"{format_number('value', self.regret.expected)} {unit} a week"
            share = self.regret.relative
            part = f", {format_number('regret_share', share)} of the best plan" if share is not None else ""
            said.append(f"that the values are not known better is expected to cost {cost}{part}")
        if self.same_first is not None and self.again is not None:
            same, again = (format_number("share", share, unit="share") for share in (self.same_first, self.again))
            some = f"the same {self.first} items come first again in {same} of the draws, {again} of them on average"
            said.append(some if self.first > 1 else f"the same item comes first again in {same} of the draws")
        text = "; ".join(said)
        return f"{text[:1].upper()}{text[1:]}." if text else ""

    def to_rows(self, key: str, unit: str) -> list[ResultRow]:
        """The expected regret, and the share of draws in which the first ones are the same."""
        regret, reason = self.regret.expected if self.regret else None, self.no_regret_reason
        where = {"key": key, "statistic": "expected_regret", "unit": f"{unit} a week"}
        return [
            number_row(regret, reason, **where, method="against the best plan of each draw", n=self.draws or None),
            number_row(self.same_first, _NOTHING, key=key, statistic="same_first_share", unit="share"),
            number_row(self.again, _NOTHING, key=key, statistic="first_again_share", unit="share"),
        ]


def measure_stability(
    programme: Programme, choice: Choice, costs: NDArray[np.float64], scores: NDArray[np.float64]
) -> Stability:
    """How stable the best plan of a programme is.

    Parameters
    ----------
    costs: what a week of delay costs, tasks in the order of their keys x draws. scores: by which all items are ranked.
    """
    import numpy as np

    first = len(choice.chosen)
    held = stats.rank_stability(scores, first) if first else None
    again = (first, held.same_set, held.overlap) if held else (first, None, None)
    keys = list(programme.by_key)
    if not keys:
        return Stability(None, "nothing can be planned", 0, *again)
    draws = min(_MOST_DRAWS, _DRAWS_TIMES_ITEMS // len(keys))
    if draws < _FEWEST_DRAWS:
        most = format_count(_DRAWS_TIMES_ITEMS // _FEWEST_DRAWS, "item")
        return Stability(None, f"not looked into: it is with up to {most}", 0, *again)
    drawn = costs[:, :draws]
    planned = drawn[[keys.index(key) for key in choice.chosen]].sum(axis=0)
    best = [_best_value(programme, dict(zip(keys, column, strict=True))) for column in drawn.T.tolist()]
    # A solution is exact up to a billionth, by which it may fall short of the plan.
    return Stability(stats.regret(planned, np.maximum(best, planned)), "", drawn.shape[1], *again)


def _best_value(programme: Programme, values: Mapping[str, float]) -> float:
    problem, _ = written_down(programme, values, {})
    solution = problem.maximise()
    assert solution is not None  # the plan itself is one, whatever it is worth
    return solution.worth
