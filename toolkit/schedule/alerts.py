"""Alerts: people are told of signal groups, and of reports, on the routes of `alerts.yml`, each once.

`toolkit due` sends them, after the reports that found them are published. The ledger is the memory: what was sent is a
row of it, and so is what could not be delivered, which is tried again at every call for as long as it is fresh. Two
calls at once send nothing twice: a route is claimed. Only a process that dies between the service's answer and the row
may send one message again; the other way round, it would be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.archive.versions import load_results
from toolkit.errors import ArchiveError, ParameterError, UnknownNameError
from toolkit.ledger.published import PUBLISHED
from toolkit.reports import claims
from toolkit.schedule.alert_routes import Route, load_alerts
from toolkit.schedule.alert_texts import Message, say_digest, say_group, say_storm
from toolkit.schedule.delivery import deliver
from toolkit.signals.lifecycle.alert_rules import Told, find_untold
from toolkit.signals.lifecycle.history import NEVER_SEEN, SignalHistory, read_history
from toolkit.signals.lifecycle.record import ReportedGroup, ReportedSignals, read_reported
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace, current_actor
from toolkit.workspace.secrets import read_secret, secret_name

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

SENT = "alert.sent"
"""Ledger kind: a message was taken by its route's service; the subject is the route."""

FAILED = "alert.failed"
"""Ledger kind: a message could not be delivered, with the reason; it is tried again."""

TRIES = 3
"""How often a delivery is tried within one call."""

FIRST_PAUSE_S = 1.0
"""Seconds before the second try; each further pause is twice as long."""


@dataclass(frozen=True)
class Delivery:
    """What came of one message.

    Attributes
    ----------
    state: `sent`; `failed`, after all tries; `waiting` for the end of the quiet hours; `owed` in a dry run; `running`
        where another process tells people on this route.
    title: of the message. reports: what it is about. reason: why it was not sent.
    """

    route: str
    state: Literal["sent", "failed", "waiting", "owed", "running"]
    title: str
    reports: tuple[str, ...] = ()
    reason: str = ""

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody should look at the route."""
        return self.state == "failed"


class _News(NamedTuple):
    """What published reports have said of signals since an instant, and what happened to each model's signals.

    Of several reports that show a signal the one that counts comes first.
    """

    reported: tuple[ReportedSignals, ...]
    histories: Mapping[str, SignalHistory]
    since: datetime
    now: datetime


class _Owed(NamedTuple):
    """A message that is owed on a route, and what of it the ledger will remember."""

    message: Message
    groups: tuple[tuple[ReportedSignals, ReportedGroup], ...]
    reports: tuple[str, ...]
    digest: bool


def send_alerts(
    workspace: Workspace,
    *,
    now: datetime,
    dry_run: bool = False,
    pause: Callable[[float], None] = time.sleep,
    progress: Callable[[str], None] | None = None,
) -> list[Delivery]:
    """Tell people what published reports have found and nobody has told them yet; see `alerts.yml`.

    Parameters
    ----------
    now: the moment; reports as of an instant after it, or long before it, are nobody's business now.
    dry_run: say what is owed, send and write nothing.

    Raises `DefinitionError` for what is wrong in `alerts.yml`, and `LedgerError`.
    """
    from toolkit.ledger import open_ledger

    alerts = load_alerts(workspace)
    if alerts is None:
        return []
    tell = progress or (lambda _: None)
    deliveries: list[Delivery] = []
    with open_ledger(workspace.ledger, create=not dry_run) as ledger:
        news = _read_news(ledger, since=now - timedelta(days=alerts.fresh_days), now=now)
        for key, route in alerts.routes.items():
            if dry_run:
                owed, held = _find_owed(workspace, ledger, key, route, news)
                deliveries += [Delivery(key, "owed", each.message.title, each.reports) for each in owed]
                deliveries += held
                continue
            with claims.claim(workspace.ledger.parent / "alerts" / f"{key}.claim") as ours:
                if not ours:
                    deliveries.append(Delivery(key, "running", "", reason="another process is telling people on it"))
                    continue
                owed, held = _find_owed(workspace, ledger, key, route, news)
                for each in owed:
                    sent = _send(ledger, key, route, each, now=now, pause=pause)
                    tell(f"alert on {key}: {': '.join(filter(None, [sent.state, sent.title, sent.reason]))}")
                    deliveries.append(sent)
                deliveries += held
    return deliveries


def _read_news(ledger: Ledger, *, since: datetime, now: datetime) -> _News:
    """Read before any route is claimed: what another process tells meanwhile is in the rows that are read after."""
    fresh = sorted((each for each in read_reported(ledger) if since <= each.as_of <= now), key=_newest_first)
    models = sorted({each.model for each in fresh})
    return _News(tuple(fresh), {model: read_history(ledger, model) for model in models}, since, now)


def _find_owed(
    workspace: Workspace, ledger: Ledger, key: str, route: Route, news: _News
) -> tuple[list[_Owed], list[Delivery]]:
    """The messages that are owed on a route, and those that wait for the end of its quiet hours."""
    sent = [entry.data for entry in ledger.entries(kind=SENT, subject=key)]
    due: list[tuple[ReportedSignals, ReportedGroup]] = []
    waiting: list[Delivery] = []
    for reported, group in _find_untold(route, news, sent):
        if route.is_quiet(news.now, group.level):
            waiting.append(Delivery(key, "waiting", group.title, (reported.report,), "quiet hours"))
        else:
            due.append((reported, group))
    owed = list(_fold(due, route))
    digests = list(_find_digests(workspace, ledger, route, news, sent))
    if route.is_quiet(news.now, "unmeasured"):
        waiting += [Delivery(key, "waiting", each.message.title, each.reports, "quiet hours") for each in digests]
        digests = []
    return [*owed, *digests], waiting


def _find_untold(
    route: Route, news: _News, sent: Sequence[Mapping[str, Any]]
) -> list[tuple[ReportedSignals, ReportedGroup]]:
    """The groups that people are to be told of, the oldest first; the newest report that shows a signal counts."""
    told = [_read_told(row) for data in sent for row in data["groups"]]
    still = {model: history.at(news.now) for model, history in news.histories.items()}
    spoken_for: set[tuple[str, str]] = set()
    found = []
    for reported in news.reported:
        then = news.histories[reported.model].at(reported.as_of)
        for group in find_untold(reported, route.rule, told, then):
            standings = [still[reported.model].get(key, NEVER_SEEN) for key in group.signals]
            goes_on = any(standing.active and not standing.is_quiet(news.now) for standing in standings)
            if goes_on and spoken_for.isdisjoint((reported.model, key) for key in group.signals):
                found.append((reported, group))
        spoken_for |= {(reported.model, key) for group in reported.groups for key in group.signals}
    return sorted(found, key=lambda each: (each[0].as_of, each[0].report, each[1].rank))


def _newest_first(reported: ReportedSignals) -> tuple[float, float, str]:
    """Of several reports as of one instant, the one with the most severe group comes first."""
    worst = max((group.severity or 0.0 for group in reported.groups), default=0.0)
    return -reported.as_of.timestamp(), -worst, reported.report


def _fold(due: Sequence[tuple[ReportedSignals, ReportedGroup]], route: Route) -> Iterator[_Owed]:
    """A message for each group; one for all of them when they are too many at once."""
    if len(due) > route.most:
        reports = tuple(dict.fromkeys(reported.report for reported, _ in due))
        yield _Owed(say_storm(due, route.report_url), tuple(due), reports, digest=False)
        return
    for reported, group in due:
        yield _Owed(
            say_group(reported, group, route.report_url), ((reported, group),), (reported.report,), digest=False
        )


def _find_digests(
    workspace: Workspace,
    ledger: Ledger,
    route: Route,
    news: _News,
    sent: Sequence[Mapping[str, Any]],
) -> Iterator[_Owed]:
    """The digests of published reports that are owed: each version once."""
    if not route.digests:
        return
    done = {report for data in sent if data["digest"] for report in data["reports"]}
    signals = {each.report: each for each in news.reported}
    for entry in ledger.entries(kind=PUBLISHED):
        reference = entry.subject
        wanted = reference.partition("/")[0] in route.digests and news.since <= entry.effective_at <= news.now
        if not wanted or reference in done:
            continue
        try:
            results = load_results(workspace, reference)
        except (ArchiveError, UnknownNameError):  # damaged, which `reports verify` tells, or pruned
            continue
        message = say_digest(reference, results, signals.get(reference), route.report_url)
        yield _Owed(message, (), (reference,), digest=True)


def _send(
    ledger: Ledger,
    key: str,
    route: Route,
    owed: _Owed,
    *,
    now: datetime,
    pause: Callable[[float], None],
) -> Delivery:
    title, body, level = owed.message
    reason, tries = "", 0
    try:
        url = str(read_secret(secret_name(route.to)))
    except ParameterError as err:  # it is not there: trying again at once would find the same
        reason = str(err)
    else:
        for tries in range(1, TRIES + 1):
            if tries > 1:
                pause(FIRST_PAUSE_S * 2 ** (tries - 2))
            reason = deliver(url, title, body, level)
            if not reason:
                break
    payload: dict[str, Any] = {
        "title": title,
        "digest": owed.digest,
        "reports": list(owed.reports),
        "groups": [_write_told(Told.of(reported, group), group.key) for reported, group in owed.groups],
        "tries": tries,
    }
    ledger.append(
        kind=FAILED if reason else SENT,
        subject=key,
        payload=payload | ({"reason": reason} if reason else {}),
        actor=current_actor(),
        effective_at=now,
    )
    return Delivery(key, "failed" if reason else "sent", title, owed.reports, reason)


def _write_told(told: Told, group: str) -> dict[str, Any]:
    return {
        "group": group,
        "model": told.model,
        "as_of": format_instant(told.as_of),
        "signals": sorted(told.signals),
        "level": told.level,
    }


def _read_told(row: Mapping[str, Any]) -> Told:
    return Told(row["model"], parse_instant(row["as_of"]), frozenset(row["signals"]), row["level"])
