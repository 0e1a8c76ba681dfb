"""The backlog: what production, people and debt ask for, in one shape, each with its value and its effort in ranges.

What nobody has estimated is absent and asked for, never invented. A signal group is one item, as its signals are one
problem. An idea or a debt item that names a signal of a group in its file stands for the group: it takes over the
group's evidence, and its value where it has none of its own. Two of them that stand for one group exclude each other,
unless they are steps of one solution (one needs the other, or a third needs both) or must both be done: a problem is
solved, and counted, once. Taking the line out of the file undoes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from typing_extensions import override

from toolkit.display import format_count, format_number
from toolkit.records import ResultRow, Shown, number_row
from toolkit.signals import SignalGroups
from toolkit.signals.groups.signal_group import SignalGroup
from toolkit.triage.dependencies import all_needed
from toolkit.triage.ideas import IDEAS_FOLDER, IdeaDefinition, load_ideas
from toolkit.triage.ranges import RANGE_METHOD, Range, Value, range_row, range_text
from toolkit.triage.teams import TEAMS_FILE, TeamDefinition, load_teams, missing_roles
from toolkit.triage.titles import title_of
from toolkit.workspace import Workspace

Origin = Literal["signal", "idea", "debt"]
Horizon = Literal["short_term", "long_term"]

_LATER = frozenset({"debt", "experiment"})


@dataclass(frozen=True)
class BacklogItem:
    """A candidate piece of work, whatever it comes from.

    Attributes
    ----------
    key: `<origin>/<key>`, so that no two origins share one. source: the file or the signals that say what is here.
    team: key of the team that would do it; "" where nobody is named.
    value_per_week: what it is worth in a week, once it is done; None with `no_value_reason`.
    risk_per_week: what the risk that it takes away costs in a week.
    effort_days: person-days; None with `no_effort_reason`.
    roles: shares of the effort by role of the team; {} where the team has none, or with `no_roles_reason`.
    points: by criterion of the team's own score; {} where nobody gave any.
    value_source, effort_source: whom they come from, `person/<name>` or `detector/<kind of signal>`, for corrections.
    confidence: the probability that the value is there at all; None where nobody said.
    deadline: the last day on which it is of use; `must_do`: it has to be done by then.
    depends_on, excludes: keys of other items. settles: the signals that it stands for.
    """

    key: str
    origin: Origin
    kind: str
    title: str
    owner: str
    team: str
    source: str
    evidence: tuple[str, ...] = ()
    value_per_week: Value | None = None
    no_value_reason: str = ""
    risk_per_week: Value | None = None
    value_source: str = ""
    effort_days: Range | None = None
    no_effort_reason: str = ""
    effort_source: str = ""
    roles: Mapping[str, float] = field(default_factory=dict)
    no_roles_reason: str = ""
    points: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    deadline: date | None = None
    must_do: bool = False
    depends_on: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()

    @property
    def horizon(self) -> Horizon:
        """When its value comes: of debt and experiments later on, as less interest and as what they teach."""
        return "long_term" if self.kind in _LATER else "short_term"

    @property
    def lacks(self) -> Mapping[str, str]:
        """What is missing before it can be planned: value, effort, roles; each with who is to say it, and where."""
        missing = {}
        if self.value_per_week is None and self.risk_per_week is None:
            missing["value"] = self.no_value_reason
        if self.effort_days is None:
            missing["effort"] = self.no_effort_reason
        if self.no_roles_reason:
            missing["roles"] = self.no_roles_reason
        return missing

    @property
    def resources(self) -> Mapping[str, float]:
        """Shares of its effort by resource of a plan: the roles of its team, `team/role`, or the team as a whole."""
        return {f"{self.team}/{role}": share for role, share in self.roles.items()} or {self.team: 1.0}


@dataclass(frozen=True)
class Backlog(Shown):
    """Every item of a model, those of signals in the order of their groups, then ideas and debt by key."""

    items: tuple[BacklogItem, ...]

    @property
    @override
    def text(self) -> str:
        if not self.items:
            return "The backlog is empty: no signal, idea or debt item asks for work."
        counted = Counter(item.origin for item in self.items)
        origins = ", ".join(f"{number} from {_SAID[origin]}" for origin, number in counted.items())
        ready = sum(item.lacks.keys().isdisjoint(("value", "effort")) for item in self.items)
        said = f"{format_count(len(self.items), 'item')}: {origins}. {ready} of them have a value and an effort."
        standing = [f"{item.key} stands for {', '.join(item.settles)}" for item in self.items if item.settles]
        merged = f" {'; '.join(standing)}." if standing else ""
        lacking = Counter(what for item in self.items for what in item.lacks)
        asked = " and ".join(
            f"{number} lack{'s' * (number == 1)} an estimate of {what}" for what, number in lacking.items()
        )
        return said + merged + (f" {asked}: the table says whom to ask." if asked else "")

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [row for item in self.items for row in _rows(item)]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        risks = any(item.risk_per_week is not None for item in self.items)
        divided = any(item.roles or item.no_roles_reason for item in self.items)
        return [
            {
                "item": item.key,
                "title": item.title,
                "value_per_week": _value_text(item.value_per_week, item.no_value_reason),
                **({"risk_per_week": _value_text(item.risk_per_week, "")} if risks else {}),
                "effort_days": range_text(item.effort_days, reason=item.no_effort_reason),
                **({"roles": _roles_text(item)} if divided else {}),
                "owner": item.owner,
                "team": item.team,
            }
            for item in self.items
        ]


_ASKED = "not estimated: "
_SAID: Mapping[Origin, str] = {"signal": "signals", "idea": "ideas", "debt": "debt"}


def backlog(workspace: Workspace, groups: SignalGroups, *, model: str, debt: Iterable[BacklogItem] = ()) -> Backlog:
    """What asks for work on a model: its signal groups, its ideas, and the debt items handed in.

    Parameters
    ----------
    debt: of this model, as `toolkit.debt.backlog_items` gives them.

    Raises `DefinitionError`.
    """
    teams = load_teams(workspace)
    ideas = [
        _of_idea(key, idea, teams[idea.team]) for key, idea in load_ideas(workspace).items() if idea.model == model
    ]
    return Backlog(join_items(groups.groups, [*ideas, *debt], teams, model=model))


def join_items(
    groups: Sequence[SignalGroup], written: Sequence[BacklogItem], teams: Mapping[str, TeamDefinition], *, model: str
) -> tuple[BacklogItem, ...]:
    """Signal groups that nothing stands for as items, and what people wrote down, with what it stands for."""
    standing = {item.key: [group for group in groups if _stands_for(item, group)] for item in written}
    taken = {group.key for found in standing.values() for group in found}
    own = [_of_group(group, teams, model) for group in groups if group.key not in taken]
    needs = {item.key: item.depends_on for item in written}
    solutions = [all_needed(key, needs) for key in needs]
    found = []
    for item in written:
        rivals = [
            other.key
            for other in written
            if any(group in standing[item.key] for group in standing[other.key])
            and not any({item.key, other.key} <= solution for solution in solutions)
            and not (item.must_do and other.must_do)
        ]
        found.append(_with_signals(item, standing[item.key], rivals))
    return (*own, *found)


def _stands_for(item: BacklogItem, group: SignalGroup) -> bool:
    return any(signal.key in item.settles for signal in group.signals)


def _with_signals(item: BacklogItem, groups: Sequence[SignalGroup], rivals: Sequence[str]) -> BacklogItem:
    """An item with the evidence of the groups that it stands for, and where it has no value, theirs as far as sure."""
    if not groups:
        return replace(item, settles=())
    found = replace(
        item,
        evidence=(*item.evidence, *(group.title for group in groups)),
        excludes=tuple(dict.fromkeys([*item.excludes, *rivals])),
        settles=tuple(signal.key for group in groups for signal in group.signals),
    )
    if item.value_per_week is not None:
        return found
    lead, value, reason = _value_of(groups)
    works = 1.0 if item.confidence is None else item.confidence
    return replace(
        found,
        value_per_week=value,
        no_value_reason=reason,
        value_source=f"detector/{lead.signals[0].kind}",
        confidence=works * lead.harm.confidence,
    )


def _of_group(group: SignalGroup, teams: Mapping[str, TeamDefinition], model: str) -> BacklogItem:
    first = group.signals[0]
    _, value, no_value_reason = _value_of([group])
    team, no_team_reason = _team_of(teams, model)
    known = teams[team].estimates.get(first.kind) if team else None
    roles = known.roles if known else {}
    owner = teams[team].owner if team else ""
    asked, where = f"ask {owner}: estimates.{first.kind}", f"of team {team} in {TEAMS_FILE}"
    no_effort_reason = f"{asked} {where}" if team else no_team_reason
    no_roles_reason = missing_roles(teams[team], roles, f"{asked}.roles {where}") if team else ""
    return BacklogItem(
        key=f"signal/{group.key}",
        origin="signal",
        kind=first.kind,
        title=title_of(first),
        owner=owner,
        team=team,
        source=f"signals {', '.join(signal.key for signal in group.signals)}",
        evidence=(group.title,),
        value_per_week=value,
        no_value_reason=no_value_reason,
        value_source=f"detector/{first.kind}",
        effort_days=known.effort_days if known else None,
        no_effort_reason="" if known else no_effort_reason,
        effort_source=f"person/{owner}" if known else "",
        roles=roles,
        no_roles_reason=no_roles_reason,
        confidence=group.harm.confidence,
    )


def _of_idea(key: str, idea: IdeaDefinition, team: TeamDefinition) -> BacklogItem:
    source = f"{IDEAS_FOLDER}/{key}.yml"
    return BacklogItem(
        key=f"idea/{key}",
        origin="idea",
        kind=idea.kind,
        title=idea.title,
        owner=idea.owner,
        team=idea.team,
        source=source,
        evidence=idea.evidence,
        value_per_week=idea.value_per_week,
        no_value_reason="" if idea.value_per_week else f"ask {idea.owner}: value_per_week in {source}",
        value_source=f"person/{idea.owner}",
        risk_per_week=idea.risk_per_week,
        effort_days=idea.effort_days,
        no_effort_reason="" if idea.effort_days else f"ask {idea.owner}: effort_days in {source}",
        effort_source=f"person/{idea.owner}",
        roles=idea.roles,
        no_roles_reason=missing_roles(team, idea.roles, f"ask {idea.owner}: roles in {source}"),
        points=idea.points,
        confidence=idea.confidence,
        deadline=idea.deadline,
        must_do=idea.must_do,
        depends_on=tuple(f"idea/{other}" for other in idea.depends_on),
        excludes=tuple(f"idea/{other}" for other in idea.excludes),
        settles=idea.signals,
    )


def _value_of(groups: Sequence[SignalGroup]) -> tuple[SignalGroup, Value | None, str]:
    """What settling signal groups wins in a week, and the group that says so, or why there is no such value.

    Their losses may overlap, so it is the largest one's and no sum. The range holds the interval of the excess loss and
    the doubt of its price, and is wider than 80 %.
    """
    priced = [(group, value) for group in groups if (value := group.harm.value_per_week) is not None]
    whole = [
        (group, Value(low=value.low, likely=value.likely, high=value.high, unit=value.currency))
        for group, value in priced
        if value.low is not None and value.high is not None
    ]
    if not whole:
        return groups[0], None, "its loss has no interval" if priced else groups[0].harm.no_value_reason
    lead, best = max(whole, key=lambda each: (each[1].likely, each[1].high))
    return lead, best, ""


def _team_of(teams: Mapping[str, TeamDefinition], model: str) -> tuple[str, str]:
    """The one team that works on a model, or "" and what is to be said."""
    found = [key for key, team in teams.items() if model in team.models]
    if len(found) == 1:
        return found[0], ""
    if not found:
        return "", f"no team in {TEAMS_FILE} answers for model {model}"
    return "", f"teams {', '.join(found)} answer for model {model}: write an idea that names the signal and the team"


def _rows(item: BacklogItem) -> list[ResultRow]:
    said = {"title": item.title, "origin": item.origin, "kind": item.kind, "owner": item.owner, "team": item.team}
    said |= {"source": item.source, "evidence": "; ".join(item.evidence), "settles": ", ".join(item.settles)}
    said |= {"depends_on": ", ".join(item.depends_on), "excludes": ", ".join(item.excludes)}
    rows = [ResultRow(item.key, statistic, text) for statistic, text in said.items() if text]
    for statistic, value, reason in (
        ("value_per_week", item.value_per_week, item.no_value_reason),
        ("risk_per_week", item.risk_per_week, ""),
    ):
        if value is not None or reason:
            unit = "" if value is None else value.unit
            rows.append(range_row(item.key, statistic, value, unit=unit, method=RANGE_METHOD, reason=_ASKED + reason))
    effort, reason = item.effort_days, item.no_effort_reason
    rows.append(range_row(item.key, "effort_days", effort, unit="days", method=RANGE_METHOD, reason=_ASKED + reason))
    rows += [ResultRow(item.key, f"{role}_share", share, unit="share") for role, share in item.roles.items()]
    if item.no_roles_reason:
        rows.append(number_row(None, _ASKED + item.no_roles_reason, key=item.key, statistic="roles"))
    rows.append(number_row(item.confidence, "nobody said how sure they are", key=item.key, statistic="confidence"))
    if item.deadline is not None:
        rows.append(ResultRow(item.key, "must_do_by" if item.must_do else "deadline", item.deadline.isoformat()))
    return rows


def _value_text(value: Value | None, reason: str) -> str:
    """A value as people read it; "" where none is missing."""
    return range_text(value, unit="" if value is None else value.unit, reason=reason) if value or reason else ""


def _roles_text(item: BacklogItem) -> str:
    """How an item's effort divides, as people read it; "" where nothing divides."""
    said = ", ".join(f"{format_number('share', share, unit='share')} {role}" for role, share in item.roles.items())
    return said or (f"absent: {item.no_roles_reason}" if item.no_roles_reason else "")
