"""How many rows of a table repeat the key of another: told by 64-bit hashes, and exactly only where those repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.data.batches import BATCH_ROWS, read_batches
from toolkit.data.connections import EMBEDDED, Connection, call_builtin

if TYPE_CHECKING:
    import ibis.expr.types as ir

_MOST_HASHES = 2**27
"""A gibibyte of them; of more rows the engine counts, which may spill."""


def count_repeats(connection: Connection, rows: ir.Table, key: Sequence[str], *, most_rows: int) -> int:
    """Rows beyond the first of each key; of more than `most_rows` rows, too, but that takes the engine's memory."""
    if connection.engine == EMBEDDED and most_rows <= _MOST_HASHES:
        perhaps = _hashes_repeat(connection, rows, key, most_rows)
    else:
        distinct = connection.row_hash(rows, key).nunique()
        counts = rows.aggregate(rows=rows.count(), distinct=distinct).execute().iloc[0]
        perhaps = bool(counts["rows"] != counts["distinct"])
    if not perhaps:
        return 0
    keys = rows.group_by(*key).aggregate(rows=rows.count())
    repeats = keys.aggregate(repeats=(keys.rows - 1).sum()).execute()
    return int(repeats["repeats"].iloc[0])


def _hashes_repeat(connection: Connection, rows: ir.Table, key: Sequence[str], most_rows: int) -> bool:
    """Whether two hashes are the same, or may be: there are more of them than there is room for.

    From all of them in order: 8 bytes each; the engine would hold five times that. The engine's own hash as it is,
    which costs a fourth of `row_hash`.
    """
    import ibis
    import numpy as np

    own = call_builtin("hash", ibis.struct({name: rows[name] for name in key}), returns="uint64")
    hashes, n = np.empty(most_rows, dtype="uint64"), 0
    query = connection.backend.compile(rows.select(hash=own))
    for batch in read_batches(connection.backend, query, rows=BATCH_ROWS):
        if n + batch.num_rows > most_rows:  # somebody wrote to the table meanwhile
            return True
        hashes[n : n + batch.num_rows] = batch.column("hash").to_numpy()
        n += batch.num_rows
    found = hashes[:n]
    found.sort()
    return bool((found[1:] == found[:-1]).any())
