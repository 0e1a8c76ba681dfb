"""Where a readout comes from: its data, plan, versions and configuration, and what else happened meanwhile.

A difference is the treatment's only if nothing else set the variants apart. What could have is named here: a deployment
or an incident in the window, another experiment on the same model, an edited plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import LABEL, Source, open_source, window_incidents
from toolkit.display import format_instant_day
from toolkit.errors import DefinitionError
from toolkit.experiments.looks import Looks
from toolkit.experiments.measurement import Measurement
from toolkit.experiments.plans import load
from toolkit.records import ResultRow, Shown, Value, number_row
from toolkit.windows import Window, format_instant
from toolkit.workspace import Read, Workspace

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

_SHORT = len("sha256:") + 12  # as many characters of a digest as people compare


class VariantRun(NamedTuple):
    """What a variant ran: its model version and its feature configuration as text, or ""."""

    variant: str
    version: str
    weight: int
    configuration: str


class Event(NamedTuple):
    """Something that happened in the window: a deployment or an incident, in words."""

    key: str
    occurred_at: datetime
    text: str


class Overlap(NamedTuple):
    """Another experiment on the same model whose window overlaps, and its primary metric."""

    experiment: str
    window: Window
    primary: str
    shared_metrics: tuple[str, ...]


@dataclass(frozen=True)
class Trace(Shown):
    """What a readout rests on and what else went on.

    Attributes
    ----------
    reads: the part of each table that the numbers depend on, with its fingerprint.
    deployments, incidents: of the model in the window; None where the workspace has no such table.
    overlaps: other experiments on the same model.
    """

    experiment: str
    model: str
    plan_digest: str
    as_of: datetime
    window: Window
    reads: tuple[Read, ...]
    variants: tuple[VariantRun, ...]
    deployments: tuple[Event, ...] | None
    incidents: tuple[Event, ...] | None
    overlaps: tuple[Overlap, ...]
    looks: Looks

    @property
    def text(self) -> str:
        """The trace in one paragraph."""
        tables = list(dict.fromkeys(read.table for read in self.reads))
        parts_read = f" from {', '.join(tables)}"
        plan = self.plan_digest[:_SHORT] or "made in memory"
        ran = "; ".join(_ran(each) for each in self.variants)
        parts = [
            f"Plan {plan}, read as of {format_instant(self.as_of)}{parts_read}.",
            f"{ran}.",
            _happened("Deployments", "deployment", self.deployments),
            _happened("Incidents", "incident", self.incidents),
            self._overlapping(),
        ]
        earlier = len(self.looks.looks)
        parts.append(f"It is look {earlier + 1}." if earlier else "It is the first look.")
        return " ".join([*parts, *([self.looks.plan_edited] if self.looks.plan_edited else [])])

    def _overlapping(self) -> str:
        if not self.overlaps:
            return "No other experiment on the model overlaps it."
        told = []
        for each in self.overlaps:
            shared = f"; also on {', '.join(each.shared_metrics)}" if each.shared_metrics else ""
            told.append(f"{each.experiment} ({each.window.label}{shared})")
        return f"Overlaps on the same model: {'; '.join(told)}."

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per fact: reads with their fingerprints, variants, deployments, incidents, overlaps, looks."""
        window = self.window.label
        rows = [
            ResultRow(self.experiment, "plan_digest", self.plan_digest, window=window),
            ResultRow(self.experiment, "as_of", format_instant(self.as_of), window=window),
        ]
        for read in self.reads:
            where: dict[str, Any] = {"segment": _part(read)}
            rows += [
                ResultRow(read.table, "fingerprint", read.fingerprint, method=read.method, **where),
                ResultRow(read.table, "rows", read.rows, **where),
            ]
        for each in self.variants:
            rows += [
                ResultRow(each.variant, "version", each.version),
                number_row(
                    each.configuration or None, "the plan names none", key=each.variant, statistic="configuration"
                ),
            ]
        for name, events in (("deployments", self.deployments), ("incidents", self.incidents)):
            count = None if events is None else len(events)
            rows.append(number_row(count, _not_configured(name), key=name, statistic="count", window=window))
            rows += [ResultRow(event.key, name.removesuffix("s"), event.text, window=window) for event in events or ()]
        rows += [
            ResultRow(each.experiment, "overlaps", each.window.label, reason=", ".join(each.shared_metrics))
            for each in self.overlaps
        ]
        return [*rows, ResultRow(self.experiment, "earlier_looks", len(self.looks.looks))]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per fact."""
        lines: list[dict[str, Value]] = [
            {"what": "plan", "is": self.plan_digest or "made in memory"},
            {"what": "as of", "is": format_instant(self.as_of)},
        ]
        lines += [
            {"what": f"data, {read.table}", "is": f"{_part(read)}: {read.rows:,} rows, {read.fingerprint[:_SHORT]}"}
            for read in self.reads
        ]
        lines += [{"what": f"variant {each.variant}", "is": _ran(each)} for each in self.variants]
        for name, events in (("deployments", self.deployments), ("incidents", self.incidents)):
            if not events:
                lines.append({"what": name, "is": _not_configured(name) if events is None else "none in the window"})
            lines += [{"what": name.removesuffix("s"), "is": event.text} for event in events or ()]
        lines += [
            {"what": "other experiment", "is": f"{each.experiment}, {each.window.label}, primary {each.primary}"}
            for each in self.overlaps
        ]
        return [*lines, {"what": "earlier looks", "is": str(len(self.looks.looks))}]


def trace(workspace: Workspace, plan: ExperimentPlan, units: Units, looks: Looks) -> Trace:
    """What the readout of `units` rests on, and what else happened in the experiment's window.

    Parameters
    ----------
    looks: those that the readout was made with, from `load_looks`.

    Raises `ContractError` for a table of deployments or incidents that breaks its contract.
    """
    source, window = open_source(workspace), units.window
    return Trace(
        plan.key,
        plan.model,
        plan.digest,
        units.as_of,
        window,
        _reads(plan, source, units),
        tuple(
            VariantRun(name, variant.version, variant.weight, _configuration(variant.configuration))
            for name, variant in plan.variants.items()
        ),
        _deployments(plan, source, window, units.as_of),
        _incidents(plan, source, window, units.as_of),
        _overlaps(workspace, plan),
        looks,
    )


def _reads(plan: ExperimentPlan, source: Source, units: Units) -> tuple[Read, ...]:
    """The parts of the tables that the numbers depend on, as they are now: the same whatever was kept in `cache/`."""
    measured = Measurement.of(plan, source, window=units.window, as_of=units.as_of).question
    window, past = units.window, measured.populations[0].window
    own = tuple(name for name in measured.columns if name != LABEL)
    parts: list[tuple[str, tuple[str, ...], datetime, datetime | None]] = [
        ("exposures", (), window.start, window.end),
        ("outcomes", (LABEL,), past.start, None),
        ("predictions", own, past.start, past.end),
    ]
    found = []
    for table, columns, start, end in parts:
        facts = source.facts(table, columns, as_of=units.as_of, start=start, end=end)
        found.append(
            Read(
                table=table,
                columns=columns,
                start=format_instant(start),
                end=None if end is None else format_instant(end),
                as_of=format_instant(units.as_of),
                rows=facts.rows,
                fingerprint=facts.fingerprint,
                method=source.opened(table).connection.hash_method,
            )
        )
    return tuple(found)


def _configuration(held: Mapping[str, Any]) -> str:
    return json.dumps(held, sort_keys=True, ensure_ascii=False) if held else ""


def _deployments(plan: ExperimentPlan, source: Source, window: Window, as_of: datetime) -> tuple[Event, ...] | None:
    if "deployments" not in source.tables:
        return None
    table = source.read("deployments", [], as_of=as_of, start=window.start, end=window.end)
    table = table.filter(table.model == plan.model).order_by("occurred_at", "version", "kind")
    found = source.execute(table, reading="deployments").to_dict("records")
    events = []
    for row in found:
        at = row["occurred_at"].to_pydatetime()
        text = f"{row['kind']} of version {row['version']}, {format_instant_day(at)}"
        events.append(Event(f"{row['kind']} {row['version']} {format_instant(at)}", at, text))
    return tuple(events)


def _incidents(plan: ExperimentPlan, source: Source, window: Window, as_of: datetime) -> tuple[Event, ...] | None:
    if "incidents" not in source.tables:
        return None
    table = window_incidents(source, model=plan.model, window=window, as_of=as_of)
    events = []
    for row in source.execute(table, reading="incidents").to_dict("records"):
        at, resolved = row["opened_at"].to_pydatetime(), row["resolved_at"]
        ended = "not resolved" if resolved != resolved else f"resolved {format_instant_day(resolved.to_pydatetime())}"  # noqa: PLR0124 - NaT is the one value that differs from itself
        text = f"{row['incident_id']} ({row['severity']}), opened {format_instant_day(at)}, {ended}"
        events.append(Event(str(row["incident_id"]), at, text))
    return tuple(events)


def _overlaps(workspace: Workspace, plan: ExperimentPlan) -> tuple[Overlap, ...]:
    """Other experiments on the same model; one that cannot be read is none, and `toolkit experiment list` says it."""
    found = []
    for key in workspace.keys("experiments"):
        if key == plan.key:
            continue
        try:
            other = load(workspace, key)
        except DefinitionError:
            continue
        if other.model == plan.model and other.window.window.overlaps(plan.window.window):
            shared = tuple(metric for metric in plan.metrics if metric in other.metrics)
            found.append(Overlap(key, other.window.window, other.primary, shared))
    return tuple(found)


def _part(read: Read) -> str:
    """Which part of its table was read: from when to when, and how many columns."""
    return f"{(read.start or 'the first')[:10]} to {(read.end or 'the last')[:10]}, {len(read.columns)} columns"


def _ran(each: VariantRun) -> str:
    configuration = f", configuration {each.configuration}" if each.configuration else ""
    return f"{each.variant} ran version {each.version}{configuration}"


def _not_configured(table: str) -> str:
    return f"the workspace has no table {table} ([tables.{table}] in toolkit.toml)"


def _happened(title: str, noun: str, events: tuple[Event, ...] | None) -> str:
    if events is None:
        return f"{title} are not known: {_not_configured(title.lower())}."
    if not events:
        return f"No {noun} in the window."
    return f"{title} in the window: {'; '.join(event.text for event in events)}."
