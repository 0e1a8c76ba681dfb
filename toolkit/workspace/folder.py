"""Where a workspace is, what its `toolkit.toml` says, and reading its definition files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from toolkit.checks import check_in
from toolkit.digests import digest_file
from toolkit.errors import DefinitionError, WorkspaceError
from toolkit.workspace.definitions import Definition, DefinitionT, load_yaml, validate
from toolkit.workspace.environment import WORKSPACE_VARIABLE, workspace_variable
from toolkit.workspace.journal import JOURNAL

SETTINGS_FILE = "toolkit.toml"


class TableSettings(Definition):
    """Where one table of the data contracts lies, and which of its own columns are which of the contract's."""

    path: str = Field(description="Parquet file, folder pattern or glob, relative to the workspace")
    columns: dict[str, str] = Field(default_factory=dict, description="contract column: own column")


class Settings(Definition):
    """`toolkit.toml`."""

    schema_version: Literal[1]
    name: str = Field(min_length=1)
    engine: Literal["duckdb"] = "duckdb"
    tables: dict[str, TableSettings]


@dataclass(frozen=True)
class Workspace:
    """A team's folder: `root`, and the settings in its `toolkit.toml`."""

    root: Path
    settings: Settings

    @property
    def reports(self) -> Path:
        """The report archive."""
        return self.root / "reports"

    @property
    def ledger(self) -> Path:
        """The ledger's database file."""
        return self.root / "ledger" / "ledger.sqlite"

    @property
    def templates(self) -> Path:
        """The team's own templates."""
        return self.root / "templates"

    def load(self, path: str, model: type[DefinitionT]) -> DefinitionT:
        """Read one definition file into `model` and note it in the journal.

        Raises `DefinitionError` (file, line, given, allowed, nearest match).
        """
        file = self.root / path
        definition = validate(load_yaml(file, shown=path), model, path=file, shown=path)
        JOURNAL.note_definition(path, digest_file(file))
        return definition

    def keys(self, folder: str) -> list[str]:
        """The keys defined in a folder of definition files: their names without `.yml`, sorted."""
        return sorted(path.stem for path in (self.root / folder).glob("*.yml"))

    def load_keyed(self, folder: str, key: str, model: type[DefinitionT], *, noun: str) -> DefinitionT:
        """Read `<folder>/<key>.yml`, whose own `key` must agree with the file's name.

        Raises `UnknownNameError` with the nearest key, and `DefinitionError`.
        """
        check_in(key, self.keys(folder), noun=noun)
        path = f"{folder}/{key}.yml"
        definition = self.load(path, model)
        own = getattr(definition, "key", key)
        if own != key:
            raise DefinitionError(
                f"{path}: key is {own!r}, and the file's name says {key!r}; make them agree", path=self.root / path
            )
        return definition


def open_workspace(path: str | Path | None = None) -> Workspace:
    """Open the workspace at `path`, else at TOOLKIT_WORKSPACE, else the current folder or the nearest one above it.

    Raises `WorkspaceError` when there is none, `DefinitionError` when its settings are wrong.
    """
    if path is not None or workspace_variable() is not None:
        root = Path(path) if path is not None else workspace_variable() or Path()
        if not (root / SETTINGS_FILE).is_file():
            source = "" if path is not None else f" (named by {WORKSPACE_VARIABLE})"
            raise WorkspaceError(
                f"{root}{source} is not a workspace: it has no {SETTINGS_FILE}. Make one with 'toolkit init {root}'"
            )
    else:
        here = Path.cwd()
        found = next((folder for folder in (here, *here.parents) if (folder / SETTINGS_FILE).is_file()), None)
        if found is None:
            raise WorkspaceError(
                f"no workspace here: neither {here} nor a folder above it has a {SETTINGS_FILE}. "
                f"Make one with 'toolkit init DIR', or name one with {WORKSPACE_VARIABLE}"
            )
        root = found
    root = root.resolve()
    return Workspace(root, _read_settings(root / SETTINGS_FILE))


def _read_settings(file: Path) -> Settings:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise DefinitionError(f"{SETTINGS_FILE}: not valid TOML: {err}", path=file) from None
    settings = validate(data, Settings, path=file, shown=SETTINGS_FILE)
    JOURNAL.note_definition(SETTINGS_FILE, digest_file(file))
    return settings
