"""`toolkit signal`: where each signal stands, and what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from toolkit.cli.output import AsJson, KnownAt, OfModel, print_document, print_table, print_text
from toolkit.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.signals.lifecycle.history import Standing
    from toolkit.workspace import Workspace

Key = Annotated[str, typer.Argument(metavar="KEY", help="A signal, as 'toolkit signal list' shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the ledger.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="ISO", help="It holds from this instant on; by default from the last report's."),
]

_COLUMNS = ("model", "signal", "state", "since", "last_seen", "level", "group", "report")


class _Listed(NamedTuple):
    """A signal of a model, and where it stands."""

    model: str
    key: str
    standing: Standing
    seen: Mapping[str, Any]

    def to_dict(self, now: datetime) -> dict[str, Any]:
        """As JSON types."""
        from toolkit.windows import format_instant

        standing = self.standing
        instants = {"since": standing.since, "last_seen": standing.last_seen}
        return {
            "model": self.model,
            "signal": self.key,
            "state": standing.state_known(now),
            **{name: format_instant(instant) if instant else None for name, instant in instants.items()},
            "level": self.seen.get("level"),
            "group": self.seen.get("title"),
            "report": self.seen.get("report"),
            "acknowledged_by": standing.acknowledged.by if standing.acknowledged else None,
            "muted_until": str(standing.muted.until) if standing.muted else None,
        }


def list_(
    *,
    model: OfModel = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have recovered.")] = False,
    as_of: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """List the signals that published reports have seen: state, since when, how severe."""
    from datetime import UTC

    from toolkit.ledger import open_ledger
    from toolkit.windows import format_instant, parse_instant
    from toolkit.workspace import open_workspace

    instant = datetime.now(UTC) if as_of is None else parse_instant(as_of, name="--as-of")
    workspace = open_workspace()
    with open_ledger(workspace.ledger, create=False) as ledger:
        lines = [each.to_dict(instant) for each in _list(workspace, ledger, model=model, as_of=instant)]
    shown = [line for line in lines if all_ or line["state"] != "recovered"]
    if as_json:
        print_document({"as_of": format_instant(instant), "signals": shown})
    elif shown:
        print_table(_COLUMNS, [[line[name] or "" for name in _COLUMNS] for line in shown])
    else:
        left_out = f"; {len(lines)} have recovered, --all lists them" if lines else ""
        print_text(f"no signal: no published report has seen one that goes on{left_out}", to_stderr=True)


def acknowledge(
    key: Key, *, model: OfModel = None, reason: Reason = "", as_of: AsOf = None, as_json: AsJson = False
) -> None:
    """Say that somebody knows of a signal: nobody is told of it again until it has recovered and come back."""
    from toolkit.signals.lifecycle.history import ACKNOWLEDGED

    _say(ACKNOWLEDGED, "acknowledged", key, model, as_of, {"reason": reason}, as_json=as_json)


def mute(
    key: Key,
    *,
    until: Annotated[str, typer.Option(metavar="DAY", help="The first day, UTC, on which it counts again.")],
    model: OfModel = None,
    reason: Reason = "",
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Want no more of a signal before a day: reports show it last, and nobody is told of it."""
    from toolkit.signals.lifecycle.history import MUTED
    from toolkit.windows import parse_instant

    day = parse_instant(until, name="--until")
    payload = {"reason": reason, "until": f"{day:%Y-%m-%d}"}
    _say(MUTED, f"muted until {day:%Y-%m-%d}", key, model, as_of, payload, as_json=as_json)


def _say(
    kind: str, said: str, key: str, model: str | None, as_of: str | None, payload: Mapping[str, Any], *, as_json: bool
) -> None:
    from toolkit.ledger import open_ledger
    from toolkit.signals.lifecycle.history import subject_of
    from toolkit.windows import format_instant, parse_instant
    from toolkit.workspace import current_actor, open_workspace

    workspace = open_workspace()
    with open_ledger(workspace.ledger) as ledger:
        found = _find(workspace, ledger, key, model)
        last_seen = found.standing.last_seen
        assert last_seen is not None
        instant = last_seen if as_of is None else parse_instant(as_of, name="--as-of")
        until = payload.get("until")
        if until is not None and parse_instant(until) <= instant:
            raise ArgumentError(
                f"--until {until} is not after {format_instant(instant)}, from which on it would hold; give a later day"
            )
        entry = ledger.append(
            kind=kind,
            subject=subject_of(found.model, key),
            payload={name: value for name, value in payload.items() if value},
            actor=current_actor(),
            effective_at=instant,
        )
    if as_json:
        print_document({"entry": entry.to_dict()})
    else:
        print_text(f"{found.model}/{key}: {said}, for reports as of {format_instant(instant)} and later")


def _find(workspace: Workspace, ledger: Ledger, key: str, model: str | None) -> _Listed:
    """The one signal of this key that was ever seen."""
    from toolkit.checks import check_in

    listed = _list(workspace, ledger, model=model, as_of=None)
    check_in(key, {each.key for each in listed}, noun="signal")
    found = [each for each in listed if each.key == key]
    if len(found) > 1:
        models = ", ".join(each.model for each in found)
        raise UnknownNameError(f"signal {key!r} is one of several models: {models}; say which with --model")
    return found[0]


def _list(workspace: Workspace, ledger: Ledger, *, model: str | None, as_of: datetime | None) -> list[_Listed]:
    """The signals of one model or of all that were seen by an instant, or ever, by model and key."""
    from toolkit.checks import check_in
    from toolkit.signals.lifecycle.history import SEEN, fold_events, read_history

    entries = [entry for entry in ledger.entries(kind=SEEN) if as_of is None or entry.effective_at <= as_of]
    entries.sort(key=lambda entry: entry.effective_at)
    seen = {entry.subject: entry.data for entry in entries}
    models = {subject.partition("/")[0] for subject in seen}
    if model is not None:
        check_in(model, models.union(workspace.keys("models")), noun="model")
        models &= {model}
    listed = []
    for each in sorted(models):
        history = read_history(ledger, each)
        standings = fold_events(history.events) if as_of is None else history.at(as_of)
        listed += [
            _Listed(each, key, standings[key], seen[f"{each}/{key}"])
            for key in sorted(standings)
            if f"{each}/{key}" in seen
        ]
    return listed
