"""The hand-over: a plan as CSV, JSON or a Markdown checklist, for whatever a team keeps track of its work in.

An item is known by its id, `<model>/<item key>`, and so is what comes back: see `handed_back`. Estimates are told from
what was realised: these are empty until somebody fills them in, and are read again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.digests import document_bytes
from toolkit.display import format_instant_day
from toolkit.stats.spreads import Spread
from toolkit.triage.lifecycle.history import (
    CLOSED,
    EVER,
    NOTHING_SAID,
    ItemStanding,
    PlanHistory,
    PlannedItem,
    ReviewedPlan,
    subject_of,
)
from toolkit.triage.ranges import range_text
from toolkit.windows import format_instant

Format = Literal["csv", "json", "markdown"]
FORMATS: tuple[Format, ...] = ("csv", "json", "markdown")
SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".json": "json", ".md": "markdown"}
"""What the name of a file says of its format."""

SEPARATOR = " · "
"""Between what a line of a checklist says of an item."""

REALISED = ("realised_effort_days", "realised_value_per_week")
"""What an item took and brings, once it is done: the columns that are read again, beside `state` and `reason`."""

_FORMULA = re.compile(r"'*[=+\-@\t]")
"""A cell that begins so is a formula to a spreadsheet; the quotes before it are those that were put there."""

_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_PLACES = {"planned": "Planned", "not planned": "Not planned", "cannot be planned": "Cannot be planned"}


@dataclass(frozen=True)
class HandedPlan:
    """A published plan, and where its items stand by what people have said until now."""

    plan: ReviewedPlan
    standings: Mapping[str, ItemStanding]

    @classmethod
    def of(cls, history: PlanHistory, plan: ReviewedPlan) -> HandedPlan:
        """A plan of a history with everything that was ever said."""
        return cls(plan, history.standings(EVER))

    def to_text(self, form: Format) -> str:
        """The plan in one of `FORMATS`; the same plan and words give the same text."""
        return {"csv": self._csv, "json": self._json, "markdown": self._markdown}[form]()

    def _rows(self) -> list[dict[str, Any]]:
        return [self._row(item, self.standings.get(item.key, NOTHING_SAID)) for item in self.plan.items]

    def _row(self, item: PlannedItem, standing: ItemStanding) -> dict[str, Any]:
        """An item as JSON types: what is read again first, then what the plan says, numbers with their unit."""
        closed = standing.closed
        return {
            "id": subject_of(self.plan.model, item.key),
            "state": standing.state,
            "realised_effort_days": closed.effort_days if closed else None,
            "realised_value_per_week": closed.value_per_week if closed else None,
            "realised_unit": (closed.unit if closed else "") or self.plan.unit,
            "reason": standing.reason,
            "title": item.title,
            "team": item.team,
            "place": item.place,
            "because": item.because,
            "tier": item.tier,
            "deadline": item.deadline.isoformat() if item.deadline else None,
            **_ends("effort_days", item.effort_days),
            **_ends("value_per_week", item.value_per_week),
            "value_unit": item.unit,
            "movement": item.movement,
        }

    def _json(self) -> str:
        plan = self.plan
        document = {
            "model": plan.model,
            "as_of": format_instant(plan.as_of),
            "report": plan.report,
            "items": self._rows(),
        }
        return document_bytes(document).decode()

    def _csv(self) -> str:
        stream = io.StringIO()
        columns = list(self._row(_NO_ITEM, NOTHING_SAID))
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in self._rows():
            writer.writerow({name: _cell(value) for name, value in row.items()})
        return stream.getvalue()

    def _markdown(self) -> str:
        plan = self.plan
        lines = [f"# Plan of model {_plain(plan.model)}, as of {format_instant_day(plan.as_of)}", "", _legend(plan)]
        for place, heading in _PLACES.items():
            items = [item for item in plan.items if item.place == place]
            if items:
                lines += ["", f"## {heading}", "", *(self._line(item) for item in items)]
        return "\n".join(lines) + "\n"

    def _line(self, item: PlannedItem) -> str:
        """An item of the checklist: what it is, then its id, and behind that what is read again."""
        row = self._row(item, self.standings.get(item.key, NOTHING_SAID))
        box = "x" if row["state"] in CLOSED else " "
        told = [
            _plain(item.title),
            f"effort {range_text(item.effort_days, unit='days')}" if item.effort_days else "effort not estimated",
            f"value {range_text(item.value_per_week, unit=f'{_plain(item.unit)} a week')}"
            if item.value_per_week
            else "value not estimated",
            *([f"by {item.deadline}"] if item.deadline else []),
            *([_plain(item.because)] if item.because else []),
            *([f"team {_plain(item.team)}"] if item.team else []),
        ]
        read_again = [
            *([row["state"]] if row["state"] in {"started", "dropped"} else []),
            *(f"{name} {row[name]!r}" for name in REALISED if row[name] is not None),
            *([f"reason: {_plain(row['reason'])}"] if row["reason"] else []),
        ]
        return f"- [{box}] " + SEPARATOR.join([*told, code_span(row["id"]), *read_again])


def code_span(text: str) -> str:
    """Text as Markdown's code, which no tracker changes, with backticks of its own or not.

    >>> code_span("delay/idea/refit"), code_span("a`b")
    ('`delay/idea/refit`', '`` a`b ``')
    """
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (max(map(len, re.findall("`+", text))) + 1)
    return f"{fence} {text} {fence}"


def uncelled(text: str) -> str:
    """A cell without the quote that kept a spreadsheet from running it.

    >>> uncelled("'=1+1"), uncelled("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _cell(value: object) -> object:
    """A cell in one line that no spreadsheet takes for a formula; a number is none."""
    if not isinstance(value, str):
        return value
    text = re.sub(r"[\r\n]+", " ", value)
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(text: str) -> str:
    """Text in one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _legend(plan: ReviewedPlan) -> str:
    return (
        f"From report {_plain(plan.report)}. A ticked box is done. Behind the id may stand, each after a `·`: "
        "`started` or `dropped`; of what is done `realised_effort_days 2.5` and `realised_value_per_week 120`"
        f"{f', in {_plain(plan.unit)}' if plan.unit else ''}; and last `reason: …`."
    )


def _ends(name: str, given: Spread | None) -> dict[str, float | None]:
    """A range as three numbers."""
    return {f"{name}_{end}": getattr(given, end) if given else None for end in ("low", "likely", "high")}


_NO_ITEM = PlannedItem(key="", title="", origin="", team="", place="")
