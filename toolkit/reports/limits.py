"""What one run may cost: seconds per cell and in all, memory, and how much its cells may put out."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace

from toolkit.checks import check_at_least

OUTPUT_MIB = 32.0
"""What the cells of one report may put out unless told otherwise; more is a loop that prints, or data nobody reads."""


@dataclass(frozen=True)
class Limits:
    """The limits of one run; None: no limit.

    Attributes
    ----------
    cell_s: seconds that one cell may run.
    run_s: seconds that all cells may run, the kernel's start included.
    memory_mib: what the kernel and each process it starts may allocate (`RLIMIT_DATA`; Linux only).
    output_mib: what the cells may put out, in all; None: `OUTPUT_MIB`.

    >>> Limits(cell_s=60).to_dict()
    {'cell_s': 60, 'run_s': None, 'memory_mib': None, 'output_mib': None}
    """

    cell_s: float | None = None
    run_s: float | None = None
    memory_mib: float | None = None
    output_mib: float | None = None

    def __post_init__(self) -> None:
        """Raises `ArgumentError` for a limit that nothing could keep."""
        for name, given in self.to_dict().items():
            if given is not None:
                check_at_least(name, given, 0.01)

    @property
    def most_output_mib(self) -> float:
        """What the cells may put out, in all."""
        return OUTPUT_MIB if self.output_mib is None else self.output_mib

    def to_dict(self) -> dict[str, float | None]:
        """As a batch's file has it."""
        return asdict(self)

    def or_else(self, fallback: Limits) -> Limits:
        """These limits, and for each that is None the one of `fallback`."""
        given = {name: value for name, value in self.to_dict().items() if value is not None}
        return replace(fallback, **given)


class Deadline:
    """When the present cell has to be done: the earlier of the cell's own limit and the run's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._run_ends = None if limits.run_s is None else time.monotonic() + limits.run_s

    def remaining_s(self) -> float | None:
        """Seconds that the next cell may take; None without a limit."""
        left = [] if self._limits.cell_s is None else [self._limits.cell_s]
        if self._run_ends is not None:
            left.append(max(self._run_ends - time.monotonic(), 0.001))
        return min(left, default=None)

    def describe(self) -> str:
        """Which limit a cell that took too long has met, and how to raise it."""
        limits = self._limits
        if limits.cell_s is None and limits.run_s is None:
            return "the kernel did not answer in time"
        if self._run_ends is not None and time.monotonic() >= self._run_ends:
            return (
                f"the run took longer than {limits.run_s:g} s, its limit; raise it with --run-limit-s, or run_s in "
                "[limits] of toolkit.toml"
            )
        return (
            f"the cell took longer than {limits.cell_s:g} s, the limit of one cell; raise it with --cell-limit-s, or "
            "cell_s in [limits] of toolkit.toml"
        )
