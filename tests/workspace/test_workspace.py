from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from toolkit.errors import DefinitionError, UnknownNameError, WorkspaceError
from toolkit.workspace import JOURNAL, Definition, current_actor, open_workspace, run_folder

SETTINGS = 'schema_version = 1\nname = "w"\n[tables.predictions]\npath = "data/*.parquet"\n'


class Part(Definition):
    size: int = Field(ge=1)


class Thing(Definition):
    name: str
    kind: Literal["good", "bad"] = "good"
    parts: dict[str, Part] = Field(default_factory=dict)


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "toolkit.toml").write_text(SETTINGS)
    return open_workspace(tmp_path)


def load_error(workspace, text) -> str:
    (workspace.root / "thing.yml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        workspace.load("thing.yml", Thing)
    assert caught.value.path == workspace.root / "thing.yml"
    return str(caught.value)


def test_opens_here_above_by_path_and_by_variable(tmp_path, monkeypatch):
    (tmp_path / "toolkit.toml").write_text(SETTINGS)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert open_workspace().root == open_workspace(tmp_path).root == tmp_path.resolve()
    monkeypatch.chdir("/")
    monkeypatch.setenv("TOOLKIT_WORKSPACE", str(tmp_path))
    assert open_workspace().root == tmp_path.resolve()


def test_no_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError) as caught:
        open_workspace()
    assert str(caught.value) == (
        f"no workspace here: neither {tmp_path} nor a folder above it has a toolkit.toml. "
        "Make one with 'toolkit init DIR', or name one with TOOLKIT_WORKSPACE"
    )
    with pytest.raises(WorkspaceError, match=r"is not a workspace: it has no toolkit\.toml\. Make one with"):
        open_workspace(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "toolkit.toml: not valid TOML: "),
        (SETTINGS.replace("version = 1", "version = 7"), "toolkit.toml: schema_version is 7; allowed: 1."),
        (SETTINGS.replace("name", "nmae", 1), "toolkit.toml: unknown key 'nmae'; allowed: "),
        (
            SETTINGS.replace("path", "paht"),
            "unknown key 'tables.predictions.paht'; allowed: columns, path. Did you mean 'path'?",
        ),
    ],
)
def test_wrong_settings(tmp_path, text, message):
    (tmp_path / "toolkit.toml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        open_workspace(tmp_path)
    assert message in str(caught.value)


def test_load_gives_a_frozen_definition_and_notes_it(workspace):
    (workspace.root / "thing.yml").write_text("name: x  # a comment\nparts: {a: {size: 2}}\n")
    thing = workspace.load("thing.yml", Thing)
    assert thing.parts["a"].size == 2
    with pytest.raises(ValueError, match="frozen"):
        thing.name = "y"
    assert set(JOURNAL.definitions) >= {"thing.yml"}


def test_unknown_key_with_line_and_nearest(workspace):
    assert load_error(workspace, "name: x\nkidn: good\n") == (
        "thing.yml:2: unknown key 'kidn'; allowed: kind, name, parts. Did you mean 'kind'?"
    )
    assert load_error(workspace, "name: x\nparts:\n  a:\n    size: 1\n    sise: 2\n") == (
        "thing.yml:5: unknown key 'parts.a.sise'; allowed: size. Did you mean 'size'?"
    )


def test_missing_key_and_wrong_value(workspace):
    assert load_error(workspace, "kind: good\n") == "thing.yml: key 'name' is missing"
    assert load_error(workspace, "name: x\nkind: godo\n") == (
        "thing.yml:2: kind is 'godo'; allowed: good, bad. Did you mean 'good'?"
    )
    assert load_error(workspace, "name: x\nparts:\n  a: {size: 0}\n") == (
        "thing.yml:3: parts.a.size is 0: input should be greater than or equal to 1"
    )


def test_every_problem_of_a_file_at_once(workspace):
    assert load_error(workspace, "nmae: x\nkind: god\n").splitlines() == [
        "thing.yml: key 'name' is missing",
        "thing.yml:2: kind is 'god'; allowed: good, bad. Did you mean 'good'?",
        "thing.yml:1: unknown key 'nmae'; allowed: kind, name, parts. Did you mean 'name'?",
    ]


def test_what_is_no_mapping_or_no_yaml(workspace):
    assert load_error(workspace, "") == "thing.yml: is empty; it must be a mapping with keys kind, name, parts"
    assert load_error(workspace, "- a\n") == "thing.yml: holds a list; it must be a mapping with keys kind, name, parts"
    assert load_error(workspace, "name: [\n").startswith("thing.yml:2: not valid YAML: ")
    assert load_error(workspace, "name: x\nname: y\n").startswith("thing.yml:2: not valid YAML: ")
    (workspace.root / "thing.yml").write_bytes(b"name: \xff\n")
    with pytest.raises(DefinitionError, match=r"thing\.yml: not UTF-8 text \(byte 6\)"):
        workspace.load("thing.yml", Thing)
    with pytest.raises(DefinitionError, match=r"^gone\.yml: there is no such file$"):
        workspace.load("gone.yml", Thing)


def test_keyed_definitions(workspace):
    (workspace.root / "things").mkdir()
    (workspace.root / "things" / "first.yml").write_text("name: x\n")
    assert workspace.keys("things") == ["first"]
    assert workspace.load_keyed("things", "first", Thing, noun="thing").name == "x"
    with pytest.raises(UnknownNameError, match="unknown thing 'frist'; allowed: first. Did you mean 'first'"):
        workspace.load_keyed("things", "frist", Thing, noun="thing")


def test_actor(monkeypatch):
    monkeypatch.setenv("TOOLKIT_ACTOR", "ada")
    assert current_actor() == ("ada", "asserted")
    monkeypatch.delenv("TOOLKIT_ACTOR")
    assert current_actor().assurance == "operating_system_user"


def test_run_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("TOOLKIT_RUN", raising=False)
    assert run_folder() is None
    monkeypatch.setenv("TOOLKIT_RUN", str(tmp_path))
    assert run_folder() == tmp_path
