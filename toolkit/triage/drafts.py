"""Drafts of definition files: what is known is filled in, what nobody has said is asked for by a comment.

A draft is written whole or not at all, and never over a file that is there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.errors import ArgumentError
from toolkit.workspace.edits import write_files

if TYPE_CHECKING:
    from toolkit.workspace import Workspace

TO_DECIDE = "# to decide: "
"""How a draft marks what its people have to settle."""

_GOES_ON = "#   "
_WIDTH = 116
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Draft:
    """A definition file that is proposed: its path in the workspace and its text."""

    path: str
    text: str

    @property
    def to_decide(self) -> tuple[str, ...]:
        """What its people have to settle, in the order of the file: the comments `to decide`."""
        found: list[str] = []
        going = False
        for line in map(str.strip, self.text.splitlines()):
            if line.startswith(TO_DECIDE):
                going = True
                found.append(line.removeprefix(TO_DECIDE))
            elif going := going and line.startswith(_GOES_ON):
                found[-1] += f" {line.removeprefix(_GOES_ON)}"
        return tuple(found)


def draft_key(item_key: str, wished: str | None) -> str:
    """The key of a draft: the one that is wished, else what the item is called, as the name of a file.

    Raises `ArgumentError` for one that cannot be the name of a file.

    >>> draft_key("signal/segment:origin=EWR", None), draft_key("idea/refit", "refit-b")
    ('segment-origin-ewr', 'refit-b')
    """
    if wished is None:
        return re.sub(r"[^a-z0-9]+", "-", item_key.partition("/")[2].lower()).strip("-") or "draft"
    if not _KEY.fullmatch(wished):
        raise ArgumentError(f"key {wished!r} cannot be the name of a file; write it with letters, digits, - and _")
    return wished


def scalar(text: str) -> str:
    r"""Text in one line as YAML has it, in double quotes, whatever is in it.

    >>> print(scalar('a "b": \n#c'))
    "a \"b\": #c"
    """
    plain = "".join(each if each.isprintable() else " " for each in text)
    return json.dumps(" ".join(plain.split()), ensure_ascii=False)


def comment(text: str) -> list[str]:
    """A comment of a line of its own or of several, those after the first indented."""
    words, lines = " ".join(text.split()).split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [f"# {lines[0]}", *(f"{_GOES_ON}{line}" for line in lines[1:])]


def ask(text: str) -> list[str]:
    """A comment that asks for a decision."""
    return comment(TO_DECIDE.removeprefix("# ") + text)


def check_free(workspace: Workspace, path: str) -> None:
    """Raise `ArgumentError` when a draft's file is there already."""
    folder, _, name = path.rpartition("/")
    if name.removesuffix(".yml").casefold() in {key.casefold() for key in workspace.keys(folder)}:
        raise ArgumentError(f"{path} is there already, and a draft is never written over it; give another --key")


def write_draft(workspace: Workspace, draft: Draft) -> None:
    """Write a draft to its place. Raises `ArgumentError` when there is a file already, and `WorkspaceError`."""
    check_free(workspace, draft.path)
    write_files({workspace.root / draft.path: draft.text.encode()})
