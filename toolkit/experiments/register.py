"""The register of experiments: every plan with its state, its looks and what was last found, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.display import format_instant_day
from toolkit.errors import DefinitionError
from toolkit.experiments.changes import format_change, format_change_interval
from toolkit.experiments.looks import Look
from toolkit.experiments.plans import ExperimentPlan, load
from toolkit.experiments.record import LOOKED, READ, last_of
from toolkit.experiments.taken_looks import order_looks, read_look
from toolkit.records import ResultRow, Shown, number_row
from toolkit.windows import format_instant, parse_instant

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.workspace import Workspace

State = Literal["planned", "running", "ready", "read", "invalid"]

STATES: dict[State, str] = {
    "planned": "its window has not begun",
    "running": "its window has begun, and its last labels are not in",
    "ready": "its window has matured, and it was not read since",
    "read": "it was read after its end, or a look before ended it",
    "invalid": "its plan cannot be read",
}
"""The states and what they mean."""

_ENDS = ("ship", "hold", "stop", "repurpose", "test")
"""Decisions after which an experiment does not go on."""

_NO_READING = "no report about it is recorded"


class FoundEffect(NamedTuple):
    """The primary metric's difference in one treatment, as a report found it; absent with its reason."""

    metric: str
    comparison: str
    unit: str
    value: float | None
    ci_lower: float | None
    ci_upper: float | None
    reason: str

    @property
    def text(self) -> str:
        """It as terminal and page say it."""
        head = f"{self.metric} {self.comparison}"
        if self.value is None:
            return f"{head}: absent, {self.reason}"
        value = format_change(self.value, self.unit)
        if self.ci_lower is None or self.ci_upper is None:
            return f"{head}: {value}"
        return f"{head}: {value} ({format_change_interval(self.ci_lower, self.ci_upper, self.unit)})"


@dataclass(frozen=True)
class Reading:
    """What the last report with a decision found.

    Attributes
    ----------
    decision: of the experiment as a whole. effects: of the primary metric, one per treatment.
    """

    report: str
    as_of: datetime
    decision: str
    effects: tuple[FoundEffect, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Registered:
    """One experiment: its plan, or why it cannot be read, its looks and its last reading."""

    key: str
    state: State
    plan: ExperimentPlan | None
    problem: str
    looks: tuple[Look, ...]
    reading: Reading | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        plan, reading = self.plan, self.reading
        return {
            "experiment": self.key,
            "state": self.state,
            "kind": plan.kind if plan else None,
            "model": plan.model if plan else None,
            "window": plan.window.window.label if plan else None,
            "ready_on": format_instant(plan.ready_on) if plan else None,
            "decision": reading.decision if reading else None,
            "effects": [each._asdict() for each in reading.effects] if reading else [],
            "reasons": list(reading.reasons) if reading else [],
            "read_as_of": format_instant(reading.as_of) if reading else None,
            "report": reading.report if reading else None,
            "looks": [_look(look) for look in self.looks],
            "problem": self.problem or None,
        }


@dataclass(frozen=True)
class Register(Shown):
    """Every experiment of a workspace as known at an instant, in the order of their keys."""

    as_of: datetime
    experiments: tuple[Registered, ...]

    @property
    def text(self) -> str:
        """How many there are in each state."""
        counted = [
            f"{count} {state}" for state in STATES if (count := sum(each.state == state for each in self.experiments))
        ]
        return f"{len(self.experiments)} experiments as of {format_instant_day(self.as_of)}: {', '.join(counted)}."

    def to_rows(self) -> Sequence[ResultRow]:
        """Per experiment its state, last decision and number of looks."""
        rows = []
        for each in self.experiments:
            decision = each.reading.decision if each.reading else None
            rows += [
                ResultRow(each.key, "state", each.state, reason=each.problem),
                number_row(decision, _NO_READING, key=each.key, statistic="decision"),
                ResultRow(each.key, "looks", len(each.looks)),
            ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, object]]:
        """One line per experiment."""
        return [
            {
                "experiment": each.key,
                "state": each.state,
                "window": each.plan.window.window.label if each.plan else "",
                "decision": each.reading.decision if each.reading else "",
                "effect": "; ".join(effect.text for effect in each.reading.effects) if each.reading else "",
                "looks": len(each.looks),
                "report": each.reading.report if each.reading else "",
                "problem": "; ".join(each.problem.splitlines()),
            }
            for each in self.experiments
        ]


def list_experiments(workspace: Workspace, as_of: datetime) -> Register:
    """Every experiment of the workspace as known at `as_of`. Raises `LedgerError`."""
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        keys = workspace.keys("experiments")
        return Register(as_of, tuple(_find(workspace, ledger, key, as_of) for key in keys))


def find_registered(workspace: Workspace, key: str, as_of: datetime) -> Registered:
    """One experiment as known at `as_of`. Raises `UnknownNameError` with the nearest key, `LedgerError`."""
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        return _find(workspace, ledger, key, as_of)


def _find(workspace: Workspace, ledger: Ledger, key: str, as_of: datetime) -> Registered:
    try:
        plan, problem = load(workspace, key), ""
    except DefinitionError as err:
        plan, problem = None, str(err)
    looks = [read_look(entry.data) for entry in ledger.entries(kind=LOOKED, subject=key, as_of=as_of)]
    readings = [entry for entry in ledger.entries(kind=READ, subject=key, as_of=as_of) if "decision" in entry.data]
    last = last_of(readings)
    reading = _read(last.data) if last else None
    state = _judge_state(plan, reading, as_of) if plan else "invalid"
    return Registered(key, state, plan, problem, order_looks(looks), reading)


def _judge_state(plan: ExperimentPlan, reading: Reading | None, as_of: datetime) -> State:
    if reading is not None and (reading.as_of >= plan.ready_on or reading.decision in _ENDS):
        return "read"
    if as_of < plan.window.window.start:
        return "planned"
    return "running" if as_of < plan.ready_on else "ready"


def _read(data: Mapping[str, Any]) -> Reading:
    return Reading(
        data["report"],
        parse_instant(data["as_of"]),
        data["decision"],
        tuple(
            FoundEffect(
                each["metric"],
                each["comparison"],
                each["unit"],
                _number(each["value"]),
                _number(each["ci_lower"]),
                _number(each["ci_upper"]),
                each["reason"],
            )
            for each in data.get("effects", ())
        ),
        tuple(data.get("reasons", ())),
    )


def _number(text: str | None) -> float | None:
    """The ledger keeps numbers as decimal text."""
    return None if text is None else float(text)


def _look(look: Look) -> dict[str, Any]:
    return {
        "look": look.number,
        "as_of": format_instant(look.as_of),
        "kind": look.kind,
        "exposed_units": look.units,
        "information_share": look.fraction,
        "report": look.report,
    }
