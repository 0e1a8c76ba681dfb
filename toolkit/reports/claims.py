"""Claims: of all processes that would do one thing, one does.

A claim is a lock on a file of the thing's own, held while it is done. The operating system lets go of it when the
process ends, however it ends, so there is no lease to wait for and nothing to clean up after `kill -9`. Whether a thing
is done must be asked behind its claim: then whoever had it before has either finished or died.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from toolkit.errors import LedgerError

Hold = Literal["", "first", "again"]
"""Nothing when another has the claim; else whether anybody has had it before."""


@contextmanager
def claim(file: Path) -> Iterator[Hold]:
    """Hold a claim; "" when another process, or another thread, holds it.

    Raises `LedgerError` when the claim's file cannot be written.
    """
    descriptor = _open(file)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield ""
        else:
            held_before = os.fstat(descriptor).st_size > 0
            os.write(descriptor, b"." if not held_before else b"")
            yield "again" if held_before else "first"
    finally:
        os.close(descriptor)  # and the lock is gone


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)  # Python's own are not inherited: no kernel keeps a claim
    except OSError as err:
        raise LedgerError(
            f"the claim {file} cannot be written ({err.strerror}), and nothing was run for it. Make its folder "
            "writable for this user, or free some space, then run the command again"
        ) from err
