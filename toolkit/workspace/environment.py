"""The environment variables the toolkit reads, all of them.

TOOLKIT_WORKSPACE   the workspace folder, when it is not the current folder or one above it
TOOLKIT_ACTOR       who acts, when that is not the operating-system user (recorded as asserted)
TOOLKIT_RUN         set by the runner for a report's kernel: the folder that `reports.save` writes to
TOOLKIT_KERNEL      cold: no kernel of this environment is forked (`toolkit.kernels` reads it in a kernel's environment)
TOOLKIT_LEDGER_SEQUENCE   set with it: the ledger's last entry when the run began; the report reads none after it

Any other variable is read only where a parameter names it as a secret (`toolkit.workspace.secrets`).
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Literal, NamedTuple

WORKSPACE_VARIABLE = "TOOLKIT_WORKSPACE"
ACTOR_VARIABLE = "TOOLKIT_ACTOR"
RUN_VARIABLE = "TOOLKIT_RUN"
LEDGER_SEQUENCE_VARIABLE = "TOOLKIT_LEDGER_SEQUENCE"


class Actor(NamedTuple):
    """Who did something, and how sure that is."""

    name: str
    assurance: Literal["asserted", "operating_system_user", "signed"]


def current_actor() -> Actor:
    """The actor of this process: what TOOLKIT_ACTOR asserts, else the operating-system user."""
    asserted = os.environ.get(ACTOR_VARIABLE, "").strip()
    if asserted:
        return Actor(asserted, "asserted")
    try:
        return Actor(getpass.getuser(), "operating_system_user")
    except (KeyError, OSError):  # a container may run under a number without a name
        return Actor(f"uid {os.getuid()}", "operating_system_user")


def run_folder() -> Path | None:
    """Where this process's report is being staged; None outside a run (an analyst's notebook)."""
    folder = os.environ.get(RUN_VARIABLE)
    return Path(folder) if folder else None


def ledger_sequence() -> int | None:
    """The last ledger entry that this process's report may read; None outside a run, where every one may be read."""
    sequence = os.environ.get(LEDGER_SEQUENCE_VARIABLE)
    return int(sequence) if sequence else None


def workspace_variable() -> Path | None:
    """The folder that TOOLKIT_WORKSPACE names, if it is set."""
    folder = os.environ.get(WORKSPACE_VARIABLE)
    return Path(folder) if folder else None


def git_environment() -> dict[str, str]:
    """The environment of this process, for a git that is to see one repository and the commit, and nothing else.

    Without the variables by which git is told of another repository (a hook sets them), without the machine's own
    attributes, and with messages in English.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"LC_ALL": "C", "GIT_ATTR_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
