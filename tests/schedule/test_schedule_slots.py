"""The arithmetic of slots, held against a method that knows no rule: every minute is asked whether it is one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.schedule.definitions import CalendarRule
from toolkit.schedule.slots import list_slots, placeholders, to_instant
from toolkit.windows import parse_instant

NEW_YORK = "America/New_York"
ZONES = [NEW_YORK, "UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]
MINUTE = timedelta(minutes=1)
MOMENTS = st.datetimes(datetime.fromisoformat("2005-01-01"), datetime.fromisoformat("2030-01-01"))


def found(rule: str | CalendarRule, zone: str, start: str, stop: str) -> list[str]:
    slots = list_slots(rule, zone, start=parse_instant(start), stop=parse_instant(stop))
    return [f"{slot:%Y-%m-%d %H:%M}" for slot in slots]


def every(period: str, at: str = "06:00", on: int | str | None = None) -> CalendarRule:
    return CalendarRule(every=period, at=at, on=on)


def days(**times: str) -> list[str]:
    """Times in UTC by day of March or November 2013: `mar9="07:00 07:30"`."""
    months = {"mar": "03", "nov": "11"}
    return [f"2013-{months[day[:3]]}-{int(day[3:]):02d} {at}" for day, listed in times.items() for at in listed.split()]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", days(mar9="07:30", mar10="07:00", mar11="06:30")),  # skipped: after the gap
        ("0,30 2 * * *", days(mar9="07:00 07:30", mar10="07:00", mar11="06:00 06:30")),
        ("0 2,3 * * *", days(mar9="07:00 08:00", mar10="07:00", mar11="06:00 07:00")),
        ("*/30 1-3 10 * *", days(mar10="06:00 06:30 07:00 07:30")),
        ("30 */6 10 * *", days(mar10="05:30 10:30 16:30 22:30")),
    ],
)
def test_clocks_put_forward(expression: str, expected: list[str]) -> None:
    assert found(expression, NEW_YORK, "2013-03-09T05:00Z", "2013-03-12T04:00Z") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", days(nov2="05:30", nov3="05:30", nov4="06:30")),  # repeated: the first of two
        ("*/30 1 * * 0", days(nov3="05:00 05:30 06:00 06:30")),
        ("0 */3 3 * *", days(nov3="04:00 08:00 11:00 14:00 17:00 20:00 23:00", nov4="02:00")),
        ("15 0-2 3 * *", days(nov3="04:15 05:15 07:15")),
    ],
)
def test_clocks_put_back(expression: str, expected: list[str]) -> None:
    assert found(expression, NEW_YORK, "2013-11-02T04:00Z", "2013-11-05T05:00Z") == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (every("day"), ["2013-02-28 11:00", "2013-03-01 11:00"]),
        (every("day", at="23:59"), ["2013-02-28 04:59", "2013-03-01 04:59"]),
    ],
)
def test_a_slot_at_the_start_counts_and_one_at_the_end_does_not(rule: CalendarRule, expected: list[str]) -> None:
    first, stop = f"{expected[0].replace(' ', 'T')}Z", f"2013-03-02T{expected[0][11:]}Z"
    assert found(rule, NEW_YORK, first, stop) == expected


def test_weeks_and_days_of_months_and_quarters() -> None:
    year = ("2013-01-01", "2014-01-01")
    weeks = found(every("week", on="thursday"), NEW_YORK, *year)
    assert (weeks[0], len(weeks)) == ("2013-01-03 11:00", 52)
    days = {
        (28, "month"): ["01-28", "02-28", "03-28", "04-28"],
        ("last_day", "month"): ["01-31", "02-28", "03-31", "04-30"],
        ("first_business_day", "month"): ["01-01", "02-01", "03-01", "04-01"],  # a holiday is not known
        ("last_business_day", "month"): ["01-31", "02-28", "03-29", "04-30"],
        (3, "quarter"): ["01-03", "04-03", "07-03", "10-03"],
        ("last_day", "quarter"): ["03-31", "06-30", "09-30", "12-31"],
        ("first_business_day", "quarter"): ["01-01", "04-01", "07-01", "10-01"],
        ("last_business_day", "quarter"): ["03-29", "06-28", "09-30", "12-31"],
    }
    for (on, period), expected in days.items():
        slots = found(every(period, on=on), NEW_YORK, *year)
        assert [slot[5:10] for slot in slots[:4]] == expected, (on, period)
        assert len(slots) == {"month": 12, "quarter": 4}[period]


def test_a_local_day_that_never_was_makes_no_second_slot() -> None:
    slots = found(every("day", at="00:00"), "Pacific/Apia", "2011-12-28", "2012-01-02")  # there was no 30 December
    assert slots == [f"{day} 10:00" for day in ("2011-12-28", "2011-12-29", "2011-12-30", "2011-12-31", "2012-01-01")]


@given(
    zone=st.sampled_from(ZONES),
    first=MOMENTS,
    at=st.times(),
)
def test_a_fixed_time_is_one_slot_a_day_by_cron_and_by_calendar(zone: str, first: datetime, at: time) -> None:
    start = first.replace(tzinfo=UTC)
    stop = start + timedelta(days=20)
    by_cron = list(list_slots(f"{at.minute} {at.hour} * * *", zone, start=start, stop=stop))
    assert by_cron == list(list_slots(every("day", at=f"{at:%H:%M}"), zone, start=start, stop=stop))
    midnight = datetime.combine(start.date(), time())
    local = [midnight + timedelta(days=day, hours=at.hour, minutes=at.minute) for day in range(-2, 23)]
    instants = {to_instant(each, ZoneInfo(zone)) for each in local}
    assert by_cron == sorted(instant for instant in instants if start <= instant < stop)


@settings(deadline=None)
@given(
    zone=st.sampled_from([zone for zone in ZONES if zone != "Australia/Lord_Howe"]),
    day=st.sampled_from(["2013-03-09", "2013-03-30", "2013-04-06", "2013-10-19", "2013-11-02", "2011-12-29"]),
    minutes=st.sampled_from(["*", "*/7", "*/30"]),
    hours=st.sampled_from(["*", "1", "2,3", "*/5", "0"]),
)
def test_a_star_follows_real_time(zone: str, day: str, minutes: str, hours: str) -> None:
    start = parse_instant(day)
    stop = start + timedelta(days=2)

    def comes(field: str, value: int) -> bool:
        if field.startswith("*"):
            return value % int(field[2:] or 1) == 0
        return value in map(int, field.split(","))

    asked = [start + number * MINUTE for number in range(2 * 24 * 60)]
    local = {instant: instant.astimezone(ZoneInfo(zone)) for instant in asked}
    expected = [
        instant for instant in asked if comes(minutes, local[instant].minute) and comes(hours, local[instant].hour)
    ]
    assert list(list_slots(f"{minutes} {hours} * * *", zone, start=start, stop=stop)) == expected


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        ("2013-05-01T04:00Z", ["2013-05-01", "2013-04-30", "2013-W17", "2013-04", "2013-Q1"]),  # midnight in New York
        ("2013-05-01T03:59Z", ["2013-04-30", "2013-04-29", "2013-W17", "2013-03", "2013-Q1"]),
        ("2013-07-01T10:00Z", ["2013-07-01", "2013-06-30", "2013-W26", "2013-06", "2013-Q2"]),
        ("2014-01-03T11:00Z", ["2014-01-03", "2014-01-02", "2013-W52", "2013-12", "2013-Q4"]),
        ("2016-01-10T11:00Z", ["2016-01-10", "2016-01-09", "2015-W53", "2015-12", "2015-Q4"]),
    ],
)
def test_placeholders_are_what_was_over_in_the_zone(slot: str, expected: list[str]) -> None:
    values = placeholders(parse_instant(slot), NEW_YORK)
    assert [values[name] for name in ("today", "day", "week", "month", "quarter")] == expected
    assert parse_instant(values["slot"]) == parse_instant(slot)


@given(slot=MOMENTS, zone=st.sampled_from(ZONES))
def test_no_placeholder_reaches_into_the_day_of_the_slot(slot: datetime, zone: str) -> None:
    values = placeholders(slot.replace(tzinfo=UTC), zone)
    today = date.fromisoformat(values["today"])
    year, week = values["week"].split("-W")
    sunday = date.fromisocalendar(int(year), int(week), 7)
    assert sunday < today <= sunday + timedelta(days=7)
    assert date.fromisoformat(values["day"]) + timedelta(days=1) == today
    assert values["month"] == f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
    year, quarter = values["quarter"].split("-Q")
    months = (int(year) * 4 + int(quarter)) * 3  # months up to the quarter's end
    assert today.year * 12 + today.month - 1 in range(months, months + 3)


def test_slots_are_found_lazily() -> None:
    forever = list_slots("0 0 29 2 *", "UTC", start=parse_instant("2013-01-01"), stop=datetime.max.replace(tzinfo=UTC))
    assert [slot.year for slot in islice(forever, 3)] == [2016, 2020, 2024]
