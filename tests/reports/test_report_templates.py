from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import TemplateError, UnknownNameError
from toolkit.reports import find_template, list_templates
from toolkit.reports.lint import lint_template
from toolkit.reports.templates import Parameter, read_template, shipped_folder
from toolkit.workspace import Workspace

NOTEBOOKS = Path(__file__).parent / "notebooks"


def test_a_template_says_what_it_is(workspace: Workspace) -> None:
    template = find_template(workspace, "saves")
    assert (template.title, template.summary) == ("What a city saved", "One row and one figure.")
    assert (template.origin, template.subject, template.reads) == ("workspace", "{city}", ("predictions",))
    assert template.trends == ()
    assert template.declared
    assert template.digest.startswith("sha256:")


def test_a_plain_notebook_is_a_template(workspace: Workspace) -> None:
    template = find_template(workspace, "plain")
    assert (template.subject, template.reads, template.declared) == ("default", (), False)


def test_parameters_are_read_with_type_default_help_and_whether_required(workspace: Workspace) -> None:
    assert find_template(workspace, "every_type").parameters == (
        Parameter("name", "str", None, "text; a = sign inside", True),
        Parameter("count", "int", 3, "whole", False),
        Parameter("rate", "float", 0.5, "number", False),
        Parameter("flag", "bool", False, "switch", False),
        Parameter("keys", "list[str]", [], "many", False),
        Parameter("map", "dict", {}, "mapping", False),
        Parameter("note", "str | None", None, "may be absent", False),
        Parameter("bare", "", 7, "", False),
        Parameter("free", "", None, "no type", True),
        Parameter("made", "", None, "computed when it runs", False),
    )


def test_papermill_reads_the_same_names_types_and_help_where_it_can(workspace: Workspace) -> None:
    import papermill

    template = find_template(workspace, "every_type")
    theirs = papermill.inspect_notebook(str(template.path))
    ours = {parameter.name: parameter for parameter in template.parameters}
    assert ours.keys() - theirs.keys() == {"name", "note"}  # a comment with an equals sign, a union
    for name, found in theirs.items():
        assert (ours[name].type or "None", ours[name].help) == (found["inferred_type_name"], found["help"])


def test_an_unknown_template_names_the_nearest(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown template 'savs'; allowed: .*\. Did you mean 'saves'\?$"):
        find_template(workspace, "savs")


def test_a_team_template_hides_a_shipped_one(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in ("plain", "only_shipped"):
        (shipped / f"{name}.ipynb").write_bytes((NOTEBOOKS / "thin.ipynb").read_bytes())
    monkeypatch.setattr("toolkit.reports.templates.shipped_folder", lambda: shipped)
    origins = {template.name: template.origin for template in list_templates(workspace)}
    assert (origins["plain"], origins["only_shipped"]) == ("workspace", "shipped")
    assert [template.name for template in list_templates()] == ["only_shipped", "plain"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "not_json",
            (
                "templates/not_json.ipynb: not a notebook: "
                "Expecting property name enclosed in double quotes: line 1 column 3 (char 2)"
            ),
        ),
        (
            "format_3",
            (
                "templates/format_3.ipynb: not a notebook of format 4 (no list of cells); "
                "open it in JupyterLab and save it again"
            ),
        ),
        (
            "damaged_cell",
            "templates/damaged_cell.ipynb: cell 1 has no type or no source; the notebook is damaged",
        ),
        (
            "bad_metadata",
            (
                "templates/bad_metadata.ipynb: notebook metadata toolkit == {'subject': 3}, "
                'must be like {"subject": "{experiment}", "reads": ["predictions"], "trends": ["readout.difference"]}'
            ),
        ),
        (
            "python_2_parameters",
            (
                "templates/python_2_parameters.ipynb: parameters cell, line 2: not Python: "
                "Missing parentheses in call to 'print'. Did you mean print(...)?"
            ),
        ),
    ],
)
def test_a_damaged_notebook_is_named(name: str, message: str) -> None:
    with pytest.raises(TemplateError, match=f"^{re.escape(message)}$"):
        read_template(NOTEBOOKS / f"{name}.ipynb")


@pytest.mark.parametrize("name", ["compare", "failed"])
def test_a_template_cannot_take_a_name_of_the_archive(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.ipynb"
    path.write_bytes((NOTEBOOKS / "thin.ipynb").read_bytes())
    with pytest.raises(
        TemplateError, match=rf"a template cannot be called '{name}'; the report archive uses that name$"
    ):
        read_template(path)


def _with_metadata(folder: Path, **own: Any) -> Path:
    notebook = json.loads((NOTEBOOKS / "thin.ipynb").read_bytes())
    notebook["metadata"]["toolkit"] = own
    path = folder / "thin.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_a_template_says_which_results_to_follow(tmp_path: Path) -> None:
    trends = ["readout.difference", "readout.rel_lift"]
    assert read_template(_with_metadata(tmp_path, trends=trends)).trends == tuple(trends)
    # A plan is made once; what it says of the past is followed by nobody.
    assert {template.name for template in list_templates() if not template.trends} == {"experiment_plan"}


@pytest.mark.parametrize("trend", ["difference", "a.b.c", "a.", "a b.c", ""])
def test_a_trend_that_is_no_result_is_named(tmp_path: Path, trend: str) -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(_with_metadata(tmp_path, trends=[trend]))
    assert str(caught.value) == (
        f"templates/thin.ipynb: trend {trend!r} in its notebook metadata, must be a saved record and one of its "
        "statistics, like 'readout.difference'"
    )


def test_trends_are_a_list_of_texts(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"toolkit == {'trends': 'a.b'}, must be like"):
        read_template(_with_metadata(tmp_path, trends="a.b"))


@pytest.mark.parametrize(
    ("saved", "problems"),
    [
        ("readout=r", ["the trend 'other.mean' follows 'other', and the last code cell saves readout"]),
        ("readout=r, **more", []),
        ("readout=r, other=o", []),
    ],
)
def test_lint_finds_a_trend_of_what_is_never_saved(tmp_path: Path, saved: str, problems: list[str]) -> None:
    path = _with_metadata(tmp_path, trends=["readout.difference", "other.mean"])
    path.write_text(path.read_text(encoding="utf-8").replace("reports.save()", f"reports.save({saved})"))
    assert lint_template(read_template(path)) == problems


def test_shipped_templates_keep_every_rule() -> None:
    broken = {template.name: problems for template in list_templates() if (problems := lint_template(template))}
    assert broken == {}
    assert shipped_folder().name == "templates"


def test_a_thin_template_has_no_lint() -> None:
    assert lint_template(read_template(NOTEBOOKS / "thin.ipynb")) == []


def _code(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None} | more


def _tagged(source: str) -> dict[str, Any]:
    return _code(source, metadata={"tags": ["parameters"]})


@pytest.mark.parametrize(
    ("index", "cell", "problem"),
    [
        (0, None, "0 headings of the first level; exactly one"),
        (0, {"cell_type": "markdown", "metadata": {}, "source": "# A"}, "no heading of the second level"),
        (0, {"cell_type": "markdown", "metadata": {}, "source": "# A\n\n# B\n\n## C"}, "2 headings of the first"),
        (1, None, "0 cells tagged 'parameters'; exactly one"),
        (2, _tagged("b: int = 1  # one"), "2 cells tagged 'parameters'; exactly one"),
        (1, _tagged("a = 1  # one"), "cell 2, line 1: a parameter is written 'name: type = value  # what it is'"),
        (1, _tagged("a: int = 1"), "cell 2, line 1: a has no trailing comment"),
        (1, _tagged("a: list = []  # many"), "cell 2, line 1: a has no JSON scalar as its default"),
        (2, _code("import pandas as pd"), "cell 3: imports pandas; only toolkit"),
        (2, _code("from os import path"), "cell 3: imports os; only toolkit"),
        (2, _code("def f():\n    return 1"), "cell 3: defines a function; move it into toolkit"),
        (2, _code("class A:\n    pass"), "cell 3: defines a class; move it into toolkit"),
        (2, _code("for i in ():\n    i"), "cell 3: loops; move it into toolkit"),
        (2, _code("while 0:\n    1"), "cell 3: loops; move it into toolkit"),
        (2, _code("sys.path.append('x')"), "cell 3: changes sys.path"),
        (2, _code("warnings.filterwarnings('ignore')"), "cell 3: filters warnings; mend what warns"),
        (2, _code("%matplotlib inline"), "cell 3: is not plain Python"),
        (2, _code("a\n" * 7), "cell 3: 7 lines; at most 6"),
        (2, _code("a", outputs=[{}]), "cell 3: stores outputs; clear them"),
        (2, _code("a", execution_count=1), "cell 3: stores an execution count; clear it"),
        (3, _code("readout"), "the last code cell does not save; end with tk.reports.save(...)"),
    ],
)
def test_lint_finds_each_broken_rule(tmp_path: Path, index: int, cell: dict[str, Any] | None, problem: str) -> None:
    notebook = json.loads((NOTEBOOKS / "thin.ipynb").read_bytes())
    notebook["cells"][index : index + 1] = [cell] if cell else []
    path = tmp_path / "thin.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    found = lint_template(read_template(path))
    assert [text for text in found if text.startswith(problem)], found


def test_lint_counts_code_cells(tmp_path: Path) -> None:
    notebook = json.loads((NOTEBOOKS / "thin.ipynb").read_bytes())
    notebook["cells"][2:2] = [_code("ws")] * 18
    path = tmp_path / "thin.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert lint_template(read_template(path)) == ["21 code cells; at most 20"]
