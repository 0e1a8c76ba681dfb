from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from built_flights import Built

from toolkit.examples.flights_source import read_flights

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture(scope="session")
def built(flights_root: Path) -> Built:
    said = (flights_root.parent / "flights-done").read_text().splitlines()
    tables = (pq.read_table(flights_root / "data" / name).to_pandas() for name in Built._fields[2:])
    return Built(flights_root, said, *tables)


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """The flights of the whole year, as the builder reads them."""
    return read_flights()
