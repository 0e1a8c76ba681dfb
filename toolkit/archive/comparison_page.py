"""A comparison as one HTML page: self-contained, nothing fetched, no script, every value of the data escaped."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from toolkit.archive.changes import KINDS, Kind, RowChange
from toolkit.archive.comparison import Comparison, Figure, Side
from toolkit.archive.styles import read_styles
from toolkit.archive.versions import NOTEBOOK, Reference, report_folder
from toolkit.archive.wording import ARROW, distance, input_sides, part_name, row_name, values
from toolkit.display import format_number
from toolkit.workspace import Workspace

MOST_OPEN = 40
"""Rows of one kind that are open on the page; those behind them are folded."""

_STATES = {
    "same": ("=", "the same bytes in both"),
    "different": ("≠", "different"),
    "appeared": ("+", "only in the second report"),
    "vanished": ("−", "only in the first report"),
}
_STYLES = "comparison.css"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def comparison_html(comparison: Comparison, workspace: Workspace, *, links: tuple[str, str] | None = None) -> str:
    """The page of a comparison; the same comparison of the same archive gives the same bytes.

    Figures are read from the archive and lie in the page; one that cannot be read is named instead.

    Parameters
    ----------
    links: addresses of the two reports' own pages, relative to where this page will lie.
    """
    title = f"{comparison.before.name} and {comparison.after.name}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{read_styles('comparison.css')}</style>",
            "</head>",
            "<body>",
            '<main class="comparison">',
            "<h1>Two reports compared</h1>",
            *_sides(comparison, links or ("", "")),
            *(f'<p class="note">{escape(note)}</p>' for note in comparison.notes),
            *_summary(comparison),
            *_inputs(comparison),
            *_results(comparison),
            *_figures(comparison, workspace),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _sides(comparison: Comparison, links: tuple[str, str]) -> Iterator[str]:
    yield '<dl class="sides">'
    for word, side, link in zip(("First", "Second"), (comparison.before, comparison.after), links, strict=True):
        name = escape(side.name)
        shown = f'<a href="{escape(link)}">{name}</a>' if link else name
        facts = [
            f"as of {side.as_of}" if side.as_of else "",
            f"published {side.published[:16]}Z" if side.published else "",
        ]
        told = "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)
        yield f'<div><dt>{word}</dt><dd><strong>{shown}</strong><span class="facts">{told}</span></dd></div>'
    yield "</dl>"


def _summary(comparison: Comparison) -> Iterator[str]:
    """How many rows there are of each kind, each leading to its table."""
    yield '<ul class="counts" aria-label="Result rows by what became of them">'
    for kind, count in comparison.counts.items():
        if count:
            text = f"<strong>{format_number('n', count)}</strong> {KINDS[kind]}"
            yield f"<li>{text}</li>" if kind == "same" else f'<li><a href="#{kind}">{text}</a></li>'
    if not comparison.rows:
        yield "<li>no result rows in either report</li>"
    yield "</ul>"


def _inputs(comparison: Comparison) -> Iterator[str]:
    yield "<h2>What went in</h2>"
    lines = [(part, difference) for part in comparison.parts for difference in part.differences]
    if lines:
        yield from _open_table("Inputs that differ", ("Input", "Which", "First", "Second"))
        for part, difference in lines:
            before, after = map(escape, input_sides(difference))
            named = "" if difference.name == part.name else escape(difference.name.replace("_", " "))
            yield f'<tr><th scope="row">{part_name(part)}</th><td>{named}</td><td>{before}</td><td>{after}</td></tr>'
        yield from _close_table()
    same = [part_name(part) for part in comparison.parts if not part.differences]
    if same:
        yield f'<p class="absent">The same in both: {", ".join(same)}.</p>'


def _results(comparison: Comparison) -> Iterator[str]:
    yield "<h2>What came out</h2>"
    if not comparison.changed:
        told = f"All {format_number('n', len(comparison.rows))} result rows are the same."
        yield f"<p>{told if comparison.rows else 'Neither report has result rows.'}</p>"
    usual = _usual_windows(comparison)
    if any(usual):
        told = f" {ARROW} ".join(dict.fromkeys(escape(window) or "no window" for window in usual))
        yield f'<p class="absent">Where nothing else is said, rows speak of {told}.</p>'
    for kind, changes in groupby(comparison.changed, key=lambda change: change.kind):
        yield from _kind(kind, list(changes), usual)
    yield (
        f'<p class="absent">Numbers are the same within {comparison.tolerance.relative:g} of the larger one or '
        f"{comparison.tolerance.absolute:g}, whole numbers and words only when they are equal.</p>"
    )


def _usual_windows(comparison: Comparison) -> tuple[str, str]:
    """The windows before and after of most rows that differ, so that they are said once."""
    pairs = Counter(
        (str(change.before.get("window") or ""), str(change.after.get("window") or ""))
        for change in comparison.changed
        if change.before and change.after
    )
    return pairs.most_common(1)[0][0] if pairs else ("", "")


def _kind(kind: Kind, changes: Sequence[RowChange], usual: tuple[str, str]) -> Iterator[str]:
    title = KINDS[kind]
    count = f"{format_number('n', len(changes))} row{'' if len(changes) == 1 else 's'}"
    yield f'<section id="{kind}">\n<h3>{title[0].upper()}{title[1:]} <span class="absent">{count}</span></h3>'
    yield from _rows(f"Rows that {title}", changes[:MOST_OPEN], usual)
    if folded := changes[MOST_OPEN:]:
        yield f"<details>\n<summary>{format_number('n', len(folded))} more that {title}</summary>"
        yield from _rows(f"More rows that {title}", folded, usual)
        yield "</details>"
    yield "</section>"


def _rows(caption: str, changes: Sequence[RowChange], usual: tuple[str, str]) -> Iterator[str]:
    moved, remarked = any(distance(change) for change in changes), any(change.why for change in changes)
    last = [*(["Change"] if moved else []), *(["Remarks"] if remarked else [])]
    yield from _open_table(caption, ("Of", "Statistic", "First", "Second", *last))
    for change in changes:
        row = change.row
        cells = [str(row.get("statistic", "")).replace("_", " "), *values(change)]
        cells += [distance(change)] if moved else []
        cells += ["; ".join(change.why)] if remarked else []
        place = escape(str(row.get("record", ""))) + _windows(change, usual)
        name = f'{escape(row_name(row)) or "everything"} <span class="absent">{place}</span>'
        yield f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{_unbroken(cell)}</td>" for cell in cells) + "</tr>"
    yield from _close_table()


def _unbroken(text: str) -> str:
    """Escaped, with the percent sign on the line of its number."""
    return escape(text).replace(" %", "\u00a0%")


def _windows(change: RowChange, usual: tuple[str, str]) -> str:
    """The windows that a row speaks of, where they are not the usual ones."""
    windows = {
        side: str(row.get("window") or "") for side, row in enumerate((change.before, change.after)) if row is not None
    }
    if all(window == usual[side] for side, window in windows.items()):
        return ""
    return ", " + f" {ARROW} ".join(dict.fromkeys(escape(window) or "no window" for window in windows.values()))


def _open_table(caption: str, columns: Iterable[str]) -> Iterator[str]:
    yield f'<div class="output" tabindex="0" role="group" aria-label="{caption}, can be scrolled sideways">'
    yield f"<table>\n<caption>{caption}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{column}</th>' for column in columns)
    yield "</tr></thead>\n<tbody>"


def _close_table() -> Iterator[str]:
    yield "</tbody>\n</table>\n</div>"


def _figures(comparison: Comparison, workspace: Workspace) -> Iterator[str]:
    if not comparison.figures:
        return
    yield "<h2>Figures</h2>"
    shown = [_Shown(workspace, side) for side in (comparison.before, comparison.after)]
    for figure in comparison.figures:
        mark, words = _STATES[figure.state]
        yield f'<section class="figure">\n<h3>{escape(Path(figure.path).stem)}</h3>'
        yield f'<p class="state {figure.state}"><span aria-hidden="true">{mark}</span> {words}</p>'
        yield '<div class="pair">'
        if figure.state == "same":  # the same bytes need not be carried twice
            yield shown[0].show(figure, f"{comparison.before.name} and {comparison.after.name}")
        else:
            yield from (
                of_side.show(figure, side.name)
                for of_side, side, digest in zip(
                    shown, (comparison.before, comparison.after), (figure.before, figure.after), strict=True
                )
                if digest
            )
        yield "</div>\n</section>"


class _Shown:
    """The figures of one report, with the words that its notebook has for them."""

    def __init__(self, workspace: Workspace, side: Side) -> None:
        published = "/" in side.name  # a re-run is called otherwise, and nothing of it is kept
        self._folder = report_folder(workspace, Reference.parse(side.name)) if published else None
        self._words: dict[str, str] | None = None

    def show(self, figure: Figure, caption: str) -> str:
        """A figure of this report as HTML, or what is wrong with it."""
        if self._folder is None:
            return _no_figure(f"{figure.path} was not kept", caption)
        try:
            data = b64encode((self._folder / figure.path).read_bytes()).decode()
        except OSError as err:
            return _no_figure(f"{figure.path} cannot be read ({err.strerror})", caption)
        if self._words is None:
            self._words = _read_words(self._folder / NOTEBOOK)
        alt = self._words.get(data) or Path(figure.path).name
        image = f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
        return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _no_figure(told: str, caption: str) -> str:
    return f'<figure><p class="absent">{escape(told)}</p><figcaption>{escape(caption)}</figcaption></figure>'


def _read_words(notebook: Path) -> dict[str, str]:
    """Picture in base64 to its alternative text, as far as the notebook can be read; a damaged one has none."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        return {data: alt for output in outputs for data, alt in _pictures(output)}
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return {}


def _pictures(output: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = output.get("data", {}).get("image/png", "")
    alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
    if data and alt:
        text = data if isinstance(data, str) else "".join(data)
        yield text.replace("\n", ""), str(alt)
