"""What the counts of an experiment say, each worked out once for the checks and for what probably caused them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.digests import assign_variant
from toolkit.experiments.telemetry import Assigned, Telemetry
from toolkit.experiments.units import Units

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan

NOT_COUNTED = "these units were measured without the counts that this check needs"
SMALLEST_EXPECTED = 5
"""Parts in which fewer units of a variant are expected are left out of a test by part."""

_CLEAR = 0.05
"""A chi-square p-value above this is no finding, whatever the exact one is."""

_EXACT_BELOW = 5000
"""Fewer events than this are compared by the exact test."""


class Part(NamedTuple):
    """The units of one day or segment value by variant, in the plan's order, and how they agree with the weights.

    `p_value`: against the plan's weights; `adjusted`: with all parts of its kind (Holm).
    """

    kind: str
    value: str
    counts: tuple[int, ...]
    p_value: float
    adjusted: float

    @property
    def name(self) -> str:
        """`platform = ios`, or the day."""
        return f"{self.kind.removeprefix('segment:')} = {self.value}" if self.kind != "day" else self.value


class Step(NamedTuple):
    """Counts by variant before a day and from it on."""

    day: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    p_value: float
    rest: float


@dataclass(frozen=True)
class Evidence:
    """A plan, what was measured for it, and everything that follows from both."""

    plan: ExperimentPlan
    units: Units
    telemetry: Telemetry

    @property
    def alpha(self) -> float:
        """The strict level of everything that must not differ between variants."""
        return self.plan.sample_ratio_alpha

    @property
    def active(self) -> list[str]:
        """The variants with weight, in the plan's order."""
        return [name for name, weight in self.plan.weights.items() if weight]

    @property
    def weights(self) -> list[int]:
        """Of the active variants."""
        return [self.plan.weights[name] for name in self.active]

    @property
    def told(self) -> bool:
        """Whether the events were counted at all."""
        return bool(self.telemetry.tallies)

    @property
    def window_days(self) -> list[str]:
        """The days of the window, ISO."""
        window = self.units.window
        return [(window.start + timedelta(days=day)).date().isoformat() for day in range(math.ceil(window.days))]

    def planned_share(self, variant: str) -> float:
        """The share of all units that the plan gives a variant."""
        return self.plan.weights[variant] / sum(self.plan.weights.values())

    @cached_property
    def exposed(self) -> dict[str, int]:
        """Units by variant."""
        return {name: self.units.arrivals[name].exposed for name in self.plan.variants}

    @cached_property
    def sample_ratio(self) -> stats.SampleRatio:
        """The plan's weights against all units."""
        return stats.sample_ratio([self.exposed[name] for name in self.plan.variants], list(self.plan.weights.values()))

    @property
    def ratio_broken(self) -> bool:
        """Whether the units do not agree with the weights."""
        p_value = self.sample_ratio.p_value
        return p_value is not None and p_value < self.alpha

    def excess(self, treatment: str) -> float:
        """How many more units a treatment has than the control's count and the weights give it, relative to that."""
        planned = self.exposed[self.plan.control] * self.plan.weights[treatment] / self.plan.weights[self.plan.control]
        return self.exposed[treatment] / planned - 1 if planned else 0.0

    def parts(self, kind: str) -> list[Part]:
        """The units by each value of a kind against the weights; values with too few units are left out."""
        if kind not in self._parts:
            self._parts[kind] = self._find_parts(kind)
        return self._parts[kind]

    @cached_property
    def _parts(self) -> dict[str, list[Part]]:
        return {}

    def _find_parts(self, kind: str) -> list[Part]:
        smallest = min(self.weights) / sum(self.weights)
        found = []
        for value, by_variant in self.telemetry.by(kind).items():
            counts = tuple(int(by_variant.get(name, {}).get("units", 0)) for name in self.active)
            if value != "missing" and sum(counts) * smallest >= SMALLEST_EXPECTED:
                found.append(Part(kind, value, counts, ratio_p(counts, self.weights), 1.0))
        adjusted = stats.adjust_p([part.p_value for part in found], "holm")
        return [part._replace(adjusted=p) for part, p in zip(found, adjusted, strict=True) if p is not None]

    @property
    def segment_parts(self) -> list[Part]:
        """The parts of every segmentation, adjusted together."""
        found = [part for name in self.telemetry.segments for part in self.parts(f"segment:{name}")]
        adjusted = stats.adjust_p([part.p_value for part in found], "holm")
        return [part._replace(adjusted=p) for part, p in zip(found, adjusted, strict=True) if p is not None]

    @cached_property
    def step(self) -> Step | None:
        """The day from which on the ratio is most unlike before, where one split says more than any single day."""
        return find_step(self.parts("day"))

    @cached_property
    def wrong(self) -> list[Assigned]:
        """The units of the sample whose recomputed assignment is another one."""
        return [each for each in self.sample if self.assigned(each.unit) != each.variant]

    @cached_property
    def sample(self) -> list[Assigned]:
        """The units whose assignments are recomputed."""
        return list(self.telemetry.sample) or [Assigned(unit, variant, "") for unit, variant in self.units.sample]

    def assigned(self, unit: str, *, key: str = "", weights: Mapping[str, int] | None = None) -> str:
        """The variant that the plan's hash gives a unit, or that another key or other weights would give it."""
        rule = self.plan.assignment
        weights = weights or self.plan.weights
        return assign_variant(unit, weights, key=key or rule.key, name=rule.hash, version=rule.version)

    def share_wrong(
        self, sample: Sequence[Assigned], *, key: str = "", weights: Mapping[str, int] | None = None
    ) -> float:
        """The share of a sample that another key or other weights do not explain; 1 without a sample."""
        wrong = sum(self.assigned(each.unit, key=key, weights=weights) != each.variant for each in sample)
        return wrong / len(sample) if sample else 1.0

    @property
    def wrong_by_chance(self) -> float:
        """The share of disagreements if the plan's assignment had nothing to do with the one that was seen."""
        seen = sum(self.exposed.values())
        agree = sum(self.planned_share(name) * count / seen for name, count in self.exposed.items()) if seen else 0.0
        return 1 - agree

    def gap(self, name: str, treatment: str, of: str = "units", *, less: str = "") -> stats.Estimate:
        """Treatment minus control: the share of one count in another, of which `less` is left out."""
        ends = []
        for variant in (self.plan.control, treatment):
            whole = self.telemetry.total(variant, of) - (self.telemetry.total(variant, less) if less else 0)
            ends.append((self.telemetry.total(variant, name), whole))
        return share_gap(*ends[0], *ends[1])

    def requests_gap(self, treatment: str) -> stats.Estimate:
        """Treatment minus control: own requests per exposed unit."""
        ends: list[float | None] = []
        for variant in (self.plan.control, treatment):
            n = self.telemetry.total(variant, "units")
            total = self.telemetry.total(variant, "requests")
            squares = self.telemetry.total(variant, "request_squares")
            variance = max(squares - total * total / n, 0.0) / (n - 1) if n > 1 else None
            ends += [n, total / n if n else None, variance]
        return stats.welch(int(ends[0] or 0), ends[1], ends[2], int(ends[3] or 0), ends[4], ends[5])

    def crossed(self, experiment: str) -> list[list[int]]:
        """Units by the variant of another experiment (rows) and of this one."""
        cells = [each for each in self.telemetry.overlaps if each.experiment == experiment]
        counts = {(each.other_variant, each.variant): each.units for each in cells}
        others = sorted({each.other_variant for each in cells})
        return [[counts.get((other, name), 0) for name in self.active] for other in others]

    def deployed(self, day: str) -> str:
        """What was deployed on a day, as the end of a sentence; "" for nothing."""
        found = [each for each in self.telemetry.deployments if each.day == day]
        return "".join(f"; {each.kind} of version {each.version} that day" for each in found)

    def own_version(self, treatment: str) -> bool:
        """Whether the control is served by another version than this treatment."""
        return self.plan.variants[treatment].version != self.plan.variants[self.plan.control].version


def ratio_p(counts: Sequence[int], weights: Sequence[int]) -> float:
    """The p-value of counts against weights for the many parts of an experiment: exact only where it may matter."""
    from scipy import special

    n, total = sum(counts), sum(weights)
    pairs = [(count, n * weight / total) for count, weight in zip(counts, weights, strict=True)]
    p_value = float(special.chdtrc(len(pairs) - 1, sum((count - mean) ** 2 / mean for count, mean in pairs)))
    if p_value >= _CLEAR:
        return p_value
    exact = stats.sample_ratio(counts, weights).p_value
    return 1.0 if exact is None else exact


def share_gap(x0: int, n0: int, x1: int, n1: int) -> stats.Estimate:
    """x1/n1 - x0/n0 with its test, exact where events are few; a count beyond its whole is cut to it."""
    x0, x1 = min(max(x0, 0), n0), min(max(x1, 0), n1)
    estimate = stats.difference_of_proportions(x0, n0, x1, n1)
    rare = min(x0 + x1, n0 + n1 - x0 - x1)
    if estimate.p_value is None or rare > _EXACT_BELOW:
        return estimate
    from scipy import stats as distributions

    p_value = float(distributions.fisher_exact([[x0, n0 - x0], [x1, n1 - x1]]).pvalue)
    return estimate._replace(p_value=min(p_value, 1.0), method="newcombe hybrid score, fisher exact")


def differs(estimate: stats.Estimate, alpha: float) -> bool:
    """Whether a tested difference is one."""
    return estimate.p_value is not None and estimate.p_value < alpha


def homogeneity(table: Sequence[Sequence[int]]) -> tuple[float, int]:
    """Pearson's chi-square of a table of counts against equal shares in every row, and its degrees of freedom."""
    rows = [row for row in table if sum(row)]
    columns = [sum(column) for column in zip(*rows, strict=True)] if rows else []
    whole = sum(columns)
    found = 0.0
    for row in rows:
        for count, column in zip(row, columns, strict=True):
            if column:
                expected = sum(row) * column / whole
                found += (count - expected) ** 2 / expected
    return found, max(len(rows) - 1, 0) * max(sum(column > 0 for column in columns) - 1, 0)


def homogeneity_p(table: Sequence[Sequence[int]]) -> float:
    """The p-value of `homogeneity`; 1 where there is nothing to compare."""
    from scipy import special

    chi2, df = homogeneity(table)
    return float(special.chdtrc(df, chi2)) if df else 1.0


def find_step(parts: Sequence[Part]) -> Step | None:
    """The split into before and after that explains most of how the shares of days differ.

    None where the days agree, or where leaving out one day explains more than a split.
    """
    days = sorted(parts, key=lambda part: part.value)
    table = [part.counts for part in days]
    if len(days) < 4 or homogeneity_p(table) > 1e-6:
        return None
    best: Step | None = None
    for place in range(2, len(days) - 1):
        before, after = (tuple(map(sum, zip(*half, strict=True))) for half in (table[:place], table[place:]))
        rest = homogeneity(table[:place])[0] + homogeneity(table[place:])[0]
        if best is None or rest < best.rest:
            best = Step(days[place].value, before, after, homogeneity_p([before, after]), rest)
    alone = min(homogeneity(table[:place] + table[place + 1 :])[0] for place in range(len(table)))
    return best if best is not None and best.rest < alone else None
