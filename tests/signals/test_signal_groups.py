"""Signals as problems: which are one line, why, in which order, and what else was there."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import permutations
from pathlib import Path

import pytest
from made_signals import AS_OF, OWNERS, WINDOW, arrange, calibration, drift, segment, signal

import toolkit.workspace
from toolkit.errors import DefinitionError
from toolkit.metrics.marks import Mark
from toolkit.signals.groups.grouping import group_linked
from toolkit.signals.groups.groups import SignalGroups
from toolkit.signals.groups.memory import GroupRule, load_group_rules
from toolkit.workspace import open_workspace

FL = segment("carrier=FL", 60.0)
HOUR = segment("hour=17", 90.0)
DEPLOYED = Mark("deployment", datetime(2013, 4, 10, 8, tzinfo=UTC), None, "deploy of version 2")


def keys(groups: SignalGroups) -> list[list[str]]:
    return [[each.key for each in group.signals] for group in groups.groups]


def merge(*names: str) -> GroupRule:
    return GroupRule(merge=names, why="the sensor fails when it is hot", by="Ada")


def split(*names: str) -> GroupRule:
    return GroupRule(split=names, why="FL is being merged into WN", by="Ada")


def test_a_silent_loss_of_calibration_comes_before_huge_harmless_drift() -> None:
    found = arrange(drift("temp_f", times_threshold=8.3), calibration(350.0))
    assert keys(found) == [["calibration"], ["drift:temp_f"]]
    assert found.headline == "scores are 3.2 % too low on average (high severity, new)."
    assert [line["severity"] for line in found.to_table()] == ["high (10)", "harm not measured"]


def test_nested_segments_of_one_family_are_one_line_with_its_reason() -> None:
    (group,) = arrange(calibration(), FL).groups
    assert [each.key for each in group.signals] == ["calibration", "segment:carrier=FL"]
    assert group.why_merged == (
        "calibration, segment:carrier=FL: both about what the model does, on rows within all requests, in the same days"
    )
    assert group.title == "scores are 3.2 % too low on average; also carrier=FL"


def test_the_line_says_where_most_of_the_loss_is() -> None:
    (group,) = arrange(calibration(100.0), segment("carrier=FL", 80.0), segment("carrier=FL, hour=17", 60.0)).groups
    assert group.where == "carrier=FL, hour=17"
    assert group.title == ("scores are 3.2 % too low on average; most of it in carrier=FL, hour=17; also carrier=FL")


def test_segments_that_share_no_rows_by_name_are_two_problems() -> None:
    assert keys(arrange(FL, HOUR)) == [["segment:hour=17"], ["segment:carrier=FL"]]


def test_other_days_or_another_family_are_another_problem() -> None:
    earlier = segment("carrier=FL, hour=17", 50.0, first_day=date(2013, 3, 1), last_day=date(2013, 3, 9))
    slow = signal("metric_change", "latency", family="service")
    assert len(arrange(FL, earlier, slow).groups) == 3


def test_inputs_of_one_owner_that_moved_together_are_one_line_and_those_of_another_are_not() -> None:
    found = arrange(drift("temp_f"), drift("dest"), drift("humidity"))
    assert sorted(map(sorted, keys(found))) == [["drift:dest"], ["drift:humidity", "drift:temp_f"]]
    weather = next(group for group in found.groups if len(group.signals) == 2)
    assert weather.why_merged == (
        "drift:humidity, drift:temp_f: inputs that moved, from weather, on the same rows (all requests), "
        "in the same days"
    )


def test_data_that_broke_are_not_hidden_among_inputs_that_moved() -> None:
    gone = signal("missing", "humidity", family="inputs", columns=("humidity",))
    assert keys(arrange(drift("temp_f"), gone)) == [["missing:humidity"], ["drift:temp_f"]]
    assert len(arrange(drift("humidity"), gone).groups) == 1  # the same column: one problem


def test_a_signal_is_in_one_group_whatever_the_order() -> None:
    signals = (calibration(), FL, HOUR, drift("temp_f"), drift("humidity"))
    expected = arrange(*signals)
    assert {key for group in keys(expected) for key in group} == {each.key for each in signals}
    for order in permutations(signals, len(signals)):
        again = arrange(*order)
        assert keys(again) == keys(expected)


def test_what_was_split_stays_apart_whatever_chain_would_join_it() -> None:
    # Both lie within all requests, so that calibration would join them.
    found = arrange(calibration(), FL, HOUR, rules=[split("segment:carrier=FL", "segment:hour=17")])
    assert len(found.groups) == 2
    assert not any({"segment:carrier=FL", "segment:hour=17"} <= set(group) for group in keys(found))


def test_what_was_merged_is_one_line_against_every_rule_and_says_who_said_so() -> None:
    errors = signal("error", "E1", family="service")
    (group,) = arrange(drift("temp_f"), errors, rules=[merge("drift:temp_f", "error:E1", "drift:gone")]).groups
    assert group.why_merged == ("drift:temp_f, error:E1: one problem, says Ada: the sensor fails when it is hot")


def test_one_key_twice_is_one_signal() -> None:
    assert len(group_linked([calibration(1.0), calibration(2.0)], owners=OWNERS)[0].signals) == 1


def test_signals_without_days_belong_to_the_report() -> None:
    (group,) = arrange(calibration(first_day=None, last_day=None), FL).groups
    assert group.why_merged.endswith("in the same report")
    assert group.began == "not dated"


def test_a_deployment_on_the_day_it_began_is_the_first_hint() -> None:
    began = calibration(first_day=date(2013, 4, 10))
    late = Mark("deployment", datetime(2013, 4, 20, tzinfo=UTC), None, "rollback of version 1")
    outage = Mark("incident", datetime(2013, 4, 6, tzinfo=UTC), datetime(2013, 4, 7, tzinfo=UTC), "incident I1 (major)")
    gone = signal(
        "missing", "dest", family="inputs", columns=("dest",), text="60 % of dest is missing", p_adjusted=0.001
    )
    found = arrange(began, drift("temp_f"), gone, marks=[outage, DEPLOYED, late])
    assert [hint.sentence for hint in found.groups[0].hints] == [
        "deploy of version 2, 2013-04-10 (on the day it began)",
        "60 % of dest is missing (3.0 practical thresholds, adjusted p = 0.0010)",
        "incident I1 (major), 2013-04-06 … 2013-04-07 (4 days before it began)",
        "temp_f moved (80.0 practical thresholds, adjusted p < 0.0001)",
    ]
    assert found.groups[0].began == "2013-04-10"


@pytest.mark.parametrize("day", [date(2013, 3, 28), WINDOW.first_day])
def test_a_day_that_a_signal_names_is_when_it_began_also_before_the_window(day: date) -> None:
    (group,) = arrange(drift("temp_f", text=f"temp_f moved since {day}", first_day=day, dated=True)).groups
    assert group.began == str(day)
    (group,) = arrange(drift("temp_f", first_day=day)).groups
    assert group.began == "not dated"


def test_a_hint_says_its_size_once() -> None:
    moved = drift("temp_f", text="Temperature went from 50 to 70, 80.0 practical thresholds")
    hints = arrange(calibration(first_day=date(2013, 4, 10)), moved).groups[0].hints
    assert [each.sentence for each in hints] == [
        "Temperature went from 50 to 70, 80.0 practical thresholds (adjusted p < 0.0001)"
    ]


def test_what_came_after_a_dated_beginning_is_no_hint() -> None:
    began = calibration(first_day=date(2013, 4, 5))
    moved = drift("temp_f", first_day=date(2013, 4, 20))
    (first, _) = arrange(began, moved, marks=[DEPLOYED]).groups
    assert first.hints == ()
    assert arrange(began, moved, marks=[DEPLOYED]).to_table()[0]["state_and_hints"].endswith("; no hint")


def test_hints_about_a_beginning_that_is_not_dated_say_so() -> None:
    (group,) = arrange(calibration(), marks=[DEPLOYED]).groups
    assert [hint.sentence for hint in group.hints] == [
        "deploy of version 2, 2013-04-10 (in the window; when it began is not dated)"
    ]


def test_an_incident_that_is_open_reaches_to_the_end() -> None:
    outage = Mark("incident", datetime(2013, 3, 1, tzinfo=UTC), None, "incident I2", "minor")
    (group,) = arrange(calibration(first_day=date(2013, 4, 10)), marks=[outage]).groups
    assert group.hints[0].text == "incident I2 (minor), 2013-03-01 … still open"


def test_nothing_is_said_plainly() -> None:
    found = arrange()
    assert found.text == "No signal: nothing deviated beyond chance and its practical threshold."
    assert (found.to_table(), found.to_pictures()) == ([], ())
    assert found.plot().alt == "there is no signal"


def test_where_not_all_could_be_judged_no_signal_is_no_comfort() -> None:
    refused = ("calibration (no request has a value)",)
    assert arrange(refused=refused, kinds=frozenset({"drift"})).text == (
        "No signal in what could be judged: of it, nothing deviated beyond chance and its threshold. "
        "Not looked at: calibration (no request has a value)."
    )
    assert arrange(refused=refused).headline == "Nothing could be judged: that there is no signal says nothing."


def test_rows_carry_every_group_and_every_signal() -> None:
    found = arrange(calibration(), FL, drift("temp_f"))
    rows = {(row.key, row.statistic): row for row in found.to_rows()}
    assert rows["delay", "signals_looked_at"].value == "calibration, drift, segment"
    assert rows["calibration", "group_severity"].value == pytest.approx(10.0, rel=1e-6)
    assert rows["segment:carrier=FL", "signal_group"].value == "calibration"
    absent = rows["drift:temp_f", "group_severity"]
    assert (absent.status, absent.reason) == ("absent", "its share in the loss was not measured")
    assert rows["calibration", "group_value_per_week"].status == "absent"


def test_the_text_counts_what_there_is() -> None:
    found = arrange(calibration(), FL, drift("temp_f"), refused=("label free (no assumption holds)",))
    assert found.text == (
        "scores are 3.2 % too low on average; also carrier=FL (high severity, new). 3 signals in 2 groups (2 new). "
        "Not looked at: label free (no assumption holds)."
    )


def test_the_picture_names_every_group_in_words() -> None:
    (drawn,) = arrange(calibration(), drift("temp_f")).to_pictures()
    assert drawn.name == "harm_and_drift"
    assert drawn.alt == (
        "Severity in tolerances against how far it moved, in practical thresholds, by signal group: "
        "1. calibration 10, moved 3.0; 2. temp_f harm not measured, moved 80.0"
    )
    assert drawn.png == arrange(calibration(), drift("temp_f")).to_pictures()[0].png


def test_the_window_of_the_made_up_report() -> None:
    assert (WINDOW.days, WINDOW.end) == (28, AS_OF)


RULES = """\
rules:
  - merge: ["drift:temp_f", "error:E1"]
    why: The sensor fails when it is hot.
    by: Ada
  - split: [calibration, "segment:carrier=FL"]
    model: other
    why: Two problems.
    by: Ada
"""


def load(root: Path, text: str) -> tuple[GroupRule, ...]:
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "trial"\n\n[tables]\n')
    (root / "groups.yml").write_text(text)
    return load_group_rules(open_workspace(root), "delay")


def test_groups_yml_is_read_for_one_model(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, RULES)
    assert rule.merge == ("drift:temp_f", "error:E1")
    (tmp_path / "groups.yml").unlink()
    assert load_group_rules(open_workspace(tmp_path), "delay") == ()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{why: x, by: Ada}", "rules.0 is #: a rule needs one of merge and split, and neither is there"),
        ("{merge: [a, b], split: [c, d], why: x, by: A}",
         "rules.0 is #: a rule needs one of merge and split, and both are there"),
        ("{split: [a, a], why: x, by: Ada}",
         "rules.0 is #: a rule is about at least two different signals, and it names a, a"),
        ("{merg: [a, b], why: x, by: Ada}",
         "unknown key 'rules.0.merg'; allowed: by, merge, model, split, why. Did you mean 'merge'?"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_a_rule_that_says_nothing_is_refused(tmp_path: Path, rule: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, f"rules:\n  - {rule}\n")
    assert re.sub(r"is \{.*: a rule", "is #: a rule", str(caught.value)) == f"groups.yml:2: {message}"


def test_the_example_that_init_lays_down_is_understood(tmp_path: Path) -> None:
    example = Path(toolkit.workspace.__file__).parent / "skeleton" / "groups.yml.example"
    assert [bool(rule.merge) for rule in load(tmp_path, example.read_text(encoding="utf-8"))] == [True]
    assert len(load_group_rules(open_workspace(tmp_path))) == 2  # one of them is about another model
