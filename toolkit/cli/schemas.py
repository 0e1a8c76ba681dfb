"""JSON Schemas of every kind of definition file, for editors: they complete keys and underline what is wrong."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from toolkit.cli.output import AsJson, print_document, print_text

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMAS_FOLDER = Path(".toolkit") / "schemas"
EVENTS_FOLDER = "events"
"""In the folder of the schemas: those of the events that services write."""
EDITOR_SETTINGS = Path(".vscode") / "settings.json"
_DIALECT = "http://json-schema.org/draft-07/schema#"
"""What the language servers of YAML and TOML speak; pydantic's newer dialect says nothing that this one cannot."""


class DefinitionKind(NamedTuple):
    """A kind of definition file: which files of a workspace, and the model that they are read into."""

    name: str
    files: str
    module: str
    model: str

    @property
    def schema_file(self) -> str:
        """The name of its schema's file."""
        return f"{self.name}.schema.json"

    def load_model(self) -> type[BaseModel]:
        """The pydantic model, from the room that owns it."""
        model: type[BaseModel] = getattr(import_module(self.module), self.model)
        return model


KINDS = (
    DefinitionKind("toolkit", "toolkit.toml", "toolkit.workspace", "Settings"),
    DefinitionKind("metrics", "metrics.yml", "toolkit.metrics.definitions", "MetricsFile"),
    DefinitionKind("objectives", "objectives.yml", "toolkit.metrics.objectives", "ObjectivesFile"),
    DefinitionKind("model", "models/*.yml", "toolkit.data.models", "ModelDefinition"),
    DefinitionKind("experiment", "experiments/*.yml", "toolkit.experiments.plans", "ExperimentPlan"),
    DefinitionKind("teams", "teams.yml", "toolkit.triage.teams", "TeamsFile"),
    DefinitionKind("schedule", "schedule.yml", "toolkit.schedule.definitions", "ScheduleFile"),
    DefinitionKind("alerts", "alerts.yml", "toolkit.schedule.alert_routes", "AlertsFile"),
    DefinitionKind("groups", "groups.yml", "toolkit.signals.groups.memory", "GroupsFile"),
    DefinitionKind("privacy", "privacy.yml", "toolkit.privacy.exceptions", "PrivacyFile"),
    DefinitionKind("debt", "debt/*.yml", "toolkit.debt.items", "DebtItem"),
    DefinitionKind("idea", "ideas/*.yml", "toolkit.triage.ideas", "IdeaDefinition"),
)
"""Every kind of definition file; each room owns its models."""


def export_schemas() -> dict[str, bytes]:
    """The JSON Schema of each kind of definition file: file name to content, the same for the same toolkit."""
    return {kind.schema_file: _document(_schema(kind)) for kind in KINDS}


def export_event_schemas() -> dict[str, bytes]:
    """The JSON Schema of the events of each contract's table, for those who produce them: file name to content."""
    from toolkit.data.contracts import CONTRACTS
    from toolkit.data.schemas import json_schema

    return {f"{EVENTS_FOLDER}/{table}.schema.json": _document(json_schema(table)) for table in CONTRACTS}


def wire_editors(root: Path) -> dict[Path, bytes]:
    """What a workspace at `root` needs so that editors find the schemas: paths, all in `root`, and their content.

    Settings of an editor that are there are kept and added to; they are left alone when they are not plain JSON.
    """
    contents = export_schemas() | export_event_schemas()
    files = {root / SCHEMAS_FOLDER / name: content for name, content in contents.items()}
    settings = editor_settings(root / EDITOR_SETTINGS)
    return files if settings is None else files | {root / EDITOR_SETTINGS: settings}


def editor_settings(path: Path) -> bytes | None:
    """The settings of VS Code with a schema for each kind of YAML file; None when they are there and not plain JSON."""
    folder = SCHEMAS_FOLDER.as_posix()
    wired = {f"./{folder}/{kind.schema_file}": kind.files for kind in KINDS if kind.files.endswith(".yml")}
    if not path.is_file():
        return _document({"yaml.schemas": wired})
    held = path.read_bytes()
    try:
        settings = json.loads(held)
        schemas = settings.setdefault("yaml.schemas", {})
        if wired.keys() <= schemas.keys():
            return held
        settings["yaml.schemas"] = wired | schemas  # where people have said otherwise, they know why
    except (ValueError, AttributeError):  # comments, which VS Code allows; or no mapping
        return None
    return _document(settings)


def schemas(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Where to; if absent the workspace's .toolkit/schemas.", show_default=False),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the JSON Schemas of the definition files, and of the events that services write (events/).

    Editors complete and check them; 'toolkit init' and 'toolkit upgrade' write them too.
    """
    from toolkit.workspace import open_workspace
    from toolkit.workspace.edits import write_files

    target = open_workspace().root / SCHEMAS_FOLDER if folder is None else folder.resolve()
    events = export_event_schemas()
    contents = export_schemas() | events
    changed = write_files({target / name: content for name, content in contents.items()})
    if as_json:
        paths = {kind.name: str(target / kind.schema_file) for kind in KINDS}
        names = [path.relative_to(target).as_posix() for path in changed]
        print_document({"schemas": paths, "events": [str(target / name) for name in events], "changed": names})
    else:
        print_text(f"{len(contents)} schemas in {target}, {len(changed)} of them new or changed")


def _schema(kind: DefinitionKind) -> dict[str, Any]:
    schema = kind.load_model().model_json_schema()
    return {"$schema": _DIALECT, **schema, "title": kind.files}


def _document(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
