"""What a shadow deployment lets one expect online, and what it cannot see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.experiments.changes import format_change, format_change_interval
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.readout import Readout
    from toolkit.experiments.shadow.pairs import ShadowPairs


_HALF = math.sqrt(2.0)
"""How much larger a difference's error is with half of the units in each variant."""


class Expectation(NamedTuple):
    """What an A/B test of a metric should find, if people and labels react as they did to the served version.

    Attributes
    ----------
    effect: the paired effect: what is expected of the metric, with its interval.
    lower, upper: where the estimate of an A/B test would lie with the plan's confidence, half of this traffic each, in
        as many days: both errors count. None, with `reason`, where an error is unknown.
    pairing_gain: how many times as many units the A/B test would need for the error that the pairs have.
    units: units in all that an A/B test needs to see the paired effect with the plan's power. days: at this traffic.
    """

    effect: Effect
    lower: float | None
    upper: float | None
    pairing_gain: float | None
    units: int | None
    days: float | None
    reason: str


@dataclass(frozen=True)
class Outlook(Shown):
    """The expectation for every metric and treatment, in the order of the readout."""

    window_days: float
    confidence: float
    power: float
    group_word: str
    found: tuple[Expectation, ...]

    def of(self, metric: str, treatment: str) -> Expectation:
        """The expectation for a metric in a treatment."""
        return next(each for each in self.found if (each.effect.metric, each.effect.treatment) == (metric, treatment))

    @property
    def text(self) -> str:
        """A sentence per metric, and the assumption that all of them rest on."""
        return " ".join(
            [
                "If people, labels and load stay as they are under the served version:",
                *(self._sentence(each) for each in self.found),
            ]
        )

    def _sentence(self, each: Expectation) -> str:
        effect = each.effect
        if each.lower is None or effect.difference.value is None:
            return f"of {effect.name} nothing can be expected: {each.reason}."
        ends = effect.difference.ci_lower, effect.difference.ci_upper
        needs = (
            f"an A/B test{self._assigning} needs about {each.units:,} {self.group_word}s "
            f"({format_number('test_days', each.days)} of this traffic) to see it with {100 * self.power:g} % power"
            if each.units is not None
            else each.reason
        )
        return (
            f"{effect.name} changes by {format_change(effect.difference.value, effect.unit)} "
            f"({100 * self.confidence:g} % interval {format_change_interval(*ends, effect.unit)}), an A/B test of as "
            f"many days would find {format_change_interval(each.lower, each.upper, effect.unit)}, and {needs}."
        )

    @property
    def _assigning(self) -> str:
        # Units of one cluster that are assigned apart share its luck, which a difference then cancels in part.
        return " that assigns whole clusters" if self.group_word == "cluster" else ""

    def to_rows(self) -> Sequence[ResultRow]:
        """Per metric and treatment the expected effect, the range of an A/B test's estimate, and what it would need."""
        rows = []
        for each in self.found:
            effect = each.effect
            where: dict[str, Any] = {"key": effect.metric, "comparison": effect.comparison}
            rows += [
                estimate_row(effect.difference, statistic="expected_effect", unit=effect.unit, **where),
                number_row(each.lower, each.reason, statistic="test_estimate_lower", unit=effect.unit, **where),
                number_row(each.upper, each.reason, statistic="test_estimate_upper", unit=effect.unit, **where),
                number_row(each.pairing_gain, each.reason, statistic="pairing_gain", **where),
                number_row(each.units, each.reason, statistic="test_units", **where),
                number_row(each.days, each.reason, statistic="test_days", unit="days", **where),
            ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per metric and treatment."""
        return [
            {
                "metric": each.effect.name,
                "comparison": each.effect.comparison,
                "expected": format_change(each.effect.difference.value, each.effect.unit),
                "an A/B test would find": format_change_interval(each.lower, each.upper, each.effect.unit),
                "units it needs": each.units,
                "days": each.days,
                "pairs are worth": None if each.pairing_gain is None else f"{each.pairing_gain:.3g} times the units",
                "note": each.reason,
            }
            for each in self.found
        ]


def predict_online(plan: ExperimentPlan, pairs: ShadowPairs, readout: Readout) -> Outlook:
    """The effect that a launch, or an A/B test before it, should have, from the paired effects of a shadow.

    The estimand is the same as online only if requests, their labels and the load do not depend on which version
    serves; `list_blind_spots` says what speaks against it.
    """
    window = pairs.window
    days = (window.end - window.start).total_seconds() / 86_400
    found = [_expectation(plan, pairs, effect, days) for effect in readout.effects if not effect.segment]
    return Outlook(days, readout.confidence, plan.power, pairs.group_word, tuple(found))


def _expectation(plan: ExperimentPlan, pairs: ShadowPairs, effect: Effect, days: float) -> Expectation:
    samples = pairs.samples(effect.metric, effect.treatment)
    paired = effect.difference
    apart = stats.compare(samples._replace(crossed=None, groups=None), confidence=plan.confidence).difference
    if paired.value is None or paired.se is None or apart.se is None:
        return Expectation(effect, None, None, None, None, None, paired.reason or apart.reason)
    groups = samples.total
    test_se = _HALF * apart.se
    gain = (test_se / paired.se) ** 2 if paired.se else None
    needed = stats.units_needed(
        stats.mean_outcome(apart.se**2 * groups / 2),
        paired.value,
        stats.PowerDesign(alpha=plan.alpha_of_a_comparison),
        power=plan.power,
    )
    units = None if needed.n is None else math.ceil(needed.n)
    return Expectation(
        effect,
        *range_of_test(paired, apart, confidence=plan.confidence_of_a_comparison),
        gain,
        units,
        None if units is None else units / groups * days,
        needed.reason,
    )


def range_of_test(
    paired: stats.Estimate, apart: stats.Estimate, *, confidence: float
) -> tuple[float | None, float | None]:
    """Where the estimate of an A/B test lies whose variants get half of such units each, with the confidence.

    Its expectation is known with the error of the pairs, and it has its own beside: √2 times that of two samples of
    all units, `apart`.

    >>> pair = stats.from_standard_error(0.1, 0.01, n=400, method="paired")
    >>> test = stats.from_standard_error(0.1, 0.05, n=800, method="welch")
    >>> [round(end, 3) for end in range_of_test(pair, test, confidence=0.95)]
    [-0.04, 0.24]
    """
    if paired.value is None or paired.se is None or apart.se is None:
        return None, None
    reach = stats.critical_value(confidence) * math.hypot(paired.se, _HALF * apart.se)
    return paired.value - reach, paired.value + reach


class BlindSpot(NamedTuple):
    """Something that no shadow can see; `value` is how much of the traffic it touches, where that was counted."""

    code: str
    text: str
    value: float | None
    n: int


@dataclass(frozen=True)
class BlindSpots(Shown):
    """What the prediction cannot know: the reasons why an A/B test may find something else."""

    found: tuple[BlindSpot, ...]

    @property
    def text(self) -> str:
        """Every blind spot in a sentence."""
        return " ".join(each.text for each in self.found)

    def to_rows(self) -> Sequence[ResultRow]:
        """One row each, with the share of requests that it touches."""
        return [
            number_row(
                each.value, "a shadow cannot count it", key=each.code, statistic="touched_share", unit="share", n=each.n
            )
            for each in self.found
        ]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line each."""
        return [
            {"not seen": each.code.replace("_", " "), "touched_share": each.value, "why": each.text}
            for each in self.found
        ]


def list_blind_spots(plan: ExperimentPlan, pairs: ShadowPairs) -> BlindSpots:
    """What a shadow deployment of this plan cannot see, with the share of requests that each touches where counted."""
    found = []
    for treatment, counts in pairs.coverage.items():
        agreed = pairs.agreement(treatment)
        differs = None if agreed.value is None else 1 - agreed.value
        missed = counts.served - counts.paired
        only_one = counts.answered_by_control + counts.answered_by_treatment - 2 * counts.answered_by_both
        found.append(
            BlindSpot(
                f"reactions_to_{treatment}",
                f"What people would do where {treatment} decides otherwise than {plan.control}"
                f"{_of_requests(differs)} was not seen: nobody was told.",
                differs,
                agreed.n,
            )
        )
        if missed or only_one:
            found.append(
                BlindSpot(
                    f"requests_without_{treatment}",
                    f"{missed:,} of {counts.served:,} served requests were not scored by {treatment}, and {only_one:,} "
                    "of those that were got an answer from one version alone; no comparison has them.",
                    (missed + only_one) / counts.served,
                    counts.served,
                )
            )
    found += [
        BlindSpot(
            "labels_of_decisions",
            f"Labels are those that followed what {plan.control} decided. Where a decision changes what happens, or "
            "whether one learns of it, the treatment is judged by a world that it would not have made.",
            None,
            0,
        ),
        BlindSpot(
            "load",
            "A shadow's latency and errors were met beside the served traffic, not under it; nobody waited for them.",
            None,
            0,
        ),
        BlindSpot(
            "business_and_feedback",
            f"Revenue, complaints and whatever else people do are those of {plan.control}; a shadow has none.",
            None,
            0,
        ),
    ]
    return BlindSpots(tuple(found))


def _of_requests(share: float | None) -> str:
    return "" if share is None else f" ({format_number('touched_share', share)} of the requests)"
