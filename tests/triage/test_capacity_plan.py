from __future__ import annotations

import math
from functools import partial

import pytest
from made_signals import arrange
from triage.written_ideas import write_estimated, write_idea

from conftest import TEAMS
from toolkit.errors import ArgumentError, Skipped
from toolkit.records import Correction
from toolkit.triage import CapacityPlan, backlog, plan_capacity
from toolkit.workspace import Workspace

write = partial(write_estimated, times=2)


def plan(workspace: Workspace, corrections: tuple[Correction, ...] = ()) -> CapacityPlan:
    found = backlog(workspace, arrange(), model="small")
    return plan_capacity(workspace, found, model="small", as_of="2013-05-01", corrections=corrections)


def chosen(workspace: Workspace, corrections: tuple[Correction, ...] = ()) -> tuple[str, ...]:
    return plan(workspace, corrections).choice.chosen


def mean_of(value: float) -> float:
    """Of a lognormal with quantiles value / 2, value, value * 2 at 10, 50 and 90 %."""
    return value * math.exp((math.log(2) / 1.2815515655446004) ** 2 / 2)


def test_what_is_worth_most_and_fits(workspace: Workspace) -> None:
    write(workspace, "large", 90, 5)
    write(workspace, "middle", 60, 3)
    write(workspace, "small", 50, 2)
    found = plan(workspace)
    assert found.choice.chosen == ("idea/middle", "idea/small")
    assert found.choice.value == pytest.approx(mean_of(110), rel=1e-8)
    assert (found.choice.optimal, found.choice.used_days) == (True, {"flow": 5.0})
    assert found.text == (
        "Flow, 5 of 5 days in 14: Do small (2 days), Do middle (3 days). "
        "Together they are worth 127.3 EUR a week of delay. "
        "That the values are not known better is expected to cost 21.2 EUR a week, 14.4 % of the best plan; the same "
        "2 items come first again in 44.4 % of the draws, 72.2 % of them on average."
    )


def test_each_item_says_what_would_change_its_place(workspace: Workspace) -> None:
    write(workspace, "large", 90, 5)
    write(workspace, "middle", 60, 3)
    write(workspace, "small", 50, 2)
    rows = {(row.key, row.statistic): row for row in plan(workspace).to_rows()}
    assert rows["idea/large", "place"].value == "not planned"
    assert rows["idea/large", "flip_value"].value == pytest.approx(mean_of(110), rel=1e-8)
    assert rows["idea/middle", "flip_value"].value == pytest.approx(mean_of(40), rel=1e-8)
    because = {line["item"]: line["because"] for line in plan(workspace).to_table()}
    assert because["idea/large"] == "in from 127.3 EUR a week, or at 60 % of its effort, or with 2 more days of flow"
    assert because["idea/small"].startswith("out below 34.73 EUR a week, or above ")
    assert rows["flow", "price_of_capacity"].value == pytest.approx(0, abs=1e-9)  # six days hold no more


def test_confidence_and_risk_count(workspace: Workspace) -> None:
    write(workspace, "sure", 40, 5)
    write(workspace, "bold", 60, 5, "confidence: 0.5\n")
    assert chosen(workspace) == ("idea/sure",)
    write(workspace, "bold", 60, 5, "confidence: 0.5\nrisk_per_week: {low: 20, likely: 20, high: 20, unit: EUR}\n")
    assert chosen(workspace) == ("idea/bold",)


def test_ranks_are_uncertain_and_say_so(workspace: Workspace) -> None:
    write(workspace, "first", 50, 1)
    write(workspace, "second", 45, 1)
    write(workspace, "last", 2, 3)
    places = plan(workspace).places
    assert (places["idea/first"].tier, places["idea/second"].tier, places["idea/last"].tier) == (1, 1, 2)
    assert (places["idea/first"].best, places["idea/first"].worst) == (1, 2)
    assert places["idea/last"].rank == 3
    assert sum(place.among_first for place in places.values()) == pytest.approx(3)  # all three fit


def test_what_must_be_done_is_done(workspace: Workspace) -> None:
    write(workspace, "good", 90, 5)
    write(workspace, "law", 1, 4, 'deadline: "2013-05-14"\nmust_do: true\n')
    found = plan(workspace)
    assert found.choice.chosen == ("idea/law",)
    assert found.to_table()[0]["place"] == "planned: must be done by 2013-05-14"
    assert ("must", "idea/law") in {(price.kind, price.name) for price in found.prices}
    write(workspace, "law", 1, 4, 'deadline: "2013-05-15"\nmust_do: true\n')  # a day after this period
    assert chosen(workspace) == ("idea/good",)


def test_what_must_be_done_and_does_not_fit_is_an_error_that_names_it(workspace: Workspace) -> None:
    write(workspace, "law", 1, 6, 'deadline: "2013-05-14"\nmust_do: true\n')
    with pytest.raises(ArgumentError) as caught:
        plan(workspace)
    assert str(caught.value) == (
        "the must-do tasks do not fit: 'flow' has 5 days, and they take 6: 'idea/law' (6 days); raise the capacity, "
        "move a deadline, or make a task smaller"
    )


def test_least_shares_and_what_they_cost(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS + "    floors: {experiment: 0.4}\n")
    write(workspace, "good", 90, 4)
    write(workspace, "test", 10, 2, kind="experiment")
    found = plan(workspace)
    assert found.choice.chosen == ("idea/test",)
    (price,) = [each for each in found.prices if each.kind == "floor"]
    assert (price.name, price.value) == ("40 % for experiment", pytest.approx(mean_of(80), rel=1e-8))


def test_a_least_share_that_is_out_of_reach_is_lowered_and_said(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS + "    floors: {experiment: 0.8}\n")
    write(workspace, "test", 10, 2, kind="experiment")
    found = plan(workspace)
    assert found.choice.chosen == ("idea/test",)
    assert found.lowered == "Of the least shares, 80 % for experiment was out of reach: 40 % for experiment."


def test_what_excludes_each_other_is_not_done_both(workspace: Workspace) -> None:
    write(workspace, "one", 50, 2, "excludes: [two]\n")
    write(workspace, "two", 45, 2)
    assert chosen(workspace) == ("idea/one",)


def test_what_comes_first_comes_along_or_nothing_does(workspace: Workspace) -> None:
    write(workspace, "base", 1, 3)
    write(workspace, "tower", 90, 2, "depends_on: [base]\n")
    write(workspace, "other", 50, 3)
    assert chosen(workspace) == ("idea/base", "idea/tower")


def test_what_cannot_be_planned_says_why(workspace: Workspace) -> None:
    write_idea(workspace, "vague", kind="data")
    write(workspace, "after", 10, 1, "depends_on: [vague]\n")
    write(workspace, "hours", 10, 1, unit="hours")
    write(workspace, "late", 10, 1, 'deadline: "2013-04-30"\n')
    write(workspace, "good", 10, 1)
    found = plan(workspace)
    assert found.choice.chosen == ("idea/good",)
    assert found.plannable.reasons == {
        "idea/after": "it depends on idea/vague, which cannot be planned",
        "idea/hours": "its value is in hours, the plan's in EUR",
        "idea/late": "its deadline was 2013-04-30",
        "idea/vague": "it lacks an estimate of value and effort",
    }
    last = found.to_table()[-1]
    assert (last["item"], last["place"]) == ("idea/vague", "cannot be planned")
    assert last["because"] == "it lacks an estimate of value and effort"
    assert "it lacks an estimate of value and effort" in found._repr_html_()
    absent = [row for row in found.to_rows() if row.value == "cannot be planned"]
    assert [row.key for row in absent] == list(found.plannable.reasons)


def test_without_anything_to_plan_it_says_so(workspace: Workspace) -> None:
    found = plan(workspace)
    assert found.text == "Flow, 0 of 5 days in 14: nothing that can be planned."
    assert (found.to_table(), found.to_pictures()) == ([], ())


def test_corrections_count_and_both_are_shown(workspace: Workspace) -> None:
    write(workspace, "one", 50, 3)
    write(workspace, "two", 45, 3)
    (workspace.root / "ideas" / "two.yml").write_text(
        (workspace.root / "ideas" / "two.yml").read_text().replace("owner: Ada", "owner: Bea")
    )
    assert chosen(workspace) == ("idea/one",)
    ada = Correction("person/Ada", "value", bias=0.5, spread=1.0, n=20)
    found = plan(workspace, (ada,))
    assert found.choice.chosen == ("idea/two",)
    rows = {(row.key, row.statistic): row.value for row in found.to_rows()}
    assert (rows["idea/one", "value_per_week"], rows["idea/one", "raw_value_per_week"]) == (25, 50)
    assert (rows["idea/two", "value_per_week"], rows["idea/two", "raw_value_per_week"]) == (45, 45)
    lines = {line["item"]: line for line in found.to_table()}
    assert lines["idea/one"]["cost_of_delay_per_week"] == "28.94 EUR (57.88 EUR as given)"
    assert lines["idea/one"]["effort_days"] == "3 days"


def test_the_same_twice(workspace: Workspace) -> None:
    for at in range(6):
        write(workspace, f"idea{at}", 10 + 3 * at, 1 + at % 3)
    assert plan(workspace).to_rows() == plan(workspace).to_rows()


def test_the_picture_says_it_in_words_too(workspace: Workspace) -> None:
    write(workspace, "large", 90, 6)
    write(workspace, "small", 50, 2)
    (drawn,) = plan(workspace).to_pictures()
    assert drawn.alt == (
        "Value and risk per week against effort, with ranges of 80 %, and the expected rank: 1 idea/small 50 (25 to "
        "100) EUR for 2 (2 to 2) days, rank 1.3 (1 to 2), tier 1, planned; 2 idea/large 90 (45 to 180) EUR for 6 (6 to "
        "6) days, rank 1.7 (1 to 2), tier 1, not planned. How the capacity is used: flow 2 of 5 days (idea/small 2)."
    )


def test_no_team_no_plan(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS.replace("models: [small]", "models: [other]"))
    with pytest.raises(Skipped) as caught:
        plan(workspace)
    assert str(caught.value) == "no team in teams.yml answers for model 'small'; add it to a team's models"
