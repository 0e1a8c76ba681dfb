"""Tables for people: great-tables with a fixed id, so that the same rows give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from toolkit.display.numbers import format_number

_ONE_LINE = 28
"""Characters that a cell may have and still stay on one line, whatever the page's width."""

_LONG = "min-width: 9em; overflow-wrap: anywhere;"
"""Of columns with longer cells: none is squeezed to a word a line, and a key without spaces breaks."""


def heading(name: str) -> str:
    """A column's name as a heading: underscores become spaces, the first letter is a capital.

    >>> heading("rel_lift"), heading("p_value")
    ('Rel lift', 'P value')
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def table_html(rows: Sequence[Mapping[str, Any]], *, name: str, text: str = "") -> str:
    """Rows as an HTML table, headed by `text`; every value is escaped (great-tables does).

    Parameters
    ----------
    rows: one mapping per line; the first one's keys are the columns, in order.
    name: a name unique on the page; it becomes the table's id.
    """
    lead = f"<p>{escape(text)}</p>" if text else ""
    if not rows:
        return lead or "<p>No rows.</p>"
    import pandas as pd
    from great_tables import GT, loc, style

    columns = list(rows[0])
    numeric = [heading(column) for column in columns if any(_is_number(row[column]) for row in rows)]
    frame = pd.DataFrame(
        [[format_number(column, row[column]) for column in columns] for row in rows],
        columns=[heading(column) for column in columns],
        dtype="object",
    )
    short = [column for column in frame.columns if frame[column].str.len().max() <= _ONE_LINE]
    long = [column for column in frame.columns if column not in short]
    table = (
        GT(frame, id=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
        .cols_align("left")
        .cols_align("right", columns=numeric)
        .tab_style(style.css("white-space: nowrap;"), loc.body(columns=short))
        .tab_style(style.css(_LONG), loc.body(columns=long))
        .tab_options(table_font_size="13px", table_width="auto", table_margin_left="0", data_row_padding="4px")
    )
    return f'{lead}<div style="overflow-x:auto">{table.as_raw_html(inline_css=False)}</div>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
