"""Writing below the archive's folder: what the operating system says when it cannot, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EIO, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path

from toolkit.errors import ArchiveError, ToolkitError

ARCHIVE = "reports/"
"""The archive as messages name it."""

_FULL = {ENOSPC, EDQUOT}
_FORBIDDEN = {EACCES, EIO, ENOTDIR, EPERM, EROFS}


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn a full, read-only or failing disk into an `ArchiveError` that says what to do; other errors pass.

    Parameters
    ----------
    folder: what is written to; a path outside of it is named as it is.
    """
    try:
        yield
    except OSError as err:
        if isinstance(err, ToolkitError) or err.errno not in _FULL | _FORBIDDEN:
            raise
        raise ArchiveError(_explain(err, folder)) from err


def _explain(err: OSError, folder: Path) -> str:
    named = Path(str(err.filename)) if err.filename else folder
    shown = ARCHIVE if named == folder or folder in named.parents or named in folder.parents else str(named)
    if err.errno in _FULL:
        return (
            f"{shown} has no room left ({err.strerror}), and nothing in it was changed. "
            "Free some space, then run the command again"
        )
    return (
        f"{shown} cannot be written ({err.strerror}), and nothing in it was changed. "
        "Make it writable for this user, then run the command again"
    )
