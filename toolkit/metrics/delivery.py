"""DORA's five metrics of software delivery, for models: throughput and instability, each with its interval.

Definitions are those of dora.dev (2024), and every convention that tools disagree about is named in the result:

- deployment frequency: deployments (rollbacks and hotfixes too) per week;
- change lead time: from the commit that a version was built from to its deployment, hours, median;
- change fail rate: share of the deployments that caused at least one incident. Incidents are not counted: three of one
  deployment are one failure;
- failed deployment recovery time: from the deployment that failed, not from its detection, to when the last of its
  incidents was resolved, hours, median; what is unresolved counts as longer than all others;
- deployment rework rate: share of the deployments that were unplanned, that is of kind rollback or hotfix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolkit import stats
from toolkit.display import format_interval, format_number
from toolkit.records import ResultRow, Shown, estimate_row

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.data import Source
    from toolkit.stats import Estimate
    from toolkit.windows import Window

REWORK_KINDS = ("rollback", "hotfix")
"""Kinds of deployment that nobody had planned."""

_WEEK_DAYS = 7
_NAMES = {
    "deployment_frequency": ("Deployment frequency", "per week", "deployments, rollbacks and hotfixes too"),
    "change_lead_time": ("Change lead time", "h", "commit to deployment, median"),
    "change_fail_rate": ("Change fail rate", "share", "deployments with at least one incident / deployments"),
    "recovery_time": ("Failed deployment recovery time", "h", "failed deployment to last incident resolved, median"),
    "rework_rate": (
        "Deployment rework rate",
        "share",
        f"{' or '.join(REWORK_KINDS)} / deployments",
    ),
}


@dataclass(frozen=True)
class Delivery(Shown):
    """DORA's five for one model, or (`model` "") all of them, in a window, as known at an instant.

    Attributes
    ----------
    deployments: in the window. failed: those that caused an incident. unresolved: those of them that are not over.
    estimates: by key, in the order of the module's text.
    """

    model: str
    window: str
    deployments: int
    failed: int
    unresolved: int
    estimates: Mapping[str, Estimate]

    @property
    @override
    def text(self) -> str:
        frequency, failing = self.estimates["deployment_frequency"], self.estimates["change_fail_rate"]
        if frequency.value is None:
            return f"Delivery is absent: {frequency.reason}."
        failed = "an unknown number" if failing.value is None else str(self.failed)
        still = f", {self.unresolved} of them not over yet" if self.unresolved else ""
        plural = "" if self.deployments == 1 else "s"
        return f"{self.deployments} deployment{plural} in {self.window}; {failed} of them caused an incident{still}."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            estimate_row(estimate, key=key, statistic="value", window=self.window, unit=_NAMES[key][1])
            for key, estimate in self.estimates.items()
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": _NAMES[key][0],
                "value": _shown(estimate.value, _NAMES[key][1], estimate.reason),
                "interval_95": format_interval(
                    "value", estimate.ci_lower, estimate.ci_upper, unit=_unit(_NAMES[key][1])
                ),
                "rests_on": estimate.n,
                "convention": _NAMES[key][2],
            }
            for key, estimate in self.estimates.items()
        ]


def _shown(value: float | None, unit: str, reason: str) -> str:
    if value is None:
        return f"absent: {reason}"
    text = format_number("value", value, unit=_unit(unit))
    return text if unit == "share" else f"{text} {unit}"


def _unit(unit: str) -> str:
    return unit if unit == "share" else ""


def delivery(source: Source, *, window: Window, as_of: datetime, model: str = "") -> Delivery:
    """DORA's five of the deployments in `window`, as known at `as_of`; "" for all models together.

    An incident was caused by a deployment when its `caused_by` is the version, the commit or the kind of a deployment
    of its model; of several it is the latest before the incident opened. What the workspace's tables do not tell is
    absent, with the reason. Raises `ContractError`.
    """
    if "deployments" not in source.tables:
        return _absent(model, window, "the workspace has no table of deployments")
    deployed = _deployments(source, model, window, as_of)
    failed, why_unknown = _failures(source, deployed, window, as_of)
    n = len(deployed)
    lasted = [
        (resolved - deployed["occurred_at"].iloc[place]).total_seconds() / 3600
        for place, resolved in failed.items()
        if resolved is not None
    ]
    unresolved = len(failed) - len(lasted)
    rework = int(deployed["kind"].isin(REWORK_KINDS).sum())
    unknown = stats.Estimate.absent(why_unknown, n=n, method="")
    return Delivery(
        model,
        window.label,
        n,
        len(failed),
        unresolved,
        {
            "deployment_frequency": stats.event_rate(n, window.days / _WEEK_DAYS),
            "change_lead_time": _lead_time(deployed),
            "change_fail_rate": unknown if why_unknown else stats.proportion(len(failed), n),
            "recovery_time": unknown if why_unknown else _recovery_time(lasted, unresolved),
            "rework_rate": stats.proportion(rework, n),
        },
    )


def _absent(model: str, window: Window, reason: str) -> Delivery:
    absent = stats.Estimate.absent(reason, n=0, method="")
    return Delivery(model, window.label, 0, 0, 0, dict.fromkeys(_NAMES, absent))


def _deployments(source: Source, model: str, window: Window, as_of: datetime) -> pd.DataFrame:
    """One row per deployment, the oldest first."""
    optional = [name for name in ("commit", "committed_at") if name in source.columns("deployments")]
    table = source.read("deployments", optional, as_of=as_of, start=window.start, end=window.end)
    if model:
        table = table.filter(table.model == model)
    return source.execute(table.order_by("occurred_at", "model", "version", "kind"), reading="deployments")


def _lead_time(deployed: pd.DataFrame) -> Estimate:
    if "committed_at" not in deployed or deployed["committed_at"].isna().all():
        return stats.Estimate.absent("no deployment says when its commit was made", n=0, method=stats.MEDIAN_METHOD)
    lead = (deployed["occurred_at"] - deployed["committed_at"]).dropna().dt.total_seconds() / 3600
    if (lead < 0).any():
        reason = f"{int((lead < 0).sum())} deployments come before their commit"
        return stats.Estimate.absent(reason, n=len(lead), method=stats.MEDIAN_METHOD)
    return stats.median_duration(lead)


def _recovery_time(lasted: Sequence[float], unresolved: int) -> Estimate:
    if not lasted and not unresolved:
        return stats.Estimate.absent("no deployment failed", n=0, method=stats.MEDIAN_METHOD)
    return stats.median_duration(lasted, unfinished=unresolved)


def _failures(
    source: Source, deployed: pd.DataFrame, window: Window, as_of: datetime
) -> tuple[dict[int, datetime | None], str]:
    """By place of a failed deployment when its last incident was resolved (None: not yet); or why that is not known."""
    if "incidents" not in source.tables:
        return {}, "the workspace has no table of incidents"
    if "caused_by" not in source.columns("incidents"):
        return {}, "incidents do not say what caused them"
    resolving = [name for name in ("resolved_at",) if name in source.columns("incidents")]
    table = source.read("incidents", ["model", "caused_by", *resolving], as_of=as_of, start=window.start)
    incidents = source.execute(table, reading="incidents")
    failed: dict[int, datetime | None] = {}
    for incident in incidents.to_dict("records"):
        place = _caused_by(incident, deployed)
        if place is None:
            continue
        resolved = incident.get("resolved_at")
        over = None if resolved is None or resolved != resolved or resolved > as_of else resolved  # noqa: PLR0124 - NaT
        before = failed.get(place, over)
        failed[place] = None if before is None or over is None else max(before, over)
    return failed, ""


def _caused_by(incident: Mapping[str, Any], deployed: pd.DataFrame) -> int | None:
    """The place of the latest deployment that an incident names, or None."""
    cause = incident["caused_by"]
    named = [name for name in ("version", "commit", "kind") if name in deployed]
    match = (deployed["model"] == incident["model"]) & (deployed["occurred_at"] <= incident["opened_at"])
    match &= (deployed[named] == cause).any(axis=1)
    places = match.to_numpy().nonzero()[0]
    return int(places[-1]) if len(places) else None
