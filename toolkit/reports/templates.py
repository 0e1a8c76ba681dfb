"""Templates: parameterized notebooks, found by name, read without running them.

A team's own template in the workspace's `templates/` comes before a shipped one of the same name. Any plain Papermill
notebook is a template too; one that carries `toolkit` metadata (`{"subject": "{experiment}", "reads": [...],
"trends": [...]}`) also says what its reports are about, and which of their results a reader follows. What a parameters
cell declares is read by Python's own parser: Papermill's line reader drops a parameter whose comment holds an equals
sign.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from toolkit.checks import check_in
from toolkit.digests import digest_bytes
from toolkit.errors import TemplateError
from toolkit.workspace import Workspace

PLAIN_SUBJECT = "default"
"""The subject of a template that names none."""

_RESERVED = ("compare", "failed")
_CELL_TYPES = ("code", "markdown", "raw")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_TREND = re.compile(r"\w+\.\w+")
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a template.

    Attributes
    ----------
    type: the annotation as written, or "" when there is none: then any JSON value is taken.
    default: its value; None also when the notebook computes it.
    help: the trailing comment.
    required: whether it must be given: its default is None and its type does not allow None.
    """

    name: str
    type: str
    default: Any
    help: str
    required: bool


@dataclass(frozen=True)
class Template:
    """A notebook that can be run.

    Attributes
    ----------
    title, summary: its first heading and its first line of prose.
    origin: `shipped` with the toolkit, or the `workspace`'s own.
    subject: pattern of the subject of its reports, with parameters in braces.
    reads: the tables it says it reads.
    trends: the results to follow over its reports' versions, each `record.statistic`; the first matter most.
    parameters: what its parameters cell declares, in order.
    parameterized: whether it has a cell tagged `parameters` at all.
    declared: whether it carries `toolkit` metadata; a plain Papermill notebook does not.
    language, kernel: of its cells; `kernel` is "" when the notebook names none.
    digest: of the file's bytes.
    """

    name: str
    path: Path
    title: str
    summary: str
    origin: Literal["shipped", "workspace"]
    subject: str
    reads: tuple[str, ...]
    trends: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    parameterized: bool
    declared: bool
    language: str
    kernel: str
    digest: str


def shipped_folder() -> Path:
    """Where the shipped templates lie: in the installed package, or at the top of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def list_templates(workspace: Workspace | None = None) -> list[Template]:
    """Every template there is, by name; a workspace's own hides a shipped one of the same name.

    Raises `TemplateError` for a damaged notebook.
    """
    return [read_template(path, origin) for path, origin in _locate(workspace).values()]


def find_template(workspace: Workspace | None, name: str) -> Template:
    """The template called `name`.

    Raises `UnknownNameError` with the nearest name, `TemplateError` for a damaged notebook.
    """
    found = _locate(workspace)
    check_in(name, found, noun="template")
    return read_template(*found[name])


def _locate(workspace: Workspace | None) -> dict[str, tuple[Path, Literal["shipped", "workspace"]]]:
    found: dict[str, tuple[Path, Literal["shipped", "workspace"]]] = {}
    for path in shipped_folder().glob("*.ipynb"):
        found[path.stem] = (path, "shipped")
    if workspace is not None:
        for path in workspace.templates.glob("*.ipynb"):
            found[path.stem] = (path, "workspace")
    return dict(sorted(found.items()))


def read_template(path: Path, origin: Literal["shipped", "workspace"] = "workspace") -> Template:
    """Read a template from its file, running nothing.

    Raises `TemplateError` when the file is not a notebook, or its parameters cell or metadata cannot be read.
    """
    shown = f"templates/{path.name}"
    data = path.read_bytes()
    notebook = parse_notebook(data, shown=shown)
    if path.stem in _RESERVED:
        raise TemplateError(f"{shown}: a template cannot be called {path.stem!r}; the report archive uses that name")
    own = notebook["metadata"].get("toolkit")
    subject, reads, trends = _read_metadata(own, shown)
    language, kernel = _read_kernel(notebook)
    cell = next((cell for cell in notebook["cells"] if is_tagged(cell, "parameters")), None)
    title, summary = _read_heading(notebook)
    return Template(
        name=path.stem,
        path=path,
        title=title or path.stem,
        summary=summary,
        origin=origin,
        subject=subject,
        reads=reads,
        trends=trends,
        parameters=read_parameters(cell_source(cell), shown=shown) if cell and language == "python" else (),
        parameterized=cell is not None,
        declared=own is not None,
        language=language,
        kernel=kernel,
        digest=digest_bytes(data),
    )


def parse_notebook(data: bytes, *, shown: str) -> dict[str, Any]:
    """A notebook file as a mapping with `cells` and `metadata`; only format 4 is read.

    Raises `TemplateError` naming the file.
    """
    try:
        notebook = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as err:
        raise TemplateError(f"{shown}: not a notebook: {err}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise TemplateError(
            f"{shown}: not a notebook of format 4 (no list of cells); open it in JupyterLab and save it again"
        )
    damages = chain(
        _find_damage(notebook),
        *(_find_cell_damage(number, cell) for number, cell in enumerate(notebook["cells"], start=1)),
    )
    if damage := next(damages, None):
        raise TemplateError(f"{shown}: {damage}; the notebook is damaged")
    return notebook


def _find_damage(notebook: dict[str, Any]) -> Iterator[str]:
    """What in a notebook outside its cells would break whoever reads it further."""
    for key, expected in (("nbformat", "4"), ("nbformat_minor", "a whole number")):
        value = notebook.get(key)
        if type(value) is not int or (key == "nbformat" and value != 4):
            yield f"{key} is {value!r}, and must be {expected}"
    metadata = notebook.get("metadata")
    if not isinstance(metadata, dict):
        yield "its metadata are not a mapping"
        return
    for key in ("kernelspec", "language_info", "papermill"):
        part = metadata.get(key, {})
        if not isinstance(part, dict) or not isinstance(part.get("name", ""), str):
            yield f"its metadata {key!r} are not a mapping with a name"


def _find_cell_damage(number: int, cell: Any) -> Iterator[str]:
    if not isinstance(cell, dict) or cell.get("cell_type") not in _CELL_TYPES or "source" not in cell:
        yield f"cell {number} has no type or no source"
        return
    source, outputs = cell["source"], cell.get("outputs", [])
    if not isinstance(source, str) and not _is_list_of(source, str):
        yield f"cell {number} has a source that is not text"
    if not _is_list_of(outputs, dict):
        yield f"cell {number} has outputs that are none"
    if not isinstance(cell.get("id", ""), str):
        yield f"cell {number} has an id that is not text"
    metadata = cell.get("metadata")
    if not isinstance(metadata, dict) or not _is_list_of(metadata.get("tags", []), str):
        yield f"cell {number} has no metadata, or tags that are not a list of texts"


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def cell_source(cell: dict[str, Any]) -> str:
    """A cell's text; notebooks store it as one string or as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def is_tagged(cell: dict[str, Any], tag: str) -> bool:
    """Whether a cell carries `tag`."""
    return tag in cell.get("metadata", {}).get("tags", [])


def markdown_text(notebook: dict[str, Any]) -> str:
    """All prose of a notebook, without fenced code: its lines that start with `#` are headings."""
    prose = "\n\n".join(cell_source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return _FENCE.sub("", prose)


def read_parameters(source: str, *, shown: str) -> tuple[Parameter, ...]:
    """What a parameters cell assigns at its top level, in order.

    >>> read_parameters("top: int = 5  # rows; 0 = all", shown="example")
    (Parameter(name='top', type='int', default=5, help='rows; 0 = all', required=False),)
    """
    source = _MAGIC.sub("", source)
    try:
        statements = ast.parse(source).body
    except SyntaxError as err:
        raise TemplateError(f"{shown}: parameters cell, line {err.lineno}: not Python: {err.msg}") from None
    comments = trailing_comments(source)
    found: dict[str, Parameter] = {}
    for statement in statements:
        target: ast.expr
        if isinstance(statement, ast.AnnAssign):
            target, annotation, value = statement.target, ast.unparse(statement.annotation), statement.value
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, annotation, value = statement.targets[0], "", statement.value
        else:
            continue
        if isinstance(target, ast.Name) and value is not None:
            literal, default = _literal(value)
            annotation = annotation.strip("'\"")
            required = literal and default is None and not allows_none(annotation)
            comment = comments.get(statement.end_lineno or 0, "")
            found[target.id] = Parameter(target.id, annotation, default, comment, required)
    return tuple(found.values())


def trailing_comments(source: str) -> dict[int, str]:
    """Line number to the comment that ends the line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("#").strip()
        for token in tokens
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip()
    }


def allows_none(annotation: str) -> bool:
    """Whether a type annotation takes None.

    >>> allows_none("str | None"), allows_none("Optional[int]"), allows_none("str")
    (True, True, False)
    """
    return annotation.startswith("Optional[") or "None" in [part.strip() for part in annotation.split("|")]


def _literal(value: ast.expr) -> tuple[bool, Any]:
    try:
        return True, ast.literal_eval(value)
    except (ValueError, TypeError):  # computed when the notebook runs
        return False, None


def _read_metadata(own: Any, shown: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Subject, tables read and trends."""
    if own is None:
        return PLAIN_SUBJECT, (), ()
    given: dict[str, Any] = own if isinstance(own, dict) else {"subject": None}
    subject, reads, trends = given.get("subject", PLAIN_SUBJECT), given.get("reads", []), given.get("trends", [])
    if not (isinstance(subject, str) and _is_list_of(reads, str) and _is_list_of(trends, str)):
        raise TemplateError(
            f"{shown}: notebook metadata toolkit == {own!r}, must be like "
            '{"subject": "{experiment}", "reads": ["predictions"], "trends": ["readout.difference"]}'
        )
    for trend in trends:
        if _TREND.fullmatch(trend) is None:
            raise TemplateError(
                f"{shown}: trend {trend!r} in its notebook metadata, must be a saved record and one of its statistics, "
                "like 'readout.difference'"
            )
    return subject, tuple(reads), tuple(trends)


def _read_kernel(notebook: dict[str, Any]) -> tuple[str, str]:
    spec = notebook["metadata"].get("kernelspec", {})
    language = notebook["metadata"].get("language_info", {}).get("name") or spec.get("language") or "python"
    return str(language).lower(), str(spec.get("name") or "")


def _read_heading(notebook: dict[str, Any]) -> tuple[str, str]:
    lines = [line.strip() for line in markdown_text(notebook).splitlines()]
    title = next((line[2:].strip() for line in lines if line.startswith("# ")), "")
    summary = next((line for line in lines if line and not line.startswith(("#", "<"))), "")
    return title, summary
