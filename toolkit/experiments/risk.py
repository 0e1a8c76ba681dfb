"""The risk of being wrong: what the design bounds before the data, and what the data leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.experiments.changes import format_change
from toolkit.records import ResultRow, number_row

if TYPE_CHECKING:
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan

_SMALLEST = 1e-4
_ABSENT = "the primary metric has no estimate with a standard error"


class Harm(NamedTuple):
    """The probability that a guardrail is worse by more than its margin; `where`: in which group, or ""."""

    metric: str
    where: str
    chance: float


class Risk(NamedTuple):
    """What can be wrong about a decision on one treatment.

    Attributes
    ----------
    error_bound: the chance of shipping a treatment that is `wrong`: at most this, set by the plan before the data.
    wrong: what the rule must not ship: one that is not better, or is worse by a margin.
    worse: the probability that the primary is worse than the control's; None where there is no estimate.
    loss: what shipping it is expected to lose, in the primary's unit. prior: what both rest on.
    harms: of each guardrail the probability that it is worse by more than its margin.
    """

    error_bound: float
    wrong: str
    worse: float | None
    loss: float | None
    unit: str
    prior: str
    harms: tuple[Harm, ...]

    @property
    def text(self) -> str:
        """The risk in two sentences."""
        bound = format_number("error_share", self.error_bound)
        parts = [f"A treatment that is {self.wrong} would be shipped with a chance of {bound} at most, by the design."]
        if self.worse is not None:
            worse = _chance(self.worse)
            loss = (
                "" if self.loss is None else f", and shipping is expected to lose {format_change(self.loss, self.unit)}"
            )
            parts.append(f"After the data it is worse with probability {worse}{loss} (prior: {self.prior}).")
        if self.harms:
            most = max(self.harms, key=lambda harm: harm.chance)
            where = f" in {most.where}" if most.where else ""
            parts.append(
                f"The likeliest harm beyond a margin is {most.metric}{where}, with probability {_chance(most.chance)}."
            )
        return " ".join(parts)

    def rows(self, experiment: str, comparison: str) -> list[ResultRow]:
        """One row per number."""
        where: dict[str, Any] = {"key": experiment, "comparison": comparison}
        return [
            ResultRow(statistic="error_bound_share", value=self.error_bound, **where),
            number_row(self.worse, _ABSENT, statistic="worse_share", method=self.prior, **where),
            number_row(self.loss, _ABSENT, statistic="expected_loss", unit=self.unit, method=self.prior, **where),
            *(
                ResultRow(
                    harm.metric, "harm_beyond_margin_share", harm.chance, segment=harm.where, comparison=comparison
                )
                for harm in self.harms
            ),
        ]


def weigh(plan: ExperimentPlan, effects: Sequence[Effect], looks: Looks) -> Risk:
    """The risk of a decision on the treatment whose effects these are.

    The bound is alpha / 2 of the comparison: each interval's bad end is one-sided. An extension adds as much again,
    because its confidence sequence stands beside what the planned looks have spent.
    """
    primary = next(effect for effect in effects if effect.role == "primary" and not effect.segment)
    bound = plan.alpha_of_a_comparison / 2
    if looks.current.kind == "extension":
        bound *= 2
    believed = _believed(primary)
    harms = tuple(
        Harm(effect.metric, effect.where, chance)
        for effect in effects
        if effect.role == "guardrail" and (chance := _chance_of_harm(effect)) is not None
    )
    wrong = "worse by a margin" if plan.rule == "not_inferior" else "not better, or is worse by a margin,"
    return Risk(bound, wrong, believed.probability_worse, believed.loss_if_shipped, primary.unit, believed.prior, harms)


def _chance(value: float) -> str:
    """A probability; beyond what a normal approximation can tell, only that it is small."""
    return "below 0.01 %" if value < _SMALLEST else format_number("chance_share", value)


def _believed(primary: Effect) -> stats.Posterior:
    """By the prior that the readout states, else by the estimate alone."""
    if primary.belief is not None:
        return primary.belief
    return stats.posterior(primary.difference, increase=primary.sign != -1)


def _chance_of_harm(effect: Effect) -> float | None:
    """By the estimate alone: a prior around no effect would talk harm down."""
    if effect.margin is None or effect.sign is None:
        return None
    believed = stats.posterior(effect.difference, increase=effect.sign > 0)
    above = believed.probability_above(-effect.sign * effect.margin)
    return above if above is None or effect.sign < 0 else 1 - above
