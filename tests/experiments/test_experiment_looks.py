"""What a look may decide, how far its intervals reach, and how an edited plan is told."""

from __future__ import annotations

import json
import math
from statistics import NormalDist

import pytest
from looks_of import SEQUENTIAL, make_looks, make_plan, take

from toolkit import stats
from toolkit.experiments import Looks
from toolkit.experiments.edits import list_changes, list_in_words, plan_document
from toolkit.experiments.taken_looks import order_looks

ALWAYS = "design: {kind: always_valid, tune_units: 800}\n"


def _kinds(looks: Looks) -> tuple[str, bool, bool]:
    return looks.current.kind, looks.current.final, looks.may_ship


def test_a_fixed_design_has_one_look_with_the_usual_intervals() -> None:
    looks = make_looks(make_plan())
    assert _kinds(looks) == ("fixed", True, True)
    assert looks.critical() is None
    assert looks.bounds() == ()
    assert looks.is_last
    assert looks.text == "No earlier look is recorded. The data are read once, at the end: 95 % intervals."


def test_a_fixed_design_that_is_read_again_later_is_the_same_look() -> None:
    again = take(make_plan(), {"2024-03-16": 900, "2024-03-18": 900, "2024-04-18": 900})
    assert _kinds(again) == ("fixed", True, True)
    assert (again.critical(), again.current.number) == (None, 3)


def test_planned_looks_spend_alpha_by_the_information_so_far() -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, {"2024-03-06": 330, "2024-03-11": 700, "2024-03-16": 980})
    expected = stats.boundary([0.33, 0.7, 0.98], alpha=0.05, spending="obrien_fleming", final=True).z
    assert looks.critical() == pytest.approx(expected[-1])
    assert [bound.z for bound in looks.bounds()] == pytest.approx(list(expected))
    assert [(bound.number, bound.passed) for bound in looks.bounds()] == [(1, True), (2, True), (3, True)]
    second = take(plan, {"2024-03-06": 330, "2024-03-11": 700})
    assert second.critical() == pytest.approx(stats.boundary([0.33, 0.7], alpha=0.05, final=False).z[-1])
    assert second.reach_text == (
        "Look 2 of 3 planned, with 70 % of the information: intervals reach 2.44 standard errors to each side "
        "(O'Brien–Fleming spending), so that all looks together keep 95 %."
    )


def test_bounds_look_ahead_with_the_information_that_is_expected() -> None:
    first = take(make_plan(SEQUENTIAL), {"2024-03-06": 300})
    bounds = first.bounds()
    assert [bound.passed for bound in bounds] == [True, False, False]
    assert [bound.fraction for bound in bounds[::2]] == [0.3, 1.0]
    assert 0.6 < bounds[1].fraction < 0.8
    assert [bound.as_of for bound in bounds] == list(first.planned)
    assert bounds[0].z > bounds[1].z > bounds[2].z > NormalDist().inv_cdf(0.975)


def test_without_planned_units_the_information_is_the_share_of_the_window_that_has_matured() -> None:
    plan = make_plan(SEQUENTIAL.replace(", units: 1000", ""))
    assert take(plan, {"2024-03-09": 10}).current.fraction == 0.5  # 7 of 14 days, and a day for labels


def test_the_last_look_spends_all_the_rest_however_few_units_came() -> None:
    looks = take(make_plan(SEQUENTIAL), {"2024-03-06": 200, "2024-03-11": 350, "2024-03-16": 500})
    spent = stats.boundary([0.2, 0.35, 0.5], alpha=0.05, final=True)
    assert spent.spent[-1] == pytest.approx(0.05)
    assert looks.critical() == pytest.approx(spent.z[-1])


def test_a_design_whose_first_look_is_its_last_has_the_usual_intervals() -> None:
    assert take(make_plan(SEQUENTIAL), {"2024-03-16": 900}).critical() is None


@pytest.mark.parametrize("as_of", ["2024-03-04", "2024-03-08"])
def test_a_look_that_nobody_planned_is_always_valid_and_ships_nothing(as_of: str) -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, ({"2024-03-06": 330} if as_of > "2024-03-06" else {}) | {as_of: 450})
    assert _kinds(looks) == ("unscheduled", False, False)
    assert looks.critical() == pytest.approx(stats.always_valid_reach(450, alpha=0.05, tune_n=5000))
    assert "may stop the experiment for harm and ship nothing" in looks.reach_text


def test_an_unscheduled_look_spends_nothing() -> None:
    plan = make_plan(SEQUENTIAL)
    with_it = take(plan, {"2024-03-06": 330, "2024-03-08": 450, "2024-03-11": 700})
    assert with_it.critical() == take(plan, {"2024-03-06": 330, "2024-03-11": 700}).critical()
    assert with_it.current.number == 3


def test_a_late_look_counts_as_the_planned_one_that_was_missed_once() -> None:
    plan = make_plan(SEQUENTIAL)
    late = take(plan, {"2024-03-08": 450})
    assert _kinds(late) == ("planned", False, True)
    assert late.current.planned_for == plan.planned_looks[0]
    assert _kinds(take(plan, {"2024-03-08": 450, "2024-03-09": 500})) == ("unscheduled", False, False)
    assert _kinds(take(plan, {"2024-03-08": 450, "2024-03-12": 800})) == ("planned", False, True)


def test_a_planned_look_cannot_be_taken_again_at_an_instant_before() -> None:
    plan = make_plan(SEQUENTIAL)
    late = take(plan, {"2024-03-08": 450}).current
    before = make_looks(plan, as_of="2024-03-07", exposed=400, earlier=[late])
    assert _kinds(before) == ("unscheduled", False, False)
    assert before.looks == ()
    again = make_looks(plan, as_of="2024-03-08", exposed=450, earlier=[late, before.current])
    assert _kinds(again) == ("planned", False, True)


def test_the_last_look_read_again_later_repeats_its_bound() -> None:
    plan = make_plan(SEQUENTIAL)
    last = {"2024-03-06": 330, "2024-03-11": 700, "2024-03-16": 980}
    again = take(plan, last | {"2024-05-01": 980})
    assert _kinds(again) == ("planned", True, True)
    assert again.critical() == take(plan, last).critical()


def test_an_always_valid_design_may_decide_at_every_look() -> None:
    looks = take(make_plan(ALWAYS), {"2024-03-04": 100, "2024-03-05": 150})
    assert _kinds(looks) == ("always_valid", False, True)
    assert looks.critical() == pytest.approx(stats.always_valid_reach(150, alpha=0.05, tune_n=800))
    assert looks.critical(units=100) == pytest.approx(stats.always_valid_reach(100, alpha=0.05, tune_n=800))
    assert looks.bounds() == ()
    assert looks.reach_text.endswith("a 95 % confidence sequence: they hold at every look.")


def test_several_treatments_share_alpha() -> None:
    plan = make_plan(**{"weight: 50}\ncontrol:": 'weight: 30}\n  other: {version: "2", weight: 20}\ncontrol:'})
    looks = make_looks(plan)
    assert looks.confidence == 1 - 0.05 / 2
    assert looks.reach_text == "The data are read once, at the end: 97.5 % intervals (2 treatments share alpha 0.05)."


def test_looks_at_one_instant_are_one_look() -> None:
    plan = make_plan(SEQUENTIAL)
    one = take(plan, {"2024-03-06": 330}).current
    found = order_looks([one._replace(report="a@1"), one._replace(report="b@1", units=340), one._replace(report="c@1")])
    assert [(look.number, look.report) for look in found] == [(1, "b@1")]


def _recorded(plan_text: str, digest: str = "sha256:first") -> dict[str, str]:
    return {"report": "experiment_plan/eta-v2@1", "plan_digest": digest, "plan_document": plan_text}


def test_an_edited_plan_says_what_was_changed_where() -> None:
    before = make_plan()
    after = make_plan(**{"margin: 2}": "margin: 5}", "alpha: 0.05": "alpha: 0.1"})
    looks = make_looks(after, first=_recorded(plan_document(before)))
    assert looks.plan_edited == (
        "The plan was edited since experiment_plan/eta-v2@1: alpha: 0.05 → 0.1; guardrails.latency.margin: 2.0 → 5.0."
    )
    assert looks.text.endswith(looks.plan_edited)
    assert [row.value for row in looks.to_rows() if row.statistic == "plan_edited"] == [looks.plan_edited]


def test_new_comments_are_no_edit_and_an_earlier_text_that_is_lost_is_told() -> None:
    plan = make_plan()
    assert make_looks(plan, first=_recorded(plan_document(plan))).plan_edited == ""
    assert make_looks(plan, first=_recorded("", digest=plan.digest)).plan_edited == ""
    assert make_looks(plan, first=_recorded("")).plan_edited == (
        "The plan was edited since experiment_plan/eta-v2@1: its text is not the same, and the earlier one is not at "
        "hand."
    )


def test_changes_beyond_a_sentence_are_counted() -> None:
    before, after = ({f"key{number:02d}": at for number in range(11)} for at in (1, 2))
    told = list_in_words(list_changes(json.dumps(before), json.dumps(after)))
    assert told.startswith("key00: 1 → 2; key01: 1 → 2")
    assert told.endswith("key07: 1 → 2; and 3 more")


def _extended(days: int, allowed: int = 14) -> Looks:
    before = make_plan(f"max_extension_days: {allowed}\n")
    first = take(before, {"2024-03-16": 900}).current._replace(report="experiment_readout/eta-v2@1")
    longer = make_plan("max_extension_days: 99\n", **{'end: "2024-03-15"': f'end: "2024-03-{15 + days}"'})
    return make_looks(longer, exposed=1500, earlier=[first], first=_recorded(plan_document(before)))


def test_a_longer_window_is_an_extension_within_the_days_that_the_first_plan_allowed() -> None:
    looks = _extended(14)
    assert _kinds(looks) == ("extension", False, True)
    assert looks.critical() == pytest.approx(stats.always_valid_reach(1500, alpha=0.05, tune_n=5000))
    assert "window.end: 2024-03-15" in looks.plan_edited
    assert _kinds(_extended(15)) == ("unscheduled", False, False)


def test_an_experiment_is_extended_once() -> None:
    first = make_looks(make_plan()).current
    once = make_plan(**{'end: "2024-03-15"': 'end: "2024-03-18"'})
    extended = make_looks(once, exposed=1200, earlier=[first])
    assert _kinds(extended) == ("extension", False, True)
    again = make_looks(once, as_of="2024-03-25", exposed=1200, earlier=[first, extended.current])
    assert _kinds(again) == ("extension", False, True)
    twice = make_plan(**{'end: "2024-03-15"': 'end: "2024-03-20"'})
    assert _kinds(make_looks(twice, exposed=1400, earlier=[first, extended.current])) == ("unscheduled", False, False)


def test_looks_are_rows_and_a_table() -> None:
    looks = take(make_plan(SEQUENTIAL), {"2024-03-06": 330, "2024-03-11": 700})
    facts = {row.statistic: row.value for row in looks.to_rows()}
    assert facts["look_as_of"] == "2024-03-11T00:00:00Z"
    assert (facts["look_kind"], facts["look_units"], facts["look_information_share"]) == ("planned", 700, 0.7)
    assert facts["earlier_look_as_of"] == "2024-03-06T00:00:00Z"
    assert [line["report"] for line in looks.to_table()] == ["experiment_readout/eta-v2@1", "this one"]
    assert math.isclose(float(str(facts["look_reach"])), looks.critical() or 0)


def test_the_false_alarms_of_planned_and_unscheduled_looks_together_stay_below_alpha() -> None:
    """Ten looks, half of them planned, at no effect: Brownian motion at the information of each look."""
    import numpy as np

    plan = make_plan(
        'design: {kind: group_sequential, looks: ["2024-03-04", "2024-03-07", "2024-03-10"], units: 1000}\n'
    )
    instants = {
        f"2024-03-{day:02d}": units
        for day, units in {3: 80, 4: 200, 5: 280, 7: 450, 8: 520, 10: 700, 12: 850, 16: 1000}.items()
    }
    reaches, kinds = [], []
    for count in range(1, len(instants) + 1):
        looks = take(plan, dict(list(instants.items())[:count]))
        reaches.append(looks.critical())
        kinds.append(looks.current.kind)
    assert kinds.count("planned") == 4
    information = np.array(list(instants.values())) / 1000
    steps = np.random.default_rng(5).normal(size=(40_000, len(information))) * np.sqrt(np.diff(information, prepend=0))
    z = np.abs(steps.cumsum(axis=1) / np.sqrt(information))
    crossed = z > np.array(reaches, dtype=float)
    planned = np.array([kind == "planned" for kind in kinds])
    assert 0.045 < crossed[:, planned].any(axis=1).mean() < 0.055
    assert crossed[:, ~planned].any(axis=1).mean() < 0.05


def test_a_planned_look_with_all_units_is_the_last_one() -> None:
    plan = make_plan(SEQUENTIAL)
    half, whole = (take(plan, {"2024-03-06": 300, "2024-03-11": units}) for units in (600, 1100))
    assert (half.is_last, whole.is_last) == (False, True)
    assert whole.next_planned is None
    assert whole.reach_text.endswith("so that all looks together keep 95 %; nothing is left for later looks.")
