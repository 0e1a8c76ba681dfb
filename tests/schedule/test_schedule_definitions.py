"""What a person can write into schedule.yml, and what is said when it is wrong: nothing has run by then."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from schedule_trial import SCHEDULE, make_notebook

import toolkit.examples
import toolkit.workspace
from toolkit.errors import DefinitionError
from toolkit.schedule import ScheduleFile, load_schedules
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace
from toolkit.workspace.documents import read_yaml

PARAMETERS = 'parameters: {period: "{month}", as_of: "{slot}"}'
CALENDAR = 'calendar: {every: month, on: 3, at: "06:00"}'
WEEKDAYS = "monday, tuesday, wednesday, thursday, friday, saturday, sunday"
PLACEHOLDERS = "day, month, quarter, slot, today, week"
DAYS = "1 to 28, first_business_day, last_business_day, last_day"


def said(workspace: Workspace, *changes: tuple[str, str]) -> str:
    text = SCHEDULE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (workspace.root / "schedule.yml").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_schedules(workspace)
    return str(caught.value)


def test_a_schedule_is_read(trial: Workspace) -> None:
    (schedule,) = load_schedules(trial).values()
    assert [format_instant(each) for each in schedule.span] == ["2013-05-01T04:00:00Z", "2014-02-01T05:00:00Z"]
    assert schedule.fill(parse_instant("2013-05-03T10:00Z")) == {"period": "2013-04", "as_of": "2013-05-03T10:00:00Z"}
    slots = list(schedule.list_slots(parse_instant("2013-05-03T10:00Z"), parse_instant("2013-12-01")))
    assert [f"{slot:%m-%d %H:%M}" for slot in slots] == [
        "05-03 10:00", "06-03 10:00", "07-03 10:00", "08-03 10:00", "09-03 10:00", "10-03 10:00", "11-03 11:00",
    ]  # fmt: skip  # its lines group what belongs together


def test_texts_inside_lists_and_mappings_are_filled_and_other_braces_are_left(trial: Workspace) -> None:
    written = 'parameters: {period: "from {month} to {today}", levels: "[1, 2]"}'
    (trial.root / "schedule.yml").write_text(SCHEDULE.replace(PARAMETERS, written), encoding="utf-8")
    (schedule,) = load_schedules(trial).values()
    odd = schedule.model_copy(update={"parameters": {"a": ["{day}", {"b": "{week}"}], "c": '{"json": 1} {}', "d": 3}})
    assert schedule.fill(parse_instant("2013-05-03"))["period"] == "from 2013-04 to 2013-05-02"
    assert odd.fill(parse_instant("2013-05-03")) == {
        "a": ["2013-05-01", {"b": "2013-W17"}],
        "c": '{"json": 1} {}',
        "d": 3,
    }


def test_without_a_file_there_is_no_schedule(trial: Workspace) -> None:
    (trial.root / "schedule.yml").unlink()
    assert load_schedules(trial) == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    owner: Ada", "    ower: Ada",
         "schedule.yml:2: key 'schedules.monthly.owner' is missing\n"
         "schedule.yml:10: unknown key 'schedules.monthly.ower'; allowed: calendar, catch_up, cron, end, owner, "
         "parameters, start, template, zone. Did you mean 'owner'?"),
        ("America/New_York", "America/NewYork",
         "schedule.yml:6: schedules.monthly.zone is 'America/NewYork': unknown time zone 'America/NewYork'; "
         "allowed: Africa/Abidjan, Africa/Accra, Africa/Addis_Ababa, … (# in all). Did you mean 'America/New_York'?"),
        ("catch_up: all", "catch_up: al",
         "schedule.yml:7: schedules.monthly.catch_up is 'al'; allowed: none, latest, all. Did you mean 'all'?"),
        ("start: 2013-05-01", "start: 1.5.2013",
         "schedule.yml:8: schedules.monthly.start is '1.5.2013': must be a date such as 2013-05-01"),
        ("start: 2013-05-01", "start: 2013-02-30",
         "schedule.yml:8: schedules.monthly.start is '2013-02-30': day is out of range for month"),
        ("end: 2014-02-01", "end: 2013-05-01",
         "schedule.yml:2: schedules.monthly is #: end 2013-05-01 is not after start 2013-05-01"),
        (CALENDAR, "",
         "schedule.yml:2: schedules.monthly is #: it needs one of cron and calendar, and neither is there"),
        (CALENDAR, f'{CALENDAR}\n    cron: "0 6 3 * *"',
         "schedule.yml:2: schedules.monthly is #: it needs one of cron and calendar, and both are there"),
        ("  monthly:", "  Monthly report:",
         "schedule.yml:1: schedules is #: a schedule is called 'Monthly report'; a key has lower-case letters, "
         "digits, '-' and '_', and begins with a letter or digit"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_a_wrong_schedule_is_named_with_its_line(trial: Workspace, old: str, new: str, message: str) -> None:
    assert hide(said(trial, (old, new))) == message


def hide(text: str) -> str:
    """A message with its quoted mapping, and the number of this machine's time zones, as `#`."""
    return re.sub(r"is \{.*?\.\.\.:|is \{.*\}:", "is #:", re.sub(r"\d+ in all", "# in all", text))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{every: fortnight, at: '06:00'}", "calendar.every is 'fortnight'; allowed: day, week, month, quarter."),
        ("{every: month, on: 3, at: 6:00}", "calendar.at is '6:00': must be a time of day in quotes, "
         'from "00:00" to "23:59"'),
        ("{every: month, on: 3, at: '24:00'}", "calendar.at is '24:00': must be a time of day in quotes, "
         'from "00:00" to "23:59"'),
        ("{every: day, on: 3, at: '06:00'}", "#: on is 3, and a rule for every day takes none; leave it out"),
        ("{every: week, at: '06:00'}", f"#: on is missing; a rule for every week needs one of {WEEKDAYS}"),
        ("{every: week, on: mnday, at: '06:00'}", f"#: on is 'mnday'; a rule for every week takes {WEEKDAYS}. "
         "Did you mean 'monday'?"),
        ("{every: month, on: 29, at: '06:00'}", f"#: on is 29; a rule for every month takes {DAYS}."),
        ("{every: month, on: 0, at: '06:00'}", f"#: on is 0; a rule for every month takes {DAYS}."),
        ("{every: quarter, on: last_buisness_day, at: '06:00'}", "#: on is 'last_buisness_day'; "
         f"a rule for every quarter takes {DAYS}. Did you mean 'last_business_day'?"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_a_wrong_calendar_rule_says_what_it_takes(trial: Workspace, rule: str, message: str) -> None:
    text = hide(said(trial, (CALENDAR, f"calendar: {rule}")))
    assert text.replace("calendar is #", "#") == f"schedule.yml:5: schedules.monthly.{message}"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 6 2 *", "must have five fields: minute, hour, day of month, month, day of week"),
        ("0 0 6 2 * *", "must have five fields: minute, hour, day of month, month, day of week"),
        ("60 6 * * *", "no cron expression: bad minute"),
        ("0 6 31 2 *", "no cron expression: bad day-of-month"),
        ("0 6 * * 1L/2", "no cron expression: bad day-of-week"),
    ],
)
def test_a_wrong_cron_expression_names_the_field(trial: Workspace, expression: str, message: str) -> None:
    text = said(trial, (CALENDAR, f'cron: "{expression}"'))
    assert text == f"schedule.yml:5: schedules.monthly.cron is {expression!r}: {message}"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{period: "{mnth}"}', f"unknown placeholder 'mnth'; allowed: {PLACEHOLDERS}. Did you mean 'month'?"),
        ('{period: "x", levels: ["{days}"]}',
         f"unknown placeholder 'days'; allowed: {PLACEHOLDERS}. Did you mean 'day'?"),
        ("{period: {month}}", '{month} without quotes is a mapping in YAML; write "{month}"'),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_a_wrong_placeholder_names_the_nearest(trial: Workspace, written: str, message: str) -> None:
    text = said(trial, (PARAMETERS, f"parameters: {written}"))
    assert hide(text) == f"schedule.yml:4: schedules.monthly.parameters is #: {message}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("template: review", "template: reviw", "schedule.yml:3: monthly: unknown template 'reviw'; allowed: #. Did "
         "you mean 'review'?"),
        ("period:", "perod:",
         "schedule.yml:4: monthly: review: unknown parameter 'perod'; allowed: as_of, levels, period. "
         "Did you mean 'period'?\n"
         "schedule.yml:4: monthly: review: parameter 'period' is missing: str (the month)"),
        ('"{slot}"', '"{month}"',
         "schedule.yml:4: monthly: review: as_of == '2013-04', must be an ISO date or instant in UTC, such as "
         "'2013-05-01' or '2013-05-01T06:00Z'"),
        ('period: "{month}"', 'period: "{month}", levels: 3',
         "schedule.yml:4: monthly: review: levels == 3, must be a JSON list such as [\"a\", \"b\"] (list[int])"),
    ],
)  # fmt: skip  # its lines group what belongs together
def test_template_and_parameters_are_held_against_the_template(
    trial: Workspace, old: str, new: str, message: str
) -> None:
    assert re.sub(r"(template 'reviw'; allowed: )[^.]*", r"\1#", said(trial, (old, new))) == message


def test_the_problems_of_every_schedule_are_told_at_once(trial: Workspace) -> None:
    two = SCHEDULE.replace('"{slot}"', '"soon"') + SCHEDULE.replace("schedules:\n", "").replace("monthly:", "again:")
    (trial.root / "schedule.yml").write_text(two.replace('"{slot}"', '"later"'), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_schedules(trial)
    assert [line.split(" == ")[0] for line in str(caught.value).splitlines()] == [
        "schedule.yml:4: monthly: review: as_of",
        "schedule.yml:13: again: review: as_of",
    ]


def test_a_damaged_template_is_a_problem_of_the_schedule(trial: Workspace) -> None:
    (trial.root / "templates" / "review.ipynb").write_text("{", encoding="utf-8")
    assert said(trial).startswith("schedule.yml:3: monthly: templates/review.ipynb: not a notebook: ")


def test_a_template_without_parameters_takes_none(trial: Workspace) -> None:
    (trial.root / "templates" / "review.ipynb").write_text(
        make_notebook("1", subject="all").replace("parameters", "no")
    )
    assert said(trial) == (
        "schedule.yml:4: monthly: review: parameter 'period', 'as_of' would have no effect: templates/review.ipynb has "
        "no cell tagged 'parameters'. Tag the cell that sets them (in JupyterLab: Property Inspector, Cell Tags)"
    )


def test_editors_get_a_schema() -> None:
    schema = json.dumps(ScheduleFile.model_json_schema())
    assert all(key in schema for key in ("cron", "calendar", "catch_up", "first_business_day", "{quarter}"))


def test_the_example_that_init_lays_down_is_a_schedule(trial: Workspace) -> None:
    example = Path(toolkit.workspace.__file__).parent / "skeleton" / "schedule.yml.example"
    (trial.root / "schedule.yml").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    (schedule,) = load_schedules(trial).values()
    assert schedule.fill(parse_instant("2026-01-05T06:00Z"))["as_of"] == "2026-01-05"


def test_the_months_of_the_flights_example() -> None:
    example = Path(toolkit.examples.__file__).parent / "flights_workspace" / "schedule.yml"
    document = read_yaml(example)
    (schedule,) = ScheduleFile.model_validate(document.data).schedules.values()
    months = [schedule.fill(slot)["period"] for slot in schedule.list_slots(*schedule.span)]
    assert months == [f"2013-{month:02d}" for month in range(4, 13)]
