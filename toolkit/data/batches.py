"""What the embedded engine answers, in batches: it works in this process, so they are at hand without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BATCH_ROWS = 61_440
"""Rows to take over at once: their numbers of one column fit in a processor's cache."""


def read_batches(backend: Any, sql: str, *, rows: int) -> Iterator[Any]:
    """Arrow batches of a query's answer, of about so many rows each.

    Raises what the engine raises, for what it meets while it is being read too.
    """
    import duckdb

    # Ibis 12 asks DuckDB 2 for batches by a name that is gone.
    answer = backend.con.sql(sql).to_arrow_reader(rows)
    try:
        yield from answer
    except OSError as err:  # Arrow's name for what the engine said halfway
        raise duckdb.Error(str(err)) from err
