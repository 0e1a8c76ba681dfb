"""Definition files as they were read: plain data, and the line that each key stands on.

YAML is read as YAML 1.2 has it, so that a date without quotes is text like one with them. Problems that a loader finds
later, when it holds one file against another, get their line here too: see `Document.error`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.errors import DefinitionError

KeyPath = Sequence[str | int]
"""Where something stands in a file: keys of mappings and indices of lists, from the top."""

HOW_TO_BEGIN = "write it, or take it from 'toolkit init'"
"""What to do about a definition file that is not there."""

_MOST_TEXTS = 32
"""So many texts are remembered as they were read: one analysis asks for the same few files again and again, and reading
YAML takes far longer than all else that is done with it."""


class Problem(NamedTuple):
    """What is wrong in a file: the key it is about, and the whole text."""

    at: KeyPath
    text: str


@dataclass(frozen=True)
class Document:
    """A file: its data as plain Python values, and `lines` from key path to line (1 is the first).

    `shown` is the name that messages use, mostly the path from the workspace.
    """

    path: Path
    shown: str
    data: Any
    lines: Callable[[KeyPath], int | None]

    def where(self, at: KeyPath) -> str:
        """`file:line` of a key, or of the nearest one around it when it is not there; `file` if nothing is."""
        line = self.lines(steps_in(self.data, at))
        return self.shown if line is None else f"{self.shown}:{line}"

    def error(self, problems: Iterable[Problem]) -> DefinitionError:
        """The error that tells all these problems, each with its line."""
        return DefinitionError("\n".join(f"{self.where(at)}: {text}" for at, text in problems), path=self.path)


def steps_in(data: Any, at: KeyPath) -> list[str | int]:
    """The steps of `at` that can be walked in `data`; pydantic also names branches of unions, which no file has.

    >>> steps_in({"teams": {"flow": {}}}, ["teams", "flow", "owner"])
    ['teams', 'flow']
    """
    found: list[str | int] = []
    for step in at:
        in_mapping = isinstance(data, Mapping) and step in data
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if in_mapping or in_list:
            data = data[step]
            found.append(step)
    return found


def read_yaml(path: Path, *, shown: str | None = None) -> Document:
    """Read one YAML file.

    Raises `DefinitionError` when it is missing, cannot be read, is not UTF-8, is not YAML, or repeats a key.
    """
    name = shown or path.name
    return parse_yaml(_read_text(path, name), path=path, shown=name)


def parse_yaml(text: str, *, path: Path, shown: str) -> Document:
    """The document that a file with this text is; see `read_yaml`."""
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = _read(text)
    except DuplicateKeyError:
        problems = [
            f"{shown}:{again}: key {key!r} is there twice, first on line {first}; keep one"
            for key, first, again in _repeated_keys(text)
        ]
        raise DefinitionError("\n".join(problems) or f"{shown}: a key is there twice", path=path) from None
    except MarkedYAMLError as err:
        line = f":{err.problem_mark.line + 1}" if err.problem_mark else ""
        problem = " ".join(part for part in (err.context, err.problem) if part)
        raise DefinitionError(f"{shown}{line}: not valid YAML: {problem}", path=path) from None
    except YAMLError as err:
        raise DefinitionError(f"{shown}: not valid YAML: {err}", path=path) from None
    except RecursionError:
        raise DefinitionError(f"{shown}: not a definition: it is nested too deeply", path=path) from None
    return Document(path, shown, _plain(data), lambda at: _yaml_line(data, at))


def read_toml(path: Path, *, shown: str | None = None) -> Document:
    """Read one TOML file. Raises `DefinitionError` when it is missing, cannot be read, is not UTF-8 or not TOML."""
    name = shown or path.name
    return parse_toml(_read_text(path, name), path=path, shown=name)


def parse_toml(text: str, *, path: Path, shown: str) -> Document:
    """The document that a file with this text is; see `read_toml`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        line = re.search(r" \(at line (\d+), column \d+\)$", str(err))
        problem = str(err)[: line.start()] if line else str(err)
        where = f"{shown}:{line[1]}" if line else shown
        raise DefinitionError(f"{where}: not valid TOML: {problem}", path=path) from None
    except RecursionError:
        raise DefinitionError(f"{shown}: not a definition: it is nested too deeply", path=path) from None
    return Document(path, shown, data, lambda at: _toml_line(text, at))


def _read_text(path: Path, shown: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DefinitionError(f"{shown}: there is no such file; {HOW_TO_BEGIN}", path=path) from None
    except UnicodeDecodeError as err:
        raise DefinitionError(f"{shown}: not UTF-8 text (byte {err.start})", path=path) from None
    except OSError as err:
        raise DefinitionError(f"{shown}: cannot be read: {err.strerror}", path=path) from None


@lru_cache(maxsize=_MOST_TEXTS)
def _read(text: str) -> Any:
    """The nodes of a text, with their lines, dates taken for the text they are; who is given them changes nothing."""
    from ruamel.yaml import YAML

    reader = YAML(typ="rt")
    reader.Constructor = _constructor()
    return reader.load(text)


@cache
def _constructor() -> type:
    from ruamel.yaml.constructor import RoundTripConstructor

    class TextDates(RoundTripConstructor):
        """Knows no timestamps: YAML 1.2 has none, and its editors neither."""

    TextDates.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_scalar)
    return TextDates


def _repeated_keys(text: str) -> list[tuple[str, int, int]]:
    """Each key that its mapping repeats, with the lines of its first place and of the repetition."""
    from ruamel.yaml import YAML

    found: list[tuple[str, int, int]] = []
    for mapping in _mappings(YAML(typ="rt").compose(text), set()):
        first: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            line = key.start_mark.line + 1
            name = (key.tag, str(key.value))
            if name in first:
                found.append((name[1], first[name], line))
            first.setdefault(name, line)
    return sorted(found, key=lambda each: each[2])


def _mappings(node: Any, seen: set[int]) -> Iterator[Any]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if node.id == "mapping":
        yield node
        for key, value in node.value:
            yield from _mappings(key, seen)
            yield from _mappings(value, seen)
    elif node.id == "sequence":
        for value in node.value:
            yield from _mappings(value, seen)


def _yaml_line(data: Any, at: KeyPath) -> int | None:
    line: int | None = None
    for step in at:
        position = getattr(data, "lc", None)
        if position is not None and position.data and step in position.data:
            line = position.data[step][0] + 1
        data = data[step]
    return line


def _toml_line(text: str, at: KeyPath) -> int | None:
    """The line where the statement begins that first made the key: the parser itself is asked, line by line."""
    if not at:
        return None
    lines = text.replace("\r\n", "\n").split("\n")
    complete = 0  # so many lines are whole statements
    for count in range(1, len(lines) + 1):
        try:
            data = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if len(steps_in(data, at)) == len(at):
            return complete + 1
        complete = count
    return None


def _plain(value: Any) -> Any:
    """Round-trip nodes as plain Python values, so that models hold nothing of the file's layout."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool):
        return bool(value)
    for scalar in (int, float, str):
        if isinstance(value, scalar):
            return scalar(value)
    return value
