"""Definition files: YAML in, frozen pydantic models out, errors that name file, line, given, allowed, nearest match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.checks import nearest
from toolkit.errors import DefinitionError


class Definition(BaseModel):
    """Base of everything a person writes in a file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


DefinitionT = TypeVar("DefinitionT", bound=BaseModel)


def load_yaml(path: Path, *, shown: str | None = None) -> Any:
    """Read one YAML file into round-trip mappings that know their line numbers.

    Raises `DefinitionError` when it is missing, not UTF-8, not YAML, or repeats a key.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    name = shown or path.name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DefinitionError(f"{name}: there is no such file", path=path) from None
    except UnicodeDecodeError as err:
        raise DefinitionError(f"{name}: not UTF-8 text (byte {err.start})", path=path) from None
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as err:
        line = f":{err.problem_mark.line + 1}" if err.problem_mark else ""
        problem = " ".join(part for part in (err.context, err.problem) if part)
        raise DefinitionError(f"{name}{line}: not valid YAML: {problem}", path=path) from None
    except YAMLError as err:
        raise DefinitionError(f"{name}: not valid YAML: {err}", path=path) from None


def validate(data: Any, model: type[DefinitionT], *, path: Path, shown: str) -> DefinitionT:
    """Make `model` from what a file holds; every problem of the file is in the one error raised."""
    if not isinstance(data, Mapping):
        held = "is empty" if data is None else f"holds {_kind(data)}"
        raise DefinitionError(f"{shown}: {held}; it must be a mapping with keys {_fields(model)}", path=path)
    try:
        return model.model_validate(_plain(data))
    except ValidationError as err:
        problems = [_explain(problem, data, model, shown) for problem in err.errors(include_url=False)]
        raise DefinitionError("\n".join(problems), path=path) from None


def _explain(problem: Any, data: Any, model: type[BaseModel], shown: str) -> str:
    loc = tuple(part for part in problem["loc"] if _reaches(data, problem["loc"], part))
    where = f"{shown}{_line(data, loc)}: "
    key = ".".join(str(part) for part in problem["loc"])
    kind = problem["type"]
    if kind == "extra_forbidden":
        allowed = _fields_at(model, problem["loc"][:-1])
        close = nearest(str(problem["loc"][-1]), allowed)
        hint = f" Did you mean {close!r}?" if close else ""
        return f"{where}unknown key {key!r}; allowed: {', '.join(sorted(allowed)) or 'none'}.{hint}"
    if kind == "missing":
        return f"{where}key {key!r} is missing"
    given = problem["input"]
    if kind in {"literal_error", "enum"}:
        expected = str(problem["ctx"]["expected"])
        options = [option.strip().strip("'") for option in expected.replace(" or ", ", ").split(",")]
        close = nearest(str(given), options)
        hint = f" Did you mean {close!r}?" if close else ""
        return f"{where}{key} is {given!r}; allowed: {', '.join(options)}.{hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not key:
        return f"{where}{message}"
    return f"{where}{key} is {_short(given)}: {message[:1].lower()}{message[1:]}"


def _reaches(data: Any, loc: Sequence[Any], part: Any) -> bool:
    for step in loc:
        if isinstance(data, Mapping) and step in data:
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return False
        if step is part:
            return True
    return False


def _line(data: Any, loc: Sequence[Any]) -> str:
    line: int | None = None
    for step in loc:
        position = getattr(data, "lc", None)
        if position is not None and position.data and step in position.data:
            line = position.data[step][0]
        data = data[step]
    return "" if line is None else f":{line + 1}"


def _fields(model: type[BaseModel]) -> str:
    return ", ".join(sorted(model.model_fields))


def _fields_at(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    found: type[BaseModel] | None = model
    for step in loc:
        if found is None:
            return []
        field = found.model_fields.get(str(step))
        if field is None:  # a key of a mapping, an index of a list or a branch of a union: same models below
            continue
        found = _model_in(field.annotation)
    return sorted(found.model_fields) if found else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_in(part)
        if found:
            return found
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


def _kind(value: Any) -> str:
    return {"list": "a list", "CommentedSeq": "a list", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
