"""The live table of a batch: what runs, what is done, what is left; plain lines where nobody watches a terminal."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from toolkit.cli.output import print_text

if TYPE_CHECKING:
    from rich.table import Table

RUNNING = "running"
_MOST_ROWS = 20


@dataclass(frozen=True)
class _Line:
    state: str
    text: str
    since: float


class Board:
    """The lines of a batch, by the items' numbers; told from any thread."""

    def __init__(self, labels: Sequence[str], redraw: Callable[[], None]) -> None:
        self._labels, self._redraw = labels, redraw
        self._lines: dict[int, _Line] = {}
        self._lock = Lock()

    def tell(self, number: int, state: str, text: str) -> None:
        """Take what is new about an item."""
        with self._lock:
            before = self._lines.get(number)
            since = before.since if before and before.state == state else time.monotonic()
            self._lines[number] = _Line(state, text, since)
        self._redraw()

    def draw(self) -> Table:
        """What runs, then what ended last; above it, how much is done."""
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            lines = dict(self._lines)
        counts = Counter(line.state for line in lines.values())
        told = [f"{len(lines) - counts[RUNNING]} of {len(self._labels)} done"]
        told += [f"{count} {state}" for state, count in sorted(counts.items())]
        table = Table(box=None, pad_edge=False, title=", ".join(told), title_justify="left", header_style="bold")
        for column in ("item", "state", "step", "s"):
            table.add_column(column, overflow="ellipsis", no_wrap=True)
        now = time.monotonic()
        ranked = sorted(lines.items(), key=lambda each: (each[1].state != RUNNING, -each[1].since))
        for number, line in ranked[:_MOST_ROWS]:
            seconds = f"{now - line.since:.0f}" if line.state == RUNNING else ""
            table.add_row(*(Text(cell) for cell in (self._labels[number - 1], line.state, line.text, seconds)))
        return table


@contextmanager
def board(labels: Sequence[str]) -> Iterator[Callable[[int, str, str], None]]:
    """A function that tells of an item: a live table in a terminal, in a log a line when it begins and when it ends."""
    if not sys.stderr.isatty():
        yield _Log(labels).tell
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        drawn = Board(labels, lambda: live.update(drawn.draw()))
        yield drawn.tell


class _Log:
    def __init__(self, labels: Sequence[str]) -> None:
        self._labels, self._begun, self._lock = labels, set[int](), Lock()

    def tell(self, number: int, state: str, text: str) -> None:
        with self._lock:
            if state == RUNNING and number in self._begun:
                return
            self._begun.add(number)
            what = RUNNING if state == RUNNING else ": ".join(filter(None, [state, text]))
            print_text(f"==> {number} of {len(self._labels)} {self._labels[number - 1]}: {what}", to_stderr=True)
