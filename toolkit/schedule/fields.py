"""What the room's files have in common: times of day, time zones, and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

from toolkit.checks import unknown_name_message

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _check_time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError('must be a time of day in quotes, from "00:00" to "23:59"')
    return value


def _check_zone(value: str) -> str:
    known = available_timezones()
    if value not in known:
        raise ValueError(unknown_name_message(value, known, noun="time zone", most=3))
    return value


TimeOfDay = Annotated[str, AfterValidator(_check_time)]
"""A local time of day as text, such as `06:00`."""

ZoneName = Annotated[str, AfterValidator(_check_zone)]
"""The IANA name of a time zone."""


def check_keys(keys: Iterable[str], *, noun: str) -> None:
    """Raise `ValueError` for a key that could not be a file's name everywhere."""
    for key in keys:
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"a {noun} is called {key!r}; a key has lower-case letters, digits, '-' and '_', and begins with a "
                "letter or digit"
            )
