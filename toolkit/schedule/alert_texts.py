"""What an alert says: plain text that a phone shows; one signal group, several folded into one, or a digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from toolkit.archive.headline import find_headline
from toolkit.display import format_number, shortened
from toolkit.signals.groups.harm import LEVELS, Level
from toolkit.signals.lifecycle.record import ReportedGroup, ReportedSignals

_LISTED = 5
"""Signal groups that a folded message or a digest names; it counts the others."""
_LONGEST_TITLE = 120


class Message(NamedTuple):
    """A message: title and body, and how severe the worst in it is."""

    title: str
    body: str
    level: Level


def say_group(reported: ReportedSignals, group: ReportedGroup, report_url: str | None) -> Message:
    """The message about one signal group."""
    lines = [
        f"{group.title}.",
        f"Severity: {_say_severity(group)}. State: {group.state}. Began: {group.began}.",
        f"A week: {group.harm}.",
        f"First hint (no cause is claimed): {group.hint}." if group.hint else "No hint was found.",
        *([f"One line because {group.why_merged}."] if group.why_merged else []),
        _say_report(reported.report, report_url),
    ]
    return Message(_title(f"{reported.model}, {group.level}: {group.title}"), "\n".join(lines), group.level)


def say_storm(found: Sequence[tuple[ReportedSignals, ReportedGroup]], report_url: str | None) -> Message:
    """One message about many signal groups: the most severe in a line each, the others counted."""
    ordered = sorted(found, key=lambda each: (-(each[1].severity or 0.0), each[0].model, each[1].rank))
    levels = Counter(group.level for _, group in found)
    counted = ", ".join(f"{levels[level]} {level}" for level in reversed(LEVELS) if levels[level])
    models = sorted({reported.model for reported, _ in found})
    lines = [f"- {reported.model}: {group.title} ({_say_severity(group)})" for reported, group in ordered[:_LISTED]]
    if rest := ordered[_LISTED:]:
        families = Counter(group.family for _, group in rest)
        said = ", ".join(f"{count} of {family}" for family, count in sorted(families.items()))
        lines.append(f"- and {len(rest)} more: {said}")
    reports = dict.fromkeys(reported.report for reported, _ in found)
    lines += [_say_report(report, report_url) for report in reports]
    title = f"{', '.join(models)}: {len(found)} signal groups at once ({counted})"
    return Message(_title(title), "\n".join(lines), ordered[0][1].level)


def say_digest(reference: str, results: dict[str, object], signals: ReportedSignals | None, url: str | None) -> Message:
    """The digest of a published report: its headline, and its first signal groups where it has some."""
    headline = find_headline(results)
    lines = [headline]
    level: Level = "unmeasured"
    if signals is not None and signals.groups:
        lines += [
            f"{group.rank}. {group.title} ({_say_severity(group)}, {group.state})" for group in signals.groups[:_LISTED]
        ]
        if len(signals.groups) > _LISTED:
            lines.append(f"and {len(signals.groups) - _LISTED} more")
        level = signals.groups[0].level
    lines.append(_say_report(reference, url))
    return Message(_title(f"{reference}: {headline}"), "\n".join(lines), level)


def _say_severity(group: ReportedGroup) -> str:
    if group.severity is None:
        return "harm not measured"
    severity = format_number("value", group.severity)
    return f"{group.level}, {severity} tolerance{'' if severity == '1' else 's'}"


def _say_report(reference: str, report_url: str | None) -> str:
    where = f", {report_url.replace('{reference}', reference)}" if report_url else ""
    return f"Report: {reference}{where}"


def _title(text: str) -> str:
    return shortened(text, _LONGEST_TITLE)
