"""A plan that is handed over, and what comes back of it."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from triage.told_history import history, planned, review, word

from toolkit.errors import ArgumentError
from toolkit.stats import Spread
from toolkit.triage import PlanHistory
from toolkit.triage.hand_over import FORMATS, Format, HandedPlan
from toolkit.triage.handed_back import Change, find_changes, read_states
from toolkit.triage.lifecycle.history import ItemEvent

REFIT = planned(
    "idea/refit",
    title="Refit *all* the scores",
    value_per_week=Spread(-25.5, 50, 100),
    effort_days=Spread(1, 2, 5),
    because="out below 20 EUR a week",
    rank=1.4,
    deadline=date(2013, 6, 1),
)
NOBODY = {"value_per_week": None, "effort_days": None, "unit": "", "team": ""}
OLD = planned("debt/old", "cannot be planned", title="=old|table", because="ask Bea", **NOBODY)
TOLD = history(
    word("dropped", "debt/old", "2013-05-01", reason="it is gone, by | Bea · `x`"), review("2013-05-01", REFIT, OLD)
)


def handed(told: PlanHistory, form: Format) -> str:
    return HandedPlan.of(told, told.plans[-1]).to_text(form)


def changes(text: str, form: Format, told: PlanHistory = TOLD) -> list[Change]:
    return find_changes(read_states(text, form, shown="FILE"), [told])


def complaint(text: str, form: Format, told: PlanHistory = TOLD) -> str:
    with pytest.raises(ArgumentError) as caught:
        changes(text, form, told)
    return str(caught.value)


def test_a_checklist_goes_by_place_and_ends_in_the_id() -> None:
    assert handed(TOLD, "markdown") == (
        "# Plan of model small, as of 2013-05-01\n\n"
        "From report triage/small/v0001. A ticked box is done. Behind the id may stand, each after a `·`: `started` or "
        "`dropped`; of what is done `realised_effort_days 2.5` and `realised_value_per_week 120`, in EUR; and last "
        "`reason: …`.\n\n"
        "## Planned\n\n"
        r"- [ ] Refit \*all\* the scores · effort 2 days (1 to 5) · value 50 EUR a week (-25.5 to 100) · by 2013-06-01 "
        "· out below 20 EUR a week · team flow · `small/idea/refit`\n\n"
        "## Cannot be planned\n\n"
        r"- [x] =old\|table · effort not estimated · value not estimated · ask Bea · `small/debt/old` · dropped "
        r"· reason: it is gone, by \| Bea · \`x\`"
        "\n"
    )


def test_a_table_names_its_units_and_runs_in_no_spreadsheet() -> None:
    refit, old = csv.DictReader(io.StringIO(handed(TOLD, "csv")))
    assert refit == {
        "id": "small/idea/refit",
        "state": "open",
        "realised_effort_days": "",
        "realised_value_per_week": "",
        "realised_unit": "EUR",
        "reason": "",
        "title": "Refit *all* the scores",
        "team": "flow",
        "place": "planned",
        "because": "out below 20 EUR a week",
        "tier": "1",
        "deadline": "2013-06-01",
        "effort_days_low": "1",
        "effort_days_likely": "2",
        "effort_days_high": "5",
        "value_per_week_low": "-25.5",
        "value_per_week_likely": "50",
        "value_per_week_high": "100",
        "value_unit": "EUR",
        "movement": "",
    }
    assert (old["title"], old["effort_days_likely"]) == ("'=old|table", "")


def test_a_document_says_of_what_it_is() -> None:
    document = json.loads(handed(TOLD, "json"))
    assert {name: document[name] for name in ("as_of", "model", "report")} == {
        "as_of": "2013-05-01T00:00:00Z",
        "model": "small",
        "report": "triage/small/v0001",
    }
    assert [(item["id"], item["state"], item["title"]) for item in document["items"]] == [
        ("small/idea/refit", "open", "Refit *all* the scores"),
        ("small/debt/old", "dropped", "=old|table"),
    ]


def edited(form: Format, state: str, **more: Any) -> str:
    """The handed plan with another word on the idea."""
    text = handed(TOLD, form)
    if form == "markdown":
        words = [*([state] if state in {"started", "dropped"} else []), *(f"{k} {v}" for k, v in more.items())]
        words = [each.replace("reason ", "reason: ") for each in words]
        text = text.replace("`small/idea/refit`", " · ".join(["`small/idea/refit`", *words]))
        return text.replace("- [ ] Refit", "- [x] Refit") if state in {"done", "dropped"} else text
    if form == "json":
        document = json.loads(text)
        document["items"][0] |= {"state": state, **more}
        return json.dumps(document)
    stream = io.StringIO()
    rows = list(csv.DictReader(io.StringIO(text)))
    writer = csv.DictWriter(stream, rows[0])
    writer.writeheader()
    writer.writerows([rows[0] | {"state": state, **more}, *rows[1:]])
    return stream.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("state", "more", "payload"),
    [
        ("started", {}, {}),
        ("dropped", {"reason": "too dear"}, {"reason": "too dear"}),
        ("done", {}, {}),
        (
            "done",
            {"realised_effort_days": 2.5, "realised_value_per_week": -3, "reason": "it harmed"},
            {"effort_days": "2.5", "value_per_week": "-3.0", "unit": "EUR", "reason": "it harmed"},
        ),
    ],
)
def test_a_word_comes_back(form: Format, state: str, more: dict[str, Any], payload: dict[str, str]) -> None:
    (change,) = changes(edited(form, state, **more), form)
    assert (change.id, change.kind, change.before, change.after) == ("small/idea/refit", f"item.{state}", "open", state)
    assert dict(change.payload) == payload
    assert change.effective_at == TOLD.plans[-1].as_of


@pytest.mark.parametrize("form", FORMATS)
def test_what_says_nothing_new_changes_nothing(form: Format) -> None:
    assert changes(handed(TOLD, form), form) == []
    done = word("done", "idea/refit", "2013-05-02", effort_days=3.0, value_per_week=40.0, unit="EUR", reason="it works")
    told = PlanHistory("small", (*TOLD.events, done), TOLD.plans)
    assert changes(handed(told, form), form, told) == []


def test_numbers_may_come_later_and_hold_from_the_last_word_on() -> None:
    done = word("done", "idea/refit", "2013-05-20", effort_days=3.0, reason="it works")
    told = PlanHistory("small", (*TOLD.events, done), TOLD.plans)
    given = {"items": [{"id": "small/idea/refit", "state": "done", "realised_value_per_week": 40}]}
    (change,) = changes(json.dumps(given), "json", told)
    assert (change.effective_at, dict(change.payload)) == (
        done.at,
        {"reason": "it works", "effort_days": "3.0", "value_per_week": "40.0", "unit": "EUR"},
    )
    assert change.text == "small/idea/refit: done; effort_days 3.0; value_per_week 40.0; reason: it works"


def test_a_box_that_is_unticked_opens_an_item_again() -> None:
    done = word("done", "idea/refit", "2013-05-02", reason="it\nworks", effort_days=3.0, value_per_week=1.0, unit="USD")
    told = PlanHistory("small", (done, *TOLD.events), TOLD.plans)
    assert changes(handed(told, "markdown"), "markdown", told) == []  # nothing new, in whatever unit it was said
    text = handed(told, "markdown").replace("- [x] Refit", "- [ ] Refit")
    assert [(change.kind, change.text) for change in changes(text, "markdown", told)] == [
        ("item.reopened", "small/idea/refit: done → open")
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("said", "state"), [("started", "done"), ("done", "open"), ("done", "started")])
def test_a_file_with_words_left_over_from_another_state_may_be_given_back_twice(
    form: Format, said: str, state: str
) -> None:
    numbers = {"effort_days": 3.0, "value_per_week": 1.0, "unit": "EUR"} if said == "done" else {}
    events = (*TOLD.events, word(said, "idea/refit", "2013-05-02", reason="free now", **numbers))
    if form == "markdown":
        text = handed(PlanHistory("small", events, TOLD.plans), form).replace("- [x] Refit", "- [ ] Refit")
        text = text.replace("- [ ] Refit", "- [x] Refit") if state == "done" else text
        text = text.replace("`small/idea/refit`", "`small/idea/refit` · started") if state == "started" else text
    else:
        left = {"reason": "free now", **{f"realised_{name}": told for name, told in numbers.items()}}
        text = edited(form, state, **left)
    (change,) = changes(text, form, PlanHistory("small", events, TOLD.plans))
    assert (change.before, change.after, dict(change.payload)) == (said, state, {})
    recorded = ItemEvent(change.effective_at, change.kind, "idea/refit", by="Ada")
    assert changes(text, form, PlanHistory("small", (*events, recorded), TOLD.plans)) == []


def test_a_box_without_an_id_is_the_teams_own() -> None:
    text = "- [x] buy cake and run `make`\n  - [ ] and eat it\n- [ ] `small/idea/refit` · started\n"
    (change,) = changes(text, "markdown")
    assert change.kind == "item.started"


def test_every_problem_of_a_table_is_told_with_its_line() -> None:
    text = (
        "id,state,realised_effort_days,realised_value_per_week,reason\n"
        'small/idea/refit,dne,,,"two\nlines"\n'
        "small/idea/refti,done,-1,\n"
        "small/idea/refit,open,2,nan\n"
    )
    assert complaint(text, "csv") == (
        "FILE:2: unknown state 'dne'; allowed: done, dropped, open, started. Did you mean 'done'?\n"
        "FILE:4: realised_effort_days is '-1', must be a number of at least 0, such as 2.5\n"
        "FILE:5: realised_value_per_week is 'nan', must be a number, such as 2.5\n"
        "FILE:5: id 'small/idea/refit' is there twice, first in FILE:2; keep one\n"
        "Nothing was imported."
    )


def test_an_unknown_id_names_the_nearest() -> None:
    assert complaint("- [x] Refit · `small/idea/refti`\n", "markdown") == (
        "FILE:1: unknown id 'small/idea/refti'; allowed: small/debt/old, small/idea/refit. "
        "Did you mean 'small/idea/refit'?\nNothing was imported."
    )


def test_a_drop_needs_a_reason_and_a_value_the_plans_unit() -> None:
    assert complaint("id,state,realised_effort_days\nsmall/idea/refit,open,2\n", "csv") == (
        "FILE:2: realised_effort_days is of what is done, and the state is 'open'\nNothing was imported."
    )
    assert complaint('{"items": [{"id": "small/idea/refit", "state": "dropped"}]}', "json") == (
        "FILE, item 1: small/idea/refit is dropped without a reason; say why\nNothing was imported."
    )
    given = {"id": "small/idea/refit", "state": "done", "realised_value_per_week": 4, "realised_unit": "USD"}
    assert complaint(json.dumps({"items": [given]}), "json") == (
        "FILE, item 1: realised_unit is 'USD', and the plan counts in 'EUR'\nNothing was imported."
    )


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("key,state\n", "csv", "FILE: column 'id' is missing; the first line holds key, state"),
        ("", "csv", "FILE: column 'id' is missing; the first line holds nothing"),
        (
            "id,state\na,open,c\n",
            "csv",
            "FILE:2: holds more cells than the first line; quote those with a comma",
        ),
        ("[1", "json", "FILE: is no JSON: Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ("[]", "json", 'FILE: holds no items; they stand as {"items": [{"id": …, "state": …}]}'),
        (
            "- [ ] `small/idea/refit` · strated\n",
            "markdown",
            "FILE:1: behind the id: unknown word 'strated'; allowed: dropped, realised_effort_days, "
            "realised_value_per_week, reason: …, started. Did you mean 'started'?",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, form: Format, expected: str) -> None:
    assert complaint(text, form) == expected


@given(
    title=st.text(max_size=40)
    | st.sampled_from(["=1+1", "'=x", "a|b", "[ ] `x`", "a\n- [x] `small/debt/old`", '"a",b']),
    reason=st.text(alphabet="ab`|·[]\\,=\"'\n: ", min_size=1, max_size=20).filter(str.strip),
    key=st.text(alphabet="ab`=-:|, ", min_size=1, max_size=12).map(str.strip).filter(bool),
    form=st.sampled_from(FORMATS),
)
def test_whatever_the_words_the_round_trip_says_nothing_new(title: str, reason: str, key: str, form: Format) -> None:
    told = history(
        word("done", f"idea/{key}", "2013-05-01", effort_days=1.5, reason=reason),
        review("2013-05-01", planned(f"idea/{key}", title=title, because=title), OLD),
    )
    text = handed(told, form)
    assert changes(text, form, told) == []
    assert [each.id for each in read_states(text, form, shown="FILE")] == [f"small/idea/{key}", "small/debt/old"]
    if form == "json":
        assert json.loads(text)["items"][0]["title"] == title
