from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from toolkit.cli.findings import Finding, inspect_definitions, inspect_schemas
from toolkit.cli.schemas import (
    EDITOR_SETTINGS,
    KINDS,
    SCHEMAS_FOLDER,
    editor_settings,
    export_event_schemas,
    export_schemas,
)
from toolkit.data import CONTRACTS, json_schema
from toolkit.examples.flights import DEFINITIONS
from toolkit.metrics import load_objectives
from toolkit.triage import load_ideas
from toolkit.workspace import edits, open_workspace
from toolkit.workspace.creation import SKELETON
from toolkit.workspace.documents import read_toml, read_yaml

Run = Callable[..., Any]
TOOLKIT = SKELETON.parents[1]
COUNT = len(KINDS) + len(CONTRACTS)
SCHEMAS = {name: json.loads(content) for name, content in export_schemas().items()}
CASES = [
    (kind, path)
    for kind in KINDS
    for root in (DEFINITIONS, SKELETON)
    for path in sorted([*root.glob(kind.files), *root.glob(f"{kind.files}.example")])
]


def read(path: Path) -> Any:
    return (read_toml if path.suffix == ".toml" else read_yaml)(path).data


def complaints(name: str, data: Any) -> list[str]:
    """What an editor would underline: where, and why."""
    validator = Draft7Validator(SCHEMAS[name], format_checker=Draft7Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


@pytest.mark.parametrize(("kind", "path"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_every_shipped_definition_is_valid_by_its_schema(kind: Any, path: Path) -> None:
    assert complaints(kind.schema_file, read(path)) == []


def test_every_shipped_definition_has_a_schema() -> None:
    files = {path for root in (DEFINITIONS, SKELETON) for path in root.rglob("*") if path.is_file()}
    without = {path.name for path in files - {path for _, path in CASES}}
    assert without == {"README.md", "gitignore"}
    assert {kind.name for kind in KINDS} - {kind.name for kind, _ in CASES} <= {"debt"}


@pytest.mark.parametrize(
    ("name", "path", "change", "complaint"),
    [
        ("idea", "ideas/aircraft-delay.yml", {"knid": "model"}, "$: Additional properties are not allowed ('knid'"),
        ("idea", "ideas/aircraft-delay.yml", {"kind": "modle"}, "$.kind: 'modle' is not one of ["),
        ("idea", "ideas/aircraft-delay.yml", {"confidence": 2}, "$.confidence: 2 is not valid under any of"),
        ("idea", "ideas/aircraft-delay.yml", {"deadline": "soon"}, "$.deadline: 'soon' is not valid under any of"),
        ("toolkit", "toolkit.toml", {"schema_version": 1}, "$.schema_version: 2 was expected"),
        ("metrics", "metrics.yml", {"metrics": {"a": {}}}, "$.metrics.a: 'name' is a required property"),
    ],
)
def test_an_editor_underlines_what_the_toolkit_refuses(
    name: str, path: str, change: dict[str, Any], complaint: str
) -> None:
    found = complaints(f"{name}.schema.json", read(DEFINITIONS / path) | change)
    assert any(each.startswith(complaint) for each in found), found


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_that_editors_know(name: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[name])
    newer = {"prefixItems", "$dynamicRef", "unevaluatedProperties", "dependentSchemas", "dependentRequired"}
    assert {key for part in parts(SCHEMAS[name]) for key in part} & newer == set()


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for below in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(below)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_explained_where_it_is_completed(name: str) -> None:
    mute = [
        f"{part.get('title')}.{key}"
        for part in parts(SCHEMAS[name])
        if part.get("type") == "object"
        for key, field in part.get("properties", {}).items()
        if not field.get("description")
    ]
    assert mute == []


def test_every_model_of_a_file_is_exported() -> None:
    """A model that a workspace loads and no kind knows would be invisible to editors."""
    rooms = [path for path in TOOLKIT.rglob("*.py") if path.parent.name != "workspace"]
    calls = [
        call
        for path in rooms
        for call in re.findall(r"workspace\.load(?:_keyed|_folder)?\(([^()]*)\)", path.read_text(encoding="utf-8"))
    ]
    loaded = {name for call in calls for name in re.findall(r"\b[A-Z][A-Za-z]*[a-z]\b", call)}
    assert loaded | {"Settings"} == {kind.model for kind in KINDS}


def test_the_example_is_valid_and_agrees_with_itself(tmp_path: Path) -> None:
    shutil.copytree(DEFINITIONS, tmp_path / "w")
    workspace = open_workspace(tmp_path / "w")
    states = {finding.name: finding.state for finding in inspect_definitions(workspace)}
    del states["schedule.yml"]  # it is held against the templates, see tests/schedule
    assert set(states.values()) == {"ok"}
    assert workspace.settings.repository is not None
    assert workspace.settings.repository.path == ".."
    kinds = [each.target.kind for each in load_objectives(workspace).values()]
    assert kinds == ["at_most", "within", "at_most", "at_most", "at_least"]
    assert {key: idea.value_per_week for key, idea in load_ideas(workspace).items()} == {
        "aircraft-delay": None,
        "recalibrate-monthly": None,
    }


def test_schemas_are_written_to_a_folder_or_to_the_workspace(call: Run, tiny: Path) -> None:
    done = call("schemas", "out")
    assert done == (0, f"{COUNT} schemas in {tiny / 'out'}, {COUNT} of them new or changed\n", "")
    written = {path.relative_to(tiny / "out").as_posix(): path for path in (tiny / "out").rglob("*.json")}
    assert {name: path.read_bytes() for name, path in written.items()} == export_schemas() | export_event_schemas()
    assert json.loads(written["events/outcomes.schema.json"].read_bytes()) == json_schema("outcomes")
    assert not (tiny / SCHEMAS_FOLDER).exists()
    first = call("schemas", "--json").document
    assert first["schemas"]["idea"] == str(tiny / SCHEMAS_FOLDER / "idea.schema.json")
    assert first["events"] == [str(tiny / SCHEMAS_FOLDER / name) for name in export_event_schemas()]
    assert first["changed"] == [*(kind.schema_file for kind in KINDS), *export_event_schemas()]
    assert call("schemas", "--json").document["changed"] == []


def test_schemas_for_a_folder_need_no_workspace(call: Run, here: Path) -> None:
    assert call("schemas", "out").code == 0
    assert call("schemas").code == 2


def test_init_wires_the_schemas_for_editors(call: Run, here: Path) -> None:
    call("init", "w")
    root = here / "w"
    settings = json.loads((root / EDITOR_SETTINGS).read_text(encoding="utf-8"))
    assert all((root / schema).is_file() for schema in settings["yaml.schemas"])
    assert set(settings["yaml.schemas"].values()) == {kind.files for kind in KINDS} - {"toolkit.toml"}
    first = (root / "toolkit.toml").read_text(encoding="utf-8").splitlines()[0]
    assert (root / first.removeprefix("#:schema ")).is_file()
    assert inspect_schemas(open_workspace(root)).state == "ok"


def test_doctor_says_when_editors_lack_schemas_or_have_old_ones(call: Run, tiny: Path) -> None:
    workspace = open_workspace(tiny)
    assert inspect_schemas(workspace) == Finding(
        ".toolkit/schemas/", "missing", "editors cannot complete or check definitions", "toolkit upgrade", needed=False
    )
    call("schemas")
    (tiny / SCHEMAS_FOLDER / "idea.schema.json").write_text("{}", encoding="utf-8")
    (tiny / SCHEMAS_FOLDER / "teams.schema.json").unlink()
    assert inspect_schemas(workspace) == Finding(
        ".toolkit/schemas/",
        "wrong",
        "not those of this toolkit: idea.schema.json, teams.schema.json",
        "toolkit schemas",
        needed=False,
    )


def test_settings_of_an_editor_are_added_to(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    teams = "./.toolkit/schemas/teams.schema.json"
    own = {"editor.rulers": [120], "yaml.schemas": {"./own.json": "own.yml", teams: "t.yml"}}
    path.write_text(json.dumps(own), encoding="utf-8")
    added = editor_settings(path)
    assert added is not None
    settings = json.loads(added)
    assert settings["editor.rulers"] == [120]
    assert own["yaml.schemas"].items() <= settings["yaml.schemas"].items()
    assert settings["yaml.schemas"]["./.toolkit/schemas/idea.schema.json"] == "ideas/*.yml"
    compact = json.dumps(settings).encode()
    path.write_bytes(compact)
    assert editor_settings(path) == compact
    for text in ("// mine\n{}", "[]", '{"yaml.schemas": []}'):
        path.write_text(text, encoding="utf-8")
        assert editor_settings(path) is None


@pytest.fixture
def old(tiny: Path) -> Path:
    """A workspace of version 1 that the test stands in."""
    text = 'schema_version = 1  # ours\nname = "tiny"\n\n[tables]\n'
    (tiny / "toolkit.toml").write_text(text, encoding="utf-8")
    return tiny


def tree(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


def test_a_workspace_of_version_1_is_upgraded_once(call: Run, old: Path) -> None:
    refused = call("metrics")
    assert refused == (
        2,
        "",
        "error: toolkit.toml:1: schema_version is 1, and this toolkit reads 2; 'toolkit upgrade' brings the workspace "
        "up to date and keeps what you wrote\n",
    )
    assert call("upgrade").out.splitlines() == [
        "toolkit.toml: schema_version 1 is now 2, which has a table [repository]",
        "toolkit.toml: its first line says where its schema is",
        f".toolkit/schemas/: {COUNT} schemas are new or changed",
        ".vscode/settings.json: names the schema of each kind of definition file",
    ]
    assert "schema_version = 2  # ours\n" in (old / "toolkit.toml").read_text(encoding="utf-8")
    workspace = open_workspace(old)
    assert inspect_schemas(workspace).state == "ok"
    after = tree(old)
    assert call("upgrade") == (0, f"{old} is up to date\n", "")
    assert call("upgrade", "--json").document == {"workspace": str(old), "done": []}
    assert tree(old) == after


def test_an_upgrade_leaves_settings_with_comments(call: Run, old: Path) -> None:
    (old / ".vscode").mkdir()
    (old / EDITOR_SETTINGS).write_text("// mine\n{}", encoding="utf-8")
    done = call("upgrade")
    assert (done.code, len(done.out.splitlines())) == (0, 3)
    assert done.err == (
        ".vscode/settings.json is not plain JSON and was left as it is; 'yaml.schemas' in it would name the schemas\n"
    )
    assert (old / EDITOR_SETTINGS).read_text(encoding="utf-8") == "// mine\n{}"


def test_an_upgrade_of_a_newer_workspace_is_refused(call: Run, old: Path) -> None:
    text = (old / "toolkit.toml").read_text(encoding="utf-8").replace("version = 1", "version = 9")
    (old / "toolkit.toml").write_text(text, encoding="utf-8")
    before = tree(old)
    expected = "toolkit.toml:1: schema_version is 9, and this toolkit knows none above 2; install a newer toolkit"
    assert call("upgrade") == (2, "", f"error: {expected}\n")
    assert call("metrics") == (2, "", f"error: {expected}\n")
    assert tree(old) == before


@pytest.mark.parametrize("failing", range(len(KINDS) + 2))
def test_an_upgrade_of_which_a_step_fails_changes_nothing(
    call: Run, old: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = tree(old)
    replace, calls = Path.replace, iter(range(100))

    def fail(self: Path, target: Path) -> Path:
        if next(calls) == failing:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(edits.Path, "replace", fail)
    done = call("upgrade")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(" cannot be written: No space left on device; nothing was changed\n")
    assert tree(old) == before


def test_an_upgrade_of_a_file_that_is_wrong_changes_nothing(call: Run, old: Path) -> None:
    (old / "toolkit.toml").write_text('schema_version = 1\nnmae = "w"\n[tables]\n', encoding="utf-8")
    before = tree(old)
    done = call("upgrade")
    assert done.code == 2
    assert done.err.startswith("error: toolkit.toml: key 'name' is missing\n")
    assert tree(old) == before
