"""A damaged template notebook: named, nothing is run, and the other templates still run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Notebook = dict[str, Any]


def drop(key: str) -> Callable[[Notebook], object]:
    return lambda notebook: notebook.pop(key)


def put(value: object, *path: str | int) -> Callable[[Notebook], object]:
    def change(notebook: Notebook) -> None:
        place: Any = notebook
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        (drop("cells"), "not a notebook of format 4 (no list of cells); open it in JupyterLab and save it again"),
        (drop("nbformat"), "nbformat is None, and must be 4; the notebook is damaged"),
        (put(3, "nbformat"), "nbformat is 3, and must be 4; the notebook is damaged"),
        (put("5", "nbformat_minor"), "nbformat_minor is '5', and must be a whole number; the notebook is damaged"),
        (drop("metadata"), "its metadata are not a mapping; the notebook is damaged"),
        (put(7, "metadata", "kernelspec"), "its metadata 'kernelspec' are not a mapping with a name; the notebook is"),
        (put({"name": 7}, "metadata", "language_info"), "its metadata 'language_info' are not a mapping with a name"),
        (put("x", "cells", 1), "cell 2 has no type or no source; the notebook is damaged"),
        (put("quarto", "cells", 1, "cell_type"), "cell 2 has no type or no source; the notebook is damaged"),
        (put(None, "cells", 1, "source"), "cell 2 has a source that is not text; the notebook is damaged"),
        (put([1], "cells", 1, "source"), "cell 2 has a source that is not text; the notebook is damaged"),
        (put("x", "cells", 1, "outputs"), "cell 2 has outputs that are none; the notebook is damaged"),
        (put([], "cells", 1, "id"), "cell 2 has an id that is not text; the notebook is damaged"),
        (put(None, "cells", 1, "metadata"), "cell 2 has no metadata, or tags that are not a list of texts; the"),
        (put(None, "cells", 0, "metadata", "tags"), "cell 1 has no metadata, or tags that are not a list of texts"),
    ],
)
def test_a_damaged_notebook(world, change, damage):
    file = world.root / "templates" / "looks.ipynb"
    notebook = json.loads(file.read_bytes())
    change(notebook)
    file.write_text(json.dumps(notebook), encoding="utf-8")
    before = world.state()
    done = world.call("run", "looks")
    assert (done.code, done.out) == (2, "")
    assert done.said.startswith(f"error: templates/looks.ipynb: {damage}")
    assert done.said.count("\n") == 1
    assert world.call("templates", "looks") == done
    assert world.state() == before
    assert world.call("templates", "plans").code == 0


def test_a_notebook_cut_off(world):
    file = world.root / "templates" / "looks.ipynb"
    file.write_bytes(file.read_bytes()[:100])
    before = world.state()
    done = world.call("run", "looks")
    assert (done.code, done.out) == (2, "")
    assert done.said.startswith("error: templates/looks.ipynb: not a notebook: ")
    assert world.state() == before


def test_a_parameters_cell_that_is_not_python(world):
    file = world.root / "templates" / "looks.ipynb"
    notebook = json.loads(file.read_bytes())
    notebook["cells"][0]["source"] = 'model: str = "\n'
    file.write_text(json.dumps(notebook), encoding="utf-8")
    said = "error: templates/looks.ipynb: parameters cell, line 1: not Python: unterminated string literal "
    before = world.state()
    done = world.call("run", "looks")
    assert (done.code, done.out) == (2, "")
    assert done.said.startswith(said)
    assert world.state() == before
