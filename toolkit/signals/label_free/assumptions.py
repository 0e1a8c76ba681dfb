"""The assumption panel of a label-free estimate: what it rests on, looked at where labels are there.

A label-free number assumes that answers mean what they meant when labels were there. That can be false without any sign
in the answers, so the estimate is shown with this panel, and not at all when a line of it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from toolkit import stats
from toolkit.display import format_number
from toolkit.signals.label_free.basis import FEWEST_LABELLED, Basis, Words, answer_distance, effective_labels
from toolkit.signals.label_free.trials import Trial

MOST_OUTSIDE = 0.01
"""Share of requests whose answers may be such as none with a label had."""

LEAST_EFFECTIVE = 0.25
"""Share of the labels that must speak for the present answers: less, and a few of them say it all."""


class Drift(NamedTuple):
    """How far the window's answers are from those that calibrate them.

    Attributes
    ----------
    distance: of the two distributions (Smirnov's D). labels: that calibrate. effective: as how many they are as good
        for the present answers.
    """

    distance: float
    labels: int
    effective: float

    @classmethod
    def of(cls, now: Any, calibrating: Any) -> Drift:
        """From the cells of both."""
        return cls(answer_distance(now, calibrating), calibrating.labels, effective_labels(now, calibrating))


@dataclass(frozen=True)
class Assumption:
    """One line of the panel.

    Attributes
    ----------
    holds: None where nothing can be said, which is as bad as no.
    value, limit: what was found and what is allowed, in `unit`; None where there is nothing.
    text: both in words.
    """

    key: str
    name: str
    holds: bool | None
    value: float | None
    limit: float | None
    unit: str
    text: str

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "holds", False: "fails", None: "not known"}[self.holds]


def judge_assumptions(
    basis: Basis, trials: Sequence[Trial], *, outside: float, drift: Drift, labels_arrive: str
) -> tuple[Assumption, ...]:
    """Every line of the panel.

    Parameters
    ----------
    outside: of the window's requests, the share whose answers lie outside those that had labels.
    drift: of the window's answers from those.
    labels_arrive: in what way the mature labels are not all there, or "".
    """
    return (
        _labels(labels_arrive),
        _tried(trials),
        _support(basis, outside),
        _drift(basis, drift),
        _in_line(
            basis,
            "base_rate",
            f"{basis.words.rate} of the freshest labels",
            [trial.beyond_reference for trial in trials],
            trials,
            f"than the reference period lets the {basis.words.answers} expect",
        ),
        _in_line(
            basis,
            "calibration",
            "calibration of the freshest labels",
            [trial.miss(basis.level) or 0.0 for trial in trials],
            trials,
            "than the labels just before them let expect",
        ),
    )


def _labels(provisional: str) -> Assumption:
    said = provisional or "labels arrive as they used to"
    return Assumption("labels", "labels arrive", not provisional, None, None, "", said)


def _tried(trials: Sequence[Trial]) -> Assumption:
    needed = stats.FEWEST_MISSES
    windows = "1 earlier window" if len(trials) == 1 else f"{len(trials)} earlier windows"
    holds = True if len(trials) >= needed else None
    text = f"tried on {windows}, it needs {needed}"
    return Assumption("trials", "tried before", holds, len(trials), needed, "windows", text)


def _support(basis: Basis, share: float) -> Assumption:
    shown, most = (format_number("outside_share", each) for each in (share, MOST_OUTSIDE))
    text = f"{shown} of the requests are {basis.words.answered} as none with a label was, at most {most}"
    name = f"{basis.words.answers} seen before"
    return Assumption("support", name, share <= MOST_OUTSIDE, share, MOST_OUTSIDE, "share", text)


def _drift(basis: Basis, drift: Drift) -> Assumption:
    """Drift as such does no harm to the estimate, which follows it, until few labels speak for many requests."""
    share = drift.effective / drift.labels if drift.labels else 0.0
    holds = share >= LEAST_EFFECTIVE and drift.effective >= FEWEST_LABELLED
    answers = basis.words.answers
    text = (
        f"{answers} are {drift.distance:.3f} from those that calibrate them (Smirnov's D): weighted to the present, "
        f"the {drift.labels:,} labels there are as good as {drift.effective:,.0f}; it needs "
        f"{format_number('least_share', LEAST_EFFECTIVE)} of them and {FEWEST_LABELLED}"
    )
    return Assumption("drift", f"drift of {answers}", holds, share, LEAST_EFFECTIVE, "share", text)


def gap_size(gap: float, words: Words) -> str:
    """How large a gap of the level is: of shares in percentage points."""
    return f"{100 * abs(gap):.2g} pp" if words.unit == "share" else format_number("gap", abs(gap))


def _in_line(
    basis: Basis, key: str, name: str, gaps: Sequence[float], trials: Sequence[Trial], than: str
) -> Assumption:
    """Whether the last gap between labels and what was expected of them is as large as such gaps were before."""
    if not trials:
        return Assumption(key, name, None, None, None, "z", "no earlier window has labels to look at")
    found = stats.stands_out(gaps, least_se=getattr(trials[-1].least, basis.level) or 0.0)
    words, last = basis.words, gaps[-1]
    size = gap_size(last, words)
    gap = f"{words.level} of {trials[-1].window.label}: {size} {words.more if last >= 0 else words.fewer} {than}"
    if found.stands_out is None or found.times is None or found.limit is None:
        return Assumption(key, name, None, None, None, "z", f"{gap}; {found.reason}")
    z = found.times if last >= 0 else -found.times
    text = f"{gap}, {found.times:.1f} times what is usual; up to {found.limit:.1f} is in line"
    return Assumption(key, name, not found.stands_out, z, found.limit, "z", text)
