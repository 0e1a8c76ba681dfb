"""The versions in predictions beside those of `models/*.yml`: which are not defined, whose reference is empty."""

from __future__ import annotations

from datetime import date, timedelta

from toolkit.checks import unknown_name_message
from toolkit.data.days import window_of_days
from toolkit.data.models import ModelDefinition, VersionDefinition
from toolkit.data.source import Source
from toolkit.errors import DefinitionError, UnknownNameError
from toolkit.windows import Window


def days_of_versions(source: Source, model: str) -> dict[str, Window]:
    """From the first to the last day that predictions have of each version of `model`. Raises `ContractError`."""
    return {version: window_of_days(first, last) for key, version, first, last in source.version_days() if key == model}


def defined_version(source: Source, model: ModelDefinition, version: str) -> VersionDefinition:
    """The definition of a version that serves; `UnknownNameError` says since when it does, and where to add it."""
    if version not in model.versions:
        what = unknown_version(model, version, days_of_versions(source, model.key).get(version))
        raise UnknownNameError(f"{what}: {how_to_define(model)}")
    return model.versions[version]


def unknown_version(model: ModelDefinition, version: str, days: Window | None) -> str:
    """What is said of a version that predictions have and the model's file has not."""
    unknown = unknown_name_message(version, model.versions, noun=f"version of model {model.key}")
    found = f"Predictions from {days.first_day} to {days.last_day} have it" if days else "Predictions have it"
    return f"{unknown} {found}"


def how_to_define(model: ModelDefinition) -> str:
    """What to do about a version that is not defined."""
    return (
        f"add it under versions: in models/{model.key}.yml, with the period that it was trained on and its reference "
        "period"
    )


def empty_reference(source: Source, model: ModelDefinition, version: str, *, looked_at: Window) -> DefinitionError:
    """The error for a reference period in which the version has no request: nothing can be compared with it."""
    days = days_of_versions(source, model.key).get(version)
    there = f"; its predictions are of {days.label}" if days else ""
    last: date = looked_at.first_day - timedelta(days=1)
    fix = (
        f"Give it a period between {days.first_day} and {last}, before the days that are looked at ({looked_at.label})"
        if days and days.first_day <= last
        else f"No day is left before those that are looked at ({looked_at.label}): look at fewer (window_days), or wait"
    )
    return DefinitionError(
        f"models/{model.key}.yml: {_reference_of(model, version)}, and version {version} has no request then{there}. "
        f"{fix}"
    )


def reference_apart(model: ModelDefinition, version: str, days: Window) -> str:
    """What is said of a reference period outside the days of its version; "" when it is within or touches them."""
    if days.overlaps(model.versions[version].reference.window):
        return ""
    return f"{_reference_of(model, version)}, when it has no predictions; they are of {days.label}"


def _reference_of(model: ModelDefinition, version: str) -> str:
    return f"reference of version {version} is {model.versions[version].reference.window.label}"
