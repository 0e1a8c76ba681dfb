"""What the tests of the example share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Built(NamedTuple):
    """The example, built once: its folder, what was said meanwhile, and its tables."""

    root: Path
    said: list[str]
    predictions: pd.DataFrame
    outcomes: pd.DataFrame
    exposures: pd.DataFrame
    deployments: pd.DataFrame
    attributions: pd.DataFrame
    incidents: pd.DataFrame
    business: pd.DataFrame


def at(text: str) -> pd.Timestamp:
    """An instant in UTC."""
    return pd.Timestamp(text, tz="UTC")
