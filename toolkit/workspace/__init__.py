"""The workspace: the folder with a team's definitions, and the only reader of configuration and environment.

`open_workspace` finds it, `Workspace.load` turns one definition file into a frozen model or says what is wrong with
it, `Workspace.error_in` says what a loader found wrong later, `edit_yaml` changes a file and leaves the rest of it as
its people wrote it. Each room owns its own models; this one owns only `toolkit.toml`.
"""

from toolkit.workspace.definitions import Day, Definition
from toolkit.workspace.documents import Problem
from toolkit.workspace.edits import edit_yaml
from toolkit.workspace.environment import Actor, current_actor, git_environment, ledger_sequence, run_folder
from toolkit.workspace.folder import SETTINGS_FILE, Workspace, open_workspace
from toolkit.workspace.journal import JOURNAL, Journal, Quarantine, Read
from toolkit.workspace.settings import RepositorySettings, Settings, SourceSettings, TableSettings

__all__ = [
    "JOURNAL",
    "SETTINGS_FILE",
    "Actor",
    "Day",
    "Definition",
    "Journal",
    "Problem",
    "Quarantine",
    "Read",
    "RepositorySettings",
    "Settings",
    "SourceSettings",
    "TableSettings",
    "Workspace",
    "current_actor",
    "edit_yaml",
    "git_environment",
    "ledger_sequence",
    "open_workspace",
    "run_folder",
]
