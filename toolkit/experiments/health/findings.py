"""What a check found, what probably caused it, and how both are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.display import format_number
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

MOST_CAUSES = 3
"""So many likely causes are named per check: who has looked into three and found nothing needs the query."""


class Cause(NamedTuple):
    """What probably went wrong.

    Attributes
    ----------
    code: one word for each cause, such as `lost_day`; text: the sentence that says what speaks for it.
    weight: 0 to 1, how much speaks for it; it orders causes and is no probability.
    explains: codes of the checks that it makes fail. variant: the treatment that it is about, or "" for all.
    """

    code: str
    text: str
    weight: float
    explains: tuple[str, ...]
    variant: str = ""


UNKNOWN = Cause("unknown", "Nothing in the tables singles out a cause; the query shows where to look.", 0.0, ())
"""What is said of a check that none of the known causes explains."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    code: what is checked. variant: of which variant, or "" for all.
    passed: None for information, or where the data cannot tell (`absent`).
    hard: whether a failure withholds the verdict.
    observed, expected: the value that decides and the bound it is held against; `observed` None: nothing to check.
    text: the finding in one sentence.
    estimate: the observed value with its interval, where it has one.
    causes: why it probably failed, most likely first. query: the SQL to run next, in the contracts' names.
    absent: the data cannot tell; the text says why.
    """

    code: str
    passed: bool | None
    hard: bool
    observed: float | None
    expected: str
    text: str
    variant: str = ""
    estimate: stats.Estimate | None = None
    causes: tuple[Cause, ...] = ()
    query: str = ""
    absent: bool = False

    @classmethod
    def untold(cls, code: str, reason: str, *, hard: bool = False, variant: str = "") -> Check:
        """A check that the data cannot answer, and why."""
        return cls(code, None, hard, None, "", reason, variant, absent=True)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.code.replace("_", " ")

    @property
    def outcome(self) -> str:
        """`passed`, `failed` (withholds the verdict), `warning` (does not), `for information`, or `absent`."""
        if self.absent:
            return "absent"
        if self.passed is None:
            return "for information"
        return "passed" if self.passed else "failed" if self.hard else "warning"

    @property
    def cause(self) -> str:
        """The likely causes in one text, most likely first."""
        if len(self.causes) < 2:
            return "".join(cause.text for cause in self.causes)
        return " ".join(f"{place}. {cause.text}" for place, cause in enumerate(self.causes, start=1))


@dataclass(frozen=True)
class Checks(Shown):
    """The checks of one experiment, in the order in which an experiment goes wrong."""

    experiment: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The hard checks that failed: with any of them no verdict is given."""
        return tuple(check for check in self.checks if check.outcome == "failed")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The other checks that did not hold."""
        return tuple(check for check in self.checks if check.outcome == "warning")

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Every likely cause once, most likely first: what explains most is looked into first."""
        found: dict[str, Cause] = {}
        for check in (*self.failed, *self.warnings):
            for cause in check.causes:
                if cause.code != UNKNOWN.code:
                    found.setdefault(cause.code, cause)
        broken = {check.code for check in (*self.failed, *self.warnings)}
        return tuple(sorted(found.values(), key=lambda cause: (-cause.weight, -len(broken & set(cause.explains)))))

    @property
    @override
    def text(self) -> str:
        """What failed and why, or that nothing did."""
        decided = sum(check.passed is not None for check in self.checks)
        looked_at = "".join(f" Look at {check.name}: {check.text}" for check in self.warnings)
        if not self.failed:
            held = decided - len(self.warnings)
            whole = f"All {decided} checks passed" if not self.warnings else f"{held} of {decided} checks passed"
            return f"{whole}: the data can be read.{looked_at}"
        found = " ".join(check.text for check in self.failed)
        likely = self.causes[:MOST_CAUSES]
        why = f" Most likely: {' '.join(cause.text for cause in likely)}" if likely else ""
        return (
            f"{len(self.failed)} of {decided} checks failed, so no effect below should be believed. {found}"
            f"{why}{looked_at}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        """Rows per check: its outcome, with the finding as reason; what was observed; what was expected; of one that
        did not hold also the likely causes and the query to run next.
        """
        rows = []
        for check in self.checks:
            where: dict[str, Any] = {"key": check.code, "segment": f"variant={check.variant}" if check.variant else ""}
            if check.estimate:
                observed = estimate_row(check.estimate, statistic="observed", **where)
            else:
                observed = number_row(check.observed, check.text, statistic="observed", **where)
            rows += [
                ResultRow(statistic="outcome", value=check.outcome, reason=check.text, **where),
                observed,
                ResultRow(statistic="expected", value=check.expected, **where),
            ]
            if check.causes:
                rows.append(ResultRow(statistic="cause", value=check.cause, **where))
            if check.query:
                rows.append(ResultRow(statistic="query", value=check.query, **where))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per check, with its likeliest cause where any has one."""
        explained = any(check.causes for check in self.checks)
        return [
            {
                "check": check.name + (f", {check.variant}" if check.variant else ""),
                "outcome": check.outcome,
                "finding": check.text,
                **({"likely_cause": check.causes[0].text if check.causes else ""} if explained else {}),
                "expected": check.expected,
            }
            for check in self.checks
        ]

    @override
    def _repr_html_(self) -> str:
        parts = [super()._repr_html_()]
        for check in (*self.failed, *self.warnings):
            if check.query:
                head = f"To run next, {check.name}{f', {check.variant}' if check.variant else ''}"
                parts.append(f"<details><summary>{escape(head)}</summary><pre>{escape(check.query)}</pre></details>")
        return "".join(parts)


def percent(value: float | None) -> str:
    """A share as people read it."""
    return format_number("value_share", value)


def points(gap: float | None) -> str:
    """The size of a difference of shares: `4.7 percentage points`."""
    return f"{abs(100 * (gap or 0)):.2g} percentage points"


def higher(gap: float | None) -> str:
    """A difference of shares: `4.7 percentage points lower`."""
    return f"{points(gap)} {'higher' if (gap or 0) > 0 else 'lower'}"


def with_interval(share: stats.Estimate) -> str:
    """A share with its interval, or why there is none."""
    if share.value is None or share.ci_lower is None or share.ci_upper is None:
        return share.reason
    return f"{percent(share.value)}, 95 % interval {percent(share.ci_lower)} to {percent(share.ci_upper)}"


def bounded(
    code: str, share: stats.Estimate, bound: float, text: str, *, hard: bool = True, variant: str = ""
) -> Check:
    """A check that a share is at most `bound`; without observations it fails."""
    passed = share.value is not None and share.value <= bound
    return Check(code, passed, hard, share.value, f"at most {percent(bound)}", text, variant, share)


def ratio_text(counts: Sequence[int]) -> str:
    """`1,204 : 1,198`."""
    return " : ".join(f"{count:,}" for count in counts)
