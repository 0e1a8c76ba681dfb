"""A drafted debt item: a signal or an idea of the backlog as `debt/<key>.yml`, with what is left to say.

It names the signals that it settles, so that the next triage shows it in their stead: see `toolkit.triage.backlog`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_in
from toolkit.debt.items import DEBT_FOLDER, DebtItem
from toolkit.errors import ArgumentError
from toolkit.signals.groups.grouping import FAULTS
from toolkit.signals.lifecycle.record import load_reported
from toolkit.signals.signal import kind_of
from toolkit.triage import load_ideas, load_teams
from toolkit.triage.drafts import Draft, ask, check_free, comment, draft_key, scalar
from toolkit.workspace.definitions import validate
from toolkit.workspace.documents import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.triage import PlannedItem, ReviewedPlan, TeamDefinition
    from toolkit.workspace import Workspace

_DATA_SIGNALS = FAULTS | {"drift", "mix"}
_KINDS = {
    "model": "model",
    "data": "data",
    "product": "process",
    "operation": "infrastructure",
    "experiment": "process",
}
"""What debt an idea's kind of work is on."""

_NO_ROLES: Mapping[str, float] = {}


class _Known(NamedTuple):
    """What is known of an item beyond the plan."""

    kind: str
    signals: tuple[str, ...]
    evidence: tuple[str, ...]
    description: str
    roles: Mapping[str, float] = _NO_ROLES


def draft_debt(
    workspace: Workspace, plan: ReviewedPlan, item: PlannedItem, *, owner: str, key: str | None = None
) -> Draft:
    """Draft `debt/<key>.yml` for a signal or an idea of a published plan; nothing is written.

    Parameters
    ----------
    owner: who answers for the item; "" where nobody is known. key: the debt item's; by default the item's.

    Raises `ArgumentError` for an item that is debt already, and for a key that is taken or cannot be the name of a
    file, and `DefinitionError`.
    """
    if item.origin == "debt":
        raise ArgumentError(f"{item.key} is a debt item already: {item.key}.yml")
    path = f"{DEBT_FOLDER}/{draft_key(item.key, key)}.yml"
    check_free(workspace, path)
    known = _of_idea(workspace, item) if item.origin == "idea" else _of_signal(workspace, plan, item)
    text = "\n".join(_lines(workspace, plan, item, known, Path(path).stem, owner)) + "\n"
    validate(parse_yaml(text, path=workspace.root / path, shown=path), DebtItem)
    return Draft(path, text)


def _lines(
    workspace: Workspace, plan: ReviewedPlan, item: PlannedItem, known: _Known, key: str, owner: str
) -> list[str]:
    teams = load_teams(workspace)
    if item.team:
        check_in(item.team, teams, noun="team")
    team = item.team or next(iter(teams))
    evidence = ", ".join(scalar(each) for each in (plan.report, *known.evidence))
    return [
        *comment(f"Drafted from {item.key} of {plan.report}, as of {plan.as_of:%Y-%m-%d}."),
        *(
            ask(f"whether {item.key} stays; it is the same work, and the backlog has both")
            if item.origin == "idea"
            else []
        ),
        f"key: {scalar(key)}",
        f"title: {scalar(item.title)}",
        *ask(f"what it lies in; allowed: {_allowed_kinds()}"),
        f"kind: {known.kind}",
        *([] if owner else ask("who answers for it; nobody is known")),
        f"owner: {scalar(owner or 'to be named')}",
        *(
            []
            if item.team
            else ask("the team that would pay it off; the plan names none, and the first of teams.yml is proposed")
        ),
        f"team: {scalar(team)}",
        f"model: {scalar(plan.model)}",
        *ask("what is owed, how it came about, and what it does"),
        f"description: {scalar(known.description)}",
        f'opened_on: "{plan.as_of:%Y-%m-%d}"',
        *ask("due_on, the last day on which it is to be paid off, if anybody promises one"),
        *_principal(item),
        *_roles(teams[team], known.roles),
        *ask(
            "interest_days_per_month {low, likely, high}, the person-days that it costs in each month; nobody has said"
        ),
        f"evidence: [{evidence}]",
        *_signals(known),
    ]


def _signals(known: _Known) -> list[str]:
    if not known.signals:
        return ask("signals, the keys of those that it causes, as 'toolkit signal list' shows them; none is known")
    settled = ", ".join(scalar(each) for each in known.signals)
    return [*comment("The next triage shows this in the stead of these signals."), f"signals: [{settled}]"]


def _principal(item: PlannedItem) -> list[str]:
    given = item.effort_days
    if given is None:
        return ask("principal_days {low, likely, high}, the person-days to pay it off; nobody has estimated them")
    said = f"as {item.effort_source.partition('/')[2]} estimated the item" if item.effort_source else "as of the item"
    ends = ", ".join(f"{end}: {getattr(given, end)!r}" for end in ("low", "likely", "high"))
    return [f"principal_days: {{{ends}}}    # {said}"]


def _roles(team: TeamDefinition, known: Mapping[str, float]) -> list[str]:
    """How the principal divides between the roles of the team, where it has any."""
    if not team.roles:
        return []
    if known and known.keys() <= team.roles.keys():
        return [f"roles: {{{', '.join(f'{scalar(role)}: {share!r}' for role, share in known.items())}}}"]
    named = ", ".join(team.roles)
    return ask(
        f"roles, the shares of principal_days by role, which add up to 1: {named}; without them it cannot be planned"
    )


def _of_idea(workspace: Workspace, item: PlannedItem) -> _Known:
    """An idea's own words, if its file is still there."""
    key = item.key.partition("/")[2]
    idea = load_ideas(workspace).get(key)
    if idea is None:
        return _Known("process", (), (), item.title)
    return _Known(_KINDS[idea.kind], idea.signals, (f"ideas/{key}.yml", *idea.evidence), idea.description, idea.roles)


def _of_signal(workspace: Workspace, plan: ReviewedPlan, item: PlannedItem) -> _Known:
    """The signal group's own words, in the report that the plan is from."""
    group_key = item.key.partition("/")[2]
    groups = (
        each for said in load_reported(workspace, plan.model) if said.report == plan.report for each in said.groups
    )
    group = next((each for each in groups if each.key == group_key), None)
    kind = "data" if kind_of(group_key) in _DATA_SIGNALS else "model"
    if group is None:
        return _Known(kind, (), (), item.title)
    return _Known(kind, group.signals, (), ". ".join(filter(None, (group.title, group.hint))))


def _allowed_kinds() -> str:
    return ", ".join(DebtItem.model_json_schema()["properties"]["kind"]["enum"])
