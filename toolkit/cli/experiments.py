"""`toolkit experiment`: every experiment with its state, its looks and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_facts, print_table, print_text

if TYPE_CHECKING:
    from datetime import datetime

    from toolkit.experiments import Registered
    from toolkit.workspace import Workspace

Key = Annotated[str, typer.Argument(metavar="KEY", help="An experiment; its file is experiments/KEY.yml.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="ISO", help="As known at this instant; the last day in the data.")
]

_COLUMNS = ("experiment", "state", "window", "decision", "effect", "looks", "report", "problem")


def list_(*, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """List every experiment: state, last decision, effect, looks.

    Also those that found nothing: a result is kept whatever it says.
    """
    from toolkit.experiments import list_experiments
    from toolkit.windows import format_instant
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    instant = _find_instant(workspace, as_of)
    found = list_experiments(workspace, instant)
    if as_json:
        document = {
            "as_of": format_instant(instant),
            "experiments": [each.to_dict() for each in found.experiments],
        }
        print_document(document)
    elif found.experiments:
        lines = [{name: str(value) for name, value in line.items()} for line in found.to_table()]
        shown = [name for name in _COLUMNS if any(line[name] for line in lines)]
        print_table(shown, [[line[name] for name in shown] for line in lines])
    else:
        print_text("there is no experiment: experiments/ holds no plan", to_stderr=True)


def show(key: Key, *, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Show one experiment: its plan, its looks, and what was last found."""
    from toolkit.checks import check_in
    from toolkit.experiments import find_registered
    from toolkit.windows import format_instant
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    check_in(key, workspace.keys("experiments"), noun="experiment")
    instant = _find_instant(workspace, as_of)
    found = find_registered(workspace, key, instant)
    if as_json:
        plan = found.plan.model_dump(mode="json") if found.plan else None
        print_document({"as_of": format_instant(instant), "experiment": found.to_dict() | {"plan": plan}})
        return
    print_facts({"experiment": key, "state": _say_state(found), "problem": found.problem})
    if found.plan is not None:
        print_text(found.plan.text)
        print_table(["what", "planned"], [[line["what"], line["planned"]] for line in found.plan.to_table()])
    if found.looks:
        print_table(
            ["look", "as_of", "kind", "units", "information", "report"],
            [_look_line(look) for look in found.to_dict()["looks"]],
        )
    if found.reading is not None:
        print_facts(
            {
                "decision": f"{found.reading.decision}, as of {format_instant(found.reading.as_of)}",
                "report": found.reading.report,
            }
        )
        print_text("\n".join([*(effect.text for effect in found.reading.effects), *found.reading.reasons]))


def _say_state(found: Registered) -> str:
    from toolkit.experiments import STATES

    return f"{found.state}: {STATES[found.state]}"


def _look_line(look: dict[str, Any]) -> list[str]:
    from toolkit.display import format_number

    share = format_number("information_share", look["information_share"])
    return [
        str(look["look"]),
        look["as_of"],
        look["kind"].replace("_", " "),
        f"{look['exposed_units']:,}",
        share,
        look["report"],
    ]


def _find_instant(workspace: Workspace, text: str | None) -> datetime:
    """The instant that was asked for, else the last day complete in the data, else now."""
    from datetime import UTC, datetime

    from toolkit.data import open_source
    from toolkit.errors import ContractError, NotReady
    from toolkit.windows import parse_instant

    if text is not None:
        return parse_instant(text, name="--as-of")
    try:
        return open_source(workspace).complete_through()
    except (ContractError, NotReady) as err:
        print_text(f"as known now, because the data do not say how far they go: {err}", to_stderr=True)
        return datetime.now(UTC)
