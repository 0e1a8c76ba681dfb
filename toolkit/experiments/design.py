"""The design of an experiment: what it would see, with how many units, after how long; from real history.

The difference's error follows the units, whose variance after so many days the history tells. Where clusters matter
(`analysis: clustered`) and units of one cluster are assigned each for itself, what they share is in both variants and
cancels in the difference: the variance between units stays the right one, and the design effect tells how much wider
the interval of a single variant's level will be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from toolkit.data import Source
from toolkit.display import Picture, format_number, notice
from toolkit.experiments.changes import format_change
from toolkit.experiments.history import UnitHistory, read_history
from toolkit.experiments.plan_words import change_text
from toolkit.experiments.sizing import (
    MOST_WEEKS,
    Aim,
    MetricDesign,
    aim_of,
    detectable_size,
    look_fractions,
    metric_design,
    outcome_after,
    planned_bounds,
    planned_days,
    planned_inflation,
    power_design,
)
from toolkit.experiments.unit_table import WEEK_DAYS, group_keys
from toolkit.records import ResultRow, Shown, number_row
from toolkit.stats.boundaries import Boundary
from toolkit.stats.estimate import critical_value
from toolkit.stats.power import Outcome, PowerDesign, power_of

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

_SOUGHT = {"different": "to improve by", "not_inferior": "not to be worse by", "equivalent": "to be the same within"}


@dataclass(frozen=True)
class ExperimentDesign(Shown):
    """What an experiment would see and how long it takes; see `design_experiment`.

    Attributes
    ----------
    plan, history: what it was made of. metrics: by role, those with a budget alone left out. groups: guardrails in the
        groups that could be harmed.
    """

    nothing_to_draw: ClassVar[str] = "there is no history to draw power from"

    plan: ExperimentPlan
    history: UnitHistory
    metrics: tuple[MetricDesign, ...]
    groups: tuple[MetricDesign, ...]

    @property
    def primary(self) -> MetricDesign:
        """The design of the primary metric."""
        return self.metrics[0]

    @property
    def planned_days(self) -> int:
        """Days of the plan's window."""
        return planned_days(self.plan)

    @property
    def planned_units(self) -> float | None:
        """Units in all variants at the end of the window, as the traffic of the history has it."""
        return self.history.units_after(self.planned_days) if self.history.weeks else None

    @property
    def fractions(self) -> tuple[float, ...]:
        """Of the information at the end, what each planned look will have; () without history."""
        return look_fractions(self.plan, self.history)

    @cached_property
    def bounds(self) -> Boundary | None:
        """The bounds of the planned looks; None where there is one look only, or any time is one."""
        return planned_bounds(self.plan, self.fractions)

    @property
    def inflation(self) -> float | None:
        """How many times the units of a fixed design this one needs, for the primary's power."""
        return planned_inflation(self.plan, self.history, self.primary.aim.power) if self.history.weeks else None

    @property
    def single_reach(self) -> float:
        """How many standard errors a single look's interval reaches."""
        return critical_value(self.plan.confidence_of_a_comparison)

    def powers(self, metric: str, sizes: Sequence[float], *, days: int) -> list[float]:
        """The power to see a metric improve by each of the sizes after so many days; empty where it is not known."""
        outcome, test, aim = self._asked(metric, days)
        if isinstance(outcome, str):
            return []
        units, better = self.history.units_after(days), math.copysign(1.0, aim.effect)
        return [power_of(outcome, units, better * size, test).power or 0.0 for size in sizes]

    def detectable(self, metric: str, *, days: int) -> float | None:
        """The smallest effect, or margin, that has the wanted power after so many days."""
        outcome, test, aim = self._asked(metric, days)
        return None if isinstance(outcome, str) else detectable_size(outcome, self.history.units_after(days), test, aim)

    def _asked(self, metric: str, days: int) -> tuple[Outcome | str, PowerDesign, Aim]:
        definition = self.history.metrics[metric]
        aim = aim_of(self.plan, metric, definition)
        factor = planned_inflation(self.plan, self.history, aim.power) if self.history.weeks else 1.0
        outcome = outcome_after(self.history, metric, days=days)
        return outcome, power_design(self.plan, aim, definition, factor), aim

    @property
    @override
    def text(self) -> str:
        if not self.history.weeks:
            return f"Nothing can be said about power: {self.history.reason}."
        said = [self._traffic(), _metric_text(self.primary, self.planned_days), self._looks()]
        short = [_name(each) for each in self._deciding if not each.enough]
        if short:
            said.append(f"The plan is too short for {', '.join(short)}, at the power that all of them need together.")
        return " ".join(filter(None, said))

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        window, plan = self.history.window.label, self.plan
        reason = self.history.reason
        about: dict[str, float | int | None] = {
            "history_units": self.history.units if self.history.weeks else None,
            "history_control_units": self.history.control_units if self.history.weeks else None,
            "units_per_week": self.history.units_after(WEEK_DAYS) if self.history.weeks else None,
            "planned_days": self.planned_days,
            "planned_units": self.planned_units,
            "inflation": self.inflation,
        }
        rows = [number_row(value, reason, key=plan.key, statistic=name, window=window) for name, value in about.items()]
        rows += [
            ResultRow(plan.key, "new_units", count, segment=f"day={day}", window=window)
            for day, count in self.history.new_units
        ]
        for number, fraction in enumerate(self.fractions, 1):
            look = {"key": plan.key, "window": window, "comparison": f"look {number}"}
            rows.append(number_row(fraction, "", statistic="information_share", **look))
            if self.bounds is not None:
                rows.append(number_row(self.bounds.z[number - 1], "", statistic="bound", **look))
        return [*rows, *(row for metric in (*self.metrics, *self.groups) for row in _metric_rows(metric, window))]

    @override
    def to_table(self) -> list[dict[str, str]]:
        lines = [self._line(each) for each in (*self.metrics, *self.groups)]
        used = [heading for heading in lines[0] if any(line[heading] != "–" for line in lines)]
        return [{heading: line[heading] for heading in used} for line in lines]

    def _line(self, each: MetricDesign) -> dict[str, str]:
        end = f"after {self.planned_days} days"
        late = f"over {MOST_WEEKS * WEEK_DAYS}" if each.needed_units else "–"
        return {
            "metric": f"{_name(each)} ({each.role.replace('_', ' ')})",
            "is to be seen": _aim_text(each),
            "level": "–" if each.level is None else format_number("", _rounded(each.level), unit=each.unit),
            "units needed": f"{sum(each.needed_units):,}" if each.needed_units else "–",
            "days needed": f"{each.needed_days:,}" if each.needed_days else late,
            f"power {end}": _power(each.power),
            f"seen {end}": "–" if each.detectable is None else format_change(_rounded(each.detectable), each.unit),
            "covariates explain": _share(each.explained) if each.variance is not None and each.covered else "–",
            "design effect": "–" if each.effect_of_design is None else f"{each.effect_of_design:.2f}",
            "note": each.reason or "–",
        }

    @override
    def to_pictures(self) -> Sequence[Picture]:
        from toolkit.experiments.power_curves import draw_durations, draw_looks, draw_power

        return [each for each in (draw_power(self), draw_durations(self), draw_looks(self)) if each is not None]

    def plot_durations(self) -> Picture:
        """What can be seen after so many days."""
        from toolkit.experiments.power_curves import draw_durations

        return draw_durations(self) or notice(self.nothing_to_draw)

    def plot_looks(self) -> Picture:
        """The bounds of the planned looks."""
        from toolkit.experiments.power_curves import draw_looks

        return draw_looks(self) or notice("there is one look, at the end, and its bound is that of a single test")

    @property
    def _deciding(self) -> tuple[MetricDesign, ...]:
        return (*(each for each in self.metrics[1:] if each.role in _DECIDING), *self.groups)

    def _traffic(self) -> str:
        plan, history = self.plan, self.history
        return (
            f"In {history.window.label} {history.units:,} units came ({history.units_after(WEEK_DAYS):,.0f} in the "
            f"first week, {_last_week(history):,} new ones in the last), {history.control_units:,} of them to version "
            f"{plan.variants[plan.control].version}; {self.planned_days} days like these would bring "
            f"{self.planned_units:,.0f}."
        )

    def _looks(self) -> str:
        if self.plan.design.kind == "fixed" or self.inflation is None:
            return ""
        looks = f"{len(self.fractions)} looks" if self.bounds else "A look at any time"
        return f"{looks} cost{'' if self.bounds else 's'} {_share(self.inflation - 1)} more units than a single one."


_DECIDING = ("primary", "guardrail", "data_quality")


def design_experiment(
    plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "", weeks: int = 4
) -> ExperimentDesign:
    """Size an experiment from the `weeks` before it: units and days it needs, power it has, effects it can see.

    The primary metric is sized for `planned_effect`, or where the plan has none for the smallest effect worth shipping;
    guardrails and data-quality metrics for no difference at all, against their margin, secondary ones for their
    practical threshold. For every one of k guardrails and quality metrics to pass beside the primary with the plan's
    power together, each is held to 1 - (1 - power) / (k + 1) (Schultzberg, Ankargren & Fränberg 2024,
    arXiv 2402.11609). Alpha is split over treatments; the smallest variant decides; planned looks cost what their
    boundaries do. Durations are whole weeks.

    Parameters
    ----------
    as_of: an instant; history ends before it, and before the plan's window. "": the last day complete in the data.

    What cannot be said has its reason. Raises as `history.read_history`.
    """
    history = read_history(plan, source, as_of=as_of, weeks=weeks)
    sized = [key for key in plan.metrics if plan.role(key) != "budget"]
    metrics, groups = (tuple(metric_design(plan, history, key) for key in keys) for keys in (sized, group_keys(plan)))
    return ExperimentDesign(plan, history, metrics, groups)


def _metric_rows(design: MetricDesign, window: str) -> list[ResultRow]:
    numbers: Mapping[str, float | int | None] = {
        "level": design.level,
        "unit_variance": design.variance,
        "target": design.aim.size,
        "needed_units": sum(design.needed_units) or None,
        "needed_days": design.needed_days,
        "power": design.power,
        "detectable": design.detectable,
    }
    late = f"more than {MOST_WEEKS} weeks" if design.needed_units else design.reason
    units = {"level": design.unit, "target": design.unit, "detectable": design.unit}
    rows = [
        number_row(
            value,
            late if name == "needed_days" else design.reason,
            key=design.metric,
            statistic=name,
            segment=design.group,
            window=window,
            unit=units.get(name, ""),
        )
        for name, value in numbers.items()
    ]
    about: dict[str, float | None] = {"design_effect": design.effect_of_design}
    if design.variance is not None:
        about |= {"explained_share": design.explained, "covered_share": design.covered}
    known = {name: value for name, value in about.items() if value is not None}
    rows += [
        ResultRow(design.metric, name, value, segment=design.group, window=window) for name, value in known.items()
    ]
    return rows


def _metric_text(design: MetricDesign, days: int) -> str:
    if not design.needed_units:
        return f"{design.name} cannot be sized: {design.reason}."
    takes = f"{design.needed_days} days" if design.needed_days else f"more than {MOST_WEEKS} weeks"
    power = "" if design.power is None else f"; the plan's {days} days give {_power(design.power)}"
    return (
        f"{design.name} is to be seen {_aim_text(design)}, with power {_power(design.aim.power)}: that needs "
        f"{sum(design.needed_units):,} units and {takes}{power}."
    )


def _name(design: MetricDesign) -> str:
    return f"{design.name}, {design.group}" if design.group else design.name


def _aim_text(design: MetricDesign) -> str:
    return f"{_SOUGHT[design.aim.hypothesis]} {change_text(design.aim.size, design.unit)} ({design.aim.source})"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _power(value: float | None) -> str:
    return "> 99.9 %" if value is not None and value > 0.999 else _share(value)


def _share(value: float | None) -> str:
    return "–" if value is None else format_number("_share", value)


def _last_week(history: UnitHistory) -> int:
    return sum(count for _, count in history.new_units[-WEEK_DAYS:])
