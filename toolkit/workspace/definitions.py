"""Definitions: documents in, frozen pydantic models out, errors that name file, line, given, allowed, nearest match."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

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
    kind = problem["type"]
    at, around = _follow(model, problem["loc"])
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        at.append(str(problem["ctx"]["discriminator"]).strip("'"))
    where = f"{document.where(at)}: "
    key = ".".join(str(part) for part in at)
    if kind == "extra_forbidden":
        allowed = _names(around) if around else []
        close = nearest(str(problem["loc"][-1]), allowed)
        hint = f" Did you mean {close!r}?" if close else ""
        return f"{where}unknown key {key!r}; allowed: {', '.join(sorted(allowed)) or 'none'}.{hint}"
    if kind in {"missing", "union_tag_not_found"}:
        return f"{where}key {key!r} is missing"
    given = problem["input"]
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        ctx = problem["ctx"]
        expected, given = str(ctx.get("expected", ctx.get("expected_tags"))), ctx.get("tag", given)
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


def _follow(model: type[BaseModel], loc: Sequence[Any]) -> tuple[list[Any], type[BaseModel] | None]:
    """The steps of a problem's place that a file has, and the model whose key the last of them is.

    Pydantic also names the branch that it took in a union of models, which is left out.
    """
    steps: list[Any] = []
    models: list[type[BaseModel]] = [model]
    around: type[BaseModel] | None = model
    inside = False  # the next step is a key of a mapping or an index of a list
    for step in loc:
        branch = [each for each in models if step in _tags(each)] if len(models) > 1 and not inside else []
        if branch:
            models = branch
            continue
        steps.append(step)
        around = models[0] if models else None
        fields = {f.alias or name: f for name, f in around.model_fields.items()} if around and not inside else {}
        field = fields.get(str(step))
        inside = False
        if field is not None:  # else also: a branch of a union without models, which no file has
            models = _models_in(field.annotation)
            inside = _holds_many(field.annotation)
    return steps, around


def _tags(model: type[BaseModel]) -> set[str]:
    """What tells a model from the others of a union: the one value that a key of it may have."""
    annotations = [field.annotation for field in model.model_fields.values()]
    values = [get_args(annotation) for annotation in annotations if get_origin(annotation) is Literal]
    return {value[0] for value in values if len(value) == 1}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _holds_many(annotation: Any) -> bool:
    return get_origin(annotation) in {dict, list, tuple} or any(_holds_many(part) for part in get_args(annotation))


def _kind(value: Any) -> str:
    return {"list": "a list", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
