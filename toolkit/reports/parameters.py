"""Parameters: what was given is checked against what the template declares, before any kernel starts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from toolkit.archive.versions import AS_OF
from toolkit.checks import check_in, unknown_name_message
from toolkit.digests import digest_bytes
from toolkit.errors import ArgumentError, ParameterError, TemplateError
from toolkit.reports.templates import Parameter, Template, allows_none
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace

_READS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}
_EXAMPLES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": 'a JSON list such as ["a", "b"]',
    "dict": 'a JSON mapping such as {"a": 1}',
    "str": "text",
}
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 80


def resolve_parameters(template: Template, given: Mapping[str, object]) -> dict[str, Any]:
    """Every parameter's value as JSON: what was given, else the template's default.

    Text is read by the declared type, so that a command line can give `5`, `true` or `["a"]`. A default that the
    notebook computes, or that has no JSON form, is left out: the notebook sets it.

    Raises `ParameterError` with every problem, one a line: an unknown name (with the nearest), a wrong type, a value
    that JSON cannot hold, a required parameter that is missing, or a template without a parameters cell.
    """
    if given and not template.parameterized:
        raise ParameterError(
            f"{_names(given)} would have no effect: templates/{template.path.name} has no cell tagged 'parameters'. "
            "Tag the cell that sets them (in JupyterLab: Property Inspector, Cell Tags)"
        )
    if given and template.language != "python":
        raise ParameterError(
            f"{_names(given)} cannot be checked: templates/{template.path.name} is written in {template.language}, "
            "and only the parameters of Python notebooks can be read"
        )
    known = {parameter.name: parameter for parameter in template.parameters}
    problems = [unknown_name_message(name, known, noun="parameter") for name in given if name not in known]
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in given:
            if parameter.required:
                about = f" ({parameter.help})" if parameter.help else ""
                problems.append(f"parameter {name!r} is missing: {parameter.type or 'a value'}{about}")
            elif _is_json(parameter.default) and (parameter.default is not None or allows_none(parameter.type)):
                values[name] = parameter.default
            continue
        try:
            values[name] = _read(parameter, given[name])
        except ParameterError as err:
            problems.append(str(err))
    if problems:
        raise ParameterError("\n".join(problems))
    return values


def name_definitions(workspace: Workspace, template: Template, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that name a definition file of the workspace, as the template leaves or as they were given.

    A text parameter `model` of a template with `toolkit` metadata names a file in `models/` (an `experiment` one in
    `experiments/`, and so on); empty means the only one there is.

    Raises `ParameterError` for a key that is not there (with the nearest), and for an empty one that has a choice.
    """
    named = {}
    for parameter in template.parameters if template.declared else ():
        folder, value = f"{parameter.name}s", parameters.get(parameter.name)
        if not isinstance(value, str) or not (workspace.root / folder).is_dir():
            continue
        keys = workspace.keys(folder)
        if value:
            named[parameter.name] = check_in(value, keys, noun=parameter.name, error=ParameterError)
        elif len(keys) == 1:
            named[parameter.name] = keys[0]
        else:
            found = f"there are {len(keys)}: {', '.join(keys)}" if keys else f"{folder}/ holds none"
            raise ParameterError(f"parameter {parameter.name!r} is empty, which means the only one, but {found}")
    return named


def read_instant(text: str) -> str:
    """An `as_of` in its one written form. Raises `ParameterError`."""
    try:
        return format_instant(parse_instant(text))
    except ArgumentError as err:
        raise ParameterError(str(err)) from None


def check_parameters(workspace: Workspace, template: Template, given: Mapping[str, object]) -> dict[str, Any]:
    """Everything about the parameters that can be known before a run: what a form says while one types.

    Returns every parameter's value. Raises `ParameterError` as a run would.
    """
    parameters = resolve_parameters(template, given)
    parameters |= name_definitions(workspace, template, parameters)
    if template.declared and parameters.get(AS_OF):
        parameters[AS_OF] = read_instant(parameters[AS_OF])
    return parameters


def name_subject(template: Template, parameters: Mapping[str, Any]) -> str:
    """The subject of a report: the template's pattern filled with its parameters, as one safe path component.

    Letters, digits, `.`, `_` and `-` stay; any other run of characters becomes one `-`. If that changed anything, or
    the text is longer than 80 characters, eight digits of its digest are added, so that two subjects never share a
    folder.

    Raises `ParameterError` when nothing is left, `TemplateError` when the pattern names no parameter.
    """

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in parameters:
            raise TemplateError(
                f"templates/{template.path.name}: the subject {template.subject!r} names "
                + unknown_name_message(name, parameters, noun="parameter")
            )
        value = parameters[name]
        if value in ("", None, []):
            raise ParameterError(f"{name} == {value!r}; it names the subject of the report, so it cannot be empty")
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    return safe_component(re.sub(r"\{(\w+)\}", fill, template.subject))


def safe_component(text: str) -> str:
    """`text` as one path component; see `name_subject`.

    >>> safe_component("eta-v2"), safe_component("../etc")
    ('eta-v2', 'etc-f7f9121f')
    """
    safe = _UNSAFE.sub("-", text).strip("-.")[:_LONGEST]
    if not safe:
        raise ParameterError(f"subject == {text!r}, must hold a letter or a digit")
    return safe if safe == text else f"{safe}-{digest_bytes(text.encode())[7:15]}"


def _read(parameter: Parameter, value: object) -> Any:
    kind = _kind(parameter)
    if isinstance(value, str) and kind not in ("str", ""):
        value = _read_text(parameter, kind, value)
    elif isinstance(value, str) and not parameter.type:
        value = _read_like_default(parameter, value)
    if not _is_json(value):
        raise ParameterError(
            f"{parameter.name} == {value!r} ({type(value).__name__}) has no JSON form; "
            "give text, a finite number, true or false, a list or a mapping, and an instant as ISO text"
        )
    if (value is None and allows_none(parameter.type)) or kind == "":
        return value
    if not isinstance(value, _READS[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ParameterError(f"{parameter.name} == {value!r}, must be {_EXAMPLES[kind]} ({parameter.type})")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _read_text(parameter: Parameter, kind: str, text: str) -> Any:
    refusal = ParameterError(f"{parameter.name} == {text!r}, must be {_EXAMPLES[kind]} ({parameter.type})")
    if allows_none(parameter.type) and text in ("null", "None"):
        return None
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise refusal
        return text.lower() == "true"
    try:
        if kind in ("int", "float"):
            return int(text) if kind == "int" else float(text)
        return json.loads(text)
    except ValueError:
        raise refusal from None


def _read_like_default(parameter: Parameter, text: str) -> Any:
    """Text for a parameter without a declared type: JSON when its default is not text itself, as Papermill reads it."""
    if parameter.default is None or isinstance(parameter.default, str):
        return text
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text


def _kind(parameter: Parameter) -> str:
    """The base of the declared type, `list` of `list[str] | None`; "" for one that is not checked.

    A parameter without annotation takes any JSON value, as Papermill does; text for it is read like its default.
    """
    parts = [part.strip() for part in parameter.type.removeprefix("Optional[").split("|")]
    bases = {part.split("[")[0].rstrip("]") for part in parts} - {"None"}
    return bases.pop() if len(bases) == 1 and bases <= set(_READS) else ""


def _is_json(value: object) -> bool:
    if value is None or isinstance(value, str | bool | int):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, dict) and all(isinstance(key, str) and _is_json(item) for key, item in value.items())


def _names(given: Mapping[str, object]) -> str:
    return f"parameter {', '.join(map(repr, given))}"
