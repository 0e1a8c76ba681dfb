"""Definitions: documents in, frozen pydantic models out, errors that name file, line, given, allowed, nearest match."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from toolkit.checks import nearest
from toolkit.errors import DefinitionError
from toolkit.workspace.documents import Document

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Definition(BaseModel):
    """Base of everything a person writes in a file: frozen; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


def _read_day(value: object) -> object:
    if type(value) is date:  # TOML has days
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # such as 31 June
    raise ValueError("must be a day, such as 2030-01-31")


Day = Annotated[date, BeforeValidator(_read_day)]
"""A day in a definition, with quotes or without; pydantic's own `date` would take numbers for seconds since 1970."""

DefinitionT = TypeVar("DefinitionT", bound=BaseModel)


def validate(document: Document, model: type[DefinitionT]) -> DefinitionT:
    """Make `model` from what a file holds; every problem of the file is in the one `DefinitionError` raised."""
    data = document.data
    if not isinstance(data, Mapping):
        held = "is empty" if data is None else f"holds {_kind(data)}"
        keys = ", ".join(_names(model))
        raise DefinitionError(f"{document.shown}: {held}; it must be a mapping with keys {keys}", path=document.path)
    try:
        return model.model_validate(data)
    except ValidationError as err:
        problems = [_explain(problem, document, model) for problem in err.errors(include_url=False)]
        raise DefinitionError("\n".join(problems), path=document.path) from None


def _explain(problem: Any, document: Document, model: type[BaseModel]) -> str:
    where = f"{document.where(problem['loc'])}: "
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
        hint = f" Did you mean {close!r}?" if close and close != str(given) else ""
        return f"{where}{key} is {given!r}; allowed: {', '.join(options)}.{hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not key:
        return f"{where}{message}"
    return f"{where}{key} is {_short(given)}: {message[:1].lower()}{message[1:]}"


def _names(model: type[BaseModel]) -> list[str]:
    """The keys that a model knows, as files spell them."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _fields_at(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    found: type[BaseModel] | None = model
    inside = False  # the next step is a key of a mapping or an index of a list
    for step in loc:
        if found is None:
            return []
        fields = {field.alias or name: field for name, field in found.model_fields.items()}
        field = None if inside else fields.get(str(step))
        inside = False
        if field is not None:  # else also: a branch of a union, which no file has
            found = _model_in(field.annotation)
            inside = _holds_many(field.annotation)
    return _names(found) if found else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_in(part)
        if found:
            return found
    return None


def _holds_many(annotation: Any) -> bool:
    return get_origin(annotation) in {dict, list, tuple} or any(_holds_many(part) for part in get_args(annotation))


def _kind(value: Any) -> str:
    return {"list": "a list", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
