"""From units to estimates: which comparison a metric has, at the reach that the look allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Literal

from toolkit import stats
from toolkit.display import format_number
from toolkit.experiments.effects import Effect, View
from toolkit.experiments.taken_looks import first_look

if TYPE_CHECKING:
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

_QUANTILE = "quantile"

_TELLING = 0.005
"""The share of the variance from which taking it away is worth a number."""

ONLY_WHOLE = "a quantile is measured over everyone only, not by segment or day"

_ABSENT = stats.Estimate.absent(ONLY_WHOLE, n=0, method=_QUANTILE)
_NOT_SPLIT = stats.Effects(_ABSENT, _ABSENT, _ABSENT, _ABSENT, None)


@dataclass(frozen=True)
class Comparison:
    """A plan, what was measured for it, and what may be read now: everything that an estimate depends on."""

    plan: ExperimentPlan
    units: Units
    looks: Looks

    @classmethod
    def of(cls, plan: ExperimentPlan, units: Units, looks: Looks | None) -> Comparison:
        """With the looks given, or as if this were the first."""
        return cls(plan, units, first_look(plan, units) if looks is None else looks)

    @property
    def confidence(self) -> float:
        """Of every interval: several treatments split alpha between them."""
        return self.plan.confidence_of_a_comparison

    @property
    def group_word(self) -> Literal["cluster", "unit"]:
        """What is independent of each other."""
        return "cluster" if self.plan.analysis == "clustered" else "unit"

    def effect(self, metric: str, treatment: str, *, segment: str = "", value: str = "") -> Effect:
        """One metric's effect, adjusted for the plan's covariates where it has some, with its other views beside it."""
        definition = self.units.metrics[metric]
        samples = self._samples(metric, treatment, segment=segment, value=value)
        critical = self.looks.critical(self.exposed(treatment, segment=segment, value=value))
        if samples is None:
            found = _NOT_SPLIT if segment else self._quantiles(metric, treatment, critical)
        else:
            found = self._compare(samples, critical)
        effect = Effect(
            metric=metric,
            name=definition.name,
            role=self.plan.role(metric),
            treatment=treatment,
            control=self.plan.control,
            unit=definition.unit,
            direction=definition.direction,
            control_mean=found.control.value,
            treatment_mean=found.treatment.value,
            difference=found.difference,
            lift=found.lift,
            margin=self.plan.margin(metric),
            smallest=self._smallest(metric),
            segment=segment,
            value=value,
            p_value=found.p_value,
            level=found.treatment,
            groups=None if samples is None else (samples.control.n, samples.treatment.n),
        )
        if samples is not None and self.plan.covariates:
            effect = self._adjusted(effect, self._compare(samples, critical, adjust=True))
        if metric in self.units.caps:
            effect = self._winsorized(effect, critical)
        return replace(effect, belief=self._belief(effect))

    def through_day(self, metric: str, treatment: str, day: date, *, adjust: bool) -> stats.Estimate:
        """The difference over all units exposed up to a day, with an interval that holds on all days together."""
        samples = self.units.samples(metric, treatment, through_day=day, covariates=adjust)
        # Two units at least: with fewer there is no error to reach with.
        count = max(self.exposed(treatment, through_day=day), 2)
        critical = stats.always_valid_reach(count, alpha=1 - self.confidence, tune_n=self.plan.design.tune_units)
        return self._compare(samples, critical, adjust=adjust).difference

    def since_day(self, metric: str, treatment: str, days: int) -> stats.Estimate:
        """The difference on requests of a day since exposure, with an interval for itself."""
        return self._compare(self.units.samples(metric, treatment, since_day=days), None).difference

    def exposed(self, treatment: str, *, segment: str = "", value: str = "", through_day: date | None = None) -> int:
        """Units exposed to the treatment or the control: the information that a confidence sequence counts."""
        sides = self.plan.control, treatment
        if segment:
            return sum(self.units.exposed_by_segment.get((segment, value, name), 0) for name in sides)
        if through_day is None:
            return sum(self.units.arrivals[name].exposed for name in sides)
        days = [day for day in self.units.days if day <= through_day]
        return sum(self.units.exposed_by_day.get((name, day), 0) for name in sides for day in days)

    def _samples(self, metric: str, treatment: str, *, segment: str, value: str) -> stats.TwoSamples | None:
        """With the covariates, if there are some; None for a quantile."""
        if self.units.metrics[metric].kind == _QUANTILE:
            return None
        adjusts = bool(self.plan.covariates)
        return self.units.samples(metric, treatment, segment=segment, value=value, covariates=adjusts)

    def _compare(self, samples: stats.TwoSamples, critical: float | None, *, adjust: bool = False) -> stats.Effects:
        return stats.compare(samples, confidence=self.confidence, adjust=adjust, critical=critical)

    def _quantiles(self, metric: str, treatment: str, critical: float | None) -> stats.Effects:
        found = self.units.quantiles(metric, treatment)
        clustered = self.plan.analysis == "clustered"
        return stats.compare_quantiles(
            stats.QuantileSample(*found.control),
            stats.QuantileSample(*found.treatment),
            found.q,
            share_covariance=found.share_covariance,
            groups=found.groups if clustered else None,
            confidence=self.confidence,
            critical=critical,
        )

    def _smallest(self, metric: str) -> float | None:
        if metric == self.plan.primary and self.plan.smallest_effect is not None:
            return self.plan.smallest_effect
        return self.units.metrics[metric].practical_threshold or None

    def _belief(self, effect: Effect) -> stats.Posterior | None:
        """Under a normal prior around no effect that is as wide as what was planned for, or is worth having."""
        if effect.direction not in {"increase", "decrease"}:
            return None
        planned = self.plan.planned_effect if effect.metric == self.plan.primary else None
        return stats.posterior(
            effect.difference,
            prior_sd=planned or effect.smallest,
            increase=effect.direction == "increase",
            confidence=self.confidence,
        )

    def _adjusted(self, effect: Effect, found: stats.Effects) -> Effect:
        """The effect with the covariates taken out, and the unadjusted one beside it; a stated reason where it cannot.

        Both means stay those that were seen: an adjusted difference is not their difference.
        """
        if not any(found.theta or ()) or found.difference.se is None:
            return replace(effect, adjustment=f"could not be adjusted, {found.reason or found.difference.reason}")
        return replace(
            effect,
            difference=found.difference,
            lift=found.lift,
            p_value=found.p_value,
            basis="adjusted",
            adjustment=self._adjustment(found, effect.treatment),
            views=(View("unadjusted", effect.difference, effect.lift),),
        )

    def _adjustment(self, found: stats.Effects, treatment: str) -> str:
        """What adjusting did: for what, how much variance it took away, and who has no past."""
        parts = [f"for {' and '.join(self.units.covariates)}"]
        if found.variance_reduction is not None:
            taken = format_number("taken_share", found.variance_reduction)
            helps = found.variance_reduction >= _TELLING
            parts.append(f"which takes away {taken if helps else 'next to nothing'} of the variance")
        sides = self.plan.control, treatment
        missing = sum(
            self.units.missing_covariates.get((label, v), 0) for label in self.units.covariates for v in sides
        )
        if missing:
            parts.append(f"{missing:,} {self.group_word}{'' if missing == 1 else 's'} without one count with the mean")
        if found.reason:
            parts.append(found.reason)
        return ", ".join(parts)

    def _winsorized(self, effect: Effect, critical: float | None) -> Effect:
        """With what the effect is when each group's total is cut at the plan's cap beside it; the raw one decides."""
        adjust = effect.basis == "adjusted"
        samples = self.units.samples(
            effect.metric,
            effect.treatment,
            segment=effect.segment,
            value=effect.value,
            covariates=adjust,
            capped=True,
        )
        found = self._compare(samples, critical, adjust=adjust)
        cap = format_number("cap", self.units.caps[effect.metric], unit=effect.unit)
        view = View("winsorized", found.difference, found.lift, f"at most {cap} per {self.group_word}")
        return replace(effect, views=(*effect.views, view))
