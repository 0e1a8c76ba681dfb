from __future__ import annotations

from datetime import date
from typing import Literal

import pytest
from pydantic import Field

from toolkit.errors import DefinitionError, UnknownNameError, WorkspaceError
from toolkit.workspace import JOURNAL, Day, Definition, Problem, current_actor, open_workspace, run_folder

SETTINGS = 'schema_version = 2\nname = "w"\n[tables.predictions]\npath = "data/*.parquet"\n'


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
        ("\nname = ?\n", "toolkit.toml:2: not valid TOML: Invalid value"),
        ("name", "toolkit.toml: not valid TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        (SETTINGS.replace("version = 2", "version = 0"), "toolkit.toml:1: schema_version is 0; allowed: 2."),
        (SETTINGS.replace("version = 2", "version = '2'"), "toolkit.toml:1: schema_version is '2'; allowed: 2."),
        (
            SETTINGS.replace("name", "nmae", 1),
            "toolkit.toml: key 'name' is missing\n"
            "toolkit.toml:2: unknown key 'nmae'; allowed: archive, engine, kernel, limits, name, "
            "repository, retention, schema_version, sources, tables. Did you mean 'name'?",
        ),
        (
            SETTINGS.replace("path", "paht"),
            "toolkit.toml:4: unknown key 'tables.predictions.paht'; allowed: columns, expressions, "
            "max_quarantined_share, path, source, table. Did you mean 'path'?",
        ),
        (
            SETTINGS + '[repository]\npath = """\n"""\n',
            "toolkit.toml:6: repository.path is '': string should have at least 1 character",
        ),
        (
            SETTINGS.replace("version = 2", "version = 3"),
            "toolkit.toml:1: schema_version is 3, and this toolkit knows none above 2; install a newer toolkit",
        ),
        (
            SETTINGS.replace("version = 2", "version = 1"),
            "toolkit.toml:1: schema_version is 1, and this toolkit reads 2; 'toolkit upgrade' brings the workspace up "
            "to date and keeps what you wrote",
        ),
    ],
)
def test_wrong_settings(tmp_path, text, message):
    (tmp_path / "toolkit.toml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        open_workspace(tmp_path)
    assert str(caught.value) == message
    assert caught.value.path == tmp_path / "toolkit.toml"


def test_the_repository_is_optional(tmp_path):
    (tmp_path / "toolkit.toml").write_text(SETTINGS)
    assert open_workspace(tmp_path).settings.repository is None
    (tmp_path / "toolkit.toml").write_text(SETTINGS + '[repository]\npath = ".."\n')
    assert open_workspace(tmp_path).settings.repository.path == ".."


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
    assert load_error(workspace, "a\n") == "thing.yml: holds text; it must be a mapping with keys kind, name, parts"
    assert load_error(workspace, "name: [\n") == (
        "thing.yml:2: not valid YAML: while parsing a flow node expected the node content, but found '<stream end>'"
    )
    assert load_error(workspace, "name: \x07\n").startswith("thing.yml: not valid YAML: ")
    assert load_error(workspace, "name: x\n---\nname: y\n") == (
        "thing.yml:2: not valid YAML: expected a single document in the stream but found another document"
    )
    assert load_error(workspace, "[" * 3000) == "thing.yml: not a definition: it is nested too deeply"
    (workspace.root / "thing.yml").write_bytes(b"name: \xff\n")
    with pytest.raises(DefinitionError, match=r"thing\.yml: not UTF-8 text \(byte 6\)"):
        workspace.load("thing.yml", Thing)
    with pytest.raises(
        DefinitionError, match=r"^gone\.yml: there is no such file; write it, or take it from 'toolkit init'$"
    ):
        workspace.load("gone.yml", Thing)
    (workspace.root / "folder.yml").mkdir()
    with pytest.raises(DefinitionError, match=r"^folder\.yml: cannot be read: Is a directory$"):
        workspace.load("folder.yml", Thing)


def test_a_key_that_is_there_twice(workspace):
    assert load_error(workspace, "name: x\nname: y\n") == (
        "thing.yml:2: key 'name' is there twice, first on line 1; keep one"
    )
    assert load_error(workspace, "parts:\n  a: {size: 1, size: 2}\n  b: {size: 1}\n  'a': {size: 1}\nname: x\n") == (
        "thing.yml:2: key 'size' is there twice, first on line 2; keep one\n"
        "thing.yml:4: key 'a' is there twice, first on line 2; keep one"
    )
    assert load_error(workspace, "&top\nname: x\nkind: good\nparts: {a: &a {size: 1}, b: *a}\nkind: bad\n") == (
        "thing.yml:5: key 'kind' is there twice, first on line 3; keep one"
    )


def test_nan_and_infinity_are_no_numbers(workspace):
    class Weight(Definition):
        kg: float

    for given, shown in ((".nan", "nan"), (".inf", "inf"), ("-.inf", "-inf"), ("1e999", "inf")):
        (workspace.root / "weight.yml").write_text(f"kg: {given}\n")
        with pytest.raises(DefinitionError) as caught:
            workspace.load("weight.yml", Weight)
        assert str(caught.value) == f"weight.yml:1: kg is {shown}: input should be a finite number"


def test_a_date_is_the_text_it_is_with_quotes_and_without(workspace):
    class Dates(Definition):
        day: Day
        text: str

    (workspace.root / "day.yml").write_text("day: 2013-06-01\ntext: 2013-06-01\n")
    assert workspace.load("day.yml", Dates) == Dates(day=date(2013, 6, 1), text="2013-06-01")
    (workspace.root / "day.yml").write_text("day: 2013-06-31\ntext: 2013-06-01T00:00:00Z\n")
    with pytest.raises(DefinitionError, match=r"^day\.yml:1: day is '2013-06-31': must be a day, such as 2030-01-31$"):
        workspace.load("day.yml", Dates)


def test_keys_that_are_called_like_fields_are_keys_all_the_same(workspace):
    assert load_error(workspace, "name: x\nparts:\n  size: {sise: 1}\n") == (
        "thing.yml:3: key 'parts.size.size' is missing\n"
        "thing.yml:3: unknown key 'parts.size.sise'; allowed: size. Did you mean 'size'?"
    )


def test_a_key_is_told_as_the_file_spells_it(workspace):
    class Span(Definition):
        start: str = Field(alias="from")

    (workspace.root / "span.yml").write_text("form: x\n")
    with pytest.raises(DefinitionError) as caught:
        workspace.load("span.yml", Span)
    assert str(caught.value) == (
        "span.yml: key 'from' is missing\nspan.yml:1: unknown key 'form'; allowed: from. Did you mean 'from'?"
    )


def test_a_problem_that_a_loader_finds_has_its_line(workspace):
    (workspace.root / "thing.yml").write_text("name: x\nparts:\n  a: {size: 1}\n  b:\n    size: 2\n")
    problems = [Problem(["parts", "b", "size"], "too large"), Problem(["parts", "c"], "absent"), Problem([], "odd")]
    error = workspace.error_in("thing.yml", problems)
    assert str(error) == "thing.yml:5: too large\nthing.yml:2: absent\nthing.yml: odd"
    assert error.path == workspace.root / "thing.yml"


def test_keyed_definitions(workspace):
    (workspace.root / "things").mkdir()
    (workspace.root / "things" / "first.yml").write_text("name: x\n")
    (workspace.root / "things" / ".first.yml").write_text("left by an editor")
    assert workspace.keys("things") == ["first"]
    assert workspace.load_keyed("things", "first", Thing, noun="thing").name == "x"
    with pytest.raises(UnknownNameError, match="unknown thing 'frist'; allowed: first. Did you mean 'first'"):
        workspace.load_keyed("things", "frist", Thing, noun="thing")


class Named(Definition):
    key: str


def things_error(workspace, files) -> str:
    for name, text in files.items():
        (workspace.root / "things").mkdir(exist_ok=True)
        (workspace.root / "things" / name).write_text(text)
    with pytest.raises(DefinitionError) as caught:
        workspace.load_folder("things", Named, noun="thing")
    assert caught.value.path.parent == workspace.root / "things"
    return str(caught.value)


def test_two_files_with_one_key(workspace):
    assert things_error(workspace, {"a.yml": "key: a\n", "b.yml": "# copied\nkey: a\n"}) == (
        "things/b.yml:2: key is 'a', and the file's name says 'b'; things/a.yml has that key already; make them agree"
    )


def test_a_key_that_is_not_the_name_of_its_file_and_every_problem_of_a_folder_at_once(workspace):
    assert things_error(workspace, {"a.yml": "key: c\n", "b.yml": "kye: b\n"}) == (
        "things/a.yml:1: key is 'c', and the file's name says 'a'; make them agree\n"
        "things/b.yml: key 'key' is missing\n"
        "things/b.yml:1: unknown key 'kye'; allowed: key. Did you mean 'key'?"
    )


@pytest.mark.parametrize(("one", "other"), [("Ab", "aB"), ("stra\u00dfe", "strasse"), ("e\u0301", "\u00e9")])
def test_two_files_that_are_one_where_case_does_not_count(workspace, one, other):
    folder = workspace.root / "things"
    folder.mkdir()
    for key in (one, other):
        (folder / f"{key}.yml").write_text(f"key: {key}\n")
    if len(list(folder.iterdir())) == 1:
        pytest.skip("this file system has them as one file")
    first, second = sorted([one, other])
    assert things_error(workspace, {}) == (
        f"things/{second}.yml: {first}.yml is there too, and the two are one file where case does not count; "
        "rename one, and the key inside"
    )


def test_a_file_that_would_be_overlooked(workspace):
    assert things_error(workspace, {"a.yaml": "key: a\n"}) == (
        "things/a.yaml: a definition file ends in .yml; rename it"
    )


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
