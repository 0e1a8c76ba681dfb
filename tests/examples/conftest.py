from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from built_flights import Built

from toolkit.examples import build_flights
from toolkit.examples.flights_source import read_flights

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("flights")
    said: list[str] = []
    build_flights(root, progress=said.append)
    names = ("predictions", "outcomes", "exposures", "deployments")
    return Built(root, said, *(pq.read_table(root / "data" / name).to_pandas() for name in names))


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """The flights of the whole year, as the builder reads them."""
    return read_flights()
