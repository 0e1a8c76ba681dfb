"""The numbers of the listed segments: by day, in all that they hold and in what the ones before them left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.signals.segment_search.days import SearchDays
from toolkit.signals.segment_search.evidence import DayPatterns, one_sided, rise
from toolkit.signals.segment_search.found import AlwaysHard, NewlyBad
from toolkit.signals.signal import EVIDENCE_ALPHA

if TYPE_CHECKING:
    import pandas as pd

Described = Sequence[tuple[tuple[str, str], ...]]
"""Segments in words, see `describe`."""


@dataclass(frozen=True)
class Listing:
    """The requests of both periods by day and by listed segment; of all days, and of those that the search left."""

    reference: DayPatterns
    current: DayPatterns
    reference_kept: DayPatterns
    current_kept: DayPatterns

    @classmethod
    def of(cls, patterns: pd.DataFrame, days: SearchDays) -> Listing:
        """From what `Conjunctions.patterns` gave by day for the listed segments."""
        return cls(
            DayPatterns.of(patterns, 0),
            DayPatterns.of(patterns, 1),
            DayPatterns.of(patterns, 0, days=days.reference_kept),
            DayPatterns.of(patterns, 1, days=days.current_kept),
        )

    def newly_bad(
        self, segments: Described, p_search: Sequence[float], prior: stats.EffectPrior, *, weeks: float
    ) -> tuple[NewlyBad, ...]:
        """The segments at the first places, each beyond those before it; most impact first."""
        kept, spread = (self.reference_kept, self.current_kept), (self.reference, self.current)
        confirmations = [rise(*kept, bit, leaving_out=range(bit), spread=spread) for bit in range(len(segments))]
        p_confirmed = stats.adjust_p([one_sided(each) for each in confirmations], "benjamini-hochberg")
        found = []
        for bit, conditions in enumerate(segments):
            reference, current = self.reference.mean(bit), self.current.mean(bit)
            change = stats.difference(reference, current)
            beyond = rise(self.reference, self.current, bit, leaving_out=range(bit))
            per_week = current.n / weeks
            found.append(
                NewlyBad(
                    conditions,
                    per_week,
                    reference,
                    current,
                    change,
                    stats.scaled(change, per_week),
                    beyond,
                    _shrink(beyond, prior),
                    p_search[bit],
                    confirmations[bit],
                    p_confirmed[bit],
                )
            )
        return tuple(sorted(found, key=lambda each: (-each.impact_per_week, each.segment)))

    def always_hard(self, segments: Described, *, first: int) -> tuple[AlwaysHard, ...]:
        """The segments from place `first` on that were hard on the days that the search left, too; hardest first."""
        kept = [
            self.reference_kept.against_rest(bit, leaving_out=range(first, bit), spread=self.reference)
            for bit in range(first, first + len(segments))
        ]
        adjusted = stats.adjust_p([one_sided(each) for each in kept], "benjamini-hochberg")
        found = [
            AlwaysHard(
                conditions,
                self.reference.mean(bit),
                self.current.mean(bit),
                self.reference.against_rest(bit, leaving_out=range(first, bit)),
                p,
            )
            for bit, (conditions, p) in enumerate(zip(segments, adjusted, strict=True), start=first)
            if p is not None and p <= EVIDENCE_ALPHA
        ]
        return tuple(sorted(found, key=lambda each: (-(each.above_rest.value or 0.0), each.segment)))


def _shrink(beyond: stats.Estimate, prior: stats.EffectPrior) -> float:
    """What is left of a rise in the light of all segments; all of it where it has no error."""
    if beyond.value is None or not beyond.se:
        return beyond.value or 0.0
    return prior.shrink(beyond.value, beyond.se).value
