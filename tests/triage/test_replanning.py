"""A plan with a history: what is closed, what somebody wants, what was learned and what has moved."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_signals import arrange, signal
from triage.told_history import history, planned, review, wish, word
from triage.written_ideas import write_estimated

from toolkit.errors import ArgumentError
from toolkit.records import Correction, to_document
from toolkit.stats import Spread
from toolkit.triage import Backlog, BacklogItem, CapacityPlan, PlanHistory, Range, Value, backlog, plan_capacity
from toolkit.triage.lifecycle.history import ItemEvent, ReviewedPlan
from toolkit.triage.lifecycle.record import read_report
from toolkit.workspace import Workspace

write = partial(write_estimated, times=2)
MUST = 'deadline: "2013-05-14"\nmust_do: true\n'


def an_item(key: str, value: float, days: float) -> BacklogItem:
    return BacklogItem(
        key=key,
        origin="idea",
        kind="model",
        title=key,
        owner="Ada",
        team="flow",
        source="",
        value_per_week=Value(low=value, likely=value, high=value + 9, unit="EUR"),
        value_source="person/Ada",
        effort_days=Range(low=days, likely=days, high=days),
        effort_source="person/Ada",
    )


def plan(
    workspace: Workspace, *told: ItemEvent | ReviewedPlan, as_of: str = "2013-05-01", seen: bool = False
) -> CapacityPlan:
    signals = [signal("calibration", "calibration")] if seen else []
    found = backlog(workspace, arrange(*signals), model="small")
    return plan_capacity(workspace, found, model="small", as_of=as_of, history=history(*told))


def lines(found: CapacityPlan) -> dict[object, dict[str, object]]:
    return {line["item"]: dict(line) for line in found.to_table()}


def values(found: CapacityPlan) -> dict[tuple[str, str], object]:
    return {(row.key, row.statistic): row.value for row in found.to_rows()}


def published(found: CapacityPlan) -> ReviewedPlan:
    """What the ledger has of a plan once its report is published."""
    read = read_report("triage/small/v0001", to_document({"plan": found}))
    assert read is not None
    return read


@given(sizes=st.lists(st.tuples(st.integers(-5, 90), st.integers(1, 6)), max_size=3))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_empty_history_changes_nothing_but_that_it_is_the_first_plan(
    workspace: Workspace, sizes: list[tuple[int, int]]
) -> None:
    found = Backlog(tuple(an_item(f"idea/{at}", *size) for at, size in enumerate(sizes)))
    without = plan_capacity(workspace, found, model="small", as_of="2013-05-01")
    later = history(word("done", "idea/0", "2013-05-02"), review("2013-05-01", planned("idea/1")))
    for told in (PlanHistory("small"), later):
        empty = plan_capacity(workspace, found, model="small", as_of="2013-05-01", history=told)
        assert (empty.to_rows(), empty.to_table()) == (without.to_rows(), without.to_table())
        assert empty.text == f"{without.text} This is the first plan."


def test_what_is_done_or_was_dropped_is_not_planned_again(workspace: Workspace) -> None:
    for key in ("ready", "shelved", "left"):
        write(workspace, key, 50, 1)
    words = word("done", "idea/ready", "2013-04-20"), word("dropped", "idea/shelved", "2013-05-01", reason="too dear")
    found = plan(workspace, *words)
    assert found.choice.chosen == ("idea/left",)
    assert list(found.plannable.reasons.items()) == [
        ("idea/ready", "done on 2013-04-20"),
        ("idea/shelved", "dropped on 2013-05-01 by Ada: too dear"),
    ]
    assert "cannot be planned" not in found.text
    rows = values(found)
    assert (rows["idea/ready", "state"], rows["idea/ready", "raw_effort_days"]) == ("done", 1)
    assert ("idea/left", "state") not in rows


def test_closed_items_are_the_last_lines(workspace: Workspace) -> None:
    write(workspace, "ahead", 50, 1)
    write(workspace, "late", 10, 1, 'deadline: "2013-04-30"\n')
    found = plan(workspace, word("done", "idea/ahead", "2013-04-20"))
    assert [line["item"] for line in found.to_table()] == ["idea/late", "idea/ahead"]
    assert "1 of the backlog cannot be planned" in found.text


def test_what_was_opened_again_and_what_is_said_later_counts_as_open(workspace: Workspace) -> None:
    write(workspace, "again", 50, 1)
    write(workspace, "later", 50, 1)
    words = word("done", "idea/again", "2013-04-20"), word("reopened", "idea/again", "2013-04-21")
    assert plan(workspace, *words, word("done", "idea/later", "2013-05-02")).plannable.reasons == {}


def test_what_is_done_and_still_seen_says_so(workspace: Workspace) -> None:
    found = plan(workspace, word("done", "signal/calibration", "2013-04-20"), seen=True)
    assert found.plannable.reasons == {"signal/calibration": "done on 2013-04-20, and still seen"}


def test_a_dropped_item_does_not_hide_the_signal_that_it_stood_for(workspace: Workspace) -> None:
    write(workspace, "refit", 50, 1, "signals: [calibration]\n")
    found = plan(workspace, word("dropped", "idea/refit", "2013-04-20", reason="too dear"), seen=True)
    assert found.plannable.reasons == {"idea/refit": "dropped on 2013-04-20 by Ada: too dear; still seen: calibration"}


def test_what_comes_first_and_is_done_is_there(workspace: Workspace) -> None:
    write(workspace, "base", 1, 5)
    write(workspace, "tower", 90, 2, "depends_on: [base]\n")
    assert plan(workspace).choice.chosen == ("idea/base",)
    assert plan(workspace, word("done", "idea/base", "2013-04-20")).choice.chosen == ("idea/tower",)


def test_of_two_that_exclude_each_other_only_one_is_done(workspace: Workspace) -> None:
    write(workspace, "one", 50, 1, "excludes: [two]\n")
    write(workspace, "two", 40, 1)
    for done, left in (("one", "two"), ("two", "one")):
        assert plan(workspace, word("done", f"idea/{done}", "2013-04-20")).plannable.reasons[f"idea/{left}"] == (
            f"idea/{done} was done on 2013-04-20, and of the two only one is to be done"
        )
    assert plan(workspace, word("dropped", "idea/one", "2013-04-20")).choice.chosen == ("idea/two",)


def test_what_did_not_settle_its_signal_leaves_it_to_another(workspace: Workspace) -> None:
    for key in ("one", "two"):
        write(workspace, key, 50, 1, "signals: [calibration]\n")
    found = plan(workspace, word("done", "idea/one", "2013-04-20"), seen=True)
    assert (found.choice.chosen, found.plannable.reasons) == (
        ("idea/two",),
        {"idea/one": "done on 2013-04-20, and still seen"},
    )


def test_on_what_was_dropped_nothing_can_be_built(workspace: Workspace) -> None:
    write(workspace, "base", 1, 1)
    write(workspace, "tower", 90, 2, "depends_on: [base]\n")
    write(workspace, "top", 90, 2, "depends_on: [tower]\n")
    assert plan(workspace, word("dropped", "idea/base", "2013-04-20")).plannable.reasons == {
        "idea/base": "dropped on 2013-04-20 by Ada",
        "idea/top": "it depends on idea/tower, which cannot be planned",
        "idea/tower": "it depends on idea/base, which was dropped on 2013-04-20 by Ada",
    }


def test_what_somebody_wants_is_planned_and_says_who_until_when_why_and_what_it_costs(workspace: Workspace) -> None:
    write(workspace, "good", 90, 5)
    write(workspace, "dear", 10, 5)
    found = plan(workspace, wish("idea/dear", "planned", until="2013-06-01"))
    assert found.choice.chosen == ("idea/dear",)
    line, rows = lines(found)["idea/dear"], values(found)
    assert (line["place"], line["because"]) == ("planned", "Ada wants it until 2013-06-01: promised")
    assert "That Ada wants idea/dear costs 92.6 EUR a week." in found.text
    assert rows["idea/dear", "override"] == "planned: Ada wants it until 2013-06-01: promised"
    assert rows["idea/dear", "price_of_must"] == pytest.approx(92.6, abs=0.01)


def test_what_somebody_wants_out_is_out_with_all_that_needs_it(workspace: Workspace) -> None:
    write(workspace, "base", 90, 2)
    write(workspace, "tower", 90, 2, "depends_on: [base]\n")
    write(workspace, "other", 10, 2)
    found = plan(workspace, wish("idea/base", "not planned", until="2013-06-01"))
    assert found.choice.chosen == ("idea/other",)
    base, tower = lines(found)["idea/base"], lines(found)["idea/tower"]
    assert (base["place"], base["because"]) == ("not planned", "Ada wants it out until 2013-06-01: promised")
    assert tower["because"] == "it needs idea/base, and Ada wants idea/base out until 2013-06-01: promised"
    assert "That Ada wants idea/base out costs 196.8 EUR a week." in found.text
    assert values(found)["idea/base", "price_of_override"] == pytest.approx(196.8, abs=0.1)


def test_of_two_that_somebody_wants_out_each_has_its_own_price(workspace: Workspace) -> None:
    write(workspace, "one", 90, 5)
    write(workspace, "two", 50, 5)
    words = [wish(f"idea/{key}", "not planned", until="2013-06-01") for key in ("one", "two")]
    found = plan(workspace, *words)
    assert (found.choice.chosen, dict(found.override_prices)) == (
        (),
        {"idea/one": pytest.approx(104.18, abs=0.01), "idea/two": pytest.approx(57.88, abs=0.01)},
    )
    assert found.text.startswith("Flow, 0 of 5 days in 14: nothing. ")


def test_an_override_that_is_over_or_was_taken_back_or_comes_later_does_not_count(workspace: Workspace) -> None:
    write(workspace, "good", 90, 5)
    out = wish("idea/good", "not planned", until="2013-05-10", at="2013-04-01")
    assert plan(workspace, out).choice.chosen == ()
    assert plan(workspace, out, as_of="2013-05-10").choice.chosen == ("idea/good",)
    assert plan(workspace, out, word("override_ended", "idea/good", "2013-04-02")).choice.chosen == ("idea/good",)
    assert plan(workspace, out, as_of="2013-03-31").choice.chosen == ("idea/good",)


def test_a_wish_that_does_not_fit_is_an_error_that_names_it(workspace: Workspace) -> None:
    write(workspace, "law", 1, 4, MUST)
    write(workspace, "good", 90, 5)
    with pytest.raises(ArgumentError) as caught:
        plan(workspace, wish("idea/good", "planned", until="2013-06-01"))
    assert str(caught.value) == (
        "the must-do tasks do not fit: 'flow' has 5 days, and they take 9: 'idea/good' (5 days), 'idea/law' (4 days); "
        "raise the capacity, move a deadline, or make a task smaller, or take an override back: "
        "Ada wants idea/good until 2013-06-01: promised"
    )


def test_what_must_be_done_and_somebody_wants_out_is_an_error(workspace: Workspace) -> None:
    write(workspace, "base", 1, 1)
    write(workspace, "law", 1, 1, MUST + "depends_on: [base]\n")
    with pytest.raises(ArgumentError) as caught:
        plan(workspace, wish("idea/base", "not planned", until="2013-06-01"))
    assert str(caught.value) == (
        "idea/law must be done by 2013-05-14, it needs idea/base, and Ada wants idea/base out until 2013-06-01: "
        "promised; take one of the two back"
    )


def test_what_somebody_wants_and_cannot_be_planned_says_both(workspace: Workspace) -> None:
    write(workspace, "late", 10, 1, 'deadline: "2013-04-30"\n')
    wishes = [wish(f"idea/{key}", "planned", until="2013-06-01") for key in ("late", "lost")]
    found = plan(workspace, *wishes)
    assert found.plannable.reasons == {
        "idea/late": "its deadline was 2013-04-30; Ada wants it until 2013-06-01: promised"
    }
    assert "Ada wants idea/lost until 2013-06-01: promised; it is not in this backlog." in found.text


def test_nobody_wants_what_is_closed_any_more(workspace: Workspace) -> None:
    write(workspace, "ready", 10, 1)
    wishes = [wish(f"idea/{key}", "planned", until="2013-06-01") for key in ("ready", "lost")]
    words = [word("done", f"idea/{key}", "2013-05-01") for key in ("ready", "lost")]
    found = plan(workspace, *wishes, *words)
    assert found.plannable.reasons == {"idea/ready": "done on 2013-05-01"}
    assert "wants" not in found.text
    assert ("idea/ready", "override") not in values(found)
    again = plan(workspace, *wishes, *words, word("reopened", "idea/ready", "2013-05-02"), as_of="2013-05-02")
    assert lines(again)["idea/ready"]["because"] == "Ada wants it until 2013-06-01: promised"


def test_what_waits_for_one_that_somebody_wants_out_does_not_starve(workspace: Workspace) -> None:
    write(workspace, "base", 90, 2)
    write(workspace, "tower", 90, 2, "depends_on: [base]\n")
    words = [wish("idea/base", "not planned", until="2013-07-01")]
    first = plan(workspace, *words)
    second = plan(workspace, *words, published(first), as_of="2013-05-15")
    third = plan(workspace, *words, published(first), published(second), as_of="2013-05-29")
    assert third.movements.by_item == {}


def test_a_signal_that_another_item_stands_for_now_says_so(workspace: Workspace) -> None:
    first = plan(workspace, seen=True)
    write(workspace, "refit", 50, 2, "signals: [calibration]\n")
    second = plan(workspace, published(first), as_of="2013-05-15", seen=True)
    assert lines(second)["signal/calibration"]["because"] == "idea/refit stands for it now"
    assert second.text.endswith("Since the plan as of 2013-05-01: 1 new (idea/refit), 1 gone (signal/calibration).")


def test_estimates_are_corrected_by_what_closed_items_turned_out_to_be(workspace: Workspace) -> None:
    write(workspace, "next", 50, 2)
    plans = review("2013-04-01", *(planned(f"idea/{at}", effort_days=Spread(1, 2, 4)) for at in range(8)))
    words = [word("done", f"idea/{at}", "2013-04-20", effort_days=4.0) for at in range(8)]
    found = plan(workspace, plans, *words)
    (learned,) = found.learned.corrections
    assert (learned.source, learned.quantity, learned.n) == ("person/Ada", "effort", 8)
    assert learned.bias > 1.2
    each = found.plannable.items["idea/next"]
    assert (each.effort.likely, each.raw_effort.likely) == (pytest.approx(2 * learned.bias), 2)
    assert str(lines(found)["idea/next"]["effort_days"]).endswith(" (2 days as given)")
    assert values(found)["person/Ada", "effort_bias"] == learned.bias
    assert "Corrected by what closed items turned out to be: the effort that person/Ada estimates, times " in found.text
    assert plan(workspace, plans, *words, as_of="2013-04-19").learned.corrections == ()


def test_corrections_that_are_given_replace_what_was_learned(workspace: Workspace) -> None:
    write(workspace, "next", 50, 2)
    told = history(review("2013-04-01", planned("idea/a")), word("done", "idea/a", "2013-04-20", value_per_week=10.0))
    ada = Correction("person/Ada", "value", bias=0.5, spread=1.0, n=20)
    found = backlog(workspace, arrange(), model="small")
    given = plan_capacity(workspace, found, model="small", as_of="2013-05-01", history=told, corrections=(ada,))
    assert given.learned.corrections == (ada,)


def test_what_nothing_could_be_learned_of_is_said(workspace: Workspace) -> None:
    found = plan(workspace, word("done", "idea/a", "2013-04-20", effort_days=4.0))
    assert "Nothing could be learned of effort of idea/a: no plan had it before it was done." in found.text


def test_from_plan_to_plan_as_they_are_published(workspace: Workspace) -> None:
    write(workspace, "large", 90, 5)
    write(workspace, "small", 20, 2)
    first = plan(workspace)
    assert "since_last" not in first.to_table()[0]
    write(workspace, "added", 10, 5)
    (workspace.root / "ideas" / "small.yml").unlink()
    words = word("started", "idea/large", "2013-05-01")
    second = plan(workspace, published(first), words, as_of="2013-05-15")
    assert second.text.endswith("Since the plan as of 2013-05-01: 1 new (idea/added), 1 gone (idea/small).")
    since = {key: line["since_last"] for key, line in lines(second).items()}
    assert since == {"idea/large": "started", "idea/added": "new", "idea/small": "gone"}
    assert lines(second)["idea/small"]["place"] == ""
    done = word("done", "idea/large", "2013-05-15", effort_days=5.0)
    third = plan(workspace, published(first), published(second), words, done, as_of="2013-05-29")
    assert third.text.endswith("Since the plan as of 2013-05-15: 1 moved (idea/added), 1 done (idea/large).")
    assert [row.value for row in third.to_rows() if row.statistic == "movement"] == ["moved", "done"]
    assert [item.key for item in published(third).items] == ["idea/added", "idea/large"]
    fourth = plan(workspace, *map(published, (first, second, third)), words, done, as_of="2013-06-12")
    assert fourth.text.endswith("Since the plan as of 2013-05-29: nothing moved.")


def test_a_plan_that_is_filled_in_afterwards_is_the_same(workspace: Workspace) -> None:
    write(workspace, "large", 90, 5)
    before = plan(workspace)
    done = word("done", "idea/large", "2013-05-15", effort_days=9.0)
    out = wish("idea/large", "not planned", until="2013-09-01", at="2013-05-02")
    assert plan(workspace, done, out, published(plan(workspace, as_of="2013-05-15"))) == before


def test_what_a_least_share_costs_and_what_one_more_day_would_bring(workspace: Workspace) -> None:
    teams = workspace.root / "teams.yml"
    teams.write_text(teams.read_text() + "    floors: {experiment: 0.4}\n")
    write(workspace, "good", 90, 4)
    write(workspace, "test", 10, 2, kind="experiment")
    assert "The least share, 40 % for experiment, costs 92.6 EUR a week." in plan(workspace).text
    write(workspace, "test", 10, 1, kind="experiment")
    write(workspace, "good", 90, 5)
    teams.write_text(teams.read_text().replace("0.4", "0.1"))
    assert "One more day of Flow would bring 104.2 EUR a week." in plan(workspace).text
