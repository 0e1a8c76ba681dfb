"""Importing Jupyter's libraries, without the one part of them that costs a second and that nothing here uses.

nbformat brings jsonschema, whose optional check of international URIs builds a grammar when it is imported, if the
package for it is installed: more than the rest of the import. Notebooks have no such field. jsonschema does without the
package where it is missing, so for the time of its import it is.
"""

from __future__ import annotations

import sys
from functools import cache
from threading import Lock

_COSTLY = "rfc3987_syntax"
_IMPORTING = Lock()


@cache
def import_jupyter() -> None:
    """Import nbformat; to be called before anything that brings it along."""
    with _IMPORTING:
        hidden = _COSTLY not in sys.modules and "jsonschema" not in sys.modules
        if hidden:
            sys.modules[_COSTLY] = None  # type: ignore[assignment]  # so the import system notes what is not there
        try:
            import nbformat  # noqa: F401  # for what it brings along
        finally:
            if hidden:
                del sys.modules[_COSTLY]
