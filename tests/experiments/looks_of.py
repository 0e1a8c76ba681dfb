"""Looks at made-up experiments: a plan, an instant and a count of units, without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from experiment_trial import PLAN

from toolkit.experiments import ExperimentPlan, Look, Looks
from toolkit.experiments.taken_looks import place_look
from toolkit.windows import parse_instant

SEQUENTIAL = 'design: {kind: group_sequential, looks: ["2024-03-06", "2024-03-11"], units: 1000}\n'
"""Looks on 6 and 11 March and on 16 March, when the trial's window has matured."""


def make_plan(more: str = "", **changes: str) -> ExperimentPlan:
    """The trial's plan with pieces of its text replaced and lines added."""
    from ruamel.yaml import YAML

    text = PLAN
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return ExperimentPlan.model_validate(YAML(typ="safe").load(text + more))


def make_looks(
    plan: ExperimentPlan,
    *,
    as_of: str | datetime = "",
    exposed: int = 1000,
    earlier: Sequence[Look] = (),
    first: Mapping[str, Any] | None = None,
) -> Looks:
    """The looks of a plan read at an instant (by default its end) with so many units, behind the earlier ones."""
    instant = plan.ready_on if as_of == "" else parse_instant(as_of) if isinstance(as_of, str) else as_of
    arrivals = {name: SimpleNamespace(exposed=exposed // len(plan.variants)) for name in plan.variants}
    units: Any = SimpleNamespace(as_of=instant, arrivals=arrivals, digest="sha256:data")
    return place_look(plan, units, earlier, first)


def take(plan: ExperimentPlan, instants: Mapping[str, int]) -> Looks:
    """The looks of a plan that was read at these instants with so many units, one after the other."""
    earlier: list[Look] = []
    found = None
    for as_of, exposed in instants.items():
        found = make_looks(plan, as_of=as_of, exposed=exposed, earlier=earlier)
        earlier.append(found.current._replace(report=f"experiment_readout/eta-v2@{len(earlier) + 1}"))
    assert found is not None
    return found
