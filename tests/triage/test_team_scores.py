"""A team's own score of points beside the plan, and value apart by when it comes."""

from __future__ import annotations

import pytest
from made_signals import arrange, calibration
from triage.written_ideas import write_debt, write_estimated, write_idea

from conftest import TEAMS
from toolkit.debt import load_items
from toolkit.errors import DefinitionError
from toolkit.signals import Signal
from toolkit.triage import CapacityPlan, backlog, load_ideas, load_teams
from toolkit.triage.planning import plan_capacity
from toolkit.triage.scoring import rice, weighted, wsjf
from toolkit.triage.team_scores import Scoring
from toolkit.workspace import Workspace

RICE = "    scoring: {method: rice}\n"
OWN = "    scoring: {method: weighted, weights: {users: 2, risk: -1}}\n"


def choose(workspace: Workspace, scoring: str) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS.replace("    models:", f"{scoring}    models:"))


def points(reach: float, confidence: float = 0.5) -> str:
    return f"points: {{reach: {reach}, impact: 1, confidence: {confidence}, effort: 2}}\n"


def plan(workspace: Workspace, *signals: Signal) -> CapacityPlan:
    groups = arrange(*signals)
    return plan_capacity(workspace, backlog(workspace, groups, model="small"), model="small", as_of="2013-05-01")


def error(workspace: Workspace) -> str:
    with pytest.raises(DefinitionError) as caught:
        load_ideas(workspace)
    return str(caught.value)


def test_a_score_and_its_rank_stand_beside_the_plan_and_do_not_choose_it(workspace: Workspace) -> None:
    write_estimated(workspace, "little", 10, 2, points(10))
    write_estimated(workspace, "much", 10, 2, points(400))
    write_idea(workspace, "unknown", "points: {reach: 3}\n")
    choose(workspace, RICE)
    found = plan(workspace, calibration())
    scores = {line["item"]: line["score"] for line in found.to_table()}
    assert scores["idea/much"] == "100 (rice, 1.)"
    assert scores["idea/little"] == "2.5 (rice, 2.)"
    assert scores["idea/unknown"] == scores["signal/calibration"] == "absent"
    rows = {(row.key, row.statistic): row for row in found.to_rows()}
    assert rows["idea/much", "score"].value == rice(400, 1, 0.5, 2)
    assert rows["idea/little", "score_rank"].value == 2
    assert rows["idea/unknown", "score"].reason == "ask Ada: points impact, confidence, effort in ideas/unknown.yml"
    assert rows["signal/calibration", "score"].reason == "a signal has no points; write an idea that names it"
    choose(workspace, "")
    for key, number in (("little", 10), ("much", 400)):
        path = workspace.root / "ideas" / f"{key}.yml"
        path.write_text(path.read_text().replace(points(number), ""))
    (workspace.root / "ideas" / "unknown.yml").unlink()
    without = plan(workspace, calibration())
    assert without.choice.chosen == found.choice.chosen
    assert all("score" not in line for line in without.to_table())


def test_a_method_is_that_of_scoring() -> None:
    given = {"value": 8.0, "time_criticality": 3.0, "risk_opportunity": 5.0, "size": 2.0}
    assert Scoring(method="wsjf").score(given) == wsjf(**given)
    own = Scoring(method="weighted", weights={"users": 2, "risk": -1})
    assert own.score({"users": 5.0, "risk": 3.0}) == weighted({"users": 5.0, "risk": 3.0}, {"users": 2, "risk": -1})
    assert own.criteria == ("users", "risk")
    assert set(Scoring(method="wsjf").criteria) == set(given)


def test_points_are_held_against_the_teams_scoring(workspace: Workspace) -> None:
    write_idea(workspace, "first", points(10))
    assert error(workspace) == "ideas/first.yml:8: points: team flow has no scoring in teams.yml"
    choose(workspace, OWN)
    assert error(workspace).splitlines()[0] == (
        "ideas/first.yml:8: points: unknown criterion 'reach'; allowed: risk, users."
    )
    choose(workspace, RICE)
    assert list(load_ideas(workspace)) == ["first"]
    write_idea(workspace, "first", points(10, confidence=80))
    assert error(workspace) == (
        "ideas/first.yml:8: points: confidence == 80, must be a share between 0 and 1; 80 % is 0.8"
    )


def test_points_of_debt_too(workspace: Workspace) -> None:
    write_debt(workspace, "points: {reech: 3}\n")
    choose(workspace, RICE)
    with pytest.raises(DefinitionError) as caught:
        load_items(workspace)
    assert str(caught.value) == (
        "debt/old.yml:8: points: unknown criterion 'reech'; allowed: confidence, effort, impact, reach. "
        "Did you mean 'reach'?"
    )


@pytest.mark.parametrize(
    ("scoring", "said"),
    [
        ("{method: weighted}", "method is weighted, so weights is needed: a weight for each of the team's criteria"),
        ("{method: rice, weights: {a: 1}}", "weights go with method weighted; method is rice"),
    ],
)
def test_weights_go_with_the_method(workspace: Workspace, scoring: str, said: str) -> None:
    choose(workspace, f"    scoring: {scoring}\n")
    with pytest.raises(DefinitionError) as caught:
        load_teams(workspace)
    assert said in str(caught.value)


def test_what_comes_later_is_kept_apart(workspace: Workspace) -> None:
    write_estimated(workspace, "now", 10, 2)
    found = plan(workspace)
    assert "in the long term" not in found.text
    write_estimated(workspace, "learn", 10, 2, kind="experiment")
    found = plan(workspace)
    assert "worth 20 EUR a week of delay, 10 of it in the long term (debt, experiments)." in found.text
    rows = {row.statistic: row.value for row in found.to_rows() if row.key == "all"}
    assert (rows["planned_short_term_value"], rows["planned_long_term_value"]) == (10, 10)
