"""The ledger's table, in SQLAlchemy Core. Import this only where a ledger is open: SQLAlchemy takes half a second.

`tests/ledger` holds it against what the migrations build.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text, select, type_coerce
from sqlalchemy.types import NullType

HEAD = "ledger_0001"
"""The schema revision this toolkit writes: the newest file in `migrations/versions/`."""

METADATA = MetaData()
ENTRIES = Table(
    "entries",
    METADATA,
    # SQLite keeps rows in the order of an INTEGER primary key; elsewhere the ledger may outgrow 32 bits.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("recorded_at", Text, nullable=False),
    Column("effective_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("assurance", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("previous_hash", Text, nullable=False, unique=True),  # one successor each: a chain cannot fork
    Column("hash", Text, nullable=False),
)

# A payload that someone overwrote with text must reach `verify` as it is: no conversion on the way.
ROWS = select(*(type_coerce(column, NullType()).label(column.name) for column in ENTRIES.columns))
