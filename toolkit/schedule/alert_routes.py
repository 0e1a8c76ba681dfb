"""`alerts.yml`: who is told of what, on which way, and when not."""

from __future__ import annotations

from datetime import datetime, time
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from toolkit.checks import unknown_name_message
from toolkit.errors import ParameterError, TemplateError, UnknownNameError
from toolkit.reports import find_template
from toolkit.schedule.fields import TimeOfDay, ZoneName, check_keys
from toolkit.signals.groups.harm import LEVELS, Level
from toolkit.signals.lifecycle.alert_rules import AlertRule
from toolkit.signals.signal import Family
from toolkit.workspace import Definition, Problem, Workspace
from toolkit.workspace.secrets import is_secret_reference, secret_name

ALERTS_FILE = "alerts.yml"


class QuietHours(Definition):
    """Hours of every day in which nobody is told; what was found meanwhile is told at the first call after them."""

    start: TimeOfDay = Field(description='the local time at which they begin, such as "22:00"')
    end: TimeOfDay = Field(description='the local time at which they are over, such as "07:00"')
    zone: ZoneName = Field(description="IANA name of the time zone")
    but: Literal["low", "medium", "high"] | None = Field(
        default=None, description="signal groups of this severity or more are told all the same"
    )

    @model_validator(mode="after")
    def _is_a_part_of_the_day(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start}; a route that nobody is to be told on is left out")
        return self

    def hold(self, now: datetime, level: Level) -> bool:
        """Whether nobody is told at an instant of something so severe.

        >>> from toolkit.windows import parse_instant
        >>> quiet = QuietHours(start="22:00", end="07:00", zone="UTC", but="high")
        >>> midnight = parse_instant("2013-05-01")
        >>> quiet.hold(midnight, "medium"), quiet.hold(midnight, "high")
        (True, False)
        """
        if self.but is not None and LEVELS.index(level) >= LEVELS.index(self.but):
            return False
        local = now.astimezone(ZoneInfo(self.zone)).time()
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        return start <= local < end if start < end else local >= start or local < end


class Route(Definition):
    """One way to people: where to, of what they are told, and when not."""

    to: str = Field(description="secret:NAME of the URL, as apprise writes it; a URL holds what opens it")
    owner: str = Field(min_length=1, description="who answers for it")
    severity: Level = Field(default="medium", description="signal groups of this severity or more are told")
    families: tuple[Family, ...] = Field(default=(), description="only of these families; every one by default")
    models: tuple[str, ...] = Field(default=(), description="only of these models; every one by default")
    repeat_days: int | None = Field(default=None, ge=1, description="what goes on is told again after so many days")
    most: int = Field(default=5, ge=1, description="more signal groups than this at once are folded into one message")
    quiet: QuietHours | None = Field(default=None, description="hours in which nobody is told")
    digests: tuple[str, ...] = Field(default=(), description="templates of whose published reports a digest is sent")
    report_url: str | None = Field(
        default=None, description="where people read a report: a URL in which {reference} stands for it"
    )

    @field_validator("to")
    @classmethod
    def _is_a_secret(cls, value: str) -> str:
        if not is_secret_reference(value):
            raise ValueError(
                "must be secret:NAME, the name of an environment variable or an entry of the keyring that holds the URL"
            )
        try:
            secret_name(value)
        except ParameterError as err:
            raise ValueError(str(err)) from None
        return value

    @property
    def rule(self) -> AlertRule:
        """Of which signal groups people are told."""
        return AlertRule(self.severity, self.families, self.models, self.repeat_days)

    def is_quiet(self, now: datetime, level: Level) -> bool:
        """Whether nobody is told at an instant of something so severe."""
        return self.quiet is not None and self.quiet.hold(now, level)


class AlertsFile(Definition):
    """`alerts.yml`: routes by key."""

    fresh_days: int = Field(
        default=7, ge=1, description="nobody is told of a report as of an instant that is longer ago than this"
    )
    routes: dict[str, Route] = Field(description="ways to people by key")

    @field_validator("routes")
    @classmethod
    def _have_plain_keys(cls, value: dict[str, Route]) -> dict[str, Route]:
        check_keys(value, noun="route")
        return value


def load_alerts(workspace: Workspace) -> AlertsFile | None:
    """The routes of `alerts.yml`, held against models and templates; None when there is no such file.

    Raises `DefinitionError` with every problem of the file.
    """
    if not (workspace.root / ALERTS_FILE).is_file():
        return None
    alerts = workspace.load(ALERTS_FILE, AlertsFile)
    problems = [problem for key, route in alerts.routes.items() for problem in _find_problems(workspace, key, route)]
    if problems:
        raise workspace.error_in(ALERTS_FILE, problems)
    return alerts


def _find_problems(workspace: Workspace, key: str, route: Route) -> list[Problem]:
    problems = []
    known = workspace.keys("models")
    for model in route.models:
        if model not in known:
            message = unknown_name_message(model, known, noun="model")
            problems.append(Problem(["routes", key, "models"], f"routes.{key}.models: {message}"))
    for name in route.digests:
        try:
            find_template(workspace, name)
        except (UnknownNameError, TemplateError) as err:
            problems.append(Problem(["routes", key, "digests"], f"routes.{key}.digests: {err}"))
    return problems
