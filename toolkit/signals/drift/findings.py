"""What may be found about one column, and what makes it worth saying: evidence and a practical effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from toolkit import stats
from toolkit.signals.signal import EVIDENCE_ALPHA

DRIFT_FLOOR = 0.1
"""A PSI so far above its mean on noise is worth acting on: a normal distribution shifted by a third of a deviation."""

MISSING_FLOOR = 0.02
"""So many more rows without a value, as a share, are worth acting on."""

UNSEEN_FLOOR = 0.01
"""So many more rows with a value that the reference did not have, as a share, are worth acting on."""

SMALLEST_SAMPLE = 50
"""Rows that both sides need; with fewer nothing is said about a column but its type."""

Aspect = Literal["schema", "missing", "unseen", "constant", "drift"]
"""In the order in which they are looked at: a column that changed its type has no distribution to compare."""

Verdict = Literal["changed", "within threshold", "no evidence", "absent"]
"""In the order in which they are to be read."""

_WORDS: dict[Aspect, str] = {
    "unseen": "values never seen before",
    "constant": "constant changed",
    "drift": "drifted",
}


@dataclass(frozen=True)
class Finding:
    """One aspect of one column.

    Attributes
    ----------
    size: how large the change is, in `unit`; absent where it could not be said, and then so is the finding. None for
        what is no quantity: a type.
    floor: the size from which on it is worth acting on.
    p_value: the evidence; None where it needs none, because it is a fact and no estimate.
    p_adjusted: over all that was looked at together.
    text: what is found, in half a sentence.
    """

    aspect: Aspect
    size: stats.Estimate | None
    unit: str
    floor: float
    p_value: float | None
    text: str
    p_adjusted: float | None = None

    @property
    def verdict(self) -> Verdict:
        """What it is. A fact counts whatever its size: a value that a model never saw is one on a single row, too."""
        if self.size is None:
            return "changed"
        if self.size.value is None:
            return "absent"
        if self.p_value is None:
            return "changed" if self.size.value else "no evidence"
        if self.p_adjusted is None or self.p_adjusted > EVIDENCE_ALPHA:
            return "no evidence"
        return "changed" if abs(self.size.value) >= self.floor else "within threshold"

    @property
    def rank(self) -> int:
        """The place of its verdict among the verdicts: 0 is to be read first."""
        return get_args(Verdict).index(self.verdict)

    @property
    def times_floor(self) -> float:
        """The size in practical thresholds; 1 for what is no quantity."""
        if self.size is None:
            return 1.0
        return abs(self.size.value or 0.0) / self.floor

    @property
    def grew(self) -> bool:
        """Whether there is more of it now."""
        return self.size is not None and (self.size.value or 0.0) > 0

    @property
    def words(self) -> str:
        """The verdict in words."""
        if self.size is not None and self.verdict == "absent":
            return f"absent: {self.size.reason}"
        if self.verdict == "no evidence":
            return "no evidence"
        if self.verdict == "within threshold":
            return "evident, within the threshold"
        if self.aspect == "missing":
            return f"missing {'more' if self.grew else 'less'} often"
        return _WORDS.get(self.aspect, self.text)
