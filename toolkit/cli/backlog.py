"""`toolkit backlog list`: the items of the last plan, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from toolkit.cli.output import AsJson, KnownAt, OfModel, print_document, print_table, print_text
from toolkit.errors import Skipped, UnknownNameError

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.stats import Spread
    from toolkit.triage.lifecycle.history import ItemStanding, PlanHistory, PlannedItem, ReviewedPlan
    from toolkit.workspace import Workspace

_COLUMNS = ("model", "item", "place", "state", "override", "movement", "value_per_week", "effort_days", "title")


class Listed(NamedTuple):
    """An item of a model, as the last plan that had it says, and where it stands.

    Attributes
    ----------
    history: of the model's backlog. plan: the last one that had the item. last: the last one of all.
    """

    history: PlanHistory
    plan: ReviewedPlan
    last: ReviewedPlan
    item: PlannedItem
    standing: ItemStanding

    @property
    def name(self) -> str:
        """The item with its model."""
        return f"{self.last.model}/{self.item.key}"

    @property
    def is_there(self) -> bool:
        """Whether the last plan has it, and nobody said that it is done or dropped."""
        return self.plan is self.last and self.standing.closed is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        from toolkit.windows import format_instant

        item, standing = self.item, self.standing
        closed, override = standing.closed, standing.override
        gone = self.plan is not self.last
        return {
            "model": self.last.model,
            "item": item.key,
            "title": item.title,
            "origin": item.origin,
            "team": item.team,
            "place": None if gone else item.place,
            "because": None if gone else item.because,
            "tier": None if gone else item.tier,
            "movement": item.movement if not gone else "" if closed else "gone",
            "state": standing.state,
            "since": format_instant(standing.since) if standing.since else None,
            "by": standing.by,
            "reason": standing.reason,
            "override": override
            and {"place": override.place, "until": str(override.until), "by": override.by, "reason": override.reason},
            "value_per_week": _range(item.value_per_week),
            "unit": item.unit,
            "effort_days": _range(item.effort_days),
            "realised_value_per_week": closed and closed.value_per_week,
            "realised_effort_days": closed and closed.effort_days,
            "deadline": str(item.deadline) if item.deadline else None,
            "report": self.plan.report,
        }

    def to_line(self, now: datetime) -> list[str]:
        """The cells of `_COLUMNS`."""
        from toolkit.triage.ranges import range_text

        item, override = self.item, self.standing.override
        over = "" if self.standing.override_at(now) else " (over)"
        cells = self.to_dict() | {
            "override": override and f"{override.place} until {override.until}{over}",
            "value_per_week": item.value_per_week and range_text(item.value_per_week, unit=item.unit),
            "effort_days": item.effort_days and range_text(item.effort_days),
        }
        return [cells[name] or "" for name in _COLUMNS]


def list_(
    *,
    model: OfModel = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are done, dropped or gone.")] = False,
    as_of: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """List the items of the last plan: place, state, what somebody wants, what moved, value and effort."""
    from toolkit.ledger import open_ledger
    from toolkit.windows import format_instant, parse_instant
    from toolkit.workspace import open_workspace

    instant = datetime.now(UTC) if as_of is None else parse_instant(as_of, name="--as-of")
    workspace = open_workspace()
    with open_ledger(workspace.ledger, create=False) as ledger:
        try:
            histories, none = read_histories(workspace, ledger, model), ""
        except Skipped as err:  # an empty list is no refusal
            histories, none = [], str(err)
    listed = _list(histories, as_of=instant)
    shown = [each for each in listed if all_ or each.is_there]
    if as_json:
        print_document({"as_of": format_instant(instant), "items": [each.to_dict() for each in shown]})
    elif shown:
        print_table(_COLUMNS, [each.to_line(instant) for each in shown])
    elif listed:
        print_text(f"no item: {len(listed)} are done, dropped or gone, --all lists them", to_stderr=True)
    else:
        print_text(f"no item: {none or _why_none(histories, instant)}", to_stderr=True)


def read_histories(workspace: Workspace, ledger: Ledger, model: str | None) -> list[PlanHistory]:
    """The histories of one model or of all, by model, each with a plan at least.

    Raises `UnknownNameError` for a model that there is not, and `Skipped` where there is no plan.
    """
    from toolkit.checks import check_in
    from toolkit.triage.lifecycle.history import planned_models, read_history

    models = planned_models(ledger)
    if model is not None:
        check_in(model, {*models, *workspace.keys("models")}, noun="model")
    if not models:
        raise Skipped("no published report has a plan; 'toolkit run triage' makes one")
    if model is not None and model not in models:
        raise Skipped(
            f"no published report has a plan of model {model!r}, only of {', '.join(models)}; "
            f"'toolkit run triage -p model={model}' makes one"
        )
    return [read_history(ledger, each) for each in models if model in {None, each}]


def find_item(workspace: Workspace, ledger: Ledger, key: str, model: str | None) -> Listed:
    """The one item of this key that a plan ever had, with all that was ever said of it.

    Raises `UnknownNameError` for one that none had, or that several models have, and what `read_histories` does.
    """
    from toolkit.checks import check_in
    from toolkit.triage.lifecycle.history import EVER

    listed = _list(read_histories(workspace, ledger, model), as_of=EVER)
    check_in(key, {each.item.key for each in listed}, noun="item")
    found = [each for each in listed if each.item.key == key]
    if len(found) > 1:
        models = ", ".join(each.last.model for each in found)
        raise UnknownNameError(f"item {key!r} is one of several models: {models}; say which with --model")
    return found[0]


def _list(histories: Sequence[PlanHistory], *, as_of: datetime) -> list[Listed]:
    """The items that plans had by an instant, model by model; those of the last plan first, in its order."""
    from toolkit.triage.lifecycle.history import NOTHING_SAID

    listed = []
    for history in histories:
        plans = [plan for plan in history.plans if plan.as_of <= as_of]
        standings = history.standings(as_of)
        for key, (plan, item) in _last_seen(plans).items():
            listed.append(Listed(history, plan, plans[-1], item, standings.get(key, NOTHING_SAID)))
    return listed


def _why_none(histories: Sequence[PlanHistory], as_of: datetime) -> str:
    first = min(history.plans[0].as_of for history in histories)
    return f"the first plan is as of {first:%Y-%m-%d}" if as_of < first else "the plans have none"


def _last_seen(plans: Sequence[ReviewedPlan]) -> dict[str, tuple[ReviewedPlan, PlannedItem]]:
    """By item the last plan that had it; the last plan's items first."""
    found: dict[str, tuple[ReviewedPlan, PlannedItem]] = {}
    for plan in reversed(plans):
        for item in plan.items:
            found.setdefault(item.key, (plan, item))
    return found


def _range(given: Spread | None) -> dict[str, float] | None:
    return given and given._asdict()
