from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from made_signals import SCALE, arrange, calibration, drift, segment
from triage.written_ideas import write_debt, write_idea

from conftest import TEAMS
from toolkit.data.models import LossValue
from toolkit.debt import backlog_items, load_items, review
from toolkit.errors import DefinitionError
from toolkit.triage import Backlog, BacklogItem, Value, backlog
from toolkit.workspace import Workspace

PRICED = replace(SCALE, loss_value=LossValue(currency="EUR", low=1, likely=2, high=4))
VALUE = Value(low=10, likely=20, high=40, unit="EUR")


def debt_of(workspace: Workspace, more: str = "") -> tuple[BacklogItem, ...]:
    write_debt(workspace, more)
    return backlog_items(workspace, review(load_items(workspace), as_of="2013-05-01"), model="small")


def by_key(found: Backlog) -> dict[str, BacklogItem]:
    return {item.key: item for item in found.items}


def test_nothing_asks_for_work(workspace: Workspace) -> None:
    found = backlog(workspace, arrange(), model="small")
    assert (found.items, found.text) == (
        (),
        "The backlog is empty: no signal, idea or debt item asks for work.",
    )


def test_a_signal_group_is_one_item_worth_its_excess_loss(workspace: Workspace) -> None:
    groups = arrange(calibration(350.0), scale=PRICED)
    (item,) = backlog(workspace, groups, model="small").items
    harm = groups.groups[0].harm.value_per_week
    assert harm is not None
    assert (item.key, item.origin, item.team, item.owner) == ("signal/calibration", "signal", "flow", "Ada")
    assert item.value_per_week == Value(low=harm.low, likely=700.0, high=harm.high, unit="EUR")
    assert (item.effort_days.likely, item.lacks) == (3, {})  # as teams.yml says of any calibration
    assert item.confidence == groups.groups[0].harm.confidence
    assert "risk_per_week" not in backlog(workspace, groups, model="small").to_table()[0]  # a column for nobody
    assert (item.value_source, item.effort_source) == ("detector/calibration", "person/Ada")


def test_what_nobody_estimated_is_asked_for(workspace: Workspace) -> None:
    found = backlog(workspace, arrange(drift("temp_f")), model="small")
    (item,) = found.items
    assert (item.value_per_week, item.effort_days) == (None, None)
    assert item.lacks == {
        "value": "nobody has said what a unit of loss costs (loss_value in the model's file)",
        "effort": "ask Ada: estimates.drift of team flow in teams.yml",
    }
    absent = {row.statistic: row.reason for row in found.to_rows() if row.status == "absent"}
    assert absent["effort_days"] == "not estimated: ask Ada: estimates.drift of team flow in teams.yml"
    assert found.text == (
        "1 item: 1 from signals. 0 of them have a value and an effort. 1 lacks an estimate of value and "
        "1 lacks an estimate of effort: the table says whom to ask."
    )


def test_of_two_teams_none_is_guessed(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS + TEAMS.removeprefix("teams:\n").replace("flow", "tide"))
    (item,) = backlog(workspace, arrange(calibration()), model="small").items
    assert (item.team, item.effort_days) == ("", None)
    assert item.no_effort_reason == (
        "teams flow, tide answer for model small: write an idea that names the signal and the team"
    )


def test_an_idea_stands_for_the_signals_that_it_names(workspace: Workspace) -> None:
    write_idea(workspace, "refit", "signals: [calibration]\neffort_days: {low: 1, likely: 2, high: 3}\n")
    groups = arrange(calibration(350.0), scale=PRICED)
    found = backlog(workspace, groups, model="small")
    (item,) = found.items
    assert item.key == "idea/refit"
    assert (item.value_per_week.likely, item.settles) == (700.0, ("calibration",))
    assert item.evidence == (groups.groups[0].title,)
    assert (item.value_source, item.effort_source) == ("detector/calibration", "person/Ada")
    assert "idea/refit stands for calibration." in found.text


def test_its_own_value_is_kept(workspace: Workspace) -> None:
    write_idea(
        workspace, "refit", "signals: [calibration]\nvalue_per_week: {low: 10, likely: 20, high: 40, unit: EUR}\n"
    )
    (item,) = backlog(workspace, arrange(calibration(350.0), scale=PRICED), model="small").items
    assert (item.value_per_week, item.value_source) == (VALUE, "person/Ada")


def test_a_line_taken_out_undoes_it(workspace: Workspace) -> None:
    write_idea(workspace, "refit", "signals: [calibration]\n")
    write_idea(workspace, "refit")
    found = by_key(backlog(workspace, arrange(calibration(350.0), scale=PRICED), model="small"))
    assert list(found) == ["signal/calibration", "idea/refit"]
    assert found["idea/refit"].value_per_week is None


def test_a_signal_that_is_not_there_settles_nothing(workspace: Workspace) -> None:
    write_idea(workspace, "refit", "signals: [calibration]\n")
    found = by_key(backlog(workspace, arrange(segment("origin=EWR", 300.0)), model="small"))
    assert list(found) == ["signal/segment:origin=EWR", "idea/refit"]
    assert found["idea/refit"].settles == ()


def test_two_that_solve_one_problem_exclude_each_other(workspace: Workspace) -> None:
    write_idea(workspace, "refit", "signals: [calibration]\n")
    debt = debt_of(workspace, "signals: [calibration]\n")
    found = by_key(backlog(workspace, arrange(calibration(350.0), scale=PRICED), model="small", debt=debt))
    assert found["idea/refit"].excludes == ("debt/old",)
    assert found["debt/old"].excludes == ("idea/refit",)


def test_a_value_that_signals_give_is_there_with_their_confidence(workspace: Workspace) -> None:
    write_idea(workspace, "refit", "signals: [calibration]\nconfidence: 0.5\n")
    groups = arrange(calibration(350.0, loss_se=300.0), scale=PRICED)
    (item,) = backlog(workspace, groups, model="small").items
    sure = groups.groups[0].harm.confidence
    assert sure < 0.9
    assert item.confidence == pytest.approx(0.5 * sure)
    write_idea(workspace, "refit", "signals: [calibration]\n")
    assert backlog(workspace, groups, model="small").items[0].confidence == sure


def test_an_idea_that_needs_what_excludes_each_other_could_never_be_done(workspace: Workspace) -> None:
    write_idea(workspace, "left", "excludes: [right]\n")
    write_idea(workspace, "middle", "depends_on: [right]\n")
    write_idea(workspace, "right")
    write_idea(workspace, "top", "depends_on: [left, middle]\n")
    with pytest.raises(DefinitionError) as caught:
        backlog(workspace, arrange(), model="small")
    assert str(caught.value) == "ideas/left.yml:8: excludes: top needs both left and right, and could never be done"


def test_neither_do_steps_that_are_far_apart_nor_those_that_a_third_needs(workspace: Workspace) -> None:
    named = "signals: [calibration]\n"
    write_idea(workspace, "first", named)
    write_idea(workspace, "second", "depends_on: [first]\n")
    write_idea(workspace, "third", named + "depends_on: [second]\n")
    assert {item.excludes for item in backlog(workspace, arrange(calibration()), model="small").items} == {()}
    write_idea(workspace, "second", named)
    write_idea(workspace, "third", "depends_on: [first, second]\n")
    assert {item.excludes for item in backlog(workspace, arrange(calibration()), model="small").items} == {()}


def test_what_must_both_be_done_does_not_exclude_each_other(workspace: Workspace) -> None:
    must = 'signals: [calibration]\ndeadline: "2013-06-01"\nmust_do: true\n'
    write_idea(workspace, "first", must)
    write_idea(workspace, "second", must)
    assert {item.excludes for item in backlog(workspace, arrange(calibration()), model="small").items} == {()}


def test_steps_of_one_solution_do_not(workspace: Workspace) -> None:
    write_idea(workspace, "first", "signals: [calibration]\n")
    write_idea(workspace, "second", "signals: [calibration]\ndepends_on: [first]\n")
    found = by_key(backlog(workspace, arrange(calibration()), model="small"))
    assert {item.excludes for item in found.values()} == {()}
    assert found["idea/second"].depends_on == ("idea/first",)


def test_debt_saves_its_interest(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS + "    day_cost: {low: 400, likely: 500, high: 600, unit: EUR}\n")
    (item,) = debt_of(
        workspace,
        "principal_days: {low: 2, likely: 3, high: 5}\ninterest_days_per_month: {low: 1, likely: 2, high: 4}\n",
    )
    weeks = 365.25 / 12 / 7
    assert (item.key, item.kind, item.team) == ("debt/old", "debt", "flow")
    assert item.value_per_week is not None
    assert item.value_per_week.likely == pytest.approx(2 * 500 / weeks)
    assert (item.value_per_week.low, item.value_per_week.high) == pytest.approx((400 / weeks, 4 * 600 / weeks))
    assert (item.effort_days.low, item.effort_days.high, item.lacks) == (2, 5, {})


def test_debt_without_a_price_asks_for_it(workspace: Workspace) -> None:
    (item,) = debt_of(
        workspace,
        "principal_days: {low: 0, likely: 3, high: 5}\ninterest_days_per_month: {low: 1, likely: 2, high: 4}\n",
    )
    assert item.lacks == {
        "value": "ask Ada: day_cost of team flow in teams.yml",
        "effort": "ask Bea: principal_days in debt/old.yml begins at 0, and work takes some time",
    }


def test_what_is_accepted_or_paid_asks_for_nothing(workspace: Workspace) -> None:
    assert debt_of(workspace, "status: accepted\n") == ()


def test_the_rows_say_where_it_comes_from(workspace: Workspace) -> None:
    write_idea(
        workspace,
        "refit",
        "value_per_week: {low: 10, likely: 20, high: 40, unit: EUR}\n"
        "risk_per_week: {low: 1, likely: 2, high: 4, unit: EUR}\n"
        'deadline: "2013-06-01"\nmust_do: true\nconfidence: 0.5\n',
    )
    found = backlog(workspace, arrange(), model="small")
    assert found.items[0].deadline == date(2013, 6, 1)
    rows = {row.statistic: row for row in found.to_rows()}
    assert (rows["source"].value, rows["must_do_by"].value) == ("ideas/refit.yml", "2013-06-01")
    value = rows["value_per_week"]
    assert (value.value, value.ci_upper, value.unit) == (20, 40, "EUR")
    assert (rows["risk_per_week"].value, rows["confidence"].value) == (2, 0.5)
    assert found.to_table()[0]["value_per_week"] == "20 EUR (10 to 40)"
    assert found.to_table()[0]["risk_per_week"] == "2 EUR (1 to 4)"
    assert "20 EUR (10 to 40)" in found._repr_html_()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "must_do: true\n",
            "ideas/refit.yml: must_do is true, so deadline is needed: the day by which it has to be done",
        ),
        ("excludes: [refit]\n", "ideas/refit.yml:8: excludes: an idea cannot exclude itself"),
        (
            "depends_on: [other]\nexcludes: [other]\n",
            "ideas/refit.yml:9: excludes: refit depends on other",
        ),
        (
            "excludes: [othr]\n",
            "ideas/refit.yml:8: excludes: unknown idea 'othr'; allowed: other, refit. Did you mean 'other'?",
        ),
        (
            "value_per_week: {low: 3, likely: 2, high: 4, unit: EUR}\n",
            "ideas/refit.yml:8: value_per_week is {'low': 3, 'likely': 2, 'high': 4, 'unit': 'EUR'}: "
            "low 3.0 <= likely 2.0 <= high 4.0 does not hold",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_line(workspace: Workspace, more: str, said: str) -> None:
    write_idea(workspace, "other")
    write_idea(workspace, "refit", more)
    with pytest.raises(DefinitionError) as caught:
        backlog(workspace, arrange(), model="small")
    assert str(caught.value) == said
