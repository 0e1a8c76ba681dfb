"""`toolkit experiment draft` and `toolkit debt draft`: a backlog item as a file to edit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.output import AsJson, print_document, print_text

if TYPE_CHECKING:
    from toolkit.triage import PlannedItem
    from toolkit.triage.drafts import Draft
    from toolkit.workspace import Workspace

Item = Annotated[str, typer.Argument(metavar="ITEM", help="A backlog item, as 'toolkit backlog list' shows it.")]
Model = Annotated[str | None, typer.Option(metavar="MODEL", help="The item of this model.")]
Key = Annotated[str | None, typer.Option(metavar="KEY", help="The file's name without .yml; by default the item's.")]


def draft_experiment(item: Item, *, key: Key = None, model: Model = None, as_json: AsJson = False) -> None:
    """Draft an experiment for a backlog item: a plan that loads, sized from the data, to be edited.

    It is written to experiments/KEY.yml, and never over a file. What nobody has said is marked in it and listed.
    """
    from toolkit.experiments.draft import draft_experiment

    shown = "toolkit run experiment_plan -p experiment={key}"
    _draft(item, key, model, draft_experiment, then=f"edit it, then see what it would find: {shown}", as_json=as_json)


def draft_debt(item: Item, *, key: Key = None, model: Model = None, as_json: AsJson = False) -> None:
    """Draft a debt item for a signal or an idea of the backlog, to be edited.

    It is written to debt/KEY.yml, and never over a file. What nobody has said is marked in it and listed.
    """
    from toolkit.debt.draft import draft_debt

    then = "edit it; the next 'toolkit run triage' has it"
    _draft(item, key, model, draft_debt, then=then, as_json=as_json)


def _draft(
    item: str, key: str | None, model: str | None, make: Callable[..., Draft], *, then: str, as_json: bool
) -> None:
    from pathlib import Path

    from toolkit.cli.backlog import find_item
    from toolkit.ledger import open_ledger
    from toolkit.triage.drafts import write_draft
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    with open_ledger(workspace.ledger, create=False) as ledger:
        found = find_item(workspace, ledger, item, model)
    draft = make(workspace, found.plan, found.item, owner=_owner(workspace, found.item), key=key)
    write_draft(workspace, draft)
    if as_json:
        print_document({"file": draft.path, "to_decide": list(draft.to_decide)})
        return
    print_text(f"{draft.path}: drafted from {found.name}")
    for asked in draft.to_decide:
        print_text(f"  to decide: {asked}")
    print_text(f"next: {then.format(key=Path(draft.path).stem)}")


def _owner(workspace: Workspace, item: PlannedItem) -> str:
    """Who answers for an item: its own file says it, else it is the team's owner; "" where nobody is known."""
    from toolkit.debt import load_items
    from toolkit.triage import load_ideas, load_teams

    key = item.key.partition("/")[2]
    if item.origin == "idea" and (idea := load_ideas(workspace).get(key)) is not None:
        return idea.owner
    if item.origin == "debt" and (debt := load_items(workspace).get(key)) is not None:
        return debt.owner
    teams = load_teams(workspace)
    return teams[item.team].owner if item.team in teams else ""
