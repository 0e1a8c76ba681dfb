"""The glossary of metrics as one HTML page: fetches nothing, complete without its script but for the search.

Every text of a definition or a report is escaped where it is put into the page; its script is allowed by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from toolkit.archive.styles import FILES, page_head, read_styles
from toolkit.display import format_interval, format_number

if TYPE_CHECKING:
    from toolkit.metrics.glossary import MetricEntry, PublishedValue

MOST_VALUES = 5
"""Published numbers of one metric on the page: the newest."""

_ROLES = {
    "loss": "What the models lose",
    "quality": "How good they are",
    "operation": "How they run",
    "input": "What goes into them",
}
_DIRECTIONS = {
    "increase": "more is better",
    "decrease": "less is better",
    "toward_zero": "nearer to 0 is better",
    "none": "neither way is better",
}


def glossary_html(name: str, entries: Sequence[MetricEntry], *, links: dict[str, str]) -> str:
    """The page of workspace `name`; the same definitions and reports give the same bytes.

    Parameters
    ----------
    links: from a report's reference to the address of its page, relative to where this page will lie.
    """
    script = (FILES / "glossary.js").read_text(encoding="utf-8")
    title = f"Metrics of {escape(name)}"
    ordered = sorted(entries, key=lambda entry: list(_ROLES).index(entry.metric.role))
    parts = [
        *page_head(title, style=read_styles("glossary.css"), script=script),
        "<body>",
        '<main class="glossary">',
        f"<h1>{title}</h1>",
        *_head(ordered),
    ]
    for role, group in groupby(ordered, key=lambda entry: entry.metric.role):
        parts += [f'<section class="role">\n<h2>{_ROLES[role]}</h2>']
        parts += [line for entry in group for line in _entry(entry, links)]
        parts += ["</section>"]
    return "\n".join([*parts, "</main>", f"<script>{script}</script>", "</body>", "</html>", ""])


def _head(entries: Sequence[MetricEntry]) -> Iterator[str]:
    owners = len({entry.metric.owner for entry in entries})
    counts = f"{len(entries)} metric{'' if len(entries) == 1 else 's'}, {owners} owner{'' if owners == 1 else 's'}"
    yield f'<p class="facts"><span>{counts}</span><span>from metrics.yml</span></p>'
    yield '<div class="search" role="search" hidden>'
    yield (
        '<label>Search <input type="search" id="query" autocomplete="off" spellcheck="false" '
        'placeholder="name, column, owner, outcome …"></label>'
    )
    yield '<p id="count" role="status" aria-live="polite"></p>\n</div>'
    links = (f'<a href="#{escape(entry.key)}">{escape(entry.metric.name)}</a>' for entry in entries)
    yield f'<nav aria-label="Metrics">{" ".join(links)}</nav>'


def _entry(entry: MetricEntry, links: dict[str, str]) -> Iterator[str]:
    metric = entry.metric
    yield f'<article id="{escape(entry.key)}">'
    yield f"<h3>{escape(metric.name)} <code>{escape(entry.key)}</code></h3>"
    yield f"<p>{escape(metric.description)}</p>"
    yield "<dl>"
    yield from _fact("is", escape(f"{metric.estimand} ({metric.kind})"))
    yield from _fact("given", escape(", ".join(f"{name} {value}" for name, value in entry.parameters.items())))
    yield from _fact("of those where", f"<code>{escape(metric.filter)}</code>" if metric.filter else "")
    yield from _fact("unit", escape(metric.unit))
    yield from _fact("direction", _DIRECTIONS[metric.direction])
    threshold = format_number("value", metric.practical_threshold, unit=metric.unit)
    yield from _fact("worth acting on", escape(f"a change of {_with_unit(threshold, metric.unit)} or more"))
    yield from _fact("owner", escape(metric.owner))
    yield from _fact("final", escape(entry.maturity.removeprefix("final ")))
    yield from _fact("objectives", *_goals(entry))
    yield from _fact("business outcome", *(escape(outcome) for outcome in entry.outcomes))
    yield from _fact("used by", *(escape(f"{use.what} {use.key}: {use.role}") for use in entry.uses))
    yield from _fact("latest", *(_published(value, links) for value in entry.latest[:MOST_VALUES]))
    yield "</dl>\n</article>"


def _fact(name: str, *texts: str) -> Iterator[str]:
    """A line of the list; nothing for a text that is empty."""
    if filled := [text for text in texts if text]:
        yield f"<dt>{name}</dt>" + "".join(f"<dd>{text}</dd>" for text in filled)


def _goals(entry: MetricEntry) -> Iterator[str]:
    for goal in entry.goals:
        yield escape(f"{goal.key}: {goal.target}, for model {goal.model} ({goal.owner})")


def _published(value: PublishedValue, links: dict[str, str]) -> str:
    unit = value.unit
    shown = _with_unit(format_number("value", value.value, unit=unit), unit)
    if value.ci_lower is not None or value.ci_upper is not None:
        shown += f" ({format_interval('value', value.ci_lower, value.ci_upper, unit=unit)})"
    report, as_of = escape(value.report), f", as of {escape(value.as_of)}" if value.as_of else ""
    link = f'<a href="{escape(links[value.report])}">{report}</a>' if value.report in links else report
    return f"<b>{escape(shown)}</b> {escape(value.statistic.replace('_', ' '))}: {link}{as_of}"


def _with_unit(shown: str, unit: str) -> str:
    """A number with its unit, unless the number says it already."""
    return shown if unit in {"", "share", "ms", "days"} else f"{shown} {unit}"
