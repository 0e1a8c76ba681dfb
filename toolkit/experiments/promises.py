"""The pieces of `experiments/<key>.yml`: what a plan promises about variants, metrics, looks, groups and limits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from toolkit.checks import unknown_name_message
from toolkit.digests import ASSIGNMENT_HASHES
from toolkit.errors import ArgumentError
from toolkit.metrics.kinds import Scalar
from toolkit.windows import parse_instant
from toolkit.workspace import Definition

Role = Literal["primary", "secondary", "guardrail", "data_quality", "budget"]
"""What a metric of a plan is there for. `budget`: only its level in the treatment is held against a limit."""


class Assignment(Definition):
    """The hash that assigned units to variants; see `toolkit.digests.assign_variant`."""

    hash: str = Field(description="the hash, such as flagd-fractional")
    version: int = Field(description="its version")
    key: str = Field(min_length=1, description="the key that is hashed with the unit's id; mostly the flag's")

    @field_validator("hash")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return one_of(value, ASSIGNMENT_HASHES, noun="assignment hash")

    @field_validator("version")
    @classmethod
    def _has_version(cls, value: int, info: ValidationInfo) -> int:
        versions = ASSIGNMENT_HASHES.get(info.data.get("hash", ""), (value,))
        if value not in versions:
            raise ValueError(f"{info.data['hash']} has versions {', '.join(map(str, versions))}")
        return value


class VariantDefinition(Definition):
    """A variant: the model version that serves it, its whole-number weight in the assignment, its configuration."""

    version: str = Field(description="the model version that serves it")
    weight: int = Field(default=1, ge=0, description="its whole-number weight in the assignment; of all or of none")
    configuration: dict[str, JsonValue] = Field(
        default_factory=dict, description="the feature configuration that it runs with, by name"
    )


class Guardrail(Definition):
    """A metric that may not get worse by `margin`, in the metric's unit."""

    metric: str = Field(description="key of the metric, in metrics.yml")
    margin: float = Field(gt=0, description="it may not get worse by this much, in the metric's unit")


class QualityMetric(Guardrail):
    """A data-quality metric: it must be equivalent in all variants, within `margin` to either side."""

    margin: float = Field(gt=0, description="it must be the same within this, to either side, in the metric's unit")


class Budget(Definition):
    """An operational limit on a treatment's own level of a metric, whatever the control's is."""

    metric: str = Field(description="key of the metric, in metrics.yml")
    at_most: float | None = Field(default=None, description="the treatment's level may be this and no more")
    at_least: float | None = Field(default=None, description="the treatment's level must be this or more")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise ValueError("a budget needs at_most or at_least")
        if self.at_most is not None and self.at_least is not None and self.at_least >= self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) must be below at_most ({self.at_most:g})")
        return self

    @property
    def text(self) -> str:
        """The limit, as `at most 200`.

        >>> Budget(metric="latency", at_least=1, at_most=200).text
        'at least 1 and at most 200'
        """
        low = [] if self.at_least is None else [f"at least {self.at_least:g}"]
        high = [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return " and ".join([*low, *high])


class Condition(Definition):
    """Something that people must have settled before a launch: compliance, capacity, risk."""

    name: str = Field(min_length=1, description="what it is called, such as compliance")
    text: str = Field(min_length=1, description="what must be so")
    met: bool = Field(description="whether it is so")
    evidence: str = Field(default="", description="where one can see it: a page, a ticket, a name and a day")


class Covariate(Definition):
    """What is known of a unit before its exposure and explains part of a metric: its own past, or a request's column.

    Either `metric`, over the unit's requests in the `days` before its exposure, or `column`, an SQL scalar over columns
    of predictions that are known when a unit is assigned.
    """

    metric: str | None = Field(default=None, description="key of a metric: its value over the unit's own past")
    days: int | None = Field(default=None, ge=1, description="so many days of the unit's past; 28 if left out")
    column: Scalar | None = Field(
        default=None, description="column or SQL scalar (DuckDB) that is known when the unit is assigned"
    )

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.metric is None) == (self.column is None):
            raise ValueError("a covariate is either a metric (over days before) or a column")
        if self.column is not None and self.days is not None:
            raise ValueError("days belong to a metric's past; a column takes none")
        return self

    @property
    def past_days(self) -> int:
        """The days of a unit's past that count; 0 for a column."""
        return 0 if self.metric is None else self.days or DEFAULT_PAST_DAYS

    @property
    def label(self) -> str:
        """How it is called: `brier over 28 days before`, or the column."""
        days = self.past_days
        if self.metric is None:
            return str(self.column)
        return f"{self.metric} over {days} day{'' if days == 1 else 's'} before"


DEFAULT_PAST_DAYS = 28
"""Four whole weeks of a unit's past, so that each weekday counts the same."""


class VulnerableGroup(Definition):
    """A group that the treatment could harm: the guardrails that watch it there, with their own margins."""

    segment: str = Field(description="a column of predictions, or a segmentation of metrics.yml")
    value: str = Field(min_length=1, description="the group: one value of it")
    why: str = Field(min_length=1, description="what could happen to it")
    metrics: tuple[str, ...] = Field(default=(), description="keys of the guardrails that watch it; all if left out")

    @property
    def label(self) -> str:
        """`segment=value`, as rows say it."""
        return f"{self.segment}={self.value}"


class LabelMaturity(Definition):
    """How long after the window labels are waited for, and the share of answered requests that must have one."""

    days: int = Field(ge=0, description="so many days after the window labels are waited for")
    minimum_share: float = Field(gt=0, le=1, description="the share of answered requests that must have a label")


class LookDesign(Definition):
    """When the experiment may be read, and what keeps its error rate when it is read more than once.

    `fixed`: once, at the end. `group_sequential`: at `looks` and at the end; each spends a part of alpha that the
    spending function sets by the information so far. `always_valid`: at any time, by a confidence sequence.
    """

    kind: Literal["fixed", "group_sequential", "always_valid"] = Field(
        default="fixed", description="read once at the end, at planned looks, or at any time"
    )
    spending: Literal["obrien_fleming", "pocock", "power"] = Field(
        default="obrien_fleming", description="how alpha is spent over planned looks: little at first, evenly, or t^rho"
    )
    rho: float = Field(default=3.0, gt=0, description="the exponent of spending: power")
    looks: tuple[str, ...] = Field(
        default=(), description="the as-of instants of the looks before the last, which is when the window has matured"
    )
    units: int | None = Field(
        default=None,
        gt=0,
        description="exposed units planned in all: the information; if left out, the share of the window that has gone",
    )
    tune_units: int = Field(
        default=5000, gt=0, description="exposed units at which a confidence sequence is narrowest, as a multiple"
    )
    harm: bool = Field(default=True, description="a look before the last may stop for harm")
    futility: bool = Field(default=False, description="a planned look may stop because a win has become unlikely")

    @field_validator("looks")
    @classmethod
    def _increase(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        before: datetime | None = None
        for text in value:
            try:
                instant = parse_instant(text, name="look")
            except ArgumentError as err:
                raise ValueError(str(err)) from None
            if before is not None and instant <= before:
                raise ValueError(f"looks must increase, and {text} does not lie after the one before it")
            before = instant
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.kind == "group_sequential" and not self.looks:
            raise ValueError(
                "a group sequential design needs looks before the end, such as [2030-02-01]; without any it is fixed"
            )
        if self.kind == "fixed" and self.looks:
            raise ValueError("a fixed design is read once, at the end; write kind: group_sequential or leave looks out")
        if self.kind == "always_valid" and self.looks:
            raise ValueError("an always-valid design may be read at any time; leave looks out")
        if self.kind == "fixed" and self.futility:
            raise ValueError("a fixed design is read once, at the end; futility needs looks before it")
        if "rho" in self.model_fields_set and self.spending != "power":
            raise ValueError(f"rho belongs to spending: power, and spending is {self.spending}")
        return self

    @property
    def instants(self) -> tuple[datetime, ...]:
        """The looks before the last, as instants."""
        return tuple(parse_instant(text, name="look") for text in self.looks)

    @property
    def text(self) -> str:
        """The design in one sentence, or "" for a fixed one."""
        if self.kind == "fixed":
            return ""
        if self.kind == "always_valid":
            return (
                f"May be read at any time: confidence sequences, narrowest at {self.tune_units:,} units"
                f"{'; a look may stop for harm' if self.harm else ''}."
            )
        family = {"obrien_fleming": "O'Brien–Fleming", "pocock": "Pocock", "power": f"power {self.rho:g}"}[
            self.spending
        ]
        stops = [*(["harm"] if self.harm else []), *(["futility"] if self.futility else [])]
        halt = f"; a look before the last may stop for {' or '.join(stops)}" if stops else ""
        return f"{len(self.looks) + 1} planned looks, alpha spent by the {family} function{halt}."


def one_of(value: str, allowed: Iterable[str], *, noun: str) -> str:
    """Return `value` if it is allowed, else raise what pydantic wants: a plain ValueError."""
    names = list(allowed)
    if value not in names:
        raise ValueError(unknown_name_message(value, names, noun=noun))
    return value
