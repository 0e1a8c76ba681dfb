"""`toolkit backlog start`, `done`, `drop`, `reopen`, `override`: what people say of an item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.backlog import find_item
from toolkit.cli.output import AsJson, OfModel, print_document, print_text
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.triage.lifecycle.history import ItemStanding

Item = Annotated[str, typer.Argument(metavar="ITEM", help="An item, as 'toolkit backlog list' shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the ledger.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="ISO", help="It holds from this instant on; by default from the last plan's, or word's."
    ),
]

_PLACES = ("planned", "not-planned", "none")


def start(
    item: Item, *, model: OfModel = None, reason: Reason = "", as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Say that somebody works on an item."""
    from toolkit.triage.lifecycle.history import STARTED

    _say(STARTED, "started", item, model, as_of, {"reason": reason}, as_json=as_json)


def done(
    item: Item,
    *,
    effort_days: Annotated[float | None, typer.Option(metavar="X", help="Person-days that it took.")] = None,
    value_per_week: Annotated[
        float | None, typer.Option(metavar="X", help="What it brings in a week, in the plan's unit.")
    ] = None,
    model: OfModel = None,
    reason: Reason = "",
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Say that an item is done, and what it took and brings: later plans learn from it how to read estimates."""
    from toolkit.checks import check_at_least
    from toolkit.triage.lifecycle.history import DONE

    payload = {"reason": reason}
    if effort_days is not None:
        payload["effort_days"] = repr(check_at_least("--effort-days", effort_days, 0))
    if value_per_week is not None:
        if not math.isfinite(value_per_week):
            raise ArgumentError(f"--value-per-week == {value_per_week}, must be a finite number")
        payload["value_per_week"] = repr(value_per_week)
    _say(DONE, "done", item, model, as_of, payload, as_json=as_json)


def drop(item: Item, *, reason: Reason, model: OfModel = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Say that nobody will do an item, and why."""
    from toolkit.triage.lifecycle.history import DROPPED

    _check_reason(reason)
    _say(DROPPED, "dropped", item, model, as_of, {"reason": reason}, as_json=as_json)


def reopen(
    item: Item, *, model: OfModel = None, reason: Reason = "", as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Say that an item is open again: it was not done, or is wanted after all, or nobody works on it any more."""
    from toolkit.triage.lifecycle.history import REOPENED

    _say(REOPENED, "open again", item, model, as_of, {"reason": reason}, as_json=as_json)


def override(
    item: Item,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="planned, not-planned, or none to take it back.")],
    *,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="The first day, UTC, on which it does not hold any more.")
    ] = None,
    model: OfModel = None,
    reason: Reason = "",
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Want an item planned or not planned before a day, whatever it is worth; plans honour it and say so."""
    from toolkit.checks import check_in
    from toolkit.triage.lifecycle.history import OVERRIDDEN, OVERRIDE_ENDED
    from toolkit.windows import parse_instant

    check_in(place, _PLACES, noun="place", error=ArgumentError)
    if place == "none":
        if until is not None:
            raise ArgumentError("--until goes with planned and not-planned; none takes the override back at once")
        _say(OVERRIDE_ENDED, "no override any more", item, model, as_of, {"reason": reason}, as_json=as_json)
        return
    if until is None:
        raise ArgumentError("--until is missing; say with a DAY from when on the override does not hold any more")
    _check_reason(reason)
    day = f"{parse_instant(until, name='--until'):%Y-%m-%d}"
    wanted = place.replace("-", " ")
    payload = {"place": wanted, "until": day, "reason": reason}
    _say(OVERRIDDEN, f"{wanted} until {day}", item, model, as_of, payload, as_json=as_json)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ArgumentError("--reason is missing; say why with a TEXT, the next plans show it")


def _say(
    kind: str, said: str, key: str, model: str | None, as_of: str | None, payload: Mapping[str, str], *, as_json: bool
) -> None:
    from toolkit.ledger import open_ledger
    from toolkit.triage.lifecycle.history import NOTHING_SAID, subject_of
    from toolkit.windows import format_instant, parse_instant
    from toolkit.workspace import current_actor, open_workspace

    workspace = open_workspace()
    with open_ledger(workspace.ledger) as ledger:
        found = find_item(workspace, ledger, key, model)
        history = found.history
        instant = history.holds_from(key) if as_of is None else parse_instant(as_of, name="--as-of")
        _check_follows(kind, found.name, key, history.standings(instant).get(key, NOTHING_SAID))
        if "until" in payload and parse_instant(payload["until"]) <= instant:
            raise ArgumentError(
                f"--until {payload['until']} is not after {format_instant(instant)}, from which on it would hold; "
                "give a later day"
            )
        unit = {"unit": found.plan.unit or found.item.unit} if "value_per_week" in payload else {}
        entry = ledger.append(
            kind=kind,
            subject=subject_of(history.model, key),
            payload={name: value for name, value in {**payload, **unit}.items() if value},
            actor=current_actor(),
            effective_at=instant,
        )
    if as_json:
        print_document({"entry": entry.to_dict()})
    else:
        print_text(f"{found.name}: {said}, for plans as of {format_instant(instant)} and later")


def _check_follows(kind: str, name: str, key: str, standing: ItemStanding) -> None:
    """Refuse what cannot follow on where the item stands, and say where that is."""
    from toolkit.triage.lifecycle.history import OVERRIDE_ENDED, REOPENED, STARTED

    if kind == OVERRIDE_ENDED:
        if standing.override is None:
            raise ArgumentError(f"{name} has no override; 'toolkit backlog list' shows which items have one")
        return
    if kind == REOPENED:
        if standing.state == "open":
            raise ArgumentError(f"{name} is open: nobody has started it, and it is neither done nor dropped")
        return
    said = f"{name} is {standing.state} since {standing.since:%Y-%m-%d}, by {standing.by}" if standing.since else ""
    if standing.closed is not None:
        raise ArgumentError(f"{said}; 'toolkit backlog reopen {key}' opens it again")
    if kind == STARTED and standing.state == "started":
        raise ArgumentError(f"{said}; 'toolkit backlog done {key}' says that it is done")
