"""What the glossary of metrics takes from rooms above it: plans of experiments, and what was published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from toolkit.archive.shelf import page_link, show_day
from toolkit.metrics.glossary import MetricUse, PublishedValue
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.archive.indexed import Indexed


def experiment_uses(workspace: Workspace) -> dict[str, list[MetricUse]]:
    """By metric, the experiments whose plan names it. Raises `DefinitionError`."""
    from toolkit.experiments import load

    uses: dict[str, list[MetricUse]] = {}
    for key in workspace.keys("experiments"):
        plan = load(workspace, key)
        for metric in plan.metrics:
            uses.setdefault(metric, []).append(MetricUse("experiment", key, plan.role(metric)))
    return uses


def latest_values(reports: Sequence[Indexed]) -> dict[str, list[PublishedValue]]:
    """By key of a followed result, its newest values, that of the latest as-of first.

    Reports name in their manifest which of their results are followed; the index holds those. `reports` are the latest
    versions.
    """
    found: dict[str, list[PublishedValue]] = {}
    for report in sorted(reports, key=lambda each: (each.as_of or "", each.finished_at or ""), reverse=True):
        for trend in report.trends:
            value = PublishedValue(
                trend.statistic,
                trend.value,
                trend.unit,
                trend.ci_lower,
                trend.ci_upper,
                str(report.reference),
                show_day(report.as_of),
            )
            found.setdefault(trend.key, []).append(value)
    return found


def page_links(workspace: Workspace, reports: Sequence[Indexed], page: Path) -> dict[str, str]:
    """From a report's reference to its page, as an address relative to where `page` will lie."""
    way = Path(os.path.relpath(workspace.reports.resolve(), page.resolve().parent)).as_posix()
    return {str(report.reference): f"{quote(way)}/{page_link(report.reference)}" for report in reports}
