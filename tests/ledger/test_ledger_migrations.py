"""The migrations build the table that the code uses, and an older or newer schema is handled."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from toolkit.errors import LedgerError
from toolkit.ledger import Entry, Ledger, migrations, open_ledger, schema, sqlite, store, verify

SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"


def upgrade():
    op.create_table("seen", sa.Column("sequence", sa.Integer))
"""


@pytest.fixture
def newer_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toolkit with one revision more."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    for file in (Path(migrations.__file__).parent / "versions").glob("ledger_*.py"):
        (versions / file.name).write_text(file.read_text())
    (versions / "ledger_0002_seen.py").write_text(SECOND)
    monkeypatch.setattr(migrations, "SCRIPTS", ScriptDirectory(versions.parent))
    monkeypatch.setattr(schema, "HEAD", "ledger_0002")


def test_head_is_the_newest_revision() -> None:
    assert migrations.SCRIPTS.get_heads() == [schema.HEAD]
    assert migrations.known_revisions() == ["ledger_0001"]


def test_the_migrations_build_the_table_the_code_uses(ledger: Ledger) -> None:
    with sqlite.transaction(ledger._engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.METADATA) == []


def test_the_same_migrations_speak_postgresql() -> None:
    written = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        for script in reversed(list(migrations.SCRIPTS.walk_revisions())):
            script.module.upgrade()
    ddl = written.getvalue()
    assert "sequence BIGINT NOT NULL" in ddl
    assert "payload BYTEA NOT NULL" in ddl
    assert "UNIQUE (previous_hash)" in ddl
    assert "TRIGGER" not in ddl


def test_an_older_ledger_is_upgraded(
    path: Path, ledger: Ledger, five: list[Entry], request: pytest.FixtureRequest
) -> None:
    ledger.close()
    request.getfixturevalue("newer_toolkit")
    with pytest.raises(LedgerError) as raised:
        open_ledger(path, create=False)
    assert str(raised.value) == (
        f"{path} was written by an older toolkit; it is upgraded by the next command that records something, such as "
        "'toolkit run'"
    )
    with open_ledger(path) as upgraded:
        assert upgraded.entries() == five
        assert verify(upgraded).problems == ()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("ledger_0002",)]
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_who_comes_second_migrates_nothing(ledger: Ledger, five: list[Entry], path: Path) -> None:
    """Two processes saw an empty database; the other one had the lock first."""
    store._upgrade(ledger._engine, path, create=True)
    assert ledger.entries() == five


def test_a_migration_that_fails_leaves_nothing(path: Path, newer_toolkit: None) -> None:
    broken = Path(migrations.SCRIPTS.dir) / "versions" / "ledger_0002_seen.py"
    broken.write_text(SECOND + "    op.execute('no such statement')\n")
    migrations.SCRIPTS = ScriptDirectory(broken.parents[1])  # monkeypatch puts the real one back
    with pytest.raises(LedgerError, match="syntax error"):
        open_ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_ledger_is_refused(path: Path, ledger: Ledger, tamper: Callable[..., None], create: bool) -> None:
    ledger.close()
    tamper("UPDATE alembic_version SET version_num = 'ledger_0099'")
    before = path.read_bytes()
    with pytest.raises(LedgerError) as raised:
        open_ledger(path, create=create)
    assert str(raised.value) == (
        f"{path} was written by a newer toolkit: its schema is 'ledger_0099', and this one knows up to 'ledger_0001'. "
        "Upgrade the toolkit; nothing was changed"
    )
    assert path.read_bytes() == before
