"""The ledger's schema, revision by revision (Alembic), run from inside the package: there is no alembic.ini.

Import this only to create or upgrade a ledger: Alembic takes a second. A new revision is one more file in `versions/`
and its name in `toolkit.ledger.schema.HEAD`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from toolkit.ledger import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCRIPTS = ScriptDirectory(Path(__file__).parent)


def known_revisions() -> list[str]:
    """Every schema revision this toolkit can read, newest first."""
    return [script.revision for script in SCRIPTS.walk_revisions()]


def migrate(connection: Connection, *, revision: str | None) -> None:
    """Bring the database from `revision` (None: an empty one) to `schema.HEAD`, in the caller's transaction."""
    context = MigrationContext.configure(connection)
    scripts = list(SCRIPTS.iterate_revisions(schema.HEAD, revision or "base"))
    with Operations.context(context):
        for script in reversed(scripts):
            script.module.upgrade()
    context.stamp(SCRIPTS, schema.HEAD)
