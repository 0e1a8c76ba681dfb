"""Bringing the settings of an older workspace to the version that this toolkit reads."""

from __future__ import annotations

import re

from toolkit.errors import DefinitionError
from toolkit.workspace.definitions import validate
from toolkit.workspace.documents import Document, parse_toml
from toolkit.workspace.folder import SCHEMA_VERSION, check_version
from toolkit.workspace.settings import Settings

SCHEMA_LINE = "#:schema ./.toolkit/schemas/toolkit.schema.json"
"""The first line of `toolkit.toml`: where editors that know TOML find its schema."""

_REPOSITORY = """
# The git repository that debt reviews mine, as a path from this folder:
# [repository]
# path = "."
"""


def upgrade_settings(document: Document, text: str) -> tuple[str, list[str]]:
    """The text of `toolkit.toml` in the current version, comments kept, and what was done to it.

    Raises `WorkspaceVersionError` when it is of a newer version, `DefinitionError` when it is not valid.
    """
    check_version(document, oldest=1)
    done: list[str] = []
    if document.data.get("schema_version") == 1:
        text = _from_1(document, text)
        done.append("toolkit.toml: schema_version 1 is now 2, which has a table [repository]")
    if not text.startswith("#:schema "):
        text = f"{SCHEMA_LINE}{_newline(text)}{text}"
        done.append("toolkit.toml: its first line says where its schema is")
    validate(parse_toml(text, path=document.path, shown=document.shown), Settings)
    return text, done


def _from_1(document: Document, text: str) -> str:
    line = document.lines(["schema_version"])
    assert line is not None
    lines = text.split("\n")
    lines[line - 1] = re.sub(r"=\s*1\b", f"= {SCHEMA_VERSION}", lines[line - 1], count=1)
    changed = "\n".join(lines)
    after = parse_toml(changed, path=document.path, shown=document.shown).data
    if after != {**document.data, "schema_version": SCHEMA_VERSION}:
        raise DefinitionError(
            f"{document.where(['schema_version'])}: schema_version is not written as 'schema_version = 1' on a line of "
            "its own; write it so, then upgrade",
            path=document.path,
        )
    newline = _newline(text)
    return changed.rstrip("\r\n") + newline + _REPOSITORY.replace("\n", newline)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
