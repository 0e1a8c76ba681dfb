"""Changing files that people wrote: a change of data touches its own lines, and no file is ever half-written."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import WorkspaceError
from toolkit.workspace.definitions import validate
from toolkit.workspace.documents import parse_yaml, read_yaml

if TYPE_CHECKING:
    from pydantic import BaseModel

_INDENTS = ((2, 2, 0), (2, 4, 2), (4, 2, 0), (4, 4, 2), (4, 6, 4))
"""The common indents: of a mapping under its key, of the items of a list under theirs, and of their `- `."""
_LAYOUT = re.compile(r"[\s\"'~\ufeff]")
"""What may be written in two ways without another meaning."""


def edit_yaml(
    path: Path, change: Callable[[Any], object], *, model: type[BaseModel] | None = None, shown: str | None = None
) -> None:
    """Change a YAML file: comments, order, quotes and every line that the change does not touch stay as they are.

    Parameters
    ----------
    change: changes the data it is given, in place; a mapping that keeps its comments.
    model: what the file must be, before and after; a file that is not, or would not be, is left as it is.
    shown: the file's name in messages, such as the path from the workspace.

    Raises `DefinitionError` when the file is not valid or would not be, `WorkspaceError` when it cannot be written.
    """
    name = shown or path.name
    document = read_yaml(path, shown=name)
    if model is not None:
        validate(document, model)
    target = path.resolve()  # the file itself, where `path` is a link to it
    raw = target.read_bytes().decode("utf-8")
    crlf = raw.count("\r\n") == raw.count("\n") > 0
    text = raw.replace("\r\n", "\n") if crlf else raw
    edited = _edit_text(text, change)
    after = parse_yaml(edited, path=path, shown=name)
    if model is not None:
        validate(after, model)
    if edited != text:
        write_files({target: (edited.replace("\n", "\r\n") if crlf else edited).encode("utf-8")})


def _edit_text(text: str, change: Callable[[Any], object]) -> str:
    """The text after the change: what the change makes of ruamel's own text, carried over to the text as it is."""
    indents = min(_INDENTS, key=lambda each: _distance(text, _dump(text, None, each)))
    before, after = _dump(text, None, indents), _dump(text, change, indents)
    if before == after:
        return text
    merged = _merge(*(each.splitlines(keepends=True) for each in (before, text, after)))
    return merged if merged is not None and _means(merged) == _means(after) else after


def _dump(text: str, change: Callable[[Any], object] | None, indents: tuple[int, int, int]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 2**30  # never fold a long line
    mapping, sequence, offset = indents
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    data = yaml.load(text)
    if change is not None:
        change(data)
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _distance(text: str, dumped: str) -> int:
    """How many lines ruamel writes otherwise than they are."""
    return len(set(dumped.splitlines()) ^ set(text.splitlines()))


def _means(text: str) -> Any:
    """The data of a text; None when it has none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None


def _merge(before: list[str], ours: list[str], after: list[str]) -> str | None:
    """`ours` with the changes that lead from `before` to `after`; `before` and `ours` say the same in two layouts.

    None when a change falls where the two layouts differ in their number of lines.
    """
    places = _places(before, ours)
    merged: list[str] = []
    position = 0  # in ours
    for kind, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        first = places[start] if start < end else 0 if start == 0 else _next(places[start - 1])
        last = first if start == end else _next(places[end - 1])
        if first is None or last is None:
            return None
        merged += [*ours[position:first], *after[new_start:new_end]]
        position = last
    return "".join([*merged, *ours[position:]])


def _next(place: int | None) -> int | None:
    return None if place is None else place + 1


def _places(before: list[str], ours: list[str]) -> list[int | None]:
    """For each line of `before` the line of `ours` that says the same; None where they cannot be paired."""
    places: list[int | None] = [None] * len(before)
    one, other = ([_LAYOUT.sub("", line) for line in lines] for lines in (before, ours))
    for _, start, end, own_start, own_end in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if end - start == own_end - own_start:
            places[start:end] = range(own_start, own_end)
    return places


def write_files(files: Mapping[Path, bytes]) -> list[Path]:
    """Write these files, all of them or none, and return those that were not there or held something else.

    Each is written beside its place and then moved there; when one cannot be, those already moved are put back.
    Folders are made as needed. Raises `WorkspaceError`.
    """
    changed: dict[Path, bytes] = {}
    kept: dict[Path, bytes] = {}
    moved: list[Path] = []
    folders: list[Path] = []
    path = Path()
    try:
        for path, content in files.items():
            if path.is_file():
                kept[path] = path.read_bytes()
            if kept.get(path) != content:
                changed[path] = content
        for path, content in changed.items():
            _make_folder(path.parent, folders)
            _write(_beside(path), content, like=path)
        for path in changed:
            _beside(path).replace(path)
            moved.append(path)
    except BaseException as err:
        for done in moved:
            _put_back(done, kept.get(done))
        for planned in changed:
            if _beside(planned).exists():
                _beside(planned).unlink()
        for folder in reversed(folders):
            folder.rmdir()
        if isinstance(err, OSError):
            raise WorkspaceError(f"{path} cannot be written: {err.strerror}; nothing was changed") from err
        raise
    return list(changed)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.writing")


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and remember which were made, the outer ones first."""
    if not folder.exists():
        _make_folder(folder.parent, made)
        folder.mkdir()
        made.append(folder)


def _write(path: Path, content: bytes, *, like: Path) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if like.exists():
        shutil.copymode(like, path)


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        _write(_beside(path), content, like=path)
        _beside(path).replace(path)
