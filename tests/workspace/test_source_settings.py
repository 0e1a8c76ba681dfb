"""What `toolkit.toml` may say about sources, and the credentials that it may not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import DefinitionError
from toolkit.workspace import Workspace, open_workspace

SOURCE = """\
schema_version = 2
name = "w"
[sources.warehouse]
url = "postgres://reader@host:5432/db"
password = "secret:WAREHOUSE_PASSWORD"
options = { sslmode = "require", "spark.hadoop.fs.s3a.secret.key" = "secret:S3_KEY" }
[tables.predictions]
source = "warehouse"
table = "ml.predictions"
columns = { occurred_at = "created" }
expressions = { latency_ms = "latency_s * 1000" }
"""


def open_with(root: Path, settings: str) -> Workspace:
    (root / "toolkit.toml").write_text(settings, encoding="utf-8")
    return open_workspace(root)


def test_a_table_of_a_source_is_read_from_the_settings(tmp_path: Path) -> None:
    settings = open_with(tmp_path, SOURCE).settings

    assert settings.sources["warehouse"].password == "secret:WAREHOUSE_PASSWORD"
    assert settings.tables["predictions"].place == "ml.predictions in source warehouse"
    assert settings.tables["predictions"].max_quarantined_share == 0.01


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            'source = "warehouse"',
            'source = "warehose"',
            "toolkit.toml:8: tables.predictions.source: unknown source 'warehose'; allowed: warehouse. "
            "Did you mean 'warehouse'?",
        ),
        (
            'source = "warehouse"\n',
            "",
            "toolkit.toml:8: tables.predictions.table is 'ml.predictions', and no source says where that is; add "
            'source = "NAME" and [sources.NAME]',
        ),
        (
            'table = "ml.predictions"\n',
            "",
            "toolkit.toml:7: tables.predictions must have either a path (files) or a source and a table (a database)",
        ),
        (
            'table = "ml.predictions"\n',
            'table = "ml.predictions"\npath = "data/*.parquet"\n',
            "toolkit.toml:7: tables.predictions must have either a path (files) or a source and a table (a database); "
            "it has both a path and a table",
        ),
        (
            "latency_ms = ",
            "occurred_at = ",
            "toolkit.toml:11: tables.predictions: occurred_at has both an own column and an expression; "
            "keep one of them",
        ),
        (
            'table = "ml.predictions"\n',
            'table = "ml.predictions"\nmax_quarantined_share = 2\n',
            "toolkit.toml:10: tables.predictions.max_quarantined_share is 2: input should be less than or equal to 1",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_said_with_their_line(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in SOURCE
    with pytest.raises(DefinitionError) as refused:
        open_with(tmp_path, SOURCE.replace(old, new, 1))
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "reader@host",
            "reader:hunter22@host",
            "toolkit.toml:4: sources.warehouse.url holds a credential, and this file is shared; write password = "
            '"secret:NAME", and put it into the environment variable or the keyring under that NAME',
        ),
        (
            "5432/db",
            "5432/db?sslpassword=hunter22",
            "toolkit.toml:4: sources.warehouse.url holds a credential, and this file is shared; write password = "
            '"secret:NAME", and put it into the environment variable or the keyring under that NAME',
        ),
        (
            "secret:WAREHOUSE_PASSWORD",
            "hunter22",
            "toolkit.toml:5: sources.warehouse.password is no 'secret:NAME', and this file is shared; write password = "
            '"secret:NAME", and put it into the environment variable or the keyring under that NAME',
        ),
        (
            "secret:S3_KEY",
            "hunter22",
            "toolkit.toml:6: sources.warehouse.options.spark.hadoop.fs.s3a.secret.key looks like a credential, and "
            "this file is shared; write 'secret:NAME' for its value, and put it into the environment or the keyring "
            "under that NAME",
        ),
    ],
)
def test_a_credential_in_the_settings_is_refused_and_not_repeated(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    wrong = SOURCE.replace(old, new, 1) + "unknown = 1\n"  # other problems of the file would show what is given

    with pytest.raises(DefinitionError) as refused:
        open_with(tmp_path, wrong)

    assert str(refused.value) == problem
    assert "hunter22" not in str(refused.value)
