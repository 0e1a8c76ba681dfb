"""Where a workspace is, what its `toolkit.toml` says, and reading its definition files."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.checks import check_in
from toolkit.digests import digest_file
from toolkit.errors import DefinitionError, WorkspaceError, WorkspaceVersionError
from toolkit.workspace.definitions import DefinitionT, validate
from toolkit.workspace.documents import Document, Problem, read_toml, read_yaml
from toolkit.workspace.environment import WORKSPACE_VARIABLE, workspace_variable
from toolkit.workspace.journal import JOURNAL
from toolkit.workspace.settings import Settings, find_credentials, find_problems

SETTINGS_FILE = "toolkit.toml"
SCHEMA_VERSION = 2
"""The version of the workspace's own form. 2 (2026): the table `repository`, and JSON Schemas for editors."""


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
        definition = validate(read_yaml(file, shown=path), model)
        JOURNAL.note_definition(path, digest_file(file))
        return definition

    def error_in(self, path: str, problems: Iterable[Problem]) -> DefinitionError:
        """The error for what is wrong in a definition file that by itself is valid, each problem with its line."""
        return read_yaml(self.root / path, shown=path).error(problems)

    def keys(self, folder: str) -> list[str]:
        """The keys defined in a folder of definition files: their names without `.yml`, sorted.

        Raises `DefinitionError` for a file that would be overlooked (`.yaml`), and for two that are one file where
        case does not count.
        """
        root = self.root / folder
        for path in sorted(root.glob("*.yaml")):
            raise DefinitionError(f"{folder}/{path.name}: a definition file ends in .yml; rename it", path=path)
        keys = sorted(path.stem for path in root.glob("*.yml") if not path.name.startswith("."))
        folded: dict[str, str] = {}
        for key in keys:
            other = folded.setdefault(unicodedata.normalize("NFC", key).casefold(), key)
            if other != key:
                raise DefinitionError(
                    f"{folder}/{key}.yml: {other}.yml is there too, and the two are one file where case does not "
                    "count; rename one, and the key inside",
                    path=root / f"{key}.yml",
                )
        return keys

    def load_keyed(self, folder: str, key: str, model: type[DefinitionT], *, noun: str) -> DefinitionT:
        """Read `<folder>/<key>.yml`, whose own `key` must agree with the file's name.

        Raises `UnknownNameError` with the nearest key, and `DefinitionError`.
        """
        keys = self.keys(folder)
        check_in(key, keys, noun=noun)
        path = f"{folder}/{key}.yml"
        definition = self.load(path, model)
        own = getattr(definition, "key", key)
        if own != key:
            other = f" {folder}/{own}.yml has that key already;" if own in keys else ""
            problem = f"key is {own!r}, and the file's name says {key!r};{other} make them agree"
            raise self.error_in(path, [Problem(["key"], problem)])
        return definition

    def load_folder(self, folder: str, model: type[DefinitionT], *, noun: str) -> dict[str, DefinitionT]:
        """Read every definition file of a folder, by key. Raises `DefinitionError` with the problems of all files."""
        found: dict[str, DefinitionT] = {}
        errors: list[DefinitionError] = []
        for key in self.keys(folder):
            try:
                found[key] = self.load_keyed(folder, key, model, noun=noun)
            except DefinitionError as err:
                errors.append(err)
        if errors:
            raise DefinitionError.joined(errors)
        return found


def open_workspace(path: str | Path | None = None) -> Workspace:
    """Open the workspace at `path`, else at TOOLKIT_WORKSPACE, else the current folder or the nearest one above it.

    Raises `WorkspaceError` when there is none, `DefinitionError` when its settings are wrong, and of these
    `WorkspaceVersionError` when the workspace is of another version than this toolkit reads.
    """
    root = find_workspace(path)
    file = root / SETTINGS_FILE
    document = read_toml(file)
    check_version(document, oldest=SCHEMA_VERSION)
    if problems := list(find_credentials(document.data)):  # first: what is refused for its form is shown
        raise document.error(problems)
    settings = validate(document, Settings)
    if problems := list(find_problems(settings)):
        raise document.error(problems)
    JOURNAL.note_definition(SETTINGS_FILE, digest_file(file))
    return Workspace(root, settings)


def find_workspace(path: str | Path | None = None) -> Path:
    """The folder that `open_workspace` would open. Raises `WorkspaceError` when there is none."""
    if path is not None or workspace_variable() is not None:
        root = Path(path) if path is not None else workspace_variable() or Path()
        if not (root / SETTINGS_FILE).is_file():
            source = "" if path is not None else f" (named by {WORKSPACE_VARIABLE})"
            raise WorkspaceError(
                f"{root}{source} is not a workspace: it has no {SETTINGS_FILE}. Make one with 'toolkit init {root}'"
            )
        return root.resolve()
    here = Path.cwd()
    found = next((folder for folder in (here, *here.parents) if (folder / SETTINGS_FILE).is_file()), None)
    if found is None:
        raise WorkspaceError(
            f"no workspace here: neither {here} nor a folder above it has a {SETTINGS_FILE}. "
            f"Make one with 'toolkit init DIR', or name one with {WORKSPACE_VARIABLE}"
        )
    return found.resolve()


def check_version(document: Document, *, oldest: int) -> None:
    """Raise `WorkspaceVersionError` unless the settings are of a version from `oldest` to the one of this toolkit.

    What is no version at all is left to the validation of the settings.
    """
    given = document.data.get("schema_version")
    if type(given) is not int or given < 1:
        return
    where = document.where(["schema_version"])
    if given > SCHEMA_VERSION:
        raise WorkspaceVersionError(
            f"{where}: schema_version is {given}, and this toolkit knows none above {SCHEMA_VERSION}; "
            "install a newer toolkit",
            path=document.path,
            fix="install a newer toolkit",
        )
    if given < oldest:
        raise WorkspaceVersionError(
            f"{where}: schema_version is {given}, and this toolkit reads {SCHEMA_VERSION}; 'toolkit upgrade' brings "
            "the workspace up to date and keeps what you wrote",
            path=document.path,
            fix="toolkit upgrade",
        )
