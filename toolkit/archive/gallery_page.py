"""The gallery as HTML: one file that fetches nothing, complete without its script but for the search.

Everything that was read from reports is escaped where it is put into the page. What the script shows, it takes from a
block of JSON that no browser runs, and puts into the page as text; the one script is allowed by its digest, so that no
other would run even if it got in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from urllib.parse import quote

from toolkit.archive.gallery_search import STATES, embedded_json, name_titles, search_data
from toolkit.archive.shelf import (
    Periods,
    Shelf,
    Stopped,
    find_periods,
    find_unresolved,
    page_link,
    pair_path,
    show_day,
    show_minute,
)
from toolkit.archive.styles import FILES, page_head, read_styles
from toolkit.archive.trend import Point, Trend, svg
from toolkit.display import format_count

MOST_NEWEST = 8
"""Publications in the list of the newest."""

MOST_ATTENTION = 10
"""Reports that need a look, in the list of them."""

MOST_STOPPED = 100
"""Refusals and failures on the page; the ledger has them all."""

MOST_OPEN_TRENDS = 3
MOST_TRENDS = 15
"""Trends of one report, and those of them that are seen without unfolding."""


def gallery_html(name: str, shelves: Sequence[Shelf], stopped: Sequence[Stopped]) -> str:
    """The page of the archive of workspace `name`.

    Parameters
    ----------
    shelves: the one with the newest publication first.
    stopped: newest first.
    """
    style = read_styles("gallery.css")
    script = (FILES / "gallery.js").read_text(encoding="utf-8")
    title = f"Reports of {escape(name)}"
    parts = [
        *page_head(title, style=style, script=script),
        '<body class="gallery">',
        '<a class="skip" href="#reports">Skip to the reports</a>',
        f"<header>\n<h1>{title}</h1>\n{_counts(shelves, stopped)}\n</header>",
        *_tools(shelves),
        '<main id="reports" tabindex="-1">',
        '<section id="hits" aria-labelledby="hits-title" hidden>',
        '<h2 id="hits-title">Found</h2>\n<ol class="rows" role="list"></ol>\n<button type="button">Show more</button>',
        "</section>",
        '<div id="overview">',
        *_overview(shelves, stopped),
        "</div>",
        "</main>",
        f'<script type="application/json" id="data">{embedded_json(search_data(shelves, stopped))}</script>',
        f"<script>{script}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts)


def _counts(shelves: Sequence[Shelf], stopped: Sequence[Stopped]) -> str:
    facts = [
        format_count(sum(len(shelf.versions) for shelf in shelves), "report"),
        format_count(len(shelves), "subject"),
        *(f"{runs:,} {state}" for state in ("refused", "failed") if (runs := _runs(stopped, state))),
        f"newest {show_minute(shelves[0].latest.finished_at)}" if shelves else "",
    ]
    return _facts(facts)


def _runs(stopped: Iterable[Stopped], state: str) -> int:
    return sum(each.runs for each in stopped if each.state == state)


def _facts(facts: Iterable[str]) -> str:
    return '<p class="facts">' + "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact) + "</p>"


def _tools(shelves: Sequence[Shelf]) -> Iterator[str]:
    if not shelves:
        return
    titles = name_titles(shelves).items()
    templates = "".join(f'<option value="{escape(template)}">{escape(title)}</option>' for template, title in titles)
    states = "".join(f'<option value="{place}">{state}</option>' for place, state in enumerate(STATES))
    yield '<div class="tools scripted" role="search" aria-label="Reports">'
    yield (
        '<label class="wide">Search <input type="search" id="query" autocomplete="off" spellcheck="false" '
        'placeholder="name, finding, parameter …" aria-controls="hits" aria-keyshortcuts="/"></label>'
    )
    yield f'<label>Template <select id="template"><option value="">all</option>{templates}</select></label>'
    yield f'<label>State <select id="state"><option value="">all</option>{states}</select></label>'
    yield '<label>Published from <input type="date" id="from"></label>'
    yield '<label>Published until <input type="date" id="to"></label>'
    yield '<label class="check"><input type="checkbox" id="latest"> Latest versions only</label>'
    yield '<button type="button" id="clear" disabled>Clear</button>'
    yield '<p id="count" role="status" aria-live="polite"></p>\n</div>'
    yield (
        '<noscript><p class="absent">Search, filters and earlier versions need scripts, which are off. '
        "<code>toolkit reports list</code> finds every report.</p></noscript>"
    )


def _overview(shelves: Sequence[Shelf], stopped: Sequence[Stopped]) -> Iterator[str]:
    if not shelves:
        yield "<p>Nothing is published yet. <code>toolkit templates</code> lists what can be run.</p>"
    yield from _attention(shelves, stopped)
    yield from _newest(shelves)
    titles = name_titles(shelves)
    if len(titles) > 1:
        links = (
            f'<a href="#{quote("of-" + template)}">{escape(title)} '
            f"<span>{sum(shelf.reference.template == template for shelf in shelves)}</span></a>"
            for template, title in titles.items()
        )
        yield f'<nav aria-label="Templates">{"".join(links)}</nav>'
    for template, title in titles.items():
        own = [shelf for shelf in shelves if shelf.reference.template == template]
        yield f'<section id="{quote("of-" + template)}">\n<h2>{escape(title)}</h2>'
        for periods in find_periods(own):
            yield from _periods(periods)
        for shelf in own:
            yield from _card(shelf)
        yield "</section>"
    yield from _stopped(stopped)


def _attention(shelves: Sequence[Shelf], stopped: Sequence[Stopped]) -> Iterator[str]:
    """Reports that cannot be read, and those whose last run published nothing: failures first, then the newest."""
    links = {
        shelf.reference.series: f'<a href="{escape(page_link(shelf.reference))}">{escape(shelf.reference.series)}</a>'
        for shelf in shelves
    }
    lines = [
        ("damaged", links[shelf.reference.series], show_minute(shelf.latest.finished_at), escape(shelf.latest.problem))
        for shelf in shelves
        if shelf.latest.problem
    ]
    lines += [
        (last.state, links.get(last.series, escape(last.series)), last.when, escape(last.reason) + _half_run(last))
        for last in find_unresolved(shelves, stopped)
    ]
    if not lines:
        return
    lines.sort(key=lambda line: line[0] == "refused")
    alarm = "" if lines[0][0] == "refused" else " alarm"
    yield f'<section class="attention{alarm}">\n<h2>Needs a look</h2>\n<ul class="rows" role="list">'
    for state, link, when, said in lines[:MOST_ATTENTION]:
        yield f"<li>{_badge(state)}<span>{link}</span><span>{said}</span>{_time(when)}</li>"
    yield "</ul>"
    if (more := len(lines) - MOST_ATTENTION) > 0:
        yield f'<p class="absent">{more:,} more reports were refused or failed when they last ran; see below.</p>'
    yield "</section>"


def _newest(shelves: Sequence[Shelf]) -> Iterator[str]:
    """The latest publications in the order of events, whatever their subject."""
    if len(shelves) < 2:
        return
    events = [(place, version, shelf) for shelf in shelves for place, version in shelf.events()]
    events.sort(key=lambda event: event[0], reverse=True)
    yield '<section class="newest">\n<h2>Newest</h2>\n<ol class="rows" role="list">'
    for _, version, shelf in events[:MOST_NEWEST]:
        link = f'<a href="{escape(page_link(version.reference))}">{escape(str(version.reference))}</a>'
        was = shelf.changed_from if version is shelf.latest else ""
        said = f"<span>{escape(version.problem or version.headline)}{_was(was)}</span>"
        state = "damaged" if version.problem else "changed" if was else "new" if len(shelf.versions) == 1 else ""
        yield f"<li>{_badge(state)}<span>{link}</span>{said}{_time(show_minute(version.finished_at))}</li>"
    yield "</ol>\n</section>"


def _time(when: str) -> str:
    return f"<time>{escape(when)}</time>"


def _badge(state: str) -> str:
    return f'<span class="badge {state}">{state}</span>' if state else '<span class="badge"></span>'


def _was(headline: str) -> str:
    return f' <span class="was">before: {escape(headline)}</span>' if headline else ""


def _half_run(stopped: Stopped) -> str:
    return f' <a href="{escape(stopped.kept)}">The half-run notebook</a>' if stopped.kept else ""


def _card(shelf: Shelf) -> Iterator[str]:
    """One report: what its latest version found, its trends, and the way to what was before."""
    latest, before = shelf.latest, shelf.previous
    yield '<article>\n<div class="said">'
    yield f'<h3><a href="{escape(page_link(latest.reference))}">{escape(latest.reference.subject)}</a></h3>'
    if latest.problem:
        yield f'<p class="failure">{escape(latest.problem)}</p>'
    else:
        yield f'<p class="finding">{escape(latest.headline)}{_was(shelf.changed_from)}</p>'
    if after := shelf.stopped:
        yield f'<p class="after">{_badge(after.state)} {_time(after.when)} {escape(after.reason)}{_half_run(after)}</p>'
    as_of, published = show_day(latest.as_of), show_minute(latest.finished_at)
    yield _facts(
        [str(latest.reference), f"as of {as_of}" if as_of else "", f"published {published}" if published else ""]
    )
    if before is not None:
        yield f'<p class="ways">{_comparison(shelf)}</p>'
        earlier = format_count(len(shelf.versions) - 1, "earlier version")
        series = escape(latest.reference.series)
        yield f'<details class="history scripted" data-series="{series}"><summary>{earlier}</summary></details>'
    yield "</div>"
    yield from _trends(shelf.trends, latest.reference.subject)
    yield "</article>"


def _periods(periods: Periods) -> Iterator[str]:
    """One subject over its periods: what the same results did from one to the next."""
    if not periods.trends:
        return
    yield f'<article>\n<div class="said">\n<h3>{escape(periods.subject)}, period by period</h3>'
    names = periods.names
    yield _facts([format_count(len(names), "period"), f"{names[0]} to {names[-1]}"])
    yield "</div>"
    yield from _trends(periods.trends, periods.subject)
    yield "</article>"


def _comparison(shelf: Shelf) -> str:
    latest, before = shelf.reference, shelf.versions[1].reference
    if (before.version, latest.version) in shelf.pairs:
        return f'<a href="{escape(quote(pair_path(before, latest)))}">Compare with version {before.version}</a>'
    return f"<code>toolkit reports compare {escape(str(before))} {escape(str(latest))}</code>"


def _trends(trends: Sequence[Trend], subject: str) -> Iterator[str]:
    shown = trends[:MOST_TRENDS]
    if not shown:
        return
    yield '<div class="trends">'
    yield from (_trend(trend, subject) for trend in shown[:MOST_OPEN_TRENDS])
    if folded := shown[MOST_OPEN_TRENDS:]:
        yield f'<details>\n<summary>{format_count(len(folded), "more result")}</summary>\n<div class="trends">'
        yield from (_trend(trend, subject) for trend in folded)
        if (left := len(trends) - MOST_TRENDS) > 0:
            yield f'<p class="absent">{left:,} more are in the report itself.</p>'
        yield "</div>\n</details>"
    yield "</div>"


def _trend(trend: Trend, subject: str) -> str:
    latest = trend.points[-1]
    parts = [
        f'<span class="label">{escape(trend.label(subject))}</span>',
        svg(trend, subject),
        f"<span>{_value(trend, latest)}</span>",
        f'<span class="words">{escape(trend.words(with_unit=False))}</span>' if len(trend.points) > 1 else "",
        f'<span class="move">{escape(move)}</span>' if (move := trend.move()) else "",
    ]
    return f'<div class="trend">{"".join(parts)}</div>'


def _value(trend: Trend, point: Point) -> str:
    """The latest value, its unit and interval smaller."""
    shown = trend.show(point.value, with_unit=False)
    parts = [f"<b>{escape(shown)}</b>"]
    if unit := trend.show(point.value).removeprefix(shown).strip():
        parts.append(f'<span class="unit">{escape(unit)}</span>')
    if interval := trend.interval(point):
        parts.append(f'<span class="interval">({escape(interval)})</span>')
    return " ".join(parts)


def _stopped(stopped: Sequence[Stopped]) -> Iterator[str]:
    if not stopped:
        return
    yield '<section class="stopped">\n<h2>Refused and failed</h2>\n<ul class="rows" role="list">'
    for each in stopped[:MOST_STOPPED]:
        facts = f"<span>{escape(each.series)}</span><span>{escape(each.reason)}{_half_run(each)}</span>"
        yield f'<li><span class="badge {each.state}">{escape(each.word)}</span>{facts}{_time(each.when)}</li>'
    yield "</ul>"
    if (more := len(stopped) - MOST_STOPPED) > 0:
        yield f'<p class="absent">{more:,} more are in the ledger: <code>toolkit ledger log</code></p>'
    yield "</section>"
