"""The entries, in their final row format.

On SQLite, triggers refuse to change or delete a row, and to add one that does not follow the last (which is also what
`INSERT OR REPLACE` would do). They guard against accidents: whoever can write the file can drop them, and then the
chain of hashes tells.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001"
down_revision = None

_TRIGGERS = (
    """
    CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no entry can be changed'); END
    """,
    """
    CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no entry can be deleted'); END
    """,
    """
    CREATE TRIGGER entries_follow_the_last BEFORE INSERT ON entries
    WHEN NEW.sequence IS NOT (SELECT COALESCE(MAX(sequence), 0) + 1 FROM entries)
      OR NEW.sequence > 1 AND NEW.previous_hash IS NOT (SELECT hash FROM entries WHERE sequence = NEW.sequence - 1)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an entry can only follow the last one'); END
    """,
)


def upgrade() -> None:
    """Create the table, and on SQLite its triggers."""
    op.create_table(
        "entries",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("recorded_at", sa.Text, nullable=False),
        sa.Column("effective_at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("assurance", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False, unique=True),
        sa.Column("hash", sa.Text, nullable=False),
    )
    if op.get_context().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)
