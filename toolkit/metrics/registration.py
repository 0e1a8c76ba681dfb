"""A team's own kinds of metric: classes that metrics.yml names, from files of the workspace or installed packages.

Nothing is searched for and nothing is imported that the file does not name. A file of the workspace is noted among the
definitions that a report was made of, so that it is part of what reproduces the report.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from toolkit.digests import digest_file
from toolkit.errors import DefinitionError
from toolkit.metrics.kinds import MetricDefinition, RankKind, RatioKind, TimeKind
from toolkit.workspace import JOURNAL, Workspace

FORM = "kinds/gini.py:Gini (a file of the workspace) or my_package.kinds:Gini (an installed package)"
_FAMILIES = (RatioKind, TimeKind, RankKind)


def load_kind(workspace: Workspace, named: str, *, taken: Collection[str]) -> type[MetricDefinition]:
    """The class that an entry of `kinds` names. Raises `DefinitionError` with what is wrong with it."""
    place, colon, name = named.rpartition(":")
    if not (colon and place and name.isidentifier()):
        raise DefinitionError(f"a kind is named as {FORM}")
    module = _module(workspace, place)
    if not hasattr(module, name):
        there = [each for each, held in vars(module).items() if _is_kind(held) and held.__module__ == module.__name__]
        raise DefinitionError(f"{place} has no {name!r}; it has {', '.join(there) or 'no kind of metric'}")
    kind: type[MetricDefinition] = getattr(module, name)
    if not _is_kind(kind):
        families = "RatioKind, TimeKind or RankKind"
        raise DefinitionError(f"{place}: {name} is no kind of metric; a kind is a class below {families}")
    if kind_name(kind) in taken:
        raise DefinitionError(f"there is a kind {kind_name(kind)!r} already; give {name} another name")
    kind.code = digest_file(Path(str(module.__file__)))
    return kind


def kind_name(kind: type[MetricDefinition]) -> str:
    """What metrics.yml calls a kind. Raises `DefinitionError` unless the class says so as `kind: Literal["gini"]`."""
    annotation: Any = kind.model_fields["kind"].annotation
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    if len(values) != 1 or not isinstance(values[0], str):
        raise DefinitionError(
            f'{kind.__name__} does not say what it is called; add kind: Literal["{kind.__name__.lower()}"]'
        )
    return values[0]


def _is_kind(held: object) -> bool:
    return isinstance(held, type) and issubclass(held, _FAMILIES) and held not in _FAMILIES


def _module(workspace: Workspace, place: str) -> ModuleType:
    try:
        if place.endswith(".py"):
            return _module_of_file(workspace, place)
        return import_module(place)
    except Exception as err:
        raise DefinitionError(f"{place} cannot be imported: {type(err).__name__}: {err}") from err


def _module_of_file(workspace: Workspace, place: str) -> ModuleType:
    path = (workspace.root / place).resolve()
    if not (path.is_relative_to(workspace.root) and path.is_file()):
        raise FileNotFoundError("there is no such file in the workspace")
    digest = digest_file(path)
    JOURNAL.note_definition(path.relative_to(workspace.root).as_posix(), digest)
    name = "toolkit_kinds_" + hashlib.sha256(f"{path}\n{digest}".encode()).hexdigest()[:16]
    if name in sys.modules:  # the very same text, so its classes are the same too
        return sys.modules[name]
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks there for the names in a class's annotations
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
