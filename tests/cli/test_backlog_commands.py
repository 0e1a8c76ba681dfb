"""`toolkit backlog`: where items stand, and what people say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from published_plans import publish_plan, write_estimated
from triage.written_ideas import write_idea

from toolkit.ledger import open_ledger
from toolkit.triage import load_history
from toolkit.triage.lifecycle.history import READ, ReviewedPlan
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, Workspace

Run = Callable[..., Any]


@pytest.fixture
def reviewed(bare: Workspace) -> Workspace:
    """The same with one published plan: quick is planned, large is not, vague cannot be."""
    write_estimated(bare, "quick", 70, 3)
    write_estimated(bare, "large", 60, 5)
    write_idea(bare, "vague", title="Do something")
    publish_plan(bare, "2013-05-01")
    return bare


def states(call: Run, *arguments: str) -> dict[str, str]:
    items = call("backlog", "list", "--json", *arguments).document["items"]
    return {item["item"]: item["state"] for item in items}


def test_items_are_listed_as_the_last_plan_has_them(call: Run, reviewed: Workspace) -> None:
    head, *shown = call("backlog", "list").out.splitlines()
    assert " ".join(head.split()) == "model item place state override movement value_per_week effort_days title"
    lines = [line.split() for line in shown]
    assert [line[:4] for line in lines] == [
        ["small", "idea/quick", "planned", "open"],
        ["small", "idea/large", "not", "planned"],
        ["small", "idea/vague", "cannot", "be"],
    ]
    assert " ".join(lines[0]) == "small idea/quick planned open 70 EUR (35 to 140) 3 (3 to 3) Do quick"
    (quick, _, vague) = call("backlog", "list", "--json").document["items"]
    assert quick == {
        "model": "small",
        "item": "idea/quick",
        "title": "Do quick",
        "origin": "idea",
        "team": "flow",
        "place": "planned",
        "because": quick["because"],
        "tier": 1,
        "movement": "",
        "state": "open",
        "since": None,
        "by": "",
        "reason": "",
        "override": None,
        "value_per_week": {"low": 35.0, "likely": 70.0, "high": 140.0},
        "unit": "EUR",
        "effort_days": {"low": 3.0, "likely": 3.0, "high": 3.0},
        "realised_value_per_week": None,
        "realised_effort_days": None,
        "deadline": None,
        "report": "triage/small@1",
    }
    assert quick["because"].startswith("out below ")
    assert (vague["value_per_week"], vague["effort_days"], vague["tier"]) == (None, None, None)


def test_a_workspace_without_a_plan_says_so(call: Run, bare: Workspace) -> None:
    said = "no published report has a plan; 'toolkit run triage' makes one\n"
    assert call("backlog", "list").err == f"no item: {said}"
    done = call("backlog", "start", "idea/quick")
    assert (done.code, done.err) == (3, f"refused (Skipped): {said}")


def test_before_the_first_plan_there_is_no_item(call: Run, reviewed: Workspace) -> None:
    assert states(call, "--as-of", "2013-04-30") == {}
    assert call("backlog", "list", "--as-of", "2013-04-30").err == "no item: the first plan is as of 2013-05-01\n"


def test_a_plan_without_an_item_lists_none(call: Run, bare: Workspace) -> None:
    publish_plan(bare, "2013-05-01")
    assert call("backlog", "list").err == "no item: the plans have none\n"
    done = call("backlog", "start", "idea/quick")
    assert (done.code, done.err) == (2, "error: unknown item 'idea/quick'; allowed: none are defined.\n")


def test_a_model_without_a_plan_is_told_from_those_that_have_one(call: Run, reviewed: Workspace) -> None:
    (reviewed.root / "models" / "other.yml").write_text("key: other\n")
    said = (
        "no published report has a plan of model 'other', only of small; "
        "'toolkit run triage -p model=other' makes one\n"
    )
    assert call("backlog", "list", "--model", "other").err == f"no item: {said}"
    assert states(call, "--model", "other") == {}
    done = call("backlog", "start", "idea/quick", "--model", "other")
    assert (done.code, done.err) == (3, f"refused (Skipped): {said}")
    done = call("backlog", "export", "--json", "--model", "other")
    assert (done.code, done.err) == (3, f"refused (Skipped): {said}")


def test_what_is_said_holds_from_the_last_plan_on(call: Run, reviewed: Workspace) -> None:
    done = call("backlog", "start", "idea/quick", "--reason", "free now")
    assert (done.code, done.out) == (
        0,
        "small/idea/quick: started, for plans as of 2013-05-01T00:00:00Z and later\n",
    )
    (quick, *_) = call("backlog", "list", "--json").document["items"]
    assert (quick["state"], quick["since"], quick["by"], quick["reason"]) == (
        "started",
        "2013-05-01T00:00:00Z",
        "Ada",
        "free now",
    )


def test_an_item_is_started_done_and_opened_again(call: Run, reviewed: Workspace) -> None:
    assert call("backlog", "start", "idea/quick", "--as-of", "2013-05-03").code == 0
    entry = call("backlog", "done", "idea/quick", "--effort-days", "4.5", "--value-per-week", "-20", "--json")
    assert entry.document["entry"]["subject"] == "small/idea/quick"
    assert entry.document["entry"]["payload"] == {"effort_days": "4.5", "value_per_week": "-20.0", "unit": "EUR"}
    assert entry.document["entry"]["effective_at"] == "2013-05-03T00:00:00.000000Z"  # what was said last, not the plan
    assert states(call) == {"idea/large": "open", "idea/vague": "open"}
    closed = call("backlog", "list", "--all", "--json").document["items"][0]
    assert (closed["state"], closed["realised_value_per_week"], closed["realised_effort_days"]) == ("done", -20, 4.5)
    assert call("backlog", "reopen", "idea/quick").code == 0
    assert states(call)["idea/quick"] == "open"
    assert states(call, "--as-of", "2013-05-02")["idea/quick"] == "open"


def test_the_next_plan_knows_what_was_said(call: Run, reviewed: Workspace) -> None:
    call("backlog", "done", "idea/quick", "--as-of", "2013-05-10")
    call("backlog", "drop", "idea/large", "--reason", "nobody asks any more", "--as-of", "2013-05-11")
    call("backlog", "override", "idea/vague", "not-planned", "--until", "2013-07-01", "--reason", "after the audit")
    publish_plan(reviewed, "2013-05-15")
    assert states(call) == {"idea/vague": "open"}
    items = call("backlog", "list", "--all", "--json").document["items"]
    assert {item["item"]: (item["movement"], item["because"]) for item in items} | {"idea/vague": ""} == {
        "idea/quick": ("done", "done on 2013-05-10"),
        "idea/large": ("dropped", "dropped on 2013-05-11 by Ada: nobody asks any more"),
        "idea/vague": "",
    }


def test_an_override_is_shown_until_it_is_taken_back(call: Run, reviewed: Workspace) -> None:
    done = call("backlog", "override", "idea/large", "planned", "--until", "2013-06-01", "--reason", "promised")
    assert done.out == ("small/idea/large: planned until 2013-06-01, for plans as of 2013-05-01T00:00:00Z and later\n")
    line = call("backlog", "list", "--as-of", "2013-05-31").out.splitlines()[2]
    assert " open   planned until 2013-06-01   " in line
    assert "planned until 2013-06-01 (over)" in call("backlog", "list", "--as-of", "2013-06-01").out
    (_, large, _) = call("backlog", "list", "--json").document["items"]
    assert large["override"] == {"place": "planned", "until": "2013-06-01", "by": "Ada", "reason": "promised"}
    done = call("backlog", "override", "idea/large", "none")
    assert done.out == "small/idea/large: no override any more, for plans as of 2013-05-01T00:00:00Z and later\n"
    assert "until" not in call("backlog", "list").out


def test_an_item_that_is_in_no_later_plan_can_still_be_spoken_of(call: Run, reviewed: Workspace) -> None:
    (reviewed.root / "ideas" / "large.yml").unlink()
    publish_plan(reviewed, "2013-05-15")
    assert list(states(call)) == ["idea/quick", "idea/vague"]
    gone = call("backlog", "list", "--all", "--json").document["items"][-1]
    assert (gone["item"], gone["place"], gone["movement"], gone["report"]) == (
        "idea/large",
        None,
        "gone",
        "triage/small@1",
    )
    assert call("backlog", "drop", "idea/large", "--reason", "not ours").code == 0
    dropped = call("backlog", "list", "--all", "--json").document["items"][-1]
    assert (dropped["item"], dropped["state"], dropped["movement"]) == ("idea/large", "dropped", "")


def test_when_nothing_is_left_the_list_says_how_to_see_the_rest(call: Run, reviewed: Workspace) -> None:
    for item in ("idea/quick", "idea/large", "idea/vague"):
        call("backlog", "done", item)
    assert call("backlog", "list").err == "no item: 3 are done, dropped or gone, --all lists them\n"


WRONG = [
    (
        ["start", "idea/quik"],
        "unknown item 'idea/quik'; allowed: idea/large, idea/quick, idea/vague. Did you mean 'idea/quick'?",
    ),
    (["start", "idea/quick", "--model", "smal"], "unknown model 'smal'; allowed: small. Did you mean 'small'?"),
    (["reopen", "idea/quick"], "small/idea/quick is open: nobody has started it, and it is neither done nor dropped"),
    (["drop", "idea/quick", "--reason", " "], "--reason is missing; say why with a TEXT, the next plans show it"),
    (["done", "idea/quick", "--effort-days", "-1"], "--effort-days == -1.0, must be a number of at least 0"),
    (["done", "idea/quick", "--value-per-week", "nan"], "--value-per-week == nan, must be a finite number"),
    (
        ["override", "idea/quick", "planed"],
        "unknown place 'planed'; allowed: none, not-planned, planned. Did you mean 'planned'?",
    ),
    (
        ["override", "idea/quick", "planned", "--reason", "promised"],
        "--until is missing; say with a DAY from when on the override does not hold any more",
    ),
    (
        ["override", "idea/quick", "planned", "--until", "2013-06-01"],
        "--reason is missing; say why with a TEXT, the next plans show it",
    ),
    (
        ["override", "idea/quick", "planned", "--until", "2013-05-01", "--reason", "promised"],
        "--until 2013-05-01 is not after 2013-05-01T00:00:00Z, from which on it would hold; give a later day",
    ),
    (
        ["override", "idea/quick", "none", "--until", "2013-06-01"],
        "--until goes with planned and not-planned; none takes the override back at once",
    ),
    (
        ["override", "idea/quick", "none"],
        "small/idea/quick has no override; 'toolkit backlog list' shows which items have one",
    ),
]


def test_what_cannot_be_said_is_refused_with_what_can_be(call: Run, reviewed: Workspace) -> None:
    for arguments, said in WRONG:
        done = call("backlog", *arguments)
        assert (done.code, done.err) == (2, f"error: {said}\n")
    assert load_history(reviewed, model="small").events == ()


def test_what_does_not_follow_is_refused_with_where_the_item_stands(call: Run, reviewed: Workspace) -> None:
    call("backlog", "start", "idea/quick")
    assert call("backlog", "start", "idea/quick").err == (
        "error: small/idea/quick is started since 2013-05-01, by Ada; 'toolkit backlog done idea/quick' says that "
        "it is done\n"
    )
    call("backlog", "done", "idea/quick")
    is_done = (
        "error: small/idea/quick is done since 2013-05-01, by Ada; 'toolkit backlog reopen idea/quick' opens it again\n"
    )
    assert call("backlog", "done", "idea/quick").err == is_done
    assert call("backlog", "start", "idea/quick").err == is_done
    assert call("backlog", "drop", "idea/quick", "--reason", "no use").err == is_done
    wish = ("override", "idea/quick", "planned", "--until", "2013-06-01", "--reason", "promised")
    assert call("backlog", *wish).err == is_done


def test_an_item_of_two_models_needs_to_know_which(call: Run, reviewed: Workspace) -> None:
    (plan,) = load_history(reviewed, model="small").plans
    other = ReviewedPlan("triage/other@1", "other", plan.as_of, plan.unit, plan.items)
    with open_ledger(reviewed.ledger) as ledger:
        ledger.append(
            kind=READ,
            subject=other.report,
            payload=other.to_payload(),
            actor=Actor("Ada", "asserted"),
            effective_at=parse_instant("2013-05-01"),
        )
    assert call("backlog", "start", "idea/quick").err == (
        "error: item 'idea/quick' is one of several models: other, small; say which with --model\n"
    )
    assert call("backlog", "start", "idea/quick", "--model", "other").code == 0
    assert states(call, "--model", "other")["idea/quick"] == "started"
    assert states(call, "--model", "small")["idea/quick"] == "open"
