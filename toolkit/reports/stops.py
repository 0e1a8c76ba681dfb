"""Stopping runs from outside: Ctrl-C in a batch ends every kernel that is running, from whatever thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Stop:
    """Says once, to all runs that share it, that they are to end; a run that starts later ends at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._endings: set[Callable[[], None]] = set()
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why everything is to end; None as long as nothing is."""
        return self._reason

    def ask(self, reason: str) -> None:
        """End what is running, and what will."""
        with self._lock:
            self._reason = self._reason or reason
            endings = list(self._endings)
        for end in endings:
            end()

    def watch(self, end: Callable[[], None]) -> None:
        """Have `end` called when the end is asked for: at once if it already was."""
        with self._lock:
            self._endings.add(end)
            asked = self._reason is not None
        if asked:
            end()

    def forget(self, end: Callable[[], None]) -> None:
        """`end` is over by itself."""
        with self._lock:
            self._endings.discard(end)
