"""The workspace: the folder with a team's definitions, and the only reader of configuration and environment.

`open_workspace` finds it, `Workspace.load` turns one definition file into a frozen model or says what is wrong with
it. Each room owns its own models; this one owns only `toolkit.toml`.
"""

from toolkit.workspace.definitions import Definition, load_yaml
from toolkit.workspace.environment import Actor, current_actor, run_folder
from toolkit.workspace.folder import SETTINGS_FILE, Settings, TableSettings, Workspace, open_workspace
from toolkit.workspace.journal import JOURNAL, Journal, Read

__all__ = [
    "JOURNAL",
    "SETTINGS_FILE",
    "Actor",
    "Definition",
    "Journal",
    "Read",
    "Settings",
    "TableSettings",
    "Workspace",
    "current_actor",
    "load_yaml",
    "open_workspace",
    "run_folder",
]
