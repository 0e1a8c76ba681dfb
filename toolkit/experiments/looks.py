"""Looks: how often an experiment was read before, what this reading may decide, and how far its intervals reach.

A look is one instant at which the data were read and published. Looks are counted in the ledger by the command that
published the report, never by a notebook: a report that is run twice, retried or reproduced counts once. A planned look
spends a part of alpha by the plan's spending function (Lan & DeMets 1983) and may decide; one that nobody planned shows
a confidence sequence, which holds at any time, spends nothing, and may only stop the experiment for harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from toolkit import stats
from toolkit.display import format_instant_day, format_number
from toolkit.experiments.edits import list_in_words
from toolkit.experiments.promises import LookDesign
from toolkit.records import ResultRow, Shown, Value
from toolkit.windows import format_instant

Kind = Literal["fixed", "planned", "always_valid", "unscheduled", "extension"]

_FAMILIES = {"obrien_fleming": "O'Brien–Fleming", "pocock": "Pocock"}


class Look(NamedTuple):
    """One look.

    Attributes
    ----------
    number: among the experiment's looks, from 1.
    as_of: the instant at which the data were read.
    report: the report that it was published in; "" for the look that is being taken.
    plan_digest: of the plan that it was taken under.
    units: exposed units so far. fraction: of the information that was planned.
    kind: `fixed` (the one look of a fixed design), `planned`, `always_valid`, `unscheduled`, or `extension`: one after
        the last planned look, within the days that the plan allowed for it in advance.
    planned_for: the planned instant that it counts for; None for looks that were not planned.
    final: whether it spends all that is left of alpha.
    window_end: the end of the plan's window at that time.
    """

    number: int
    as_of: datetime
    report: str
    plan_digest: str
    units: int
    fraction: float
    kind: Kind
    planned_for: datetime | None
    final: bool
    window_end: datetime

    @property
    def planned(self) -> bool:
        """Whether it is one of the plan's own looks, which spend alpha."""
        return self.planned_for is not None


class Bound(NamedTuple):
    """The bound of one planned look: how many standard errors away from zero an effect must be to be decided."""

    number: int
    as_of: datetime
    fraction: float
    z: float
    passed: bool


class Edit(NamedTuple):
    """The plan is not the one that was recorded first: where that was, and what differs, key by key."""

    report: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Looks(Shown):
    """The looks at an experiment before this one, this one, and what it may decide.

    Attributes
    ----------
    comparisons: treatments, which share alpha between them.
    planned: the instants of the plan's looks; the last is when the window has matured.
    expected: the share of the window that has gone at each of them. elapsed: now.
    looks: the earlier ones, the oldest first, one for each instant.
    edit: how the plan differs from the one that was recorded first; None if it does not.
    data: the digest of what was measured from.
    """

    experiment: str
    design: LookDesign
    alpha: float
    comparisons: int
    planned: tuple[datetime, ...]
    expected: tuple[float, ...]
    elapsed: float
    looks: tuple[Look, ...]
    current: Look
    edit: Edit | None
    data: str

    @property
    def confidence(self) -> float:
        """The confidence of each comparison's intervals: alpha is shared between the treatments."""
        return 1 - self.alpha / self.comparisons

    @property
    def may_ship(self) -> bool:
        """Whether this look may decide for a launch: one that was not planned may only stop for harm."""
        return self.current.kind != "unscheduled"

    @property
    def is_last(self) -> bool:
        """Whether no planned look comes after this one."""
        return self.next_planned is None

    @property
    def next_planned(self) -> datetime | None:
        """The first planned look that comes after this one; None where nothing of alpha is left for one."""
        if self._has_all:
            return None
        return next((instant for instant in self.planned if instant > self.current.as_of), None)

    @property
    def _has_all(self) -> bool:
        """Whether all units that were planned have come: a planned look then spends what is left of alpha."""
        return self.current.planned and self.current.fraction >= 1

    @property
    def plan_edited(self) -> str:
        """What of the plan was changed since it was first recorded, in a sentence; "" if nothing was.

        New comments or another order of the keys are no change of what was promised.
        """
        if self.edit is None or not self.edit.changes:
            return ""
        return f"The plan was edited since {self.edit.report}: {list_in_words(self.edit.changes)}."

    def critical(self, units: int | None = None) -> float | None:
        """How many standard errors the intervals of this look reach.

        None means the quantile of Student's t: the data are read once, at the end.

        Parameters
        ----------
        units: exposed units, for a confidence sequence; by default those of this look.
        """
        if self.current.planned:
            taken = self._spent_at()
            if len(taken) == 1 and self.current.final:
                return None
            return self._boundary(taken, final=self.current.final)[-1]
        return self._always_valid_reach(max(self.current.units if units is None else units, 1))

    def reach_ahead(self, growth: float) -> float:
        """How far intervals will reach in an extension, with so many times the units of this look."""
        return self._always_valid_reach(max(self.current.units, 1) * growth)

    def _always_valid_reach(self, units: float) -> float:
        return stats.always_valid_reach(units, alpha=1 - self.confidence, tune_n=self.design.tune_units)

    def bounds(self) -> tuple[Bound, ...]:
        """The bounds of the planned looks: of those taken, with their real information, and of those to come.

        Empty for a design that has no planned looks before the end.
        """
        if self.design.kind != "group_sequential":
            return ()
        taken = [(look.as_of, look.fraction) for look in self._counted if look.planned]
        ahead = [
            (instant, expected)
            for instant, expected in zip(self.planned, self._expected_ahead(), strict=True)
            if instant > self.current.as_of and not self.current.final
        ]
        if not taken and not ahead:
            return ()
        fractions = list(accumulate((fraction for _, fraction in [*taken, *ahead]), max))
        z = self._boundary(fractions, final=bool(ahead) or self.current.final)
        instants = [instant for instant, _ in [*taken, *ahead]]
        return tuple(
            Bound(number, instant, fraction, reach, number <= len(taken))
            for number, (instant, fraction, reach) in enumerate(zip(instants, fractions, z, strict=True), start=1)
        )

    def _expected_ahead(self) -> list[float]:
        """The information at planned instants, for those to come from what there is now to all of it at the end."""
        have, now = min(self.current.fraction, 1.0), self.elapsed
        if now >= 1:
            return list(self.expected)
        return [have + (1 - have) * max(share - now, 0.0) / (1 - now) for share in self.expected]

    @property
    def _counted(self) -> list[Look]:
        """The looks up to this one; an earlier one that this one repeats is left out."""
        repeated = self.current.planned_for
        return [*(look for look in self.looks if repeated is None or look.planned_for != repeated), self.current]

    def _spent_at(self) -> list[float]:
        """The information at the planned looks so far; it never falls."""
        return list(accumulate((look.fraction for look in self._counted if look.planned), max))

    def _boundary(self, fractions: Sequence[float], *, final: bool) -> tuple[float, ...]:
        design, alpha = self.design, 1 - self.confidence
        return tuple(stats.boundary(fractions, alpha=alpha, spending=design.spending, rho=design.rho, final=final).z)

    @property
    def reach_text(self) -> str:
        """What the intervals of this look are, in one sentence."""
        level = f"{100 * self.confidence:g} %"
        shared = f" ({self.comparisons} treatments share alpha {self.alpha:g})" if self.comparisons > 1 else ""
        reach = self._reach
        if self.current.kind == "fixed":
            return f"The data are read once, at the end: {level} intervals{shared}."
        if reach is None:
            return f"This is the first look and the last: {level} intervals{shared}, with all of alpha."
        wide = f"{reach:.2f} standard errors to each side"
        if self.current.kind == "planned":
            number = sum(look.planned for look in self._counted)
            spent = "" if self.current.final or not self._has_all else "; nothing is left for later looks"
            return (
                f"Look {number} of {max(number + len(self._ahead), number)} planned, with "
                f"{format_number('information_share', self.current.fraction)} of the information: intervals reach "
                f"{wide} ({self._family} spending), so that all looks together keep {level}{shared}{spent}."
            )
        if self.current.kind == "unscheduled":
            return (
                f"This look was not planned: its intervals reach {wide}, a {level} confidence sequence{shared}, which "
                "holds at any time and spends no alpha; it may stop the experiment for harm and ship nothing."
            )
        if self.current.kind == "extension":
            return (
                f"This look is an extension that the plan allowed: its intervals reach {wide}, a {level} confidence "
                f"sequence{shared} beside the alpha that the planned looks have spent."
            )
        return f"Intervals reach {wide}, a {level} confidence sequence{shared}: they hold at every look."

    @cached_property
    def _reach(self) -> float | None:
        return self.critical()

    @property
    def _family(self) -> str:
        return _FAMILIES.get(self.design.spending, f"power {self.design.rho:g}")

    @property
    def _ahead(self) -> list[datetime]:
        return [instant for instant in self.planned if instant > self.current.as_of]

    @property
    def text(self) -> str:
        """How many looks there were, what this one is, and whether the plan was edited."""
        earlier = len(self.looks)
        before = (
            "No earlier look is recorded."
            if not earlier
            else f"{earlier} earlier look{'' if earlier == 1 else 's'} {'is' if earlier == 1 else 'are'} recorded, "
            f"the last as of {format_instant_day(self.looks[-1].as_of)}."
        )
        ahead = f" The next planned look is {format_instant_day(self.next_planned)}." if self.next_planned else ""
        return f"{before} {self.reach_text}{ahead}{f' {self.plan_edited}' if self.plan_edited else ''}"

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per fact of this look, then each earlier one."""
        now = self.current
        facts: dict[str, Value] = {
            "look_number": now.number,
            "look_as_of": format_instant(now.as_of),
            "look_kind": now.kind,
            "look_units": now.units,
            "look_information_share": now.fraction,
            "look_planned_for": format_instant(now.planned_for) if now.planned_for else "",
            "look_final": now.final,
            "look_window_end": format_instant(now.window_end),
            "look_plan_digest": now.plan_digest,
            "look_data_digest": self.data,
            "look_reach": self._reach,
            "earlier_looks": len(self.looks),
        }
        return [
            *(
                ResultRow(self.experiment, statistic, value, reason=self.reach_text if value is None else "")
                for statistic, value in facts.items()
            ),
            *([ResultRow(self.experiment, "plan_edited", self.plan_edited)] if self.plan_edited else []),
            *(
                ResultRow(look.report or self.experiment, "earlier_look_as_of", format_instant(look.as_of))
                for look in self.looks
            ),
        ]

    def to_table(self) -> Sequence[Mapping[str, object]]:
        """One line per look, this one last."""
        return [
            {
                "look": look.number,
                "as_of": look.as_of,
                "kind": look.kind.replace("_", " "),
                "exposed_units": look.units,
                "information_share": look.fraction,
                "report": look.report or "this one",
            }
            for look in (*self.looks, self.current)
        ]
