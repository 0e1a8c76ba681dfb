"""What the tests of moments need of the units (see `units` in conftest.py), and how they lie in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.metrics.moment_table import Needs

if TYPE_CHECKING:
    import pandas as pd

RATIO = ("orders", "sessions", "orders_before", "sessions_before")
NEEDS = Needs.of("converted") | Needs.of("revenue", "revenue_before") | Needs.of(*RATIO)


def stored(connection: Any, frame: pd.DataFrame, folder: Path) -> Any:
    """The frame as a Parquet file, which is what moments are mostly collected from."""
    path = folder / f"rows-{len(list(folder.iterdir()))}.parquet"
    frame.to_parquet(path, index=False)
    return connection.read_parquet(path)
