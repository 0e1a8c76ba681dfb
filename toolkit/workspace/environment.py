"""The environment variables the toolkit reads, all of them.

TOOLKIT_WORKSPACE   the workspace folder, when it is not the current folder or one above it
TOOLKIT_ACTOR       who acts, when that is not the operating-system user (recorded as asserted)
TOOLKIT_RUN         set by the runner for a report's kernel: the folder that `reports.save` writes to
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Literal, NamedTuple

WORKSPACE_VARIABLE = "TOOLKIT_WORKSPACE"
ACTOR_VARIABLE = "TOOLKIT_ACTOR"
RUN_VARIABLE = "TOOLKIT_RUN"


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


def workspace_variable() -> Path | None:
    """The folder that TOOLKIT_WORKSPACE names, if it is set."""
    folder = os.environ.get(WORKSPACE_VARIABLE)
    return Path(folder) if folder else None
