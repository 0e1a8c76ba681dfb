"""The picture of a plan: all of it in words too, of many items the first by rank."""

from __future__ import annotations

from itertools import pairwise

import pytest
from made_signals import arrange
from triage.written_ideas import write_estimated, write_idea

from conftest import TEAMS
from toolkit.display import Picture
from toolkit.triage import backlog, plan_capacity
from toolkit.triage.plan_figures import MOST_DRAWN
from toolkit.workspace import Workspace


def draw(workspace: Workspace) -> Picture:
    found = backlog(workspace, arrange(), model="small")
    return plan_capacity(workspace, found, model="small", as_of="2013-05-01").plot()


def height(drawn: Picture) -> int:
    return int.from_bytes(drawn.png[20:24], "big")


def test_least_shares_are_said_where_they_end(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS + "    floors: {operation: 0.2, experiment: 0.4}\n")
    write_estimated(workspace, "good", 90, 1)
    write_estimated(workspace, "run", 20, 2, kind="operation")
    write_estimated(workspace, "test", 10, 2, kind="experiment")
    drawn = draw(workspace)
    assert drawn.name == "capacity_plan"
    assert drawn.alt.endswith(
        "How the capacity is used: flow 5 of 5 days (idea/run 2, idea/test 2, idea/good 1, least operation up to 1, "
        "least experiment up to 4)."
    )


def test_each_role_has_a_bar(workspace: Workspace) -> None:
    roles = "    roles: {data scientist: 3, engineer: 2}\n    models:"
    (workspace.root / "teams.yml").write_text(TEAMS.replace("    models:", roles))
    write_estimated(workspace, "both", 90, 2, "roles: {data scientist: 0.5, engineer: 0.5}\n")
    write_estimated(workspace, "science", 20, 1, "roles: {data scientist: 1}\n")
    assert draw(workspace).alt.endswith(
        "How the capacity is used: flow/data scientist 2 of 3 days (idea/both 1, idea/science 1); "
        "flow/engineer 1 of 2 days (idea/both 1)."
    )


@pytest.mark.slow
def test_of_many_items_the_first_by_rank_are_drawn_and_it_says_so(workspace: Workspace) -> None:
    for at in range(MOST_DRAWN + 2):
        write_estimated(workspace, f"idea{at:02}", 100 - at, 1)
    many = draw(workspace)
    assert "; 30 of 32 items are drawn, the first by rank." in many.alt
    assert ("30 idea/idea29 " in many.alt, "idea/idea30" in many.alt) == (True, False)


def test_more_items_are_a_higher_picture_of_the_same_width(workspace: Workspace) -> None:
    found = []
    for at in range(3):
        write_estimated(workspace, f"idea{at}", 10 + at, 1)
        found.append(draw(workspace))
    assert all(height(one) < height(more) for one, more in pairwise(found))
    assert len({drawn.png[16:20] for drawn in found}) == 1


def test_values_of_nothing_and_below_are_drawn_too(workspace: Workspace) -> None:
    write_idea(
        workspace,
        "doubtful",
        "value_per_week: {low: -5, likely: 0, high: 9, unit: EUR}\neffort_days: {low: 1, likely: 2, high: 40}\n",
        title="Doubtful",
    )
    assert "1 idea/doubtful 0 (-5 to 9) EUR for 2 (1 to 40) days" in draw(workspace).alt


def test_the_same_plan_is_the_same_bytes(workspace: Workspace) -> None:
    write_estimated(workspace, "good", 90, 1)
    assert draw(workspace).png == draw(workspace).png
