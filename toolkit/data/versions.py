"""The versions in predictions beside those of `models/*.yml`: which are not defined, whose reference is empty."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from toolkit.checks import unknown_name_message
from toolkit.data.models import ModelDefinition, VersionDefinition
from toolkit.data.source import Source
from toolkit.errors import DefinitionError, UnknownNameError
from toolkit.windows import Window


class Days(NamedTuple):
    """The first and the last day of something, both included."""

    first: date
    last: date

    @property
    def label(self) -> str:
        """As windows are written."""
        return f"{self.first} … {self.last}"

    def touches(self, window: Window) -> bool:
        """Whether any of them lies in `window`."""
        return self.first <= window.last_day and window.first_day <= self.last


def days_of_versions(source: Source, model: str) -> dict[str, Days]:
    """The days of each version of `model` that predictions hold. Raises `ContractError`."""
    return {
        version: Days(date.fromisoformat(first), date.fromisoformat(last))
        for key, version, first, last in source.version_days()
        if key == model
    }


def defined_version(source: Source, model: ModelDefinition, version: str) -> VersionDefinition:
    """The definition of a version that serves; `UnknownNameError` says since when it does, and where to add it."""
    if version not in model.versions:
        raise UnknownNameError(unknown_version(model, version, days_of_versions(source, model.key).get(version)))
    return model.versions[version]


def unknown_version(model: ModelDefinition, version: str, days: Days | None) -> str:
    """What is said of a version that predictions have and the model's file has not."""
    unknown = unknown_name_message(version, model.versions, noun=f"version of model {model.key}")
    found = f"Predictions from {days.first} to {days.last} have it" if days else "Predictions have it"
    return (
        f"{unknown} {found}: add it under versions: in models/{model.key}.yml, with the period that it was trained on "
        f"and its reference period"
    )


def empty_reference(source: Source, model: ModelDefinition, version: str, *, looked_at: Window) -> DefinitionError:
    """The error for a reference period in which the version has no request: nothing can be compared with it."""
    days = days_of_versions(source, model.key).get(version)
    there = f"; its predictions are of {days.label}" if days else ""
    before = looked_at.first_day - timedelta(days=1)
    fix = (
        f"Give it a period between {days.first} and {before}, before the days that are looked at"
        if days and days.first <= before
        else "Wait until there are days before those that are looked at, or look at fewer (window_days)"
    )
    return DefinitionError(
        f"{_reference_of(model, version)}, and version {version} has no request then{there}. {fix} ({looked_at.label})"
    )


def reference_apart(model: ModelDefinition, version: str, days: Days) -> str:
    """What is said of a reference period outside the days of its version; "" when it is within or touches them."""
    if days.touches(model.versions[version].reference.window):
        return ""
    return (
        f"{_reference_of(model, version)}, when there are no predictions of version {version}; they are of {days.label}"
    )


def _reference_of(model: ModelDefinition, version: str) -> str:
    period = model.versions[version].reference.window.label
    return f"models/{model.key}.yml: reference of version {version} is {period}"
