"""Where imported rows lie, and that the workspace's settings read them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.data.places import settings_for_import
from toolkit.errors import ArgumentError
from toolkit.workspace import open_workspace


def settings_text(root: Path, table: str, text: str) -> str | None:
    root.mkdir(exist_ok=True)
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "own"\n' + text, encoding="utf-8")
    return settings_for_import(open_workspace(root), table)


def test_the_settings_are_made_to_cover_what_is_imported(tmp_path: Path) -> None:
    covered = ['"data/predictions"', '"data/**/*.parquet"', '"data/predictions/*/*.parquet"', '"data"']
    for path in covered:
        assert settings_text(tmp_path / "w", "predictions", f"[tables.predictions]\npath = {path}\n") is None
    laid = '[tables.predictions]\n# mine\npath = "data/predictions/*.parquet"    # here\n'
    changed = settings_text(tmp_path / "w", "predictions", laid)
    assert str(changed).endswith('[tables.predictions]\n# mine\npath = "data/predictions"    # here\n')
    added = settings_text(tmp_path / "w", "outcomes", laid)
    assert str(added).endswith('# here\n\n[tables.outcomes]\npath = "data/outcomes"\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[tables.predictions]\npath = "elsewhere/*.parquet"\n',
            "[tables.predictions] in toolkit.toml has path 'elsewhere/*.parquet', which does not cover "
            "data/predictions/; make it 'data/predictions'",
        ),
        (
            '[sources.db]\nurl = "duckdb://x.duckdb"\n[tables.predictions]\nsource = "db"\ntable = "p"\n',
            "predictions lies in p in source db ([tables.predictions] in toolkit.toml), where what is imported would "
            "not be seen",
        ),
        (
            '[tables.predictions]\npath = "data/predictions"\ncolumns = { score = "p" }\n',
            "[tables.predictions] in toolkit.toml maps own names of columns, and what is imported has the contract's "
            "names; put its mapping into --map and take it out there, or import into another workspace",
        ),
    ],
)
def test_a_table_where_imported_rows_would_not_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        settings_text(tmp_path / "w", "predictions", text)
    assert str(refused.value) == message


def test_imported_rows_do_not_hide_files_that_are_read_where_they_lie(tmp_path: Path) -> None:
    folder = tmp_path / "w" / "data" / "predictions"
    folder.mkdir(parents=True)
    (folder / "old.csv").touch()
    with pytest.raises(ArgumentError) as refused:
        settings_text(tmp_path / "w", "predictions", '[tables.predictions]\npath = "data/predictions"\n')
    assert str(refused.value) == (
        "data/predictions/ holds files that are read where they lie (old.csv), and beside imported ones they would not "
        "be; move them out of the workspace and import them too"
    )
