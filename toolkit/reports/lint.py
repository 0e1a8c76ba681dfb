"""The rules of a thin template, each broken one named: an error for a shipped template, advice for a team's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from toolkit.reports.templates import Template, cell_source, is_tagged, markdown_text, parse_notebook, trailing_comments

MOST_LINES = 6
MOST_CODE_CELLS = 20

_SCALARS = (str, int, float, bool, type(None))
_LOGIC: tuple[tuple[tuple[type[ast.AST], ...], str], ...] = (
    ((ast.FunctionDef, ast.AsyncFunctionDef), "defines a function"),
    ((ast.ClassDef,), "defines a class"),
    ((ast.For, ast.AsyncFor, ast.While), "loops"),
)
_WARNING_FILTERS = {"filterwarnings", "simplefilter", "catch_warnings"}


def lint_template(template: Template) -> list[str]:
    """What breaks the template rules, cell by cell; empty when nothing does. Cells are counted from 1."""
    notebook = parse_notebook(template.path.read_bytes(), shown=f"templates/{template.path.name}")
    cells = list(enumerate(notebook["cells"], start=1))
    code = [(number, cell) for number, cell in cells if cell["cell_type"] == "code"]
    problems = [*_lint_prose(notebook), *_lint_parameters(cells)]
    if len(code) > MOST_CODE_CELLS:
        problems.append(f"{len(code)} code cells; at most {MOST_CODE_CELLS}")
    for number, cell in code:
        problems += [f"cell {number}: {problem}" for problem in _lint_code(cell)]
    saved = _saved(cell_source(code[-1][1])) if code else None
    if saved is None:
        problems.append("the last code cell does not save; end with tk.reports.save(...)")
    return [*problems, *_lint_trends(template, saved)]


def _lint_prose(notebook: dict[str, Any]) -> Iterator[str]:
    lines = markdown_text(notebook).splitlines()
    titles = sum(line.startswith("# ") for line in lines)
    if titles != 1:
        yield f"{titles} headings of the first level; exactly one"
    if not any(line.startswith("## ") for line in lines):
        yield "no heading of the second level; one for each question"


def _lint_parameters(cells: list[tuple[int, dict[str, Any]]]) -> Iterator[str]:
    tagged = [(number, cell) for number, cell in cells if is_tagged(cell, "parameters")]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells tagged 'parameters'; exactly one"
    for number, cell in tagged:
        tree = _parse(cell_source(cell))
        comments = trailing_comments(cell_source(cell)) if tree else {}
        for statement in tree.body if tree else []:
            where = f"cell {number}, line {statement.lineno}"
            if not isinstance(statement, ast.AnnAssign):
                yield f"{where}: a parameter is written 'name: type = value  # what it is'"
                continue
            name = ast.unparse(statement.target)
            if not _is_scalar(statement.value):
                yield f"{where}: {name} has no JSON scalar as its default"
            if not comments.get(statement.end_lineno or 0):
                yield f"{where}: {name} has no trailing comment"


def _lint_code(cell: dict[str, Any]) -> Iterator[str]:
    source = cell_source(cell)
    if cell.get("outputs"):
        yield "stores outputs; clear them"
    if cell.get("execution_count") is not None:
        yield "stores an execution count; clear it"
    lines = sum(bool(line.strip()) for line in source.splitlines())
    if lines > MOST_LINES:
        yield f"{lines} lines; at most {MOST_LINES}"
    tree = _parse(source)
    if tree is None:
        yield "is not plain Python"
        return
    for node in ast.walk(tree):
        for kinds, what in _LOGIC:
            if isinstance(node, kinds):
                yield f"{what}; move it into toolkit"
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"imports {name}; only toolkit" for name in _imported(node) if name.split(".")[0] != "toolkit")
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            yield "changes sys.path"
        if isinstance(node, ast.Attribute) and node.attr in _WARNING_FILTERS:
            yield "filters warnings; mend what warns"


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def _is_scalar(value: ast.expr | None) -> bool:
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
    return isinstance(value, ast.Constant) and isinstance(value.value, _SCALARS)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def _lint_trends(template: Template, saved: set[str | None] | None) -> Iterator[str]:
    """A trend of a record that is never saved would stay empty for ever; behind `**` any record may be."""
    if saved is None or None in saved:
        return
    for trend in template.trends:
        if (record := trend.split(".")[0]) not in saved:
            names = ", ".join(sorted(name for name in saved if name)) or "nothing"
            yield f"the trend {trend!r} follows {record!r}, and the last code cell saves {names}"


def _saved(source: str) -> set[str | None] | None:
    """The records that a cell saves by name, with None for those behind `**`; None when it does not save."""
    tree = _parse(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("reports.save"):
            return {keyword.arg for keyword in node.keywords}
    return None
