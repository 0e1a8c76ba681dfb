"""Published reports with a capacity plan: real ideas, the real archive and ledger, without a kernel."""

from __future__ import annotations

from made_signals import arrange
from published_signals import publish_records
from triage.written_ideas import write_idea

from toolkit.triage import CapacityPlan, backlog, load_history, plan_capacity
from toolkit.workspace import Workspace

ESTIMATES = """\
value_per_week: {{low: {low}, likely: {value}, high: {high}, unit: EUR}}
effort_days: {{low: {days}, likely: {days}, high: {days}}}
"""


def write_estimated(workspace: Workspace, key: str, value: float, days: float, more: str = "") -> None:
    """An idea of Ada's, worth from half to twice its value in EUR a week."""
    estimates = ESTIMATES.format(low=value / 2, value=value, high=value * 2, days=days)
    write_idea(workspace, key, estimates + more, title=f"Do {key}")


def publish_plan(workspace: Workspace, as_of: str, *, template: str = "triage", act: bool = True) -> CapacityPlan:
    """Plan the ideas of the model small as the template does, publish the report and do what follows from it."""
    items = backlog(workspace, arrange(), model="small")
    history = load_history(workspace, model="small")
    plan = plan_capacity(workspace, items, model="small", as_of=as_of, history=history)
    records = {"backlog": items, "plan": plan}
    publish_records(workspace, records, template=template, subject="small", as_of=f"{as_of}T00:00:00Z", act=act)
    return plan
