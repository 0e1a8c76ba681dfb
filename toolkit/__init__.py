"""The Improvement Toolkit: `import toolkit as tk`.

A light facade: each name is imported when it is first used, so that `import toolkit` costs next to nothing.
"""

from __future__ import annotations

from toolkit.facade import facade

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

__getattr__, __dir__ = facade(__name__, {room: f"toolkit.{room}" for room in ROOMS} | _NAMES)
