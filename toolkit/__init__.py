"""The Improvement Toolkit: `import toolkit as tk`.

A light facade: each name is imported when it is first used, so that `import toolkit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

ROOMS = (
    "archive",
    "data",
    "debt",
    "display",
    "errors",
    "experiments",
    "ledger",
    "metrics",
    "reports",
    "reviews",
    "signals",
    "stats",
    "triage",
)
"""The rooms that people and templates use."""

_NAMES = {
    "Window": "toolkit.windows",
    "open_workspace": "toolkit.workspace",
    "form": "toolkit.widgets",
}
__all__ = ["__version__", *ROOMS, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return import_module(f"toolkit.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    from toolkit.checks import unknown_name_message

    raise AttributeError(unknown_name_message(name, __all__, noun="name in toolkit"))


def __dir__() -> list[str]:
    return sorted(__all__)
