"""Texts in little room."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters; of a longer one the beginning, and an ellipsis.

    >>> shortened("wind_speed_mph", 20), shortened("wind_speed_mph", 8)
    ('wind_speed_mph', 'wind_sp…')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
