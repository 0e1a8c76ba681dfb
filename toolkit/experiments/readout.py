"""What changed: the effect of each treatment on each metric, with the words that follow from its interval.

All intervals are two-sided with confidence 1 - alpha, which several treatments split between them, and reach as far as
the look allows. A guardrail is held against its margin with the end of that same interval on its bad side, which is a
one-sided test at alpha / 2: nothing is called safe on weaker evidence than it would be called better. The relative lift
says of zero what the difference says: one null, one p-value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from toolkit import stats
from toolkit.display import Picture, format_number
from toolkit.experiments.changes import format_change, format_change_interval
from toolkit.experiments.effects import Effect
from toolkit.experiments.estimates import Comparison
from toolkit.experiments.forest import draw_forest, lift_interval
from toolkit.records import ResultRow, Shown, Value

if TYPE_CHECKING:
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units


@dataclass(frozen=True)
class Readout(Shown):
    """The effects of one experiment: by treatment, in the order of the plan's metrics, then of groups that are watched.

    `looks` is what was read before, and what may be read now.
    """

    experiment: str
    analysis: Literal["plain", "clustered"]
    effects: tuple[Effect, ...]
    looks: Looks

    @property
    def confidence(self) -> float:
        """The confidence of every interval."""
        return self.looks.confidence

    @property
    def treatments(self) -> tuple[str, ...]:
        """The treatments compared with the control."""
        return tuple(dict.fromkeys(effect.treatment for effect in self.effects))

    def of(self, treatment: str) -> tuple[Effect, ...]:
        """The effects of one treatment."""
        return tuple(effect for effect in self.effects if effect.treatment == treatment)

    @property
    def text(self) -> str:
        """Every effect in a sentence, and what the intervals are."""
        parts = []
        for treatment in self.treatments:
            effects = self.of(treatment)
            parts.append(f"{treatment} against {effects[0].control}:")
            parts += [effect.text(self.confidence) for effect in effects]
        kind = "clusters" if self.analysis == "clustered" else "units"
        together = " over all looks together" if any(map(_looks_decide, self.effects)) else ""
        parts.append(
            f"Intervals are two-sided over {kind}; a guardrail's bad end is held against its margin, which is a "
            f"one-sided test at {(1 - self.confidence) / 2:g}{together}."
        )
        parts.append(self.looks.reach_text)
        secondary = {effect.metric for effect in self.effects if effect.role == "secondary"}
        if len(secondary) > 1:
            parts.append(f"Holm's p is over the {len(secondary)} secondary metrics of a treatment.")
        return " ".join(parts)

    def to_pictures(self) -> Sequence[Picture]:
        """A forest plot of the relative lifts, which put every metric on one axis."""
        return (draw_forest(self),)

    def to_rows(self) -> Sequence[ResultRow]:
        """The rows of every effect."""
        return [row for effect in self.effects for row in effect.rows()]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per metric and treatment, and one for each other view of it."""
        holm = len({effect.metric for effect in self.effects if effect.role == "secondary"}) > 1
        several = len(self.treatments) > 1
        return [line for effect in self.effects for line in _lines(effect, holm=holm, several=several)]


def analyze(plan: ExperimentPlan, units: Units, looks: Looks | None = None) -> Readout:
    """The effect of each treatment on each metric of the plan, by the plan's analysis, as this look may see it.

    `plain`: Welch's test over units, each unit's requests together (Deng, Knoblich & Lu 2018); with one request per
    unit it is the difference of means. `clustered`: the cluster sandwich (Liang & Zeger 1986), where a cluster may
    have requests in both variants. The relative lift has Fieller's interval. Where the plan has covariates the adjusted
    effect decides (Lin 2013) and the unadjusted one stands beside it; where it has caps the raw one decides. Secondary
    metrics have Holm's p. Groups that could be harmed have the guardrails that watch them. What could not be estimated
    is absent, with its reason.

    Parameters
    ----------
    looks: the earlier looks, from `load_looks`; None: as if this were the first.
    """
    comparison = Comparison.of(plan, units, looks)
    effects: list[Effect] = []
    for treatment in plan.treatments:
        effects += _with_holm([comparison.effect(metric, treatment) for metric in plan.metrics])
        effects += [
            replace(
                comparison.effect(guardrail.metric, treatment, segment=group.segment, value=group.value), why=group.why
            )
            for group in plan.vulnerable
            for guardrail in plan.watched(group)
        ]
    return Readout(plan.key, plan.analysis, tuple(effects), comparison.looks)


def _with_holm(effects: Sequence[Effect]) -> list[Effect]:
    """The secondary metrics' p-values adjusted so that they can be read together."""
    family = [effect.p_value if effect.role == "secondary" else None for effect in effects]
    adjusted = stats.adjust_p(family, "holm")
    return [replace(effect, p_adjusted=p) for effect, p in zip(effects, adjusted, strict=True)]


def _lines(effect: Effect, *, holm: bool, several: bool) -> list[dict[str, Value]]:
    unit = effect.unit
    first: dict[str, Value] = {
        "metric": effect.label,
        "role": effect.role.replace("_", " ") + (", adjusted" if effect.basis == "adjusted" else ""),
        **({"comparison": effect.comparison} if several else {}),
        "finding": effect.word,
        "control": format_number("mean", effect.control_mean, unit=unit),
        "treatment": format_number("mean", effect.treatment_mean, unit=unit),
    }
    last: dict[str, Value] = {
        **_estimates(effect.difference, effect.lift, unit),
        "p_value": "" if _looks_decide(effect) else effect.difference.p_value,
        **({"holm_p_value": _shown_p(effect)} if holm else {}),
        "unit": unit,
        "note": effect.difference.reason or effect.lift.reason,  # why a group is watched stands with the plan
    }
    beside: list[dict[str, Value]] = [
        {
            **dict.fromkeys(first, ""),
            "role": view.name,
            "finding": "decides nothing",
            **_estimates(view.difference, view.lift, unit),
            "p_value": "" if view.difference.p_value is None else view.difference.p_value,
            **({"holm_p_value": ""} if holm else {}),
            "unit": unit,
            "note": view.difference.reason or view.note,
        }
        for view in effect.views
    ]
    return [first | last, *beside]


def _looks_decide(effect: Effect) -> bool:
    """Whether the reach of the look has the say, which no p-value of one look has."""
    return effect.difference.p_value is None and effect.p_value is not None


def _shown_p(effect: Effect) -> Value:
    return effect.p_adjusted if effect.p_adjusted is not None or effect.role == "secondary" else ""


def _estimates(difference: stats.Estimate, lift: stats.Estimate, unit: str) -> dict[str, Value]:
    return {
        "difference": format_change(difference.value, unit),
        "interval": format_change_interval(difference.ci_lower, difference.ci_upper, unit),
        "rel_lift": lift.value,
        "lift_interval": lift_interval(lift),
    }
