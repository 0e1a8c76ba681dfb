from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from toolkit.errors import DefinitionError, WorkspaceVersionError
from toolkit.workspace.documents import parse_toml
from toolkit.workspace.upgrade import SCHEMA_LINE, upgrade_settings

OLD = """\
# Ours, and nobody else's.
schema_version   =   1   # the first
name = "w"

[tables.predictions]   # all of them
path = 'data/*.parquet'
"""


def upgrade(text: str) -> tuple[str, list[str]]:
    return upgrade_settings(parse_toml(text, path=Path("toolkit.toml"), shown="toolkit.toml"), text)


def test_an_old_file_keeps_its_lines_but_one() -> None:
    text, done = upgrade(OLD)
    old, new = OLD.splitlines(), text.splitlines()
    assert new[0] == SCHEMA_LINE
    assert new[2] == "schema_version   = 2   # the first"
    assert [*new[1:2], *new[3:7]] == [*old[:1], *old[2:]]
    assert all(not line or line.startswith("#") for line in new[7:])
    assert tomllib.loads(text) == tomllib.loads(OLD) | {"schema_version": 2}
    assert done == [
        "toolkit.toml: schema_version 1 is now 2, which has a table [repository]",
        "toolkit.toml: its first line says where its schema is",
    ]


def test_what_was_upgraded_is_left_as_it_is() -> None:
    text, _ = upgrade(OLD)
    assert upgrade(text) == (text, [])


def test_line_ends_of_windows_stay() -> None:
    text, _ = upgrade(OLD.replace("\n", "\r\n"))
    assert text.count("\n") == text.count("\r\n")
    assert upgrade(text) == (text, [])


def test_a_file_of_the_current_version_gets_only_its_first_line() -> None:
    current = OLD.replace("1   #", "2   #")
    assert upgrade(current) == (
        f"{SCHEMA_LINE}\n{current}",
        ["toolkit.toml: its first line says where its schema is"],
    )


def test_a_version_that_stands_where_it_cannot_be_changed() -> None:
    with pytest.raises(DefinitionError) as caught:
        upgrade(OLD.replace("schema_version   =   1", "schema_version = 0x1"))
    assert str(caught.value) == (
        "toolkit.toml:2: schema_version is not written as 'schema_version = 1' on a line of its own; write it so, "
        "then upgrade"
    )


def test_a_newer_version_and_a_wrong_file_are_refused() -> None:
    with pytest.raises(WorkspaceVersionError) as caught:
        upgrade(OLD.replace("1   #", "3   #"))
    assert str(caught.value) == (
        "toolkit.toml:2: schema_version is 3, and this toolkit knows none above 2; install a newer toolkit"
    )
    assert caught.value.fix == "install a newer toolkit"
    with pytest.raises(DefinitionError) as wrong:
        upgrade(OLD.replace("name", "nmae"))
    assert str(wrong.value).splitlines()[0] == "toolkit.toml: key 'name' is missing"
    with pytest.raises(DefinitionError, match=r"^toolkit\.toml: key 'schema_version' is missing$"):
        upgrade('name = "w"\n[tables]\n')
