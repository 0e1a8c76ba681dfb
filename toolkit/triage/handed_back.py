"""What comes back of a plan that was handed over: the state of each item by its id, in any of the three formats.

All of a file is checked before a word of it counts. What says nothing new changes nothing, so that a file may be given
back as often as one likes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import unknown_name_message
from toolkit.errors import ArgumentError
from toolkit.triage.hand_over import REALISED, Format, uncelled
from toolkit.triage.lifecycle.history import (
    EVER,
    NOTHING_SAID,
    STATES,
    ItemEvent,
    ItemStanding,
    PlanHistory,
    subject_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from toolkit.ledger import Ledger
    from toolkit.workspace import Actor

_KINDS: Mapping[str, str] = {state: kind for kind, state in STATES.items()}
"""What an item may come back as, and the ledger's kind of it."""

_BOX = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+\[([ xX])\]\s+(.*)")
_SPAN = re.compile(r"\\.|(`+)(.+?)(?<!`)\1(?!`)")
"""An escaped character, or code between backticks."""
_ID = re.compile(r"[^/]+/(?:signal|idea|debt)/.+")
_ESCAPED = re.compile(r"\\(.)")


class HandedBack(NamedTuple):
    """What a file says of one item. `where`: the line or the place in the file, as messages say it."""

    where: str
    id: str
    state: str
    effort_days: float | None
    value_per_week: float | None
    unit: str
    reason: str


class Change(NamedTuple):
    """A word that is new: what is to be appended to the ledger."""

    id: str
    kind: str
    before: str
    after: str
    effective_at: datetime
    payload: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"id": self.id, "before": self.before, "after": self.after, **self.payload}

    @property
    def text(self) -> str:
        """It in a line."""
        numbers = [f"{name} {self.payload[name]}" for name in ("effort_days", "value_per_week") if name in self.payload]
        reason = [f"reason: {self.payload['reason']}"] if "reason" in self.payload else []
        states = self.after if self.before == self.after else f"{self.before} → {self.after}"
        return "; ".join([f"{self.id}: {states}", *numbers, *reason])


def read_states(text: str, form: Format, *, shown: str) -> list[HandedBack]:
    """What a file says, in the order of its lines. Raises `ArgumentError` with every problem of it.

    Parameters
    ----------
    shown: what the file is called in messages.
    """
    lines = {"csv": _csv_lines, "json": _json_lines, "markdown": _markdown_lines}[form](text, shown)
    found: list[HandedBack] = []
    problems: list[str] = []
    for where, fields in lines:
        given = _read_line(where, fields, problems)
        first = next((each for each in found if each.id == given.id), None)
        if given.id and first is not None:
            problems.append(f"{where}: id {given.id!r} is there twice, first in {first.where}; keep one")
        found.append(given)
    _complain(problems)
    return found


def find_changes(given: Sequence[HandedBack], histories: Sequence[PlanHistory]) -> list[Change]:
    """What of it is new against everything that was said so far of the items of any published plan.

    A word holds from the last plan of the model on, and never from before what was last said of the item. Raises
    `ArgumentError` with every problem.
    """
    known = {
        subject_of(history.model, key): (history, key)
        for history in histories
        for key in {item.key for plan in history.plans for item in plan.items}
    }
    standings = {history.model: history.standings(EVER) for history in histories}
    problems: list[str] = []
    changes = []
    for each in given:
        if each.id not in known:
            problems.append(f"{each.where}: {unknown_name_message(each.id, known, noun='id')}")
            continue
        history, key = known[each.id]
        standing = standings[history.model].get(key, NOTHING_SAID)
        change, wrong = _change(each, history, key, standing)
        changes += [change] if change else []
        problems += [f"{each.where}: {text}" for text in wrong]
    _complain(problems)
    return changes


def record_changes(ledger: Ledger, changes: Sequence[Change], actor: Actor) -> None:
    """Append what is new. Raises `LedgerError`."""
    for change in changes:
        ledger.append(
            kind=change.kind,
            subject=change.id,
            payload=change.payload,
            actor=actor,
            effective_at=change.effective_at,
        )


def _change(
    given: HandedBack, history: PlanHistory, key: str, standing: ItemStanding
) -> tuple[Change | None, list[str]]:
    """What is new in the words on an item, and what is wrong with it; what they leave out stays as it was said."""
    same, closed = given.state == standing.state, standing.closed
    told = {"reason": given.reason, "effort_days": given.effort_days, "value_per_week": given.value_per_week}
    said = {
        "reason": _in_line(standing.reason),
        "effort_days": closed.effort_days if closed else None,
        "value_per_week": closed.value_per_week if closed else None,
    }
    left = _left_over(given.state, [event for event in history.events if event.key == key])
    new = {name: word for name, word in told.items() if word not in {None, "", said[name], *left[name]}}
    if same and not new:
        return None, []
    words = (said if same else {}) | new
    payload = {
        name: word if isinstance(word, str) else repr(word) for name, word in words.items() if word not in {None, ""}
    }
    plan = history.plans[-1]
    unit = plan.unit if "value_per_week" in new or closed is None else closed.unit
    if unit and "value_per_week" in payload:
        payload["unit"] = unit
    kind, since = _KINDS[given.state], history.holds_from(key)
    change = Change(given.id, kind, standing.state, given.state, since, payload)
    return change, list(_find_wrong(given, new, change, plan.unit))


def _left_over(state: str, events: Sequence[ItemEvent]) -> Mapping[str, set[object]]:
    """What was said of the item in other states: whoever changes the state may leave it behind the id."""
    others = [event for event in events if event.kind in STATES and STATES[event.kind] != state]
    return {
        "reason": {_in_line(event.reason) for event in others},
        "effort_days": {event.effort_days for event in others},
        "value_per_week": {event.value_per_week for event in others},
    }


def _find_wrong(given: HandedBack, new: Mapping[str, object], change: Change, unit: str) -> Iterator[str]:
    for name in REALISED:
        if given.state != "done" and name.removeprefix("realised_") in new:
            yield f"{name} is of what is done, and the state is {given.state!r}"
    if "value_per_week" in new and given.unit not in {"", unit}:
        yield f"realised_unit is {given.unit!r}, and the plan counts in {unit!r}"
    if given.state == "dropped" and "reason" not in change.payload:
        yield f"{given.id} is dropped without a reason; say why"


def _read_line(where: str, fields: Mapping[str, Any], problems: list[str]) -> HandedBack:
    """The words of one line, and what is wrong with them."""
    texts = {name: str(fields.get(name) or "").strip() for name in ("id", "state", "realised_unit", "reason")}
    if not texts["id"]:
        problems.append(f"{where}: id is missing; it is what the export has there")
    if texts["state"] not in _KINDS:
        unknown = unknown_name_message(texts["state"], _KINDS, noun="state")
        problems.append(f"{where}: {unknown}")
    numbers = {}
    for name, check in zip(REALISED, (_is_effort, math.isfinite), strict=True):
        numbers[name] = _number(where, name, fields.get(name), check, problems)
    effort, value = (numbers[name] for name in REALISED)
    return HandedBack(
        where, texts["id"], texts["state"], effort, value, texts["realised_unit"], _in_line(texts["reason"])
    )


def _in_line(text: str) -> str:
    return " ".join(text.split())


def _is_effort(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _number(where: str, name: str, given: object, check: Callable[[float], bool], problems: list[str]) -> float | None:
    """A number, None where nothing was given; a problem where it is none."""
    if given is None or str(given).strip() == "":
        return None
    try:
        value = float("nan") if isinstance(given, bool) else float(str(given))
    except ValueError:
        value = float("nan")
    if check(value):
        return value
    allowed = "a number of at least 0" if check is _is_effort else "a number"
    problems.append(f"{where}: {name} is {given!r}, must be {allowed}, such as 2.5")
    return None


def _csv_lines(text: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = reader.fieldnames or ()
    for needed in ("id", "state"):
        if needed not in columns:
            held = ", ".join(columns) or "nothing"
            raise ArgumentError(f"{shown}: column {needed!r} is missing; the first line holds {held}")
    line = reader.line_num
    for row in reader:
        if None in row:
            raise ArgumentError(f"{shown}:{line + 1}: holds more cells than the first line; quote those with a comma")
        cells = {name: uncelled(cell) for name, cell in row.items() if isinstance(cell, str)}
        if any(cells.values()):
            yield f"{shown}:{line + 1}", cells
        line = reader.line_num


def _json_lines(text: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = json.loads(text)
    except ValueError as err:
        raise ArgumentError(f"{shown}: is no JSON: {err}") from None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ArgumentError(f'{shown}: holds no items; they stand as {{"items": [{{"id": …, "state": …}}]}}')
    for number, item in enumerate(items, start=1):
        yield f"{shown}, item {number}", item


def _markdown_lines(text: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines with a box and an id; a box without an id is the team's own, and left alone."""
    for number, line in enumerate(text.splitlines(), start=1):
        box = _BOX.fullmatch(line)
        spans = [span for span in _SPAN.finditer(box[2]) if span[1] and _ID.fullmatch(span[2].strip())] if box else []
        if box and spans:
            yield f"{shown}:{number}", _checked(f"{shown}:{number}", box[1] != " ", box[2], spans[0])


def _checked(where: str, ticked: bool, line: str, span: re.Match[str]) -> Mapping[str, str]:
    """What a line of a checklist says: the box, and what stands behind the id."""
    code = span[2]
    padded = code.startswith(" ") and code.endswith(" ") and "`" in code
    fields = {"id": code[1:-1] if padded else code, "state": "done" if ticked else "open"}
    rest = line[span.end() :].strip().removeprefix("·").strip()
    told, reason, why = rest.partition("reason:")
    if reason:
        fields["reason"] = _ESCAPED.sub(r"\1", why.strip())
    for word in filter(None, (part.strip() for part in told.split("·"))):
        name, _, value = word.partition(" ")
        if word == "dropped" or (word == "started" and not ticked):
            fields["state"] = word
        elif name in REALISED:
            fields[name] = value
        elif word != "started":
            allowed = ["started", "dropped", *REALISED, "reason: …"]
            raise ArgumentError(f"{where}: behind the id: {unknown_name_message(word, allowed, noun='word')}")
    return fields


def _complain(problems: Sequence[str]) -> None:
    if problems:
        raise ArgumentError("\n".join([*problems, "Nothing was imported."]))
