"""A mixed-integer linear programme, written down column by column and row by row, and solved by HiGHS in silence.

HiGHS (as scipy 1.17 brings it) writes a line of its own to file descriptor 1 now and then, whatever it is told. It runs
in a thread that has its own table of file descriptors (Linux, `unshare`), where 1 leads nowhere: other threads go on
writing. Where the system does not grant that (some containers), descriptor 1 of the process is held back meanwhile:
what other threads write to it comes a moment later. One solves after the other.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.stats.arrays import Numbers

PROVEN_GAP = 1e-9
"""The relative gap below which a solution counts as proven: what is left of it is rounding."""

TOLERANCE = 1e-6
"""By how much HiGHS lets a row or a whole number miss: a millionth of a day is no day."""

_SOLVED, _OUT_OF_TIME, _INFEASIBLE = 0, 1, 2
_CLONE_FILES = 0x400
_SOLVERS_OWN = b"Highs"
_ONE_AT_A_TIME = threading.Lock()
_MINE = Path("/proc/thread-self/fd")

T = TypeVar("T")


class Limits(NamedTuple):
    """How long to look, and how close is close enough: without a time limit and with gap 0, until it is proven."""

    time_limit_s: float | None = None
    gap: float = 0.0

    def checked(self) -> Limits:
        """These limits, if they can be. Raises `ArgumentError`."""
        if self.time_limit_s is not None and not (math.isfinite(self.time_limit_s) and self.time_limit_s > 0):
            raise ArgumentError(f"time_limit_s == {self.time_limit_s}, must be a number of seconds above 0, or None")
        if not 0 <= self.gap < 1:
            raise ArgumentError(f"gap == {self.gap}, must be a number of at least 0 and below 1")
        return self


_UNTIL_PROVEN = Limits()


class Solution(NamedTuple):
    """What HiGHS came to: a value per column, their worth, and what no solution can exceed.

    Attributes
    ----------
    finished: whether it stopped of itself, within the gap that was asked for, and not at the time limit.
    """

    columns: Numbers
    worth: float
    bound: float
    finished: bool


def relative_gap(worth: float, bound: float) -> float:
    """How far the bound lies above the worth, as a share of the larger of the two in size.

    >>> relative_gap(90.0, 100.0), relative_gap(0.0, 0.0)
    (0.1, 0.0)
    """
    size = max(abs(worth), abs(bound))
    return max(bound - worth, 0.0) / size if size else 0.0


def scale_of(largest: float) -> float:
    """The factor that makes the largest of some numbers about a thousand: a power of two, which changes no digit.

    >>> scale_of(3.0), 3.0 * scale_of(3.0)
    (256.0, 768.0)
    """
    return 2.0 ** (10 - math.frexp(largest)[1])


class MixedInteger:
    """Maximise the worth of the columns within the rows.

    >>> knapsack = MixedInteger()
    >>> items = [knapsack.add_column(0, 1, worth=worth, whole=True) for worth in (5.0, 4.0, 3.0)]
    >>> knapsack.add_row(dict(zip(items, (4.0, 3.0, 2.0), strict=True)), high=5.0)
    >>> knapsack.maximise().worth
    7.0
    """

    def __init__(self) -> None:
        self._columns: list[tuple[float, float, float, bool]] = []
        self._rows: list[tuple[Mapping[int, float], float, float]] = []

    def add_column(self, low: float, high: float, *, worth: float = 0.0, whole: bool = False) -> int:
        """A variable between two bounds, what one of it is worth, and whether it is whole; its number."""
        self._columns.append((low, high, worth, whole))
        return len(self._columns) - 1

    def add_row(self, cells: Mapping[int, float], *, low: float = -math.inf, high: float = math.inf) -> None:
        """The sum of columns, each times its factor, lies between two bounds."""
        self._rows.append((cells, low, high))

    def maximise(self, limits: Limits = _UNTIL_PROVEN) -> Solution | None:
        """The best solution within the limits, or None when there is none at all.

        Raises `ArgumentError` when none was found in time, or HiGHS gave up.
        """
        import numpy as np

        if not self._columns:
            return (
                None if any(low > 0 or high < 0 for _, low, high in self._rows) else Solution(np.zeros(0), 0, 0, True)
            )
        worths = np.array([worth for _, _, worth, _ in self._columns])
        # HiGHS is content with an absolute gap of a millionth: the largest worth becomes about a thousand of its units.
        scale = scale_of(float(np.abs(worths).max()))
        found = quietly(lambda: self._solve(-worths * scale, limits))
        if found.x is None:
            if found.status == _OUT_OF_TIME:
                raise ArgumentError(f"time_limit_s == {limits.time_limit_s} was too short to find any plan; give more")
            # Every column is bounded, so "unbounded or infeasible" is infeasible too.
            if found.status == _INFEASIBLE or "infeasible" in found.message.lower():
                return None
            raise ArgumentError(f"HiGHS could not solve it, as with numbers of too different sizes: {found.message}")
        columns = np.asarray(found.x, dtype=np.float64)
        whole = np.array([whole for *_, whole in self._columns])
        columns[whole] = np.round(columns[whole])
        worth = math.fsum(worths * columns)
        bound = min(-float(found.mip_dual_bound) / scale, self._most())
        return Solution(columns, worth, max(bound, worth), found.status == _SOLVED)

    def missed_by(self, columns: Numbers) -> float:
        """By how much the columns miss the row that they miss by the most; 0 when they keep to every row."""
        sums = [math.fsum(factor * columns[column] for column, factor in cells.items()) for cells, _, _ in self._rows]
        return max(
            [0.0, *(max(low - total, total - high) for total, (_, low, high) in zip(sums, self._rows, strict=True))]
        )

    def _most(self) -> float:
        """What no solution can exceed, were there no rows: a bound also before HiGHS has one."""
        return math.fsum(max(low * worth, high * worth) for low, high, worth, _ in self._columns if worth)

    def _solve(self, costs: Numbers, limits: Limits) -> Any:
        import numpy as np
        from scipy import sparse
        from scipy.optimize import Bounds, LinearConstraint, milp

        low, high, _, whole = zip(*self._columns, strict=True)
        constraints = []
        if self._rows:
            cells = [
                (row, column, factor) for row, (each, _, _) in enumerate(self._rows) for column, factor in each.items()
            ]
            rows, columns, factors = zip(*cells, strict=True) if cells else ((), (), ())
            shape = (len(self._rows), len(self._columns))
            matrix = sparse.csr_array((np.array(factors, dtype=float), (rows, columns)), shape=shape)
            constraints = [LinearConstraint(matrix, [row[1] for row in self._rows], [row[2] for row in self._rows])]
        options: dict[str, float] = {"mip_rel_gap": limits.gap}
        if limits.time_limit_s is not None:
            options["time_limit"] = limits.time_limit_s
        kinds = np.array(whole, dtype=int)
        return milp(costs, integrality=kinds, bounds=Bounds(low, high), constraints=constraints, options=options)


def quietly(work: Callable[[], T]) -> T:
    """What `work` returns; what it writes to file descriptor 1 goes nowhere, also from C++."""

    def run() -> T:
        with _own_descriptors() or _held_back():
            return work()

    with _ONE_AT_A_TIME, _no_collection(), ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(run).result()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage of other threads waits: a file among it would be closed by a number that means another file here."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _own_descriptors() -> Any:
    """A silence of this thread alone, which must be one that ends with its work; None where the system has no such."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    if unshare is None or unshare(_CLONE_FILES) != 0:
        return None
    return _silent_thread()


@contextmanager
def _silent_thread() -> Iterator[None]:
    """Descriptor 1 of a thread with its own descriptors leads nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _flush()
    os.dup2(nowhere, 1)
    # The others of this table are copies: kept open, a pipe that another thread closes would not end for its reader.
    if _MINE.is_dir():
        os.closerange(3, max(int(entry.name) for entry in _MINE.iterdir()) + 1)
    try:
        yield
    finally:
        _flush()


@contextmanager
def _held_back() -> Iterator[None]:
    """Descriptor 1 of the process leads to a file meanwhile; what is in it, but not the solver's, then goes on."""
    with tempfile.TemporaryFile() as held:
        _flush()
        led_to = os.dup(1)
        os.dup2(held.fileno(), 1)
        try:
            yield
        finally:
            _flush()
            os.dup2(led_to, 1)
            held.seek(0)
            kept = b"".join(line for line in held if not line.startswith(_SOLVERS_OWN))
            while kept:
                kept = kept[os.write(led_to, kept) :]
            os.close(led_to)


def _flush() -> None:
    """What C and C++ have written so far leaves their buffers, which threads share."""
    ctypes.CDLL(None).fflush(None)
