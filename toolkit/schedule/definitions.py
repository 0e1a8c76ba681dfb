"""`schedule.yml`: which template runs when, for whom, and what happens to slots that were missed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from toolkit.checks import nearest, unknown_name_message
from toolkit.errors import ParameterError, TemplateError, UnknownNameError
from toolkit.reports import check_parameters, find_template
from toolkit.schedule.fields import TimeOfDay, ZoneName, check_keys
from toolkit.schedule.slots import ENDS, PLACEHOLDERS, WEEKDAYS, list_slots, placeholders, to_instant
from toolkit.workspace import Definition, Problem, Workspace

SCHEDULE_FILE = "schedule.yml"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_FOREVER = datetime.max.replace(tzinfo=UTC)
_LATEST_NUMBERED_DAY = 28  # every month has it


class CalendarRule(Definition):
    """A rule of the calendar: one slot in each `every`, at the local time `at`, on the day `on`.

    `on` is absent for `day`, a weekday for `week`, and for `month` and `quarter` the number of a day counted from the
    period's first (1 to 28), `first_business_day`, `last_business_day` (Monday to Friday; no holidays) or `last_day`.
    """

    every: Literal["day", "week", "month", "quarter"] = Field(description="one slot in each")
    at: TimeOfDay = Field(description='local time of day, such as "06:00"')
    on: StrictInt | StrictStr | None = Field(
        default=None,
        description="day: leave it out; week: monday … sunday; month, quarter: 1 … 28, first_business_day, "
        "last_business_day or last_day",
    )

    @model_validator(mode="after")
    def _has_its_day(self) -> Self:
        on = self.on
        if self.every == "day":
            if on is not None:
                raise ValueError(f"on is {on!r}, and a rule for every day takes none; leave it out")
        elif self.every == "week":
            if on not in WEEKDAYS:
                raise ValueError(_wrong_day(on, self.every, ", ".join(WEEKDAYS), WEEKDAYS))
        elif not (on in ENDS or (isinstance(on, int) and 1 <= on <= _LATEST_NUMBERED_DAY)):
            raise ValueError(_wrong_day(on, self.every, ", ".join(["1 to 28", *ENDS]), ENDS))
        return self

    @property
    def time_of_day(self) -> time:
        """The local time of day."""
        return time.fromisoformat(self.at)


class ScheduleDefinition(Definition):
    """One schedule: a template, its parameters, when it runs, and what happens to slots that were missed.

    `catch_up` is about slots that nobody ran when they were due: `all` runs each, in order; `latest` only the newest
    slot; `none` only the newest slot, and only until a day after it.
    """

    template: str = Field(description="the template that is run")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="its parameters; text may hold {slot}, {today}, {day}, {week}, {month} and {quarter}",
    )
    cron: str | None = Field(default=None, description='five cron fields, such as "0 6 2 * *"; or a calendar rule')
    calendar: CalendarRule | None = Field(default=None, description="a calendar rule; or a cron expression")
    zone: ZoneName = Field(description="IANA name of the time zone that cron, calendar, start and end are read in")
    catch_up: Literal["none", "latest", "all"] = Field(description="which missed slots are still run")
    start: date = Field(description="the first day that has slots, in the zone")
    end: date | None = Field(default=None, description="the first day that has none any more, in the zone")
    owner: str = Field(min_length=1, description="who answers for the reports")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        if value is None or type(value) is date:
            return value
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
        raise ValueError("must be a date such as 2013-05-01")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value.split()) != 5:
            raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
        from cronsim import CronSim, CronSimError

        try:
            CronSim(value, datetime(2013, 1, 1, tzinfo=UTC))
        except CronSimError as err:
            raise ValueError(f"no cron expression: {str(err).lower()}") from None
        return value

    @field_validator("parameters")
    @classmethod
    def _know_their_placeholders(cls, value: dict[str, Any]) -> dict[str, Any]:
        for item in value.values():
            _walk(item, _check_text)
        return value

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        if (self.cron is None) == (self.calendar is None):
            given = "neither is" if self.cron is None else "both are"
            raise ValueError(f"it needs one of cron and calendar, and {given} there")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        return self

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The instants from which and before which there are slots."""
        zone = ZoneInfo(self.zone)
        first = to_instant(datetime.combine(self.start, time()), zone)
        if self.end is None:
            return first, _FOREVER
        return first, to_instant(datetime.combine(self.end, time()), zone)

    def list_slots(self, start: datetime, stop: datetime) -> Iterator[datetime]:
        """The slots of the rule from `start` and before `stop`, in order, whatever `start` and `end` say."""
        rule = self.cron if self.cron is not None else self.calendar
        assert rule is not None
        return list_slots(rule, self.zone, start=start, stop=stop)

    def fill(self, slot: datetime) -> dict[str, Any]:
        """The parameters of one slot."""
        values = placeholders(slot, self.zone)

        def fill(text: str) -> str:
            return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

        return {name: _walk(value, fill) for name, value in self.parameters.items()}


class ScheduleFile(Definition):
    """`schedule.yml`: schedules by key."""

    schedules: dict[str, ScheduleDefinition] = Field(description="schedules by key")

    @field_validator("schedules")
    @classmethod
    def _have_plain_keys(cls, value: dict[str, ScheduleDefinition]) -> dict[str, ScheduleDefinition]:
        check_keys(value, noun="schedule")
        return value


def load_schedules(workspace: Workspace) -> dict[str, ScheduleDefinition]:
    """The schedules of `schedule.yml` by key, held against their templates; none when there is no such file.

    Raises `DefinitionError` with every problem of the file: also for a template or a parameter that is not there, and
    for a parameter that the template cannot take at the schedule's first slot.
    """
    if not (workspace.root / SCHEDULE_FILE).is_file():
        return {}
    schedules = workspace.load(SCHEDULE_FILE, ScheduleFile).schedules
    problems = [problem for key, schedule in schedules.items() for problem in _find_problems(workspace, key, schedule)]
    if problems:
        raise workspace.error_in(SCHEDULE_FILE, problems)
    return schedules


def _find_problems(workspace: Workspace, key: str, schedule: ScheduleDefinition) -> Iterable[Problem]:
    at = ["schedules", key]
    try:
        template = find_template(workspace, schedule.template)
    except (UnknownNameError, TemplateError) as err:
        yield Problem([*at, "template"], f"{key}: {err}")
        return
    first = schedule.span[0]
    try:
        check_parameters(workspace, template, schedule.fill(next(schedule.list_slots(first, _FOREVER), first)))
    except (ParameterError, TemplateError) as err:
        for line in str(err).splitlines():
            yield Problem([*at, "parameters"], f"{key}: {schedule.template}: {line}")


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    """A parameter's value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if item is None and key in PLACEHOLDERS:
                raise ValueError(f'{{{key}}} without quotes is a mapping in YAML; write "{{{key}}}"')
        return {key: _walk(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    return value


def _check_text(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            raise ValueError(unknown_name_message(name, PLACEHOLDERS, noun="placeholder"))
    return text


def _wrong_day(on: object, every: str, allowed: str, names: Iterable[str]) -> str:
    if on is None:
        return f"on is missing; a rule for every {every} needs one of {allowed}"
    close = nearest(str(on), names)
    hint = f" Did you mean {close!r}?" if close else ""
    return f"on is {on!r}; a rule for every {every} takes {allowed}.{hint}"
